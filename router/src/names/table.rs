//! What is asked of DNS, and what is known of it. Sans-io: answers are told, never fetched.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

/// Servers that one name may stand for; what is more is left out.
pub(crate) const MEMBERS_MAX: usize = 1024;

/// What is asked of DNS.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Question {
    /// The addresses of a host: A, else AAAA.
    Host(String),
    /// The members of a service: SRV.
    Service(String),
}

impl Question {
    /// The record it asks for, as operators call it.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Host(_) => "host",
            Self::Service(_) => "srv",
        }
    }

    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Host(name) | Self::Service(name) => name,
        }
    }
}

/// The answer to a question, in an order of its own: DNS shuffles, and a shuffled list is no change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    Addresses(Vec<IpAddr>),
    Members(Vec<Member>),
}

/// A member of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    pub host: String,
    pub port: u16,
    /// Its part of the requests, in proportion to the others'.
    pub weight: u16,
}

impl Found {
    /// Addresses of a host.
    pub(crate) fn addresses(found: impl IntoIterator<Item = IpAddr>) -> Self {
        let found: BTreeSet<IpAddr> = found.into_iter().collect();
        Self::Addresses(found.into_iter().take(MEMBERS_MAX).collect())
    }

    /// Members of a service. `cache-2` stands before `cache-10`, so that a list that grows grows at its end.
    pub(crate) fn members(found: impl IntoIterator<Item = Member>) -> Self {
        let found: BTreeMap<_, _> = found
            .into_iter()
            .map(|member| ((member.host.len(), member.host.clone(), member.port), member))
            .collect();
        Self::Members(found.into_values().take(MEMBERS_MAX).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Addresses(addresses) => addresses.is_empty(),
            Self::Members(members) => members.is_empty(),
        }
    }

    /// As operators read it.
    pub(crate) fn told(&self) -> Vec<String> {
        match self {
            Self::Addresses(addresses) => addresses.iter().map(IpAddr::to_string).collect(),
            Self::Members(members) => members
                .iter()
                .map(|Member { host, port, .. }| format!("{host}:{port}"))
                .collect(),
        }
    }
}

/// Everything known at one time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Table(BTreeMap<Question, Found>);

impl Table {
    /// Takes note of an answer; whether it is news.
    pub(crate) fn learn(&mut self, question: Question, found: Found) -> bool {
        if self.0.get(&question) == Some(&found) {
            return false;
        }
        self.0.insert(question, found);
        true
    }

    pub(crate) fn knows(&self, question: &Question) -> bool {
        self.0.contains_key(question)
    }

    pub(crate) fn get(&self, question: &Question) -> Option<&Found> {
        self.0.get(question)
    }

    /// Forgets what nobody asks for any more.
    pub(crate) fn keep(&mut self, wanted: &BTreeSet<Question>) {
        self.0.retain(|question, _| wanted.contains(question));
    }

    /// The addresses of `host`, which may be one itself.
    pub(crate) fn addresses(&self, host: &str, port: u16) -> Vec<SocketAddr> {
        if let Some(address) = literal(host) {
            return vec![SocketAddr::new(address, port)];
        }
        match self.0.get(&Question::Host(host.to_owned())) {
            Some(Found::Addresses(addresses)) => addresses
                .iter()
                .map(|address| SocketAddr::new(*address, port))
                .collect(),
            Some(Found::Members(_)) | None => Vec::new(),
        }
    }

    /// The members of a service.
    pub(crate) fn members(&self, service: &str) -> &[Member] {
        match self.0.get(&Question::Service(service.to_owned())) {
            Some(Found::Members(members)) => members,
            Some(Found::Addresses(_)) | None => &[],
        }
    }
}

/// The address that `host` is, if it is one: `10.0.0.1`, `[::1]`.
pub(crate) fn literal(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{Found, Member, Question, Table};

    #[test]
    fn a_shuffled_answer_is_no_news() {
        let mut table = Table::default();
        let members = |order: [usize; 3]| {
            Found::members(order.map(|number| Member {
                host: format!("cache-{number}.cache.svc"),
                port: 11211,
                weight: 0,
            }))
        };
        let service = Question::Service("_mc._tcp.cache.svc".to_owned());
        assert!(table.learn(service.clone(), members([10, 2, 9])));
        assert!(!table.learn(service.clone(), members([2, 9, 10])));
        assert!(table.learn(service, members([2, 9, 11])));
        let hosts: Vec<&str> = table
            .members("_mc._tcp.cache.svc")
            .iter()
            .map(|member| member.host.as_str())
            .collect();
        assert_eq!(
            hosts,
            ["cache-2.cache.svc", "cache-9.cache.svc", "cache-11.cache.svc"]
        );
    }

    #[test]
    fn an_address_needs_no_answer() {
        let table = Table::default();
        assert_eq!(
            table.addresses("10.0.0.1", 1),
            ["10.0.0.1:1".parse().expect("one")]
        );
        assert_eq!(table.addresses("[::1]", 1), ["[::1]:1".parse().expect("one")]);
        assert!(table.addresses("cache", 1).is_empty());
    }
}
