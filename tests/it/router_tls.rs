//! TLS from clients and to servers: what is not vouched for is not spoken to, and nobody's certificate needs a restart.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;
use tests::{
    client::Client,
    eventually,
    process::{Process, Program},
    scrape,
};

const PATIENCE: Duration = Duration::from_secs(30);

/// Certificates of the node's own tests: `first`, `second` and `client` are for localhost and 127.0.0.1, and `root`
/// vouches for them; nobody but itself vouches for `stranger`.
fn cert(name: &str) -> String {
    let certs: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cache-node/tests/sockets/certs");
    certs.join(name).display().to_string()
}

/// A cache node that takes TLS only, and from whom.
fn node(ssl: &str) -> Process {
    let options = format!(
        "ssl_chain_cert={},ssl_key={},{ssl}",
        cert("first.pem"),
        cert("first.key")
    );
    let options = options.trim_end_matches(',');
    Process::start(Program::CacheNode, &["-m", "64", "-t", "1", "-Z", "-o", options])
}

/// A router in front of one server, written `server`.
fn router(server: &str, args: &[&str]) -> Process {
    Process::start(
        Program::Router,
        &[&["--sharded", server, "-t", "1"], args].concat(),
    )
}

fn over_tls(node: &Process) -> String {
    format!("n0={}:ascii:tls", node.addr())
}

/// Waits until a set through the router is stored.
#[track_caller]
fn reaches(router: &Process) -> Client {
    let mut client = Client::connect(router.addr());
    eventually(PATIENCE, "the server is reached", || {
        match client.try_set("k", 0, b"v") {
            Ok(reply) if reply == "STORED" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    client
}

/// Asks until the router has tried to reach its server and could not, then asks once more.
#[track_caller]
fn does_not_reach(router: &Process) {
    let mut client = Client::connect(router.addr());
    eventually(PATIENCE, "the server was tried", || {
        let reply = client.try_set("k", 0, b"v").map_err(|error| error.to_string())?;
        assert!(reply.starts_with("SERVER_ERROR"), "{reply}");
        let tkos = scrape::metrics(router.admin());
        match scrape::sum(&tkos, "router_upstream_tko_total", &[]) {
            0.0 => Err("no TKO yet".to_owned()),
            _ => Ok(()),
        }
    });
    let reply = client.try_set("k", 0, b"v").expect("an answer");
    assert!(reply.starts_with("SERVER_ERROR"), "{reply}");
}

#[test]
fn a_cache_node_behind_tls_is_spoken_to_if_somebody_vouches_for_it() {
    let node = node("");
    let server = over_tls(&node);
    let trusting = router(&server, &["--tls-ca", &cert("root.pem")]);
    let mut client = reaches(&trusting);
    // Larger than a TLS record, a socket's buffer and one read.
    let large = vec![b'x'; 900_000];
    client.set("large", &large);
    client.send("get large\r\n".repeat(20));
    for _ in 0..20 {
        client.expect("VALUE large 0 900000\r\n");
        assert_eq!(client.try_read_exact(900_000).expect("the value"), large);
        client.expect("\r\nEND\r\n");
    }
    does_not_reach(&router(&server, &["--tls-ca", &cert("stranger.pem")]));
    let misnamed = [
        "--tls-ca",
        &cert("root.pem"),
        "--tls-server-name",
        "cache.example",
    ];
    does_not_reach(&router(&server, &misnamed));
    let named = ["--tls-ca", &cert("root.pem"), "--tls-server-name", "localhost"];
    reaches(&router(&server, &named));
    // Whoever wants no proof has to say so.
    reaches(&router(&server, &["--tls-insecure-skip-verify"]));
    let error = Process::try_start(Program::Router, &["-p", "0", "--sharded", &server]).expect_err("refused");
    assert!(error.contains("--tls-ca"), "{error}");
    // In the clear nothing is understood.
    does_not_reach(&router(
        &format!("n0={}", node.addr()),
        &["--server-timeout", "200ms"],
    ));
}

#[test]
fn a_server_that_asks_who_we_are_is_shown_our_certificate() {
    let node = node(&format!("ssl_verify_mode=2,ssl_ca_cert={}", cert("root.pem")));
    let server = over_tls(&node);
    let (root, ours, key) = (cert("root.pem"), cert("client.pem"), cert("client.key"));
    // mcrouter's names for the same.
    reaches(&router(
        &server,
        &[
            "--pem-ca-path",
            &root,
            "--pem-cert-path",
            &ours,
            "--pem-key-path",
            &key,
        ],
    ));
    does_not_reach(&router(
        &server,
        &["--tls-ca", &root, "--server-timeout", "200ms"],
    ));
}

#[test]
fn a_pool_says_how_its_servers_are_spoken_to() {
    let (plain, secure) = (
        Process::start(Program::CacheNode, &["-m", "64", "-t", "1"]),
        node(""),
    );
    let folder = TempDir::new().expect("a scratch folder");
    let file = folder.path().join("router.json");
    let config = format!(
        r#"{{"pools": {{"plain": {{"servers": ["{}"]}},
                       "secure": {{"servers": ["{}"], "security_mech": "ssl", "tls_server_name": "localhost"}},
                       "careless": {{"inherit": "secure", "tls_insecure_skip_verify": true, "tls_server_name": "x.example"}}}},
            "route": {{"type": "PrefixSelectorRoute", "wildcard": "PoolRoute|plain",
                       "policies": {{"s:": "PoolRoute|secure", "c:": "PoolRoute|careless"}}}}}}"#,
        plain.addr(),
        secure.addr()
    );
    fs::write(&file, config).expect("written");
    let file = file.display().to_string();
    let router = Process::start(
        Program::Router,
        &["-c", &file, "-t", "1", "--tls-ca", &cert("root.pem")],
    );
    let mut client = Client::connect(router.addr());
    for key in ["p:1", "s:1", "c:1"] {
        eventually(PATIENCE, "each pool stores", || {
            match client.try_set(key, 0, b"v") {
                Ok(reply) if reply == "STORED" => Ok(()),
                other => Err(format!("{key}: {other:?}")),
            }
        });
    }
    let mut direct = Client::connect(plain.addr());
    assert_eq!(direct.stat("curr_items"), 1);
}

