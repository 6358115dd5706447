//! Servers named in DNS: found, followed when they move, come and go, and kept when DNS is away. The DNS server is dnsmasq.

use std::{
    net::{SocketAddr, UdpSocket},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;
use tests::{
    client::Client,
    eventually,
    process::{Process, Program},
    scrape,
};

const PATIENCE: Duration = Duration::from_secs(60);

/// dnsmasq with the records of the moment. Every record lives for a second.
struct Dns {
    program: PathBuf,
    addr: SocketAddr,
    folder: TempDir,
    child: Option<Child>,
}

impl Dns {
    /// `None`, said as skipped, where there is no dnsmasq.
    fn start(records: &[&str]) -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
        let Some(program) = folders
            .map(|folder| folder.join("dnsmasq"))
            .find(|path| path.is_file())
        else {
            crate::skipped("names", "there is no dnsmasq on PATH");
            return None;
        };
        // A port that is free for both protocols now.
        let addr = eventually(PATIENCE, "a free port", || {
            let udp = UdpSocket::bind("127.0.0.53:0").map_err(|error| error.to_string())?;
            let addr = udp.local_addr().map_err(|error| error.to_string())?;
            std::net::TcpListener::bind(addr).map_err(|error| error.to_string())?;
            Ok(addr)
        });
        let mut dns = Self {
            program,
            addr,
            folder: TempDir::new().expect("a scratch folder"),
            child: None,
        };
        dns.tell(records);
        Some(dns)
    }

    /// Answers with these records from now on: `host-record=NAME,ADDR` and `srv-host=NAME,TARGET,PORT`.
    fn tell(&mut self, records: &[&str]) {
        self.stop();
        let file = self.folder.path().join("dnsmasq.conf");
        let fixed = format!(
            "port={}\nlisten-address={}\nbind-interfaces\nno-resolv\nno-hosts\nlocal=/svc.test/\nlocal-ttl=1\nuser=root\n\
             pid-file={}\n",
            self.addr.port(),
            self.addr.ip(),
            self.folder.path().join("pid").display()
        );
        std::fs::write(&file, fixed + &records.join("\n") + "\n").expect("written");
        let child = Command::new(&self.program)
            .arg("--keep-in-foreground")
            .arg(format!("--conf-file={}", file.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("dnsmasq starts");
        self.child = Some(child);
        // It answers over TCP as soon as it answers at all.
        eventually(PATIENCE, "dnsmasq listens", || {
            std::net::TcpStream::connect(self.addr)
                .map(drop)
                .map_err(|error| error.to_string())
        });
    }

    fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn router(&self, servers: &str) -> Process {
        let resolver = self.addr.to_string();
        Process::start(
            Program::Router,
            &["--sharded", servers, "-t", "2", "--resolver", &resolver],
        )
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Nodes on the same port of addresses of their own, as pods are.
fn pods(ips: &[&str]) -> (Vec<Process>, u16) {
    let start = |ip: &str, port: u16| {
        let port = port.to_string();
        Process::try_start(
            Program::CacheNode,
            &["-p", &port, "-l", ip, "-m", "64", "-t", "1"],
        )
    };
    eventually(PATIENCE, "a port that is free on all addresses", || {
        let first = start(ips[0], 0)?;
        let port = first.addr().port();
        let mut pods = vec![first];
        for ip in &ips[1..] {
            pods.push(start(ip, port)?);
        }
        Ok((pods, port))
    })
}

/// The names of the servers in the router's one pool.
fn servers(router: &Process) -> Vec<String> {
    let (_, topology) = scrape::get(router.admin(), "/topology");
    topology
        .lines()
        .filter_map(|line| line.trim().strip_prefix("\"name\": \""))
        .map(|rest| rest.trim_end_matches(['"', ',']).to_owned())
        .filter(|name| name != "main")
        .collect()
}

#[track_caller]
fn has_servers(router: &Process, mut expected: Vec<String>) {
    expected.sort();
    eventually(PATIENCE, "the pool's servers", || {
        let mut seen = servers(router);
        seen.sort();
        if seen == expected {
            Ok(())
        } else {
            Err(format!("{seen:?}"))
        }
    });
}

#[track_caller]
fn stores(client: &mut Client, key: &str) {
    eventually(PATIENCE, "a set is stored", || {
        match client.try_set(key, 0, b"v") {
            Ok(reply) if reply == "STORED" => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
}

#[test]
fn the_members_of_a_service_are_the_servers_of_its_pool_as_they_come_and_go() {
    let ips = ["127.0.10.1", "127.0.10.2", "127.0.10.3"];
    let (pods, port) = pods(&ips);
    let hosts: Vec<String> = (1..=3)
        .map(|number| format!("host-record=cache-{number}.svc.test,127.0.10.{number}"))
        .collect();
    let member = |number: usize| format!("srv-host=_mc._tcp.svc.test,cache-{number}.svc.test,{port}");
    let records = |members: &[usize]| -> Vec<String> {
        let members = members.iter().map(|number| member(*number));
        hosts.iter().cloned().chain(members).collect()
    };
    fn all(records: &[String]) -> Vec<&str> {
        records.iter().map(String::as_str).collect()
    }
    let Some(mut dns) = Dns::start(&all(&records(&[1, 2]))) else {
        return;
    };
    let router = dns.router("srv+_mc._tcp.svc.test");
    let named = |members: &[usize]| -> Vec<String> {
        members
            .iter()
            .map(|number| format!("cache-{number}.svc.test:{port}"))
            .collect()
    };
    has_servers(&router, named(&[1, 2]));
    let mut client = Client::connect(router.addr());
    let keys: Vec<String> = (0..60).map(|index| format!("key-{index}")).collect();
    for key in &keys {
        stores(&mut client, key);
    }
    let kept = |client: &mut Client| keys.iter().filter(|key| client.get(key).is_some()).count();
    assert_eq!(kept(&mut client), keys.len());
    // DNS away: everything stays as it was.
    dns.stop();
    let failures = || scrape::sum(&scrape::metrics(router.admin()), "router_dns_failures_total", &[]);
    eventually(PATIENCE, "DNS was asked in vain", || match failures() {
        0.0 => Err("not yet".to_owned()),
        _ => Ok(()),
    });
    assert_eq!(kept(&mut client), keys.len());
    has_servers(&router, named(&[1, 2]));
    // A third comes: the client's connection stays, and only what is its share is gone.
    dns.tell(&all(&records(&[1, 2, 3])));
    has_servers(&router, named(&[1, 2, 3]));
    let here = kept(&mut client);
    assert!(here > keys.len() / 4 && here < keys.len(), "{here} keys stayed");
    for key in &keys {
        stores(&mut client, key);
    }
    assert!(Client::connect(pods[2].addr()).stat("curr_items") > 0);
    // The first goes: what the others have, they keep.
    dns.tell(&all(&records(&[2, 3])));
    has_servers(&router, named(&[2, 3]));
    let mut on_first = Client::connect(pods[0].addr());
    let first = keys.iter().filter(|key| on_first.get(key).is_some()).count();
    assert!(kept(&mut client) >= keys.len() - first);
    let (_, names) = scrape::get(router.admin(), "/names");
    assert!(names.contains("_mc._tcp.svc.test"), "{names}");
}

#[test]
fn what_a_service_says_of_its_members_weights_is_heeded() {
    let (pods, port) = pods(&["127.0.14.1", "127.0.14.2"]);
    // NAME,TARGET,PORT,PRIORITY,WEIGHT
    let records = |first: u16, second: u16| {
        [
            "host-record=cache-1.svc.test,127.0.14.1".to_owned(),
            "host-record=cache-2.svc.test,127.0.14.2".to_owned(),
            format!("srv-host=_mc._tcp.svc.test,cache-1.svc.test,{port},10,{first}"),
            format!("srv-host=_mc._tcp.svc.test,cache-2.svc.test,{port},10,{second}"),
        ]
    };
    fn all(records: &[String; 4]) -> [&str; 4] {
        records.each_ref().map(String::as_str)
    }
    let Some(mut dns) = Dns::start(&all(&records(50, 50))) else {
        return;
    };
    let router = dns.router("srv+_mc._tcp.svc.test");
    let weights = || -> Vec<String> {
        let (_, topology) = scrape::get(router.admin(), "/topology");
        let lines = topology
            .lines()
            .filter_map(|line| line.trim().strip_prefix("\"weight\": "));
        lines
            .map(|weight| weight.trim_end_matches(',').to_owned())
            .collect()
    };
    let have = |expected: [&str; 2]| {
        eventually(PATIENCE, "the pool's weights", || match weights() {
            seen if seen == expected => Ok(()),
            seen => Err(format!("{seen:?}")),
        });
    };
    has_servers(
        &router,
        [1, 2]
            .map(|number| format!("cache-{number}.svc.test:{port}"))
            .to_vec(),
    );
    have(["1.0", "1.0"]);
    dns.tell(&all(&records(30, 0)));
    have(["30.0", "0.0"]);
    let mut client = Client::connect(router.addr());
    for key in (0..40).map(|index| format!("key-{index}")) {
        stores(&mut client, &key);
    }
    let items = pods
        .iter()
        .map(|pod| Client::connect(pod.addr()).stat("curr_items"));
    assert_eq!(items.collect::<Vec<_>>(), [40, 0], "the second is drained");
}

#[test]
fn a_server_whose_name_moves_is_followed_and_keeps_its_keys() {
    let (pods, port) = pods(&["127.0.11.1", "127.0.11.2"]);
    let Some(mut dns) = Dns::start(&["host-record=cache.svc.test,127.0.11.1"]) else {
        return;
    };
    let router = dns.router(&format!("cache.svc.test:{port}"));
    let mut client = Client::connect(router.addr());
    stores(&mut client, "k");
    assert_eq!(Client::connect(pods[0].addr()).stat("curr_items"), 1);
    // The old one goes on answering: only the name says that it is not meant any more.
    dns.tell(&["host-record=cache.svc.test,127.0.11.2"]);
    let mut second = Client::connect(pods[1].addr());
    eventually(PATIENCE, "the second is written to", || {
        let _ = client.try_set("k", 0, b"v");
        match second.stat("curr_items") {
            1 => Ok(()),
            other => Err(format!("{other} items")),
        }
    });
}

#[test]
fn every_address_of_a_name_is_a_server_where_that_is_asked_for() {
    let (pods, port) = pods(&["127.0.12.1", "127.0.12.2"]);
    let one = "host-record=cache.svc.test,127.0.12.1";
    let two = "host-record=cache.svc.test,127.0.12.2";
    let Some(mut dns) = Dns::start(&[one]) else { return };
    let router = dns.router(&format!("dns+cache.svc.test:{port}"));
    let at = |ip: &str| format!("{ip}:{port}");
    has_servers(&router, vec![at("127.0.12.1")]);
    dns.tell(&[one, two]);
    has_servers(&router, vec![at("127.0.12.1"), at("127.0.12.2")]);
    let mut client = Client::connect(router.addr());
    for key in 0..50 {
        stores(&mut client, &format!("key-{key}"));
    }
    for pod in &pods {
        assert!(Client::connect(pod.addr()).stat("curr_items") > 0);
    }
}

#[test]
fn a_name_that_nobody_knows_yet_costs_its_keys_until_it_is_known() {
    let (_pods, port) = pods(&["127.0.13.1"]);
    let Some(mut dns) = Dns::start(&["host-record=other.svc.test,127.0.13.1"]) else {
        return;
    };
    let router = dns.router(&format!("late.svc.test:{port}"));
    let mut client = Client::connect(router.addr());
    let reply = client.try_set("k", 0, b"v").expect("an answer");
    assert!(reply.starts_with("SERVER_ERROR"), "{reply}");
    let unknown = scrape::sum(&scrape::metrics(router.admin()), "router_dns_names_unknown", &[]);
    assert_eq!(unknown, 1.0);
    dns.tell(&["host-record=late.svc.test,127.0.13.1"]);
    stores(&mut client, "k");
}
