//! `-Y`: nothing before the login, everything after it.

use std::io::Read;

use super::{eventually, stat};
use crate::support::{LOOPBACK, Running, ask};

#[test]
fn a_client_has_to_log_in_first_and_is_then_served_as_ever() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users");
    std::fs::write(&path, "foo:bar\nbaaaz:quux").unwrap();
    let node = Running::start(&[&LOOPBACK[..], &["-Y", path.to_str().unwrap()]].concat());
    let mut client = node.connect();
    ask(&mut client, b"get k\r\n", b"CLIENT_ERROR unauthenticated\r\n");
    ask(
        &mut client,
        b"set k 0 0 7 noreply\r\nfoo bab\r\n",
        b"CLIENT_ERROR authentication failure\r\n",
    );
    ask(
        &mut client,
        b"set k 0 0 2\r\nhi\r\n",
        b"CLIENT_ERROR bad authentication token format\r\n",
    );
    // Each reply of a pipeline arrives, and what stands behind the login is served.
    ask(
        &mut client,
        b"get k\r\nset x 0 0 7\r\nfoo bar\r\nset k 0 0 1\r\nv\r\nget k\r\n",
        b"CLIENT_ERROR unauthenticated\r\nSTORED\r\nSTORED\r\nVALUE k 0 1\r\nv\r\nEND\r\n",
    );
    ask(&mut client, b"get x\r\n", b"END\r\n");
    assert_eq!(stat(&mut client, "auth_cmds"), "2");
    assert_eq!(stat(&mut client, "auth_errors"), "1");
    let mut other = node.connect();
    ask(&mut other, b"set k 0 0 10\r\nbaaaz quux\r\n", b"STORED\r\n");
    // Too short to be a login: hung up on.
    let mut lost = node.connect();
    std::io::Write::write_all(&mut lost, b"quit\r\n").unwrap();
    assert_eq!(lost.read(&mut [0; 8]).unwrap(), 0);
}

#[test]
fn users_are_read_again_on_sighup_and_a_broken_file_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users");
    std::fs::write(&path, "a:1\n").unwrap();
    let node = Running::start(&[&LOOPBACK[..], &["-Y", path.to_str().unwrap()]].concat());
    let login = |token: &[u8; 3]| {
        let mut client = node.connect();
        let request = [b"set k 0 0 3\r\n", &token[..], b"\r\n"].concat();
        std::io::Write::write_all(&mut client, &request).unwrap();
        let mut reply = [0; 6];
        client.read_exact(&mut reply).unwrap();
        &reply == b"STORED"
    };
    assert!(login(b"a 1"));
    std::fs::write(&path, "b:2\n").unwrap();
    node.signal("-HUP");
    eventually("the new user is known", || login(b"b 2"));
    assert!(!login(b"a 1"));
    std::fs::write(&path, "no colon\n").unwrap();
    node.signal("-HUP");
    assert!(login(b"b 2"));
}

#[test]
fn a_file_of_users_that_cannot_be_used_is_said_at_the_start() {
    let output = crate::support::run(&[&LOOPBACK[..], &["-Y", "/no/such/file"]].concat());
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(
        error.contains("/no/such/file") && error.lines().count() == 1,
        "{error}"
    );
}
