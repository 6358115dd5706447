use super::{Talk, check};

#[test]
fn mg_answers_flags_in_the_order_asked() {
    check(
        r"> mg k v f O9 k
          < EN O9 kk
          > mg k v q
          > ms k 2 F7 T100 c\r\nab
          < HD c{cas:one}
          > mg k s v t f c k O5
          < VA 2 s2 t100 f7 c{one} kk O5
          < ab
          > mg k
          < HD
          > mg k q k
          < HD kk
          > mg k v C{one}
          < HD
          > mg k v C1
          < VA 2
          < ab",
    );
}

#[test]
fn a_miss_names_key_and_opaque_in_order() {
    check("> mg miss k O12 s t\n < EN kmiss O12\n > mg miss O1 k q\n > mn\n < MN");
}

#[test]
fn hit_and_access_flags_tell_the_state_before_this_read() {
    check(
        r"> ms k 1\r\na
          < HD
          ~ 7
          > mg k h l t u
          < HD h0 l7 t-1
          > mg k h l
          < HD h0 l7
          > mg k h l
          < HD h1 l0",
    );
}

#[test]
fn flags_that_may_change_the_item_count_as_reads_and_u_never_does() {
    check(
        r"> ms k 1 T100\r\na
          < HD
          > mg k u R5
          < HD
          > mg k h R5
          < HD h0
          > mg k h
          < HD h1
          > mg new N30
          < HD W
          > mg new h
          < HD h1 Z
          > md k I
          < HD
          > mg k u h
          < HD h1 X W
          > ms k 1\r\nb
          < HD
          > md k I
          < HD
          > mg k h
          < HD h0 X W",
    );
}

#[test]
fn recache_looks_at_the_ttl_as_it_stands_at_that_flag() {
    check(
        r"> ms k 1 T100\r\na
          < HD
          > mg k R30 T10
          < HD
          > ms k 1 T100\r\na
          < HD
          > mg k T10 R30
          < HD W",
    );
}

#[test]
fn of_two_expiries_on_a_miss_the_later_flag_wins() {
    check(
        r"> mg a T50 N30
          < HD W
          > mg a t
          < HD t30 Z
          > mg b N30 T50
          < HD W
          > mg b t
          < HD t50 Z
          > ma n T50 N30
          < HD
          > mg n t
          < HD t30
          > ma m N30 T50
          < HD
          > mg m t
          < HD t50",
    );
}

#[test]
fn a_wish_for_cas_unique_zero_is_no_wish() {
    check(
        r"> ms k 1 E5 c\r\n1
          < HD c5
          > ma k E0 c
          < HD c{cas:new}
          > mg k c
          < HD c{new}
          > md k C{new} I E0
          < HD
          > ms k 1 C0\r\n1
          < EX",
    );
}

#[test]
fn touching_by_mg_shows_the_ttl_as_it_stands_at_that_flag() {
    check(
        r"> ms k 1 T100\r\na
          < HD
          > mg k t T30
          < HD t100
          > mg k T50 t
          < HD t50
          > mg k T-1 v
          < VA 1
          < a
          > mg k
          < EN",
    );
}

#[test]
fn vivify_hands_the_win_to_one_client() {
    check(
        r"> mg k s v N30 t
          < VA 0 s0 t30 W
          <
          > mg k s v N30 t
          < VA 0 s0 t30 Z
          <
          > mg k v
          < VA 0 Z
          <
          > ms k 3\r\nabc
          < HD
          > mg k v N30
          < VA 3
          < abc
          ~ 100
          > mg other N5 E777 c
          < HD c777 W
          ~ 5
          > mg other N5
          < HD W",
    );
}

#[test]
fn recache_hands_the_win_to_one_client_near_the_end() {
    check(
        r"> ms k 1 T100\r\na
          < HD
          > mg k v R30
          < VA 1
          < a
          ~ 71
          > mg k v R30
          < VA 1 W
          < a
          > mg k v R30
          < VA 1 Z
          < a
          > ms k 1 T0\r\nb
          < HD
          > mg k R30
          < HD",
    );
}

#[test]
fn an_invalidated_item_is_stale_until_somebody_wins() {
    check(
        r"> ms k 3 c T100\r\nabc
          < HD c{cas:one}
          > md k I T30
          < HD
          > mg k t v c
          < VA 3 t30 c{cas:two} X W
          < abc
          > mg k v
          < VA 3 Z X
          < abc
          > md k I
          < HD
          > mg k
          < HD X W
          > ms k 3 C{one}\r\nnew
          < EX
          > ms k 3 C{one} I c T500\r\nnew
          < HD c{cas:three}
          > mg k v t
          < VA 3 t30 Z X
          < new
          > ms k 3 C{three}\r\nend
          < HD
          > mg k v
          < VA 3
          < end",
    );
}

