//! Keys on the servers that placement names, retrievals of many keys, replicas.

use cluster::{HashKind, Placement, Server, Topology};

use crate::support::{Client, Memcached, Nodes, router};

fn placement(hash: HashKind, count: usize) -> Placement {
    let servers = (0..count).map(|index| Server::new(format!("n{index}")));
    Placement::new(&Topology::new(hash, servers)).expect("a placement")
}

#[test]
fn each_key_is_on_the_server_that_placement_names_and_on_no_other() {
    for hash in ["rendezvous", "ketama", "jump", "modulo", "Ch3"] {
        let nodes = Nodes::start(3);
        let router = router(&["--sharded", &nodes.list(), "--hash", hash]);
        let placement = placement(hash.parse().expect("a hash"), 3);
        let mut client = Client::of(router.addr());
        let mut direct: Vec<Client> = nodes.nodes.iter().map(|node| Client::of(node.addr())).collect();
        for number in 0..200 {
            let key = format!("user:{number}|#|photo");
            assert_eq!(client.set(&key, key.as_bytes()), "STORED");
            for (index, node) in direct.iter_mut().enumerate() {
                let expected = (index == placement.owner(key.as_bytes())).then(|| key.clone().into_bytes());
                assert_eq!(node.get(&key), expected, "{hash}: {key} on n{index}");
            }
            let asked = client.ask(&format!("get __mcrouter__.route(get,{key})"));
            assert!(asked.starts_with("VALUE"), "{asked}");
            assert_eq!(client.line(), format!("n{}", placement.owner(key.as_bytes())));
            assert_eq!(client.line(), "END");
        }
        router.shutdown();
    }
}

