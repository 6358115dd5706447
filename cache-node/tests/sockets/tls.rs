//! TLS through real handshakes: who is served, what they see, what is read again.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};

use super::{eventually, stat};
use crate::support::{LOOPBACK, Running, ask};

fn cert(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/sockets/certs")
        .join(name)
}

/// `-Z` with the first server's certificate and further options.
fn start(options: &str, args: &[&str]) -> Running {
    let ssl = format!(
        "ssl_chain_cert={},ssl_key={}{options}",
        cert("first.pem").display(),
        cert("first.key").display()
    );
    Running::start(&[&LOOPBACK[..], &["-Z", "-o", &ssl], args].concat())
}

/// A client's side of TLS.
fn client(identity: Option<&str>, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(cert("root.pem")).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots);
    match identity {
        None => builder.with_no_client_auth(),
        Some(name) => {
            let chain = CertificateDer::from_pem_file(cert(&format!("{name}.pem"))).unwrap();
            let key = PrivateKeyDer::from_pem_file(cert(&format!("{name}.key"))).unwrap();
            builder.with_client_auth_cert(vec![chain], key).unwrap()
        }
    }
}

type Tls = StreamOwned<ClientConnection, TcpStream>;

fn connect_to(address: &str, config: &Arc<ClientConfig>) -> Tls {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    StreamOwned::new(ClientConnection::new(Arc::clone(config), name).unwrap(), stream)
}

fn connect(node: &Running, config: &Arc<ClientConfig>) -> Tls {
    connect_to(node.address("tcp"), config)
}

/// Whether a client gets an answer.
fn is_served(mut stream: Tls) -> bool {
    let mut reply = [0; 4];
    stream.write_all(b"mn\r\n").is_ok() && stream.read_exact(&mut reply).is_ok() && &reply == b"MN\r\n"
}

/// Whose certificate the server shows.
fn shown(stream: &Tls) -> CertificateDer<'static> {
    stream.conn.peer_certificates().unwrap()[0].clone().into_owned()
}

fn anonymous() -> Arc<ClientConfig> {
    Arc::new(client(None, &[&TLS13, &TLS12]))
}

#[test]
fn a_client_of_tls_is_served_and_one_without_is_not() {
    let node = start("", &[]);
    for version in [&TLS12, &TLS13] {
        let mut stream = connect(&node, &Arc::new(client(None, &[version])));
        ask(
            &mut stream,
            b"set k 0 0 1\r\nx\r\nget k\r\n",
            b"STORED\r\nVALUE k 0 1\r\nx\r\nEND\r\n",
        );
    }
    let mut plain = node.connect();
    plain.write_all(b"version\r\n").unwrap();
    let mut told = Vec::new();
    let _alert = plain.read_to_end(&mut told);
    assert!(!told.starts_with(b"VERSION"), "{}", told.escape_ascii());
    let mut stream = connect(&node, &anonymous());
    eventually("the failed handshake is counted", || {
        stat(&mut stream, "ssl_handshake_errors") == "1"
    });
}

#[test]
fn a_client_that_is_let_go_is_told_goodbye() {
    for version in [&TLS12, &TLS13] {
        let node = start(",idle_timeout=1", &[]);
        let mut silent = connect(&node, &Arc::new(client(None, &[version])));
        ask(&mut silent, b"mn\r\n", b"MN\r\n");
        // Without a goodbye, this is an unexpected end of file.
        assert_eq!(silent.read(&mut [0; 8]).unwrap(), 0, "let go for its silence");

        let mut waiting = connect(&node, &Arc::new(client(None, &[version])));
        ask(&mut waiting, b"mn\r\n", b"MN\r\n");
        node.signal("-TERM");
        assert_eq!(
            waiting.read(&mut [0; 8]).unwrap(),
            0,
            "let go by a node that stops"
        );
    }
}

#[test]
fn large_values_cross_whole_also_to_a_client_that_reads_late() {
    let node = start("", &["-I", "4m"]);
    let mut stream = connect(&node, &anonymous());
    let value = vec![b'v'; 3 << 20];
    let head = format!("set k 0 0 {}\r\n", value.len());
    let request = [head.as_bytes(), &value, b"\r\n"].concat();
    ask(&mut stream, &request, b"STORED\r\n");
    // Eight values are asked for before the first is read: far more than any buffer between us holds.
    stream.write_all("get k\r\n".repeat(8).as_bytes()).unwrap();
    let reply = [
        format!("VALUE k 0 {}\r\n", value.len()).as_bytes(),
        &value,
        b"\r\nEND\r\n",
    ]
    .concat();
    let mut told = vec![0; reply.len()];
    for _ in 0..8 {
        stream.read_exact(&mut told).unwrap();
        assert!(told == reply);
    }
    ask(&mut stream, b"mn\r\n", b"MN\r\n");
}

