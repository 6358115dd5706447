//! Real client libraries against everything they may find at the other end. Their scripts are in `clients/`.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use crate::against::Against;

/// The exit code of `clients/run` for a client that is not installed.
const NOT_INSTALLED: i32 = 3;

/// Runs one client's script against a freshly started target.
fn holds(client: &str, against: Against) {
    let cluster = match against.start() {
        Ok(cluster) => cluster,
        Err(reason) => return against.skip(client, &reason),
    };
    let addr = cluster.addr();
    let run = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/run");
    // A client that hangs fails, and says so.
    let mut command = Command::new("timeout");
    command
        .arg("120")
        .arg(run)
        .arg(client)
        .arg(addr.ip().to_string())
        .arg(addr.port().to_string());
    let output = command
        .stdin(Stdio::null())
        .output()
        .expect("timeout (coreutils) starts");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    match output.status.code() {
        Some(0) => {}
        Some(NOT_INSTALLED) => crate::skipped(client, said.trim()),
        code => panic!("{client} against {against:?}: exit {code:?}\n{said}"),
    }
}

macro_rules! clients {
    ($($module:ident $client:literal),+ $(,)?) => {
        $(mod $module {
            use super::{Against, holds};

            #[test]
            fn works_with_debians_memcached() {
                holds($client, Against::DebianMemcached);
            }

            #[test]
            fn works_with_a_cache_node() {
                holds($client, Against::CacheNode);
            }

            #[test]
            fn works_through_a_sharded_router() {
                holds($client, Against::ShardedRouter);
            }

            #[test]
            fn works_through_a_replicated_router() {
                holds($client, Against::ReplicatedRouter);
            }

            #[test]
            fn works_through_a_router_over_memcached() {
                holds($client, Against::RouterOverMemcached);
            }

            #[test]
            fn works_through_a_replicated_router_over_memcached() {
                holds($client, Against::ReplicatedRouterOverMemcached);
            }
        })+
    };
}

clients!(
    pymemcache "pymemcache",
    pylibmc "pylibmc",
    python_memcached "python-memcached",
    aiomcache "aiomcache",
    emcache "emcache",
    meta_memcache "meta-memcache",
    php_memcached "php-memcached",
    php_memcache "php-memcache",
    gomemcache "gomemcache",
    npm_memcached "npm-memcached",
    npm_memcache "npm-memcache",
    memccapable "memccapable",
    libmemcached_tools "libmemcached-tools",
);
