//! What a command line and a file may say.

use std::io::{Read, Write};

use crate::support::{LOOPBACK, Running, ask, run};

#[test]
fn help_and_version_are_answers_not_errors() {
    for (flag, expected) in [
        ("-V", "cache-node "),
        ("--version", "cache-node "),
        ("-h", "--memory-limit"),
        ("-i", "MIT"),
    ] {
        let output = run(&[flag]);
        assert_eq!(output.status.code(), Some(0), "{flag}");
        assert!(
            String::from_utf8(output.stdout).unwrap().contains(expected),
            "{flag}"
        );
    }
}

#[test]
fn a_bad_command_line_is_one_line_on_stderr_and_exit_code_2() {
    for (args, expected) in [
        (&["--nonsense"][..], "--nonsense"),
        (&["--memory-limt", "64"], "--memory-limit"),
        (&["-p", "seventy"], "--port"),
        (&["-p", "70000"], "port (-p)"),
        (&["-m", "0"], "memory-limit (-m)"),
        (&["-m", "lots"], "memory-limit (-m)"),
        (&["-I", "512"], "max-item-size (-I)"),
        (&["-m", "64", "-I", "64m"], "max-item-size (-I)"),
        (&["-c", "0"], "conn-limit (-c)"),
        (&["-c", "-1"], "conn-limit (-c)"),
        (&["-t", "0"], "threads (-t)"),
        (&["-l", "no.such.host.invalid"], "no.such.host.invalid"),
        (&["-a", "999"], "unexpected"),
        (&["-s", "/tmp/x", "-a", "999"], "unix-mode (-a)"),
        (&["--admin", "nowhere"], "admin"),
        (&["--ttl-jitter", "lots"], "ttl-jitter"),
        (&["--ttl-jitter-mode", "late"], "ttl-jitter-mode"),
        (&["--version-string", "hearth"], "version-string"),
        (&["--idle-timeout", "5"], "idle-timeout"),
        (&["-o", "idle_timeut=5"], "idle_timeout"),
        (&["-o", "ssl_min_versio=3"], "ssl_min_version"),
        (&["-Z"], "ssl_chain_cert"),
        (
            &["-Z", "-o", "ssl_chain_cert=x,ssl_min_version=1"],
            "TLS 1.0 and 1.1",
        ),
        (
            &["-Z", "-o", "ssl_chain_cert=x,ssl_verify_mode=4"],
            "ssl_verify_mode",
        ),
        (&["-l", "mtls:127.0.0.1"], "-Z"),
        (&["-D", "::"], "stat-key-prefix (-D)"),
        (&["-o", "watcher_logbuf_size=1"], "watch-buffer"),
        (&["--log-format", "xml"], "log-format"),
        (&["--config", "/no/such/file"], "/no/such/file"),
    ] {
        let args = [args, &["--check-config"]].concat();
        let output = run(&args);
        let error = String::from_utf8(output.stderr).unwrap();
        if args[..2] == ["-a", "999"] {
            // Without a socket there is nobody the mode could be for.
            assert_eq!(output.status.code(), Some(0), "{args:?}: {error}");
            continue;
        }
        assert_eq!(output.status.code(), Some(2), "{args:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{args:?}: {error}");
        assert!(
            error.starts_with("cache-node: ") && error.contains(expected),
            "{args:?}: {error}"
        );
    }
}

#[test]
fn memcached_flags_we_do_not_have_are_named() {
    for (args, flag) in [
        (&["-S"][..], "-S (--enable-sasl)"),
        (&["-U", "11211"], "-U (--udp-port)"),
        (&["-B", "binary"], "-B binary"),
        (&["-o", "ext_path=/x:1G"], "-o ext_path"),
        (&["-o", "proxy_config=x"], "-o proxy_config"),
        (&["-l", "proto[binary]:127.0.0.1"], "-l proto[binary]"),
    ] {
        let output = run(&[args, &["--check-config"]].concat());
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {error}");
        assert!(
            error.contains(flag) && error.contains("does not support"),
            "{args:?}: {error}"
        );
    }
}