#[test]
fn clients_that_look_for_servers_are_told_all_of_them_and_the_version_of_the_list() {
    let nodes = Nodes::start(3);
    let router = router(&["--sharded", &nodes.list()]);
    let admin = router.admin_addr().expect("an admin side");
    let mut client = Client::of(router.addr());
    // As ElastiCache has it: a line with the version, a line with HOST|IP|PORT of each, an empty one.
    let mut told = || {
        let head = client.ask("config get cluster");
        let (version, servers) = (client.line(), client.line());
        let length = version.len() + servers.len() + 2;
        assert_eq!(head, format!("CONFIG cluster 0 {length}"));
        assert_eq!((client.line(), client.line()), (String::new(), "END".to_owned()));
        (version.parse::<u64>().expect("a number"), servers)
    };
    let listed = |nodes: &[cache_node::embedded::Handle]| {
        let ports = nodes.iter().map(|node| node.addr().port());
        let written: Vec<String> = ports.map(|port| format!("127.0.0.1|127.0.0.1|{port}")).collect();
        written.join(" ")
    };
    let (before, servers) = told();
    assert_eq!(servers, listed(&nodes.nodes));
    let fewer = format!(r#"{{"servers": ["n0={}"]}}"#, nodes.nodes[0].addr());
    assert_eq!(crate::support::http(admin, "POST", "/topology", &fewer).0, 200);
    let (after, servers) = told();
    assert!(after > before, "{before} {after}");
    assert_eq!(servers, listed(&nodes.nodes[..1]));
    assert_eq!(client.ask("config get other"), "ERROR");
    router.shutdown();
}

#[test]
fn questions_to_the_router_are_answered_among_other_keys() {
    let nodes = Nodes::start(2);
    let router = router(&["--sharded", &nodes.list()]);
    let mut client = Client::of(router.addr());
    assert_eq!(client.set("a", b"1"), "STORED");
    assert_eq!(client.set("b", b"2"), "STORED");
    for verb in ["get", "gets", "gat 0"] {
        for (keys, expected) in [
            (
                "a __mcrouter__.pools none b",
                vec!["a", "__mcrouter__.pools", "b"],
            ),
            (
                "__mcrouter__.hostid __mcrouter__.nonsense",
                vec!["__mcrouter__.hostid", "__mcrouter__.nonsense"],
            ),
            ("__mcrouter__.version", vec!["__mcrouter__.version"]),
        ] {
            client.send(format!("{verb} {keys}\r\n").as_bytes());
            let values = client.values().expect("a retrieval");
            let found: Vec<&str> = values.iter().map(|(key, _)| key.as_str()).collect();
            assert_eq!(found, expected, "{verb} {keys}");
        }
    }
    let mut said = |question: &str| {
        let value = client
            .get(&format!("__mcrouter__.{question}"))
            .expect("an answer");
        String::from_utf8(value).expect("text")
    };
    for (question, expected) in [
        ("pools", "main"),
        ("failure_domains(main)", "\"0\""),
        ("failure_domains(man)", "did you mean \"main\"?"),
        ("global_params", "default-route"),
        ("config_sources_info", "{}"),
        ("get_bucket(k)", ""),
        ("verbosity", ""),
        ("verbosity(2)", "ERROR: "),
        ("route(get)", "ERROR: expected route(OPERATION,KEY)"),
        ("route(get,k,with,commas)", "n"),
        (
            "confg_age",
            "ERROR: unknown command \"confg_age\"; did you mean \"config_age\"?",
        ),
        ("commands", "config_sources_info"),
    ] {
        assert!(
            said(question).contains(expected),
            "{question}: {}",
            said(question)
        );
    }
    router.shutdown();
}

#[test]
fn a_retrieval_over_all_servers_comes_back_in_the_order_asked() {
    let nodes = Nodes::start(4);
    let router = router(&["--sharded", &nodes.list()]);
    let mut client = Client::of(router.addr());
    let keys: Vec<String> = (0..1000).map(|number| format!("k{number}")).collect();
    for key in keys.iter().step_by(2) {
        assert_eq!(client.set(key, format!("value of {key}").as_bytes()), "STORED");
    }
    for verb in ["get", "gets", "gat 100", "gats 100"] {
        // Twice the first key: asked twice, answered twice.
        client.send(format!("{verb} {} {}\r\n", keys[0], keys.join(" ")).as_bytes());
        let values = client.values().expect("a retrieval");
        let found: Vec<&str> = values.iter().map(|(key, _)| key.as_str()).collect();
        let expected: Vec<&str> = std::iter::once(keys[0].as_str())
            .chain(keys.iter().step_by(2).map(String::as_str))
            .collect();
        assert_eq!(found, expected, "{verb}");
        for (key, value) in values {
            assert_eq!(value, format!("value of {key}").into_bytes());
        }
    }
}

#[test]
fn a_dead_server_is_misses_of_its_keys_and_errors_of_its_writes_and_nothing_else() {
    let mut nodes = Nodes::start(3);
    let router = router(&["--sharded", &nodes.list()]);
    let placement = placement(HashKind::Rendezvous, 3);
    let mut client = Client::of(router.addr());
    let keys: Vec<String> = (0..60).map(|number| format!("k{number}")).collect();
    for key in &keys {
        assert_eq!(client.set(key, b"v"), "STORED");
    }
    let port = nodes.nodes[1].addr().port();
    nodes.nodes.remove(1).shutdown();

    for _ in 0..3 {
        client.send(format!("get {}\r\n", keys.join(" ")).as_bytes());
        let found: Vec<String> = client
            .values()
            .expect("partial results")
            .into_iter()
            .map(|(key, _)| key)
            .collect();
        let expected: Vec<String> = keys
            .iter()
            .filter(|key| placement.owner(key.as_bytes()) != 1)
            .cloned()
            .collect();
        assert_eq!(found, expected);
    }
    for key in &keys {
        let dead = placement.owner(key.as_bytes()) == 1;
        assert_eq!(client.get(key).is_none(), dead, "{key}");
        let stored = client.set(key, b"w");
        assert_eq!(stored.starts_with("SERVER_ERROR"), dead, "{key}: {stored}");
    }
    let key = keys
        .iter()
        .find(|key| placement.owner(key.as_bytes()) == 1)
        .expect("a key of the dead server");
    assert_eq!(
        client.ask(&format!("mg {key} v k Oabc")),
        format!("EN k{key} Oabc")
    );

    let back = crate::support::node(port);
    let answered = crate::support::now();
    let took = crate::support::eventually("the server is asked again", || {
        match client.set(key, b"x").as_str() {
            "STORED" => Ok(answered.elapsed()),
            other => Err(other.to_owned()),
        }
    });
    assert!(took < std::time::Duration::from_secs(5), "back after {took:?}");
    drop(back);
}

#[test]
fn every_command_works_through_the_router_as_it_does_without() {
    let nodes = Nodes::start(3);
    let sharded = router(&["--sharded", &nodes.list()]);
    let replicas = Nodes::start(3);
    let replicated = router(&["--replicated", &replicas.list()]);
    for router in [&sharded, &replicated] {
        let mut client = Client::of(router.addr());
        for (request, answers) in [
            ("get a", "END"),
            ("add a 5 0 1\r\n1", "STORED"),
            ("add a 5 0 1\r\n2", "NOT_STORED"),
            ("append a 0 0 1\r\n0", "STORED"),
            ("prepend a 0 0 1\r\n9", "STORED"),
            ("get a", "VALUE a 5 3|910|END"),
            ("incr a 5", "915"),
            ("decr a 1000", "0"),
            ("touch a 100", "TOUCHED"),
            ("gat 100 a", "VALUE a 5 3|0  |END"),
            ("replace a 7 0 2\r\nhi", "STORED"),
            ("set b 0 0 1 noreply\r\nx\r\nget b", "VALUE b 0 1|x|END"),
            ("delete b noreply\r\nget b", "END"),
            ("delete b", "NOT_FOUND"),
            ("delete a", "DELETED"),
            ("ms m 2 F3\r\nhi", "HD"),
            ("mg m v f k Oq1", "VA 2 f3 km Oq1|hi"),
            (
                "mg m v q\r\nmg none v q\r\nmd none q\r\nmd m q\r\nmn",
                "VA 2|hi|NF|MN",
            ),
            ("ma count N0 J7 v", "VA 1|7"),
            ("ma count q\r\nmn", "MN"),
            ("mg a2V5 b v k", "EN ka2V5 b"),
            ("ms a2V5 1 b\r\nx", "HD"),
            ("get key", "VALUE key 0 1|x|END"),
            ("verbosity 1", "OK"),
            ("nonsense", "ERROR"),
            ("get", "CLIENT_ERROR bad command line format"),
            ("flush_all", "SERVER_ERROR Command disabled"),
        ] {
            client.send(request.as_bytes());
            client.send(b"\r\nmn\r\n");
            let mut said = Vec::new();
            let fences = 1 + request.matches("mn").count();
            while said.iter().filter(|line| *line == "MN").count() < fences {
                said.push(client.line());
            }
            said.pop();
            let said = said.join("|");
            // A node may shorten a number or pad it with blanks; clients take either.
            let alike = said == answers || said == answers.replace("a 5 3|0  ", "a 5 1|0");
            assert!(alike, "{request:?}: {said}");
        }
        let version = client.ask("version");
        assert!(version.starts_with("VERSION 1.6."), "{version}");
    }
}

#[test]
fn a_cas_after_gets_speaks_of_the_same_item_and_reaches_every_replica() {
    let nodes = Nodes::start(3);
    let router = router(&["--replicated", &nodes.list()]);
    let mut client = Client::of(router.addr());
    for number in 0..30 {
        let key = format!("k{number}");
        assert_eq!(client.set(&key, b"old"), "STORED");
        let header = client.ask(&format!("gets {key}"));
        let unique = header.rsplit(' ').next().expect("a cas unique").to_owned();
        assert_eq!(
            (client.line(), client.line()),
            ("old".to_owned(), "END".to_owned())
        );
        assert_eq!(client.ask(&format!("cas {key} 0 0 3 {unique}\r\nnew")), "STORED");
        assert_eq!(client.ask(&format!("cas {key} 0 0 3 {unique}\r\nbad")), "EXISTS");
        for node in &nodes.nodes {
            assert_eq!(
                Client::of(node.addr()).get(&key).as_deref(),
                Some(b"new".as_slice())
            );
        }
    }
}

#[test]
fn writes_sent_in_one_breath_reach_every_replica_in_their_order() {
    let nodes = Nodes::start(3);
    let router = router(&["--replicated", &nodes.list(), "--enable-flush-cmd"]);
    let mut client = Client::of(router.addr());
    for number in 0..20 {
        let key = format!("k{number}");
        client.send(
            format!(
                "flush_all noreply\r\nset {key} 0 0 1\r\n5\r\nincr {key} 2\r\nappend {key} 0 0 1\r\n!\r\n\
                 touch {key} 0\r\n"
            )
            .as_bytes(),
        );
        let said: Vec<String> = (0..4).map(|_| client.line()).collect();
        assert_eq!(said, ["STORED", "7", "STORED", "TOUCHED"]);
        for node in &nodes.nodes {
            assert_eq!(
                Client::of(node.addr()).get(&key).as_deref(),
                Some(b"7!".as_slice())
            );
        }
    }
}

#[test]
fn a_replicated_pool_reads_on_when_a_replica_dies() {
    let mut nodes = Nodes::start(3);
    let router = router(&["--replicated", &nodes.list()]);
    let mut client = Client::of(router.addr());
    let keys: Vec<String> = (0..50).map(|number| format!("k{number}")).collect();
    for key in &keys {
        assert_eq!(client.set(key, key.as_bytes()), "STORED");
    }
    nodes.nodes.remove(0).shutdown();
    for key in &keys {
        assert_eq!(client.get(key).as_deref(), Some(key.as_bytes()), "{key}");
        assert_eq!(client.set(key, b"2"), "STORED");
        assert!(client.ask(&format!("delete {key}")).starts_with("SERVER_ERROR"));
    }
    client.send(format!("get {}\r\n", keys.join(" ")).as_bytes());
    assert_eq!(
        client.values().expect("a retrieval"),
        Vec::new(),
        "deleted where it could be"
    );
}

#[test]
fn stock_memcached_serves_behind_the_router() {
    let (Some(one), Some(two)) = (Memcached::start(), Memcached::start()) else {
        eprintln!("memcached is not installed: skipped");
        return;
    };
    let router = router(&["--sharded", &format!("n0={},n1={}", one.addr, two.addr)]);
    let mut client = Client::of(router.addr());
    let keys: Vec<String> = (0..500).map(|number| format!("k{number}")).collect();
    for key in &keys {
        assert_eq!(client.set(key, key.as_bytes()), "STORED");
    }
    client.send(format!("get {}\r\n", keys.join(" ")).as_bytes());
    let values = client.values().expect("a retrieval");
    assert_eq!(values.len(), keys.len());
    assert_eq!(
        client.ask("ma k1 N0 q"),
        "CLIENT_ERROR cannot increment or decrement non-numeric value"
    );
    assert_eq!(client.ask("mg k2 v"), "VA 2");
    assert_eq!(client.line(), "k2");
}
