use super::{Talk, check};
use crate::session::Next;

fn stats(talk: &mut Talk, args: &str) -> Vec<(String, String)> {
    let (reply, _) = talk.send(format!("stats{args}\r\n").as_bytes());
    let reply = String::from_utf8(reply).unwrap();
    let lines = reply
        .strip_suffix("END\r\n")
        .unwrap_or_else(|| panic!("no END: {reply}"));
    let pair = |line: &str| {
        let (name, value) = line.strip_prefix("STAT ").unwrap().split_once(' ').unwrap();
        (name.to_owned(), value.to_owned())
    };
    lines.split_terminator("\r\n").map(pair).collect()
}

fn value(stats: &[(String, String)], name: &str) -> String {
    stats
        .iter()
        .find(|(told, _)| told == name)
        .unwrap_or_else(|| panic!("no {name}"))
        .1
        .clone()
}

#[test]
fn stats_have_every_name_the_exporter_reads_and_each_is_a_number() {
    let mut talk = Talk::new();
    talk.send(b"set a 0 0 1\r\nx\r\nget a b\r\n");
    let told = stats(&mut talk, "");
    for name in [
        "uptime",
        "time",
        "rusage_user",
        "rusage_system",
        "get_hits",
        "get_misses",
        "delete_hits",
        "delete_misses",
        "incr_hits",
        "incr_misses",
        "decr_hits",
        "decr_misses",
        "cas_hits",
        "cas_misses",
        "cas_badval",
        "touch_hits",
        "touch_misses",
        "cmd_get",
        "cmd_set",
        "cmd_flush",
        "bytes",
        "limit_maxbytes",
        "curr_items",
        "total_items",
        "bytes_read",
        "bytes_written",
        "curr_connections",
        "total_connections",
        "rejected_connections",
        "conn_yields",
        "listen_disabled_num",
        "accepting_conns",
        "evictions",
        "reclaimed",
        "store_too_large",
        "store_no_memory",
        "lru_crawler_starts",
        "direct_reclaims",
        "crawler_items_checked",
        "crawler_reclaimed",
        "moves_to_cold",
        "moves_to_warm",
        "moves_within_lru",
        "total_malloced",
        "expired_unfetched",
        "evicted_unfetched",
        "max_connections",
        "threads",
        "pid",
        "pointer_size",
    ] {
        let number = value(&told, name);
        assert!(number.parse::<f64>().is_ok(), "{name} = {number}");
    }
    assert_eq!(value(&told, "version"), "1.6.40");
    assert_eq!(
        (value(&told, "get_hits"), value(&told, "get_misses")),
        ("1".to_owned(), "1".to_owned())
    );
    assert_eq!(value(&told, "curr_items"), "1");
    assert_eq!(value(&told, "rusage_user").matches('.').count(), 1);
}

#[test]
fn each_name_is_told_once() {
    let mut talk = Talk::new();
    talk.send(b"set a 0 0 1\r\nx\r\n");
    for group in ["", " settings", " items", " slabs", " sizes"] {
        let told = stats(&mut talk, group);
        let names: std::collections::BTreeSet<_> = told.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), told.len(), "stats{group}");
    }
}

#[test]
fn classes_appear_with_the_first_item() {
    let mut talk = Talk::new();
    assert_eq!(stats(&mut talk, " items"), []);
    assert_eq!(value(&stats(&mut talk, " slabs"), "active_slabs"), "0");
    talk.send(b"set a 0 0 1\r\nx\r\n");
    assert_eq!(value(&stats(&mut talk, " items"), "items:1:number"), "1");
    let slabs = stats(&mut talk, " slabs");
    for name in [
        "chunk_size",
        "chunks_per_page",
        "total_pages",
        "total_chunks",
        "used_chunks",
        "free_chunks",
        "free_chunks_end",
        "mem_requested",
        "cmd_set",
        "cas_hits",
        "cas_badval",
    ] {
        assert!(
            value(&slabs, &format!("1:{name}")).parse::<u64>().is_ok(),
            "{name}"
        );
    }
    assert_eq!(stats(&mut talk, " sizes"), [("32".to_owned(), "1".to_owned())]);
    assert_eq!(value(&stats(&mut talk, " settings"), "maxconns"), "1024");
    assert_eq!(stats(&mut talk, " conns"), []);
    talk.send(b"delete a\r\n");
    assert_eq!(stats(&mut talk, " items"), [], "no items");
    assert_eq!(value(&stats(&mut talk, " slabs"), "1:used_chunks"), "0");
}