#[test]
fn pools_have_authorities_and_certificates_of_their_own() {
    let asking = node(&format!("ssl_verify_mode=2,ssl_ca_cert={}", cert("root.pem")));
    let folder = TempDir::new().expect("a scratch folder");
    let (file, root) = (folder.path().join("router.json"), folder.path().join("root.pem"));
    fs::copy(cert("root.pem"), &root).expect("copied");
    let config = format!(
        r#"{{"pools": {{"ours": {{"servers": ["n={addr}:ascii:tls"], "tls_ca": "{root}", "tls_cert": "{ours}", "tls_key": "{key}"}},
                       "unknown": {{"servers": ["u={addr}:ascii:tls"], "tls_ca": "{root}"}},
                       "unbelieving": {{"inherit": "ours", "servers": ["b={addr}:ascii:tls"], "tls_ca": "{stranger}"}}}},
            "route": {{"type": "PrefixSelectorRoute", "wildcard": "PoolRoute|ours",
                       "policies": {{"u:": "PoolRoute|unknown", "b:": "PoolRoute|unbelieving"}}}}}}"#,
        addr = asking.addr(),
        root = root.display(),
        ours = cert("client.pem"),
        key = cert("client.key"),
        stranger = cert("stranger.pem"),
    );
    fs::write(&file, config).expect("written");
    let file = file.display().to_string();
    // Nobody is named on the command line.
    let router = Process::start(
        Program::Router,
        &[
            "-c",
            &file,
            "-t",
            "1",
            "--server-timeout",
            "200ms",
            "--config-poll",
            "50ms",
        ],
    );
    let mut client = reaches(&router);
    for key in ["u:1", "b:1"] {
        let reply = client.try_set(key, 0, b"v").expect("an answer");
        assert!(reply.starts_with("SERVER_ERROR"), "{key}: {reply}");
    }
    let handshakes = |result: &str| {
        let result = format!("result=\"{result}\"");
        let metrics = scrape::metrics(router.admin());
        scrape::sum(
            &metrics,
            "router_tls_handshakes_total",
            &["with=\"servers\"", &result],
        )
    };
    eventually(PATIENCE, "both kinds are counted", || {
        match (handshakes("made"), handshakes("failed")) {
            (made, failed) if made >= 1.0 && failed >= 1.0 => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    // The two that are not spoken to are probed again and again.
    eventually(PATIENCE, "the reason is told", || {
        let (_, told) = scrape::get(router.admin(), "/config");
        if told.contains("\"tls_last_handshake_error\": \"127.0.0.1: ") {
            Ok(())
        } else {
            Err(told)
        }
    });
    let ends = scrape::sum(
        &scrape::metrics(router.admin()),
        "router_tls_certificate_expiry_timestamp_seconds",
        &["to=\"servers\""],
    );
    assert!(ends > 1.7e9, "{ends}");
    // Files of pools are looked at like those of the command line, and read when somebody says so.
    let bad = || {
        scrape::sum(
            &scrape::metrics(router.admin()),
            "router_tls_certificates_bad",
            &[],
        )
    };
    fs::write(&root, "nothing").expect("written");
    eventually(PATIENCE, "a bad authority is told of", || match bad() {
        1.0 => Ok(()),
        other => Err(format!("{other}")),
    });
    client.send("refresh_certs\r\n");
    client.expect(format!(
        "SERVER_ERROR {}: holds no certificate\r\n",
        root.display()
    ));
    fs::copy(cert("root.pem"), &root).expect("copied");
    client.send("refresh_certs\r\n");
    client.expect("OK\r\n");
    assert_eq!(bad(), 0.0);
    assert_eq!(client.try_set("k", 0, b"v").as_deref().ok(), Some("STORED"));
}

/// Python's own TLS, verifying: sets and gets through `port`; prints the subject of the certificate it was shown.
const PYTHON: &str = r#"
import socket, ssl, sys
port, ca, cert, key = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
context = ssl.create_default_context(cafile=ca)
if cert:
    context.load_cert_chain(cert, key)
plain = socket.create_connection(("127.0.0.1", port), timeout=30)
with context.wrap_socket(plain, server_hostname="localhost") as stream:
    value = b"x" * 500000
    stream.sendall(b"set big 0 0 %d\r\n%s\r\n" % (len(value), value))
    replies = stream.makefile("rb")
    assert replies.readline() == b"STORED\r\n"
    for _ in range(10):
        stream.sendall(b"get big\r\n")
    for _ in range(10):
        assert replies.readline() == b"VALUE big 0 %d\r\n" % len(value)
        assert replies.read(len(value) + 7) == value + b"\r\nEND\r\n"
    print(dict(pair for names in stream.getpeercert()["subject"] for pair in names)["commonName"])
"#;

/// pymemcache with a TLS context, as its documentation has it.
const PYMEMCACHE: &str = r#"
import ssl, sys
from pymemcache.client.base import Client
context = ssl.create_default_context(cafile=sys.argv[2])
client = Client(("localhost", int(sys.argv[1])), tls_context=context, timeout=30)
assert client.set("greeting", "hello", noreply=False)
assert client.get("greeting") == b"hello"
assert client.set_many({"a": "1", "b": "2"}, noreply=False) == []
assert client.get_many(["a", "b", "c"]) == {"a": b"1", "b": b"2"}
assert client.delete("a", noreply=False)
print("pymemcache")
"#;

/// Runs a script: what it printed, or what it complained of.
fn python(interpreter: &Path, script: &str, port: u16, identity: Option<&str>) -> Result<String, String> {
    let of = |ending: &str| identity.map_or_else(String::new, |name| cert(&format!("{name}.{ending}")));
    let output = Command::new("timeout")
        .arg("120")
        .arg(interpreter)
        .args([
            "-c",
            script,
            &port.to_string(),
            &cert("root.pem"),
            &of("pem"),
            &of("key"),
        ])
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .output()
        .expect("timeout (coreutils) starts");
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// A router that takes TLS, over a node without; and where it takes it.
fn secure_router(args: &[&str]) -> (Process, Process, SocketAddr) {
    let node = Process::start(Program::CacheNode, &["-m", "64", "-t", "1"]);
    let router = router(&node.addr().to_string(), &[&["--tls-port", "0"], args].concat());
    let addr = router.tls().expect("it says where");
    (node, router, addr)
}

#[test]
fn clients_are_taken_over_tls_by_libraries_that_verify() {
    if Command::new("python3").arg("--version").output().is_err() {
        return crate::skipped("TLS clients", "there is no python3 on PATH");
    }
    let python3 = Path::new("python3");
    let (cert, key, root) = (cert("first.pem"), cert("first.key"), cert("root.pem"));
    let (_node, _router, addr) = secure_router(&["--tls-cert", &cert, "--tls-key", &key]);
    assert_eq!(python(python3, PYTHON, addr.port(), None).as_deref(), Ok("first"));
    let kit = std::env::var_os("HEARTH_CLIENTS_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/clients"),
        PathBuf::from,
    );
    let venv = kit.join("venv/bin/python");
    if venv.is_file() {
        let said = python(&venv, PYMEMCACHE, addr.port(), None);
        assert_eq!(said.as_deref(), Ok("pymemcache"));
    } else {
        crate::skipped("pymemcache over TLS", "tests/clients/install has not been run");
    }
    // Only whom the authority vouches for, if so told.
    let (_node, _router, addr) =
        secure_router(&["--tls-cert", &cert, "--tls-key", &key, "--tls-client-ca", &root]);
    assert_eq!(
        python(python3, PYTHON, addr.port(), Some("client")).as_deref(),
        Ok("first")
    );
    for stranger in [None, Some("stranger")] {
        let refused = python(python3, PYTHON, addr.port(), stranger);
        assert!(refused.is_err(), "{stranger:?}: {refused:?}");
    }
}

#[test]
fn new_certificates_are_shown_without_a_restart_and_bad_ones_are_not() {
    if Command::new("python3").arg("--version").output().is_err() {
        return crate::skipped("TLS clients", "there is no python3 on PATH");
    }
    let folder = TempDir::new().expect("a scratch folder");
    let (ours, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    let put = |name: &str| {
        fs::copy(cert(&format!("{name}.key")), &key).expect("copied");
        fs::copy(cert(&format!("{name}.pem")), &ours).expect("copied");
    };
    put("first");
    let (ours_text, key_text) = (ours.display().to_string(), key.display().to_string());
    let (_node, router, addr) = secure_router(&[
        "--tls-cert",
        &ours_text,
        "--tls-key",
        &key_text,
        "--config-poll",
        "50ms",
    ]);
    let shown = || python(Path::new("python3"), PYTHON, addr.port(), None);
    assert_eq!(shown().as_deref(), Ok("first"));
    put("second");
    eventually(PATIENCE, "the second certificate is shown", || match shown() {
        Ok(name) if name == "second" => Ok(()),
        other => Err(format!("{other:?}")),
    });
    fs::write(&ours, "no certificate").expect("written");
    eventually(PATIENCE, "a bad one is told of", || {
        let (_, config) = scrape::get(router.admin(), "/config");
        if config.contains("cert.pem: ") {
            Ok(())
        } else {
            Err(config)
        }
    });
    assert_eq!(shown().as_deref(), Ok("second"), "the old one stays in use");
    let metrics = scrape::metrics(router.admin());
    assert!(scrape::sum(&metrics, "router_tls_reload_failures_total", &[]) >= 1.0);
}
