use std::io::Write;

use super::{Op, Row, Trace, TraceError, read};

fn parse(text: &str) -> Result<Trace, TraceError> {
    read("t.csv", text.as_bytes(), None)
}

#[test]
fn rows_and_keys_are_read_plain_and_gzipped() {
    let text = "time_s,key,size,op,ttl\n0,a,10,get,\n0.5,bb,2,set,60\r\n1,a,10,delete,0\n\n";
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    for trace in [
        parse(text).unwrap(),
        read("t.csv.gz", &gzip.finish().unwrap()[..], None).unwrap(),
    ] {
        let row = |at_ms, key, value_len, op, ttl_seconds| Row {
            at_ms,
            key,
            value_len,
            op,
            ttl_seconds,
        };
        assert_eq!(
            trace.rows,
            [
                row(0, 0, 9, Op::Get, None),
                row(500, 1, 0, Op::Set, Some(60)),
                row(1000, 0, 9, Op::Delete, Some(0))
            ]
        );
        let mut scratch = Vec::new();
        assert_eq!(trace.keys.len(), 2);
        assert_eq!(trace.keys.text(1, &mut scratch), b"bb");
        assert_eq!(trace.keys.footprint_bytes(), 12);
    }
}

#[test]
fn columns_may_stand_in_any_order() {
    let trace = parse("size,key,time_s\n12,k,3\n").unwrap();
    assert_eq!(
        (trace.rows[0].at_ms, trace.rows[0].value_len, trace.rows[0].op),
        (3000, 11, Op::Get)
    );
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    for (text, expected) in [
        ("", "t.csv: no rows"),
        ("time_s,key,size\n", "t.csv: no rows"),
        (
            "tiem,key,size\n",
            "t.csv:1: unknown column \"tiem\"; expected a header `time_s,key,size[,op,ttl]`, or that of libCacheSim or Meta",
        ),
        ("time_s,key\n", "t.csv:1: column size is missing"),
        ("time_s,key,size,key\n", "t.csv:1: column key twice"),
        (
            "time_s,key,size\n0,a,1\n1,a\n",
            "t.csv:3: 2 fields, expected 3 as in the header",
        ),
        (
            "time_s,key,size\nx,a,1\n",
            "t.csv:2: time_s \"x\" is no number; expected seconds such as 12.5",
        ),
        (
            "time_s,key,size\n-1,a,1\n",
            "t.csv:2: time_s -1 is not between 0 and 4000000",
        ),
        (
            "time_s,key,size\nNaN,a,1\n",
            "t.csv:2: time_s NaN is not between 0 and 4000000",
        ),
        (
            "time_s,key,size\n0,a b,1\n",
            "t.csv:2: key \"a b\" is not 1 to 250 bytes without blanks",
        ),
        (
            "time_s,key,size\n0,,1\n",
            "t.csv:2: key \"\" is not 1 to 250 bytes without blanks",
        ),
        (
            "time_s,key,size\n0,a,-5\n",
            "t.csv:2: size \"-5\" is no number; expected bytes of key and value",
        ),
        (
            "time_s,key,size,op\n0,a,1,got\n",
            "t.csv:2: op \"got\" is unknown; expected get, set or delete",
        ),
        (
            "time_s,key,size,ttl\n0,a,1,1h\n",
            "t.csv:2: ttl \"1h\" is no number; expected seconds, 0 for never",
        ),
    ] {
        assert_eq!(parse(text).unwrap_err().to_string(), expected, "{text:?}");
    }
    let long = format!("time_s,key,size\n0,{},1\n", "k".repeat(2000));
    assert_eq!(
        parse(&long).unwrap_err().to_string(),
        "t.csv:2: a line longer than 1024 bytes"
    );
    let torn = read("t.gz", &[0x1f, 0x8b, 8, 0, 0, 0][..], None)
        .unwrap_err()
        .to_string();
    assert_eq!(torn, "t.gz:1: cannot be read");
    let missing = Trace::open("/nonexistent/t.csv".as_ref(), None)
        .unwrap_err()
        .to_string();
    assert_eq!(missing, "/nonexistent/t.csv: cannot be read");
}

#[test]
fn the_packaged_trace_is_the_one_its_note_describes() {
    let trace = Trace::twitter_c52(None).unwrap();
    assert_eq!((trace.rows.len(), trace.keys.len()), (1_000_000, 143_542));
    assert_eq!(trace.rows.last().unwrap().at_ms / 1000, 509);
    let mut seen = vec![false; 143_542];
    let hits = trace
        .rows
        .iter()
        .filter(|row| std::mem::replace(&mut seen[row.key as usize], true))
        .count();
    assert_eq!(1_000_000 - hits, 143_542);
    assert_eq!(Trace::twitter_c52(Some(1000)).unwrap().rows.len(), 1000);
}

#[test]
fn everybodys_columns_are_understood() {
    let row = |at_ms, key, value_len, op, ttl_seconds| Row {
        at_ms,
        key,
        value_len,
        op,
        ttl_seconds,
    };
    for (whose, text, expected) in [
        (
            "libCacheSim",
            "time,object,size,next_vtime\n0,17,104,5\n2,18,60,-2\n",
            vec![row(0, 0, 102, Op::Get, None), row(2000, 1, 58, Op::Get, None)],
        ),
        (
            "Twitter",
            "0,aaaa,4,100,12,get,0\n1,bbbb,4,50,3,set,86400\n1,aaaa,4,100,12,delete,0\n",
            vec![
                row(0, 0, 100, Op::Get, Some(0)),
                row(1000, 1, 50, Op::Set, Some(86_400)),
                row(1000, 0, 100, Op::Delete, Some(0)),
            ],
        ),
        (
            "Meta v1",
            "key,op,size,op_count,key_size\n9001,GET,159,2,28\n9002,SET,10,1,30\n",
            vec![
                row(0, 0, 159, Op::Get, None),
                row(0, 0, 159, Op::Get, None),
                row(0, 1, 10, Op::Set, None),
            ],
        ),
        (
            "Meta v2",
            "op_time,key,key_size,op,op_count,size,cache_hits,ttl,usecase,sub_usecase\n3,9001,28,GET,1,159,1,0,7,8\n4,9001,28,SET,1,160,0,7200,7,8\n",
            vec![
                row(3000, 0, 159, Op::Get, Some(0)),
                row(4000, 0, 160, Op::Set, Some(7200)),
            ],
        ),
    ] {
        let trace = parse(text).unwrap_or_else(|error| panic!("{whose}: {error}"));
        assert_eq!(trace.rows, expected, "{whose}");
    }
    assert_eq!(
        read(
            "t.csv",
            &b"key,op,size,op_count,key_size\na,GET,1,1000000,1\n"[..],
            Some(10)
        )
        .unwrap()
        .rows
        .len(),
        10,
        "a row that stands for many ends at the limit"
    );
}