#[test]
fn what_a_flush_made_room_of_counts_as_reclaimed() {
    let mut talk = Talk::new();
    talk.send(b"set a 0 0 1\r\nx\r\n");
    assert_eq!(value(&stats(&mut talk, ""), "reclaimed"), "0");
    talk.send(b"flush_all\r\nset a 0 0 1\r\ny\r\n");
    assert_eq!(value(&stats(&mut talk, ""), "reclaimed"), "1");
}

#[test]
fn a_reset_zeroes_counters_and_leaves_gauges_and_metrics() {
    let mut talk = Talk::new();
    talk.send(b"set a 0 0 1\r\nx\r\nget a\r\n");
    talk.play("> stats reset\n < RESET");
    let told = stats(&mut talk, "");
    assert_eq!(
        (value(&told, "cmd_get"), value(&told, "curr_items")),
        ("0".to_owned(), "1".to_owned())
    );
    assert_eq!(talk.node.totals().cmd_get, 1);
}

#[test]
fn unknown_and_odd_admin_commands_get_memcacheds_words() {
    check(
        r"> stats nonsense
          < ERROR
          > stats detail x
          < CLIENT_ERROR usage: stats detail on|off|dump
          > stats cachedump
          < CLIENT_ERROR bad command line
          > stats cachedump 64 1
          < CLIENT_ERROR Illegal slab id
          > stats cachedump 2 0
          < END
          > shutdown
          < SERVER_ERROR: shutdown not enabled
          > cache_memlimit
          < ERROR
          > cache_memlimit 5
          < MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m
          > cache_memlimit 2000000000
          < MEMLIMIT_ADJUST_FAILED input value is megabytes not bytes
          > cache_memlimit 128
          < OK
          > verbosity 1
          < OK
          > verbosity
          < CLIENT_ERROR bad command line format
          > lru_crawler sleep 2000000
          < CLIENT_ERROR sleep must be one second or less
          > lru_crawler enable
          < ERROR failed to start lru crawler thread
          > lru_crawler
          < ERROR
          > lru mode flat
          < OK
          > slabs
          < ERROR
          > slabs reassign 1
          < ERROR
          > slabs reassign 1 x
          < CLIENT_ERROR bad command line format
          > slabs reassign 1 1
          < SAME src and dst class are identical
          > slabs reassign 1 64
          < BADCLASS invalid src or dst class id
          > slabs reassign -1 2
          < NOSPARE source class has no spare pages
          > nonsense
          < ERROR
          > nonsense noreply
          > version
          < VERSION 1.6.40",
    );
}

#[test]
fn keys_can_be_dumped_unless_forbidden() {
    let mut talk = Talk::new();
    talk.play(
        "> set a 0 100 3\\r\\nabc\n < STORED\n > stats cachedump 1 0\n < ITEM a [3 b; 1700000100 s]\n < END",
    );
    let mut strict = Talk::with(|config| config.dump_enabled = false);
    strict.play("> stats cachedump 1 0\n < CLIENT_ERROR stats cachedump not allowed");
}

