//! Command lines as users of the two tools have them, and what they mean here.

use clap::Parser;

use super::{BenchArgs, line::Line};
use crate::command::bench::{Bench, Pace};
use crate::drive::hammer::Lens;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    bench: BenchArgs,
}

fn parsed(line: &str) -> BenchArgs {
    Cli::try_parse_from(std::iter::once("bench").chain(line.split_whitespace()))
        .unwrap_or_else(|error| panic!("{line}: {error}"))
        .bench
}

fn check(line: &str) -> Result<Bench, String> {
    parsed(line).check()
}

#[test]
fn a_memtier_line_means_what_it_means_to_memtier() {
    let bench = check(
        "-s 127.0.0.1 -p 11311 -P memcache_text -t 2 -c 10 -n allkeys --ratio 1:3 -d 100 --key-pattern R:Z \
         --key-minimum 1 --key-maximum 1000 --pipeline 4 --expiry-range 10-20 --data-verify --hide-histogram -R",
    )
    .unwrap();
    assert_eq!(
        (bench.threads, bench.connections, bench.requests),
        (2, 10, Some(50))
    );
    assert_eq!(bench.targets[0].address.port(), 11311);
    let plan = &bench.plan;
    assert_eq!((plan.set_share, plan.pipeline, plan.stream), (0.25, 4, false));
    assert_eq!((plan.keys.clone(), plan.expiry.clone()), (1..1001, 10..21));
    assert!(matches!(plan.value_len, Lens::Fixed(100)));
    let Pace::Open(open) = check("-t 2 -c 10 --rate-limiting 50").unwrap().pace else {
        panic!("an open loop")
    };
    assert!((open.rate - 1000.0).abs() < 1e-9, "per connection");
    let Lens::PerKey(lens) = check("--data-size-list 10:50,400:50").unwrap().plan.value_len else {
        panic!("per key")
    };
    assert!(lens.contains(&10) && lens.contains(&400));
}

#[test]
fn a_mutilate_line_means_what_it_means_to_mutilate() {
    let bench = check("-s 127.0.0.1:11311 -t 7 -T 2 -c 4 -d 8 -q 2000 -K fb_key -V fb_value -r 5000 -u 0.1 -i fb_ia -w 2 -B").unwrap();
    assert_eq!((bench.threads, bench.connections), (2, 4));
    assert_eq!(bench.slice.as_secs(), 7, "-t is seconds");
    assert_eq!(bench.warmup.map(|warmup| warmup.as_secs()), Some(2));
    let plan = &bench.plan;
    assert_eq!(
        (plan.pipeline, plan.stream, plan.keys.clone()),
        (8, true, 0..5000)
    );
    assert!((plan.set_share - 0.1).abs() < 1e-9 && plan.key_prefix.is_empty());
    assert!(matches!(
        (&plan.key_len, &plan.value_len),
        (Lens::PerKey(_), Lens::PerKey(_))
    ));
    let bare = check("-r 100 -q 0").unwrap();
    assert!(matches!(bare.pace, Pace::Closed) && bare.plan.set_share == 0.0 && bare.connections == 1);
    assert!(matches!(
        (&bare.plan.key_len, &bare.plan.value_len),
        (Lens::Fixed(30), Lens::Fixed(200))
    ));
    assert!(matches!(
        check("-r 100 --scan 1000:3000:1000").unwrap().pace,
        Pace::Scan { .. }
    ));
    assert!(matches!(
        check("-r 100 --search 95:1000").unwrap().pace,
        Pace::Search { .. }
    ));
}

#[test]
fn what_cannot_be_told_apart_is_not_guessed() {
    for (line, says) in [
        (
            "-t 10 -q 1000",
            "-t means --time to mutilate and --threads to memtier, and -q does not tell",
        ),
        (
            "-r 100 -p 11211 -d 5",
            "-d means --depth with mutilate's -r and --data-size with memtier's -p",
        ),
        ("-d 5 -K fb_key", "-K does not tell"),
    ] {
        let told = check(line).unwrap_err();
        assert!(told.contains(says), "{line}: {told}");
    }
    assert!(check("-q 1000 --threads 2 --time 3").is_ok());
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    for (line, says) in [
        ("-S /tmp/x", "-S, --unix-socket: not supported"),
        ("--binary", "--binary: not supported: memcached's text protocol"),
        (
            "--getset -r 10",
            "--getset: not supported: bench does not refill on a miss",
        ),
        ("-C 4 -r 10", "-C, --measure_connections: not supported"),
        ("-A", "-A, --agentmode"),
        ("-x 3", "-x, --run-count"),
        ("--cluster-mode", "--cluster-mode"),
        ("-P memcache_binary", "memcache_text is the only one"),
        ("--key-pattern G:G", "--key-pattern G"),
        ("-i gev:1,2,0.1", "no mean to scale"),
        ("-V nonsense:1", "--valuesize nonsense:1"),
        ("--scan 5:1:1", "--scan 5:1:1"),
        ("-n many", "expected a number or allkeys"),
    ] {
        let told = check(line).unwrap_err();
        assert!(told.contains(says), "{line}: {told}");
    }
}

#[test]
fn the_printed_scenario_is_one() {
    for line in [
        "-p 11311 -t 2 -c 10 -d 100 --key-pattern Z:Z --expiry-range 10-20 --rate-limiting 50",
        "-s 127.0.0.1:11311 -K fb_key -V fb_value -r 5000 -u 0.1 -q 2000",
        "",
    ] {
        let args = parsed(line);
        let text = args.scenario().unwrap();
        let scenario =
            crate::scenario::from_text("bench.toml", &text, &crate::scenario::Overrides::default())
                .unwrap_or_else(|diagnostic| panic!("{line}\n{text}\n{diagnostic}"));
        let line = Line::of(&args).unwrap();
        assert_eq!(scenario.load.connections, line.threads * line.connections);
        assert_eq!(scenario.workload.keys, args.keys(&line).unwrap().end);
    }
}
