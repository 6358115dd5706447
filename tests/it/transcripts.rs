//! Every file of `transcripts/`, replayed against everything that ought to answer alike.

use std::{collections::BTreeSet, fs, path::PathBuf};

use tests::{
    client::Client,
    cluster::Cluster,
    transcript::{self, Case, Pace, Subject},
};

use crate::against::{Against, stock_memcached};

/// What `! skip` may select about a running cluster.
fn subjects(cluster: &Cluster) -> Vec<Subject> {
    let mut subjects = Vec::new();
    if cluster.router.is_some() {
        subjects.push(Subject::Router);
    }
    let server = cluster.servers.first().expect("a cluster has a server");
    if server.program().is_stock() {
        let reply = cluster.server_client(0).ask("version");
        let version = reply.strip_prefix("VERSION ").and_then(transcript::version);
        subjects.push(Subject::MemcachedIs(
            version.unwrap_or_else(|| panic!("{reply:?}")),
        ));
    } else if cluster.router.is_none() {
        subjects.push(Subject::CacheNode);
    }
    subjects
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("transcripts")
}

/// Replays one file three times: at once, byte by byte, pipelined. Every failing case is listed, not only the first.
fn replay(file: &str, against: Against) {
    let cases = transcript::read(&folder().join(format!("{file}.txt")));
    assert!(!cases.is_empty(), "{file}.txt has no case");
    let cluster = match against.start() {
        Ok(cluster) => cluster,
        Err(reason) => return against.skip(file, &reason),
    };
    let subjects = subjects(&cluster);
    let mut failures = Vec::new();
    let mut replayed = 0;
    for case in cases.iter().filter(|case| case.concerns(&subjects)) {
        for pace in [Pace::Whole, Pace::Bytewise, Pace::Pipelined] {
            if pace == Pace::Pipelined && !case.can_be_pipelined() {
                continue;
            }
            cluster.flush();
            replayed += 1;
            if let Err(error) = case.replay(&mut cluster.client(), pace) {
                failures.push(describe(file, case, pace, &error));
            }
        }
    }
    assert!(replayed > 0, "{file}.txt says nothing about {against:?}");
    assert!(
        failures.is_empty(),
        "{} of {replayed} replays failed:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

fn describe(file: &str, case: &Case, pace: Pace, error: &str) -> String {
    format!("{file}.txt:{} {} ({pace:?}): {error}", case.line, case.title)
}

macro_rules! transcripts {
    ($($file:ident),+ $(,)?) => {
        const FILES: &[&str] = &[$(stringify!($file)),+];

        $(mod $file {
            use super::{Against, replay};

            #[test]
            fn holds_on_a_cache_node() {
                replay(stringify!($file), Against::CacheNode);
            }

            #[test]
            fn holds_on_debians_memcached() {
                replay(stringify!($file), Against::DebianMemcached);
            }

            #[test]
            fn holds_on_the_current_memcached() {
                replay(stringify!($file), Against::CurrentMemcached);
            }

            #[test]
            fn holds_through_a_sharded_router() {
                replay(stringify!($file), Against::ShardedRouter);
            }

            #[test]
            fn holds_through_a_replicated_router() {
                replay(stringify!($file), Against::ReplicatedRouter);
            }

            #[test]
            fn holds_through_a_router_over_memcached() {
                replay(stringify!($file), Against::RouterOverMemcached);
            }

            #[test]
            fn holds_through_a_replicated_router_over_memcached() {
                replay(stringify!($file), Against::ReplicatedRouterOverMemcached);
            }
        })+
    };
}

transcripts!(
    storage,
    retrieval,
    arithmetic,
    touch_delete_flush,
    noreply,
    errors,
    resync,
    meta_get,
    meta_set,
    meta_delete,
    meta_arithmetic,
    meta_common,
    meta_stale,
    admin,
    habits,
);

#[test]
fn every_transcript_is_replayed() {
    let names = fs::read_dir(folder())
        .expect("the folder of transcripts")
        .map(|entry| entry.expect("an entry").path());
    let kept: BTreeSet<String> = names
        .map(|path| path.file_stem().expect("a name").display().to_string())
        .collect();
    let replayed: BTreeSet<String> = FILES.iter().map(|file| (*file).to_owned()).collect();
    assert_eq!(kept, replayed);
}

#[test]
fn a_wrong_reply_fails_a_transcript() {
    let Ok(cluster) = stock_memcached().map(|program| Cluster::single(program, &[])) else {
        return crate::skipped("the transcripts' own check", "no memcached on PATH");
    };
    let case = |text: &str| {
        let file = tempfile::NamedTempFile::new().expect("a scratch file");
        fs::write(file.path(), text).expect("the scratch file is written");
        transcript::read(file.path()).remove(0)
    };
    let replay = |text: &str| case(text).replay(&mut Client::connect(cluster.addr()), Pace::Whole);
    let right = "== a\n> set k 0 0 1\\r\\nx\\r\\n\n< STORED\\r\\n\n> gets k\\r\\n\n< VALUE k 0 1 ${cas}\\r\\nx\\r\\nEND\\r\\n";
    assert_eq!(replay(right), Ok(()));
    for (from, to) in [
        ("< STORED", "< STORE"),
        ("< STORED", "< EXISTS"),
        ("x\\r\\nEND", "y\\r\\nEND"),
        ("END\\r\\n", "EN"),
    ] {
        assert!(replay(&right.replacen(from, to, 1)).is_err(), "{from} as {to}");
    }
    assert!(replay(&format!("{right}\n! closes")).is_err());
}
