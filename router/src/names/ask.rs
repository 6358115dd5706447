//! Asking DNS: the stub resolver, and what its answers are to us.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ProtocolConfig, ResolverConfig,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;

use super::table::{Found, Member, Question};

/// How long one name server has for one try, and how many tries there are.
const TRY_MAX: Duration = Duration::from_secs(2);
const TRIES: usize = 2;
/// The port of DNS.
pub(crate) const DNS_PORT: u16 = 53;

/// A stub resolver.
#[derive(Clone)]
pub(super) struct Resolver(TokioResolver);

impl Resolver {
    /// One that asks `server`, else those of `/etc/resolv.conf`; must be made inside a runtime.
    pub(super) fn new(server: Option<SocketAddr>) -> Result<Self, String> {
        let mut builder = match server {
            Some(server) => {
                let connections = [ProtocolConfig::Udp, ProtocolConfig::Tcp]
                    .into_iter()
                    .map(|protocol| {
                        let mut connection = ConnectionConfig::new(protocol);
                        connection.port = server.port();
                        connection
                    })
                    .collect();
                let servers = vec![NameServerConfig::new(server.ip(), true, connections)];
                let config = ResolverConfig::from_parts(None, Vec::new(), servers);
                TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            }
            None => TokioResolver::builder_tokio().map_err(|error| error.to_string())?,
        };
        let options = builder.options_mut();
        options.timeout = TRY_MAX;
        options.attempts = TRIES;
        // We keep time ourselves.
        options.cache_size = 0;
        // Both kinds of address would make two servers out of one.
        options.ip_strategy = LookupIpStrategy::Ipv4thenIpv6;
        builder.build().map(Self).map_err(|error| error.to_string())
    }

    /// The answer, and until when it is good. An empty one is an error: nothing is made of it.
    pub(super) async fn ask(&self, question: &Question) -> Result<(Found, Instant), String> {
        let (found, until) = match question {
            Question::Host(name) => {
                let answer = self.0.lookup_ip(name.as_str()).await;
                let answer = answer.map_err(|error| error.to_string())?;
                (Found::addresses(answer.iter()), answer.valid_until())
            }
            Question::Service(name) => {
                let answer = self.0.srv_lookup(name.as_str()).await;
                let answer = answer.map_err(|error| error.to_string())?;
                let records: Vec<_> = answer
                    .answers()
                    .iter()
                    .filter_map(|record| match &record.data {
                        RData::SRV(srv) if !srv.target.is_root() => Some(srv),
                        _ => None,
                    })
                    .collect();
                // The others are for when none of these is there: that is what failover is for here.
                let first = records.iter().map(|srv| srv.priority).min();
                let members = records
                    .iter()
                    .filter(|srv| Some(srv.priority) == first)
                    .map(|srv| Member {
                        host: srv.target.to_ascii().trim_end_matches('.').to_owned(),
                        port: srv.port,
                        weight: srv.weight,
                    });
                (Found::members(members), answer.valid_until())
            }
        };
        if found.is_empty() {
            return Err("an empty answer".to_owned());
        }
        Ok((found, until))
    }
}
