use super::{START, Talk, check};
use crate::ttl::{Jitter, JitterMode};

#[test]
fn an_item_is_gone_when_its_second_has_come() {
    check(
        r"> set k 0 10 1\r\na
          < STORED
          ~ 9
          > get k
          < VALUE k 0 1
          < a
          < END
          ~ 1
          > get k
          < END
          > add k 0 0 1\r\nb
          < STORED
          ~ 100000
          > get k
          < VALUE k 0 1
          < b
          < END",
    );
}

#[test]
fn negative_and_past_times_store_nothing_that_can_be_read() {
    check(
        r"> set k 0 0 1\r\na
          < STORED
          > set k 0 -1 1\r\nb
          < STORED
          > get k
          < END
          > set k 0 2592001 1\r\nb
          < STORED
          > get k
          < END
          > ms k 1 T-1\r\nc
          < HD
          > mg k v
          < EN",
    );
}

#[test]
fn a_large_exptime_is_a_date() {
    let mut talk = Talk::new();
    let soon = START.0 + 50;
    talk.play(&format!(
        r"> set k 0 {soon} 1\r\na
          < STORED
          > mg k t
          < HD t50
          ~ 50
          > get k
          < END",
    ));
}

#[test]
fn touch_and_gat_move_the_expiry_and_keep_the_value() {
    check(
        r"> touch k 5
          < NOT_FOUND
          > set k 4 10 1\r\na
          < STORED
          > touch k 100
          < TOUCHED
          ~ 50
          > gat 20 k missing
          < VALUE k 4 1
          < a
          < END
          > mg k t
          < HD t20
          > gats 0 k
          < VALUE k 4 1 {cas:one}
          < a
          < END
          > mg k t c
          < HD t-1 c{one}
          > touch k -1
          < TOUCHED
          > get k
          < END
          > touch k x
          < CLIENT_ERROR invalid exptime argument",
    );
}

#[test]
fn appending_and_adding_keep_the_expiry() {
    check(
        r"> set k 0 10 1\r\n1
          < STORED
          > append k 0 0 1\r\n2
          < STORED
          > incr k 1
          < 13
          > mg k t v
          < VA 2 t10
          < 13
          ~ 10
          > get k
          < END",
    );
}

#[test]
fn flush_all_takes_what_is_there_and_spares_what_comes_after() {
    check(
        r"> set k 0 0 1\r\na
          < STORED
          ~ 2
          > flush_all
          < OK
          > get k
          < END
          ~ 1
          > set k 0 0 1\r\nb
          < STORED
          > get k
          < VALUE k 0 1
          < b
          < END
          > flush_all 10
          < OK
          > get k
          < VALUE k 0 1
          < b
          < END
          ~ 11
          > get k
          < END",
    );
}

#[test]
fn jitter_spreads_relative_times_and_leaves_the_others_alone() {
    let mut talk = Talk::with(|config| {
        config.ttl_jitter = Jitter {
            permille: 100,
            mode: JitterMode::Symmetric,
        };
    });
    let mut seen = std::collections::BTreeSet::new();
    for n in 0..300 {
        talk.send(format!("set k{n} 0 1000 1\r\na\r\n").as_bytes());
        let (reply, _) = talk.send(format!("mg k{n} t\r\n").as_bytes());
        let ttl: i64 = String::from_utf8(reply)
            .unwrap()
            .trim_start_matches("HD t")
            .trim_end()
            .parse()
            .unwrap();
        assert!((900..=1100).contains(&ttl), "{ttl}");
        seen.insert(ttl);
    }
    assert!(seen.len() > 100, "only {} different times", seen.len());
    talk.play("> set k 0 0 1\\r\\na\n < STORED\n > mg k t\n < HD t-1\n > touch k 5\n < TOUCHED\n > mg k t\n < HD t5");
}