#[test]
fn what_the_operator_forbade_is_refused_and_still_counted() {
    let mut talk = Talk::with(|config| {
        config.flush_enabled = false;
        config.watch_enabled = false;
    });
    talk.play("> set a 0 0 1\\r\\nx\n < STORED\n > flush_all\n < CLIENT_ERROR flush_all not allowed");
    talk.play("> get a\n < VALUE a 0 1\n < x\n < END\n > watch\n < CLIENT_ERROR watch commands not allowed");
    assert_eq!(talk.node.totals().cmd_flush, 1);
}

#[test]
fn shutdown_stops_the_node_only_when_allowed() {
    let mut talk = Talk::with(|config| config.shutdown_enabled = true);
    talk.play("> shutdown sideways\n < CLIENT_ERROR invalid shutdown mode");
    assert_eq!(talk.send(b"shutdown graceful\r\n"), (Vec::new(), Next::Shutdown));
    assert_eq!(talk.send(b"shutdown\r\n").1, Next::Shutdown);
}

#[test]
fn the_version_told_is_the_one_configured() {
    let mut talk = Talk::with(|config| config.version = "1.6.99 house".to_owned());
    talk.play("> version and words\n < VERSION 1.6.99 house");
    assert_eq!(value(&stats(&mut talk, ""), "version"), "1.6.99");
}

#[test]
fn keys_are_dumped_in_both_styles_and_binary_ones_so_that_they_can_be_sent_back() {
    let mut talk = Talk::new();
    let start = super::START.0;
    talk.send(b"set k 5 100 3\r\nabc\r\nms AAEK 1 b\r\nx\r\n");
    let (told, _) = talk.send(b"lru_crawler metadump all\r\n");
    let told = String::from_utf8(told).unwrap();
    let mut lines: Vec<&str> = told.lines().collect();
    assert_eq!((lines.remove(0), lines.pop()), ("OK", Some("END")));
    lines.sort_unstable();
    assert!(
        lines[0].starts_with(&format!("key=%00%01%0A exp=-1 la={start} cas=")),
        "{told}"
    );
    let exp = start + 100;
    assert!(
        lines[1].starts_with(&format!("key=k exp={exp} la={start} cas=")) && lines[1].ends_with(" flags=5 "),
        "{told}"
    );
    let (told, _) = talk.send(b"lru_crawler mgdump hash\r\n");
    let told = String::from_utf8(told).unwrap();
    let mut lines: Vec<&str> = told.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["EN", "OK", "mg AAEK b", "mg k"]);
}

#[test]
fn a_dump_wants_to_know_of_what_and_to_be_alone() {
    check(
        r"> lru_crawler metadump
          < ERROR
          > lru_crawler metadump 99
          < BADCLASS invalid class id
          > lru_crawler metadump 2,3
          < OK
          < END
          > mg foo v\r\nlru_crawler metadump all
          < EN
          < ERROR cannot pipeline other commands before metadump
          > mn\r\nlru_crawler mgdump 1
          < MN
          < OK
          < EN
          > lru_crawler enable
          < ERROR failed to start lru crawler thread
          > lru_crawler disable
          < OK
          > lru_crawler crawl all
          < CLIENT_ERROR lru crawler disabled
          > lru_crawler enable
          < OK
          > watch nonsense
          < ERROR",
    );
}

#[test]
fn requests_are_counted_by_prefix_while_that_is_on() {
    check(
        r"> stats detail dump
          < END
          > stats detail on
          < OK
          > set foo:1 0 0 1\r\nx
          < STORED
          > get foo:1 foo:2 bar
          < VALUE foo:1 0 1
          < x
          < END
          > delete foo:3
          < NOT_FOUND
          > ms foo:4 1\r\ny
          < HD
          > mg foo:4 v
          < VA 1
          < y
          > stats detail dump
          < PREFIX foo get 3 hit 2 set 2 del 1
          < END
          > stats reset
          < RESET
          > stats detail dump
          < END
          > stats detail off
          < OK
          > get foo:1
          < VALUE foo:1 0 1
          < x
          < END
          > stats detail dump
          < END",
    );
}