#[test]
fn each_listener_says_for_itself_whether_it_speaks_tls_and_wants_certificates() {
    let ca = format!(",ssl_ca_cert={}", cert("root.pem").display());
    let ssl = format!(
        "ssl_chain_cert={},ssl_key={}{ca}",
        cert("first.pem").display(),
        cert("first.key").display()
    );
    let listen = "notls:127.0.0.1:0,127.0.0.1:0,mtls:127.0.0.1:0";
    let node = Running::start(&["-l", listen, "-Z", "-o", &ssl]);
    let addresses: Vec<&str> = node.address("tcp").split(',').collect();
    ask(
        &mut TcpStream::connect(addresses[0]).unwrap(),
        b"mn\r\n",
        b"MN\r\n",
    );
    assert!(is_served(connect_to(addresses[1], &anonymous())));
    assert!(!is_served(connect_to(addresses[2], &anonymous())));
    let known = Arc::new(client(Some("client"), &[&TLS13]));
    assert!(is_served(connect_to(addresses[2], &known)));
}

#[test]
fn clients_must_show_a_certificate_of_the_root_when_that_is_required() {
    let ca = cert("root.pem").display().to_string();
    let required = start(&format!(",ssl_verify_mode=2,ssl_ca_cert={ca}"), &[]);
    let requested = start(&format!(",ssl_verify_mode=1,ssl_ca_cert={ca}"), &[]);
    let known = Arc::new(client(Some("client"), &[&TLS12]));
    let stranger = Arc::new(client(Some("stranger"), &[&TLS13]));
    for (node, who, served) in [
        (&required, &known, true),
        (&required, &anonymous(), false),
        (&required, &stranger, false),
        (&requested, &known, true),
        (&requested, &anonymous(), true),
        (&requested, &stranger, false),
    ] {
        assert_eq!(is_served(connect(node, who)), served);
    }
}

#[test]
fn certificates_are_read_again_on_request_and_a_broken_file_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (chain, key) = (folder.path().join("chain"), folder.path().join("key"));
    let put = |name: &str| {
        std::fs::copy(cert(&format!("{name}.pem")), &chain).unwrap();
        std::fs::copy(cert(&format!("{name}.key")), &key).unwrap();
    };
    put("first");
    let ssl = format!("ssl_chain_cert={},ssl_key={}", chain.display(), key.display());
    let node = Running::start(&[&LOOPBACK[..], &["-Z", "-o", &ssl]].concat());
    let new = || {
        let mut stream = connect(&node, &anonymous());
        ask(&mut stream, b"mn\r\n", b"MN\r\n");
        stream
    };
    let mut old = new();
    let first = shown(&old);
    put("second");
    ask(&mut old, b"refresh_certs\r\n", b"OK\r\n");
    let second = shown(&new());
    assert_ne!(first, second);
    std::fs::write(&chain, "nonsense").unwrap();
    let path = chain.display();
    let refused = format!("SERVER_ERROR {path}: ");
    ask(&mut old, b"refresh_certs\r\n", refused.as_bytes());
    assert_eq!(shown(&new()), second);
    put("first");
    node.signal("-HUP");
    eventually("SIGHUP reads the first certificate again", || {
        shown(&new()) == first
    });
    // A key of somebody else's.
    std::fs::copy(cert("second.key"), &key).unwrap();
    let mut stream = new();
    ask(&mut stream, b"refresh_certs\r\n", b"SERVER_ERROR ");
    assert_eq!(shown(&new()), first);
}

#[test]
fn the_oldest_version_and_the_suites_are_settings() {
    let node = start(",ssl_min_version=3", &[]);
    assert!(!is_served(connect(&node, &Arc::new(client(None, &[&TLS12])))));
    assert!(is_served(connect(&node, &anonymous())));
    let node = start(",ssl_ciphers=ECDHE-ECDSA-CHACHA20-POLY1305", &[]);
    let mut stream = connect(&node, &Arc::new(client(None, &[&TLS12])));
    ask(&mut stream, b"mn\r\n", b"MN\r\n");
    let suite = stream.conn.negotiated_cipher_suite().unwrap().suite();
    assert_eq!(
        suite,
        rustls::CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
    );
}

#[test]
fn a_session_is_resumed_when_that_is_asked_for_and_only_then() {
    for (options, resumed) in [("", false), (",ssl_session_cache", true)] {
        let node = start(options, &[]);
        for version in [&TLS12, &TLS13] {
            let mut config = client(None, &[version]);
            config.resumption = Resumption::in_memory_sessions(8);
            let config = Arc::new(config);
            let mut stream = connect(&node, &config);
            ask(&mut stream, b"mn\r\n", b"MN\r\n");
            drop(stream);
            let mut stream = connect(&node, &config);
            ask(&mut stream, b"mn\r\n", b"MN\r\n");
            let kind = stream.conn.handshake_kind();
            assert_eq!(
                kind == Some(rustls::HandshakeKind::Resumed),
                resumed,
                "{options} {version:?}"
            );
            if resumed {
                assert!(stat(&mut stream, "ssl_new_sessions").parse::<u64>().unwrap() >= 1);
            }
        }
    }
}

#[test]
fn a_certificate_that_cannot_be_used_is_said_at_the_start() {
    for (options, word) in [
        ("ssl_chain_cert=/no/such/file", "/no/such/file"),
        (
            &*format!("ssl_chain_cert={}", cert("first.key").display()),
            "first.key",
        ),
        (
            &*format!(
                "ssl_chain_cert={},ssl_key={}",
                cert("first.pem").display(),
                cert("second.key").display()
            ),
            "do not belong together",
        ),
    ] {
        let output = crate::support::run(&[&LOOPBACK[..], &["-Z", "-o", options]].concat());
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(word) && error.lines().count() == 1, "{error}");
    }
}