#[test]
fn ms_modes_do_what_their_classic_twins_do() {
    check(
        r"> ms k 1 MR\r\na
          < NS
          > ms k 1 MA\r\na
          < NS
          > ms k 1 ME\r\nb
          < HD
          > ms k 1 ME k\r\nb
          < NS kk
          > ms k 1 MA s\r\nc
          < HD s2
          > ms k 1 MP s\r\na
          < HD s3
          > mg k v
          < VA 3
          < abc
          > ms k 1 MREPLACE\r\nd
          < HD
          > ms k 1 Mx\r\nd
          < CLIENT_ERROR invalid mode for ms M token
          > ms k 1 MS q\r\ne
          > ms n 1 MA N100 F5\r\ne
          < HD
          > mg n v t f
          < VA 1 t100 f5
          < e
          > ms n 1 MA N5\r\nf
          < HD
          > mg n v t
          < VA 2 t100
          < ef",
    );
}

#[test]
fn ms_compares_and_overrides_the_cas_unique() {
    check(
        r"> ms k 1 C5\r\na
          < NF
          > ms k 1 C5 MR\r\na
          < NF
          > ms k 1 E100 c\r\na
          < HD c100
          > mg k c
          < HD c100
          > ms k 1 C99 c q\r\nb
          < EX c0
          > ms k 1 C0\r\nb
          < EX
          > ms k 1 C100 E200\r\nb
          < HD
          > ms k 1 MA C100\r\nc
          < EX
          > ms k 1 MA C200 E300 c\r\nc
          < HD c300
          > mg k v c
          < VA 2 c300
          < bc",
    );
}

#[test]
fn md_deletes_compares_empties_and_stays_quiet() {
    check(
        r"> md k O1 k
          < NF O1 kk
          > md k q
          < NF
          > ms k 2 F3 T100 E50\r\nab
          < HD
          > md k C49
          < EX
          > md k C50 q
          > mg k
          < EN
          > ms k 2 F3 T100 E50\r\nab
          < HD
          > md k x
          < HD
          > mg k v f t c
          < VA 0 f0 t-1 c50
          <
          > md k x I F9 T40
          < HD
          > mg k f t
          < HD f9 t40 X W",
    );
}

#[test]
fn ma_counts_creates_and_compares() {
    check(
        r"> ma n
          < NF
          > ma n O3 k
          < NF O3 kn
          > ma n N90 J13 v t
          < VA 2 t90
          < 13
          > ma n v
          < VA 2
          < 14
          > ma n MI D10 v c
          < VA 2 c{cas:one}
          < 24
          > ma n MD D30 v
          < VA 1
          < 0
          > ma n M+ D5 q
          > ma n C1
          < EX
          > ma n E900 c v
          < VA 1 c900
          < 6
          > ma n C900 T5 t
          < HD t5
          > ma n t T7
          < HD t5
          > mg n t v
          < VA 1 t7
          < 8
          > ma n Mx
          < CLIENT_ERROR invalid mode for ma M token
          > ma n v v
          < CLIENT_ERROR invalid or duplicate flag
          > ms n 1\r\nx
          < HD
          > ma n C1
          < EX
          > ma n
          < CLIENT_ERROR cannot increment or decrement non-numeric value
          > ms n 0\r\n
          < HD
          > ma n C1
          < CLIENT_ERROR cannot increment or decrement non-numeric value",
    );
}

#[test]
fn growing_a_number_keeps_the_marks_and_the_new_ttl() {
    // memcached loses both when 9 becomes 10 (its own bug list); we do not.
    check(
        r"> ms n 1 T100\r\n9
          < HD
          > mg n h
          < HD h0
          > md n I
          < HD
          > ma n T50 v t
          < VA 2 t50
          < 10
          > mg n v t h
          < VA 2 t50 h1 X W
          < 10",
    );
}

#[test]
fn base64_keys_name_the_bytes_they_decode_to() {
    check(
        r"> ms Zm9v 3 b k\r\nabc
          < HD kZm9v b
          > get foo
          < VALUE foo 0 3
          < abc
          < END
          > mg Zm9v b v k
          < VA 3 kZm9v b
          < abc
          > mg foo v k
          < VA 3 kfoo
          < abc
          > ma AQo= b N0 J5 k v
          < VA 1 kAQo= b
          < 5
          > mg AQo= b k N5
          < HD kAQo= b
          > md AQo= b k
          < HD kAQo= b
          > mg AQo= b k
          < EN kAQo= b
          > mg A b
          < CLIENT_ERROR error decoding key",
    );
}

#[test]
fn me_tells_what_is_known() {
    let mut talk = Talk::new();
    talk.play("> me k\n < EN\n > ms k 3 T90\\r\\nabc\n < HD\n ~ 4");
    let (reply, _) = talk.send(b"me k\r\n");
    let reply = String::from_utf8(reply).unwrap();
    assert!(reply.starts_with("ME k exp=86 la=4 cas="), "{reply}");
    assert!(
        reply.contains(" fetch=no cls=1 size=") && reply.ends_with("\r\n"),
        "{reply}"
    );
}

#[test]
fn bad_meta_lines_are_refused_and_their_data_swallowed() {
    check(
        r"> ms k S1\r\n
          < CLIENT_ERROR bad command line format
          < CLIENT_ERROR bad command line format
          > ms k 2 T0 T0\r\nab
          < CLIENT_ERROR duplicate flag
          > ms k 2 Tx\r\nab
          < CLIENT_ERROR bad token in command line format
          > mg k y
          < CLIENT_ERROR invalid flag
          > mg k !
          < CLIENT_ERROR bad command line format
          > mn
          < MN",
    );
}