#[test]
fn memcacheds_usual_command_line_is_accepted() {
    let usual = [
        "-p",
        "11211",
        "-l",
        "127.0.0.1",
        "-U",
        "0",
        "-m",
        "128",
        "-I",
        "2m",
        "-c",
        "2048",
        "-t",
        "2",
        "-R",
        "40",
        "-b",
        "512",
        "-vv",
        "-A",
        "-M",
        "-F",
        "-X",
        "-W",
        "-B",
        "auto",
        "-f",
        "1.25",
        "-n",
        "48",
        "-L",
        "-o",
        "idle_timeout=30,modern,hash_algorithm=murmur3,no_maxconns_fast,watcher_logbuf_size=512",
        "-D",
        "/",
        "-o",
        "slab_automove=1",
        "--check-config",
    ];
    let output = run(&usual);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_file_is_read_flags_win_and_its_mistakes_carry_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("node.toml");
    let file = path.to_str().unwrap();
    std::fs::write(
        &path,
        "listen = [\"127.0.0.1:0\"]\nconn-limit = 7\nversion-string = \"1.6.44\"\n",
    )
    .unwrap();
    let running = Running::start(&["--config", file, "--version-string", "1.6.45"]);
    ask(&mut running.connect(), b"version\r\n", b"VERSION 1.6.45\r\n");
    ask(
        &mut running.connect(),
        b"stats settings\r\n",
        b"STAT maxbytes 67108864\r\nSTAT maxconns 7\r\n",
    );
    for (text, line, word) in [
        ("threads = 2\nmemory = \"1MiB\"\n", 2, "memory"),
        ("threads = \"two\"\n", 1, "i64"),
        ("threads = 1\n\n[nonsense\n", 3, ""),
    ] {
        std::fs::write(&path, text).unwrap();
        let output = run(&["--config", file, "--check-config"]);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(
            error.contains(&format!("node.toml:{line}")) && error.contains(word),
            "{error}"
        );
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    // A bare number is no size in a file.
    std::fs::write(&path, "memory-limit = \"64\"\n").unwrap();
    let output = run(&["--config", file, "--check-config"]);
    assert!(String::from_utf8(output.stderr).unwrap().contains("64MiB"));
}

#[test]
fn habits_of_getopt_are_honoured() {
    for (habit, asked) in [
        (&["-c", "7", "-c", "9"][..], "STAT maxconns 9\r\n"),
        (&["-c7", "-m64", "-vv", "-AMF"], "STAT maxconns 7\r\n"),
        (&["-MAc", "8"], "STAT maxconns 8\r\n"),
        (
            &["--conn-limit=10", "--memory-limit=100"],
            "STAT maxbytes 104857600\r\n",
        ),
        (&["--memory-l", "32", "--conn", "5"], "STAT maxbytes 33554432\r\n"),
        (&["-m", "64m", "-m", "1g"], "STAT maxbytes 1073741824\r\n"),
        (
            &["-o", "no_lru_crawler,idle_timeout=9", "-o", "modern"],
            "STAT idle_timeout 9\r\n",
        ),
        (
            &["-o", "no_modern,no_slab_automove,no_chunked_items"],
            "STAT lru_crawler no\r\n",
        ),
        (
            &["-b", "100000", "-C", "-L", "-N", "4", "-f", "1.1", "-n", "72"],
            "STAT tcp_backlog 100000\r\n",
        ),
        (&["-r", "-k"], "STAT maxbytes 67108864\r\n"),
    ] {
        let running = Running::start(&[&LOOPBACK[..], habit].concat());
        let mut client = running.connect();
        client.write_all(b"stats settings\r\nquit\r\n").unwrap();
        let mut told = String::new();
        client.read_to_string(&mut told).unwrap();
        assert!(told.contains(asked), "{habit:?}: {asked} is missing in\n{told}");
    }
}
