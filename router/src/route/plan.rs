//! Which way a request would take through the tree, told instead of taken: for `__mcrouter__.route`, `--explain` and
//! the admin side.

use std::fmt::Write as _;
use std::sync::Arc;

use crate::pool::Destination;

/// The handles a request comes by, and the servers it may reach, first choice first.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    text: String,
    depth: usize,
    /// What hashes look at instead of the key.
    hashed: Option<Vec<u8>>,
    servers: Vec<Arc<Destination>>,
    /// The first server's failure domain.
    domain: Option<Domain>,
    /// Where a bucket stands for the key: which, and of which keyspace.
    bucket: Option<(u32, String)>,
}

/// What servers have in common that fail together: a rack, a power supply.
pub(crate) type Domain = Arc<str>;

impl Plan {
    /// A handle, what it does with this request, and whom it asks.
    pub(crate) fn handle(&mut self, what: impl std::fmt::Display, inside: impl FnOnce(&mut Self)) {
        self.line(what);
        self.depth += 1;
        inside(self);
        self.depth -= 1;
    }

    /// Whom is asked when hashes look at `hashed` instead of the key.
    pub(crate) fn hashing(&mut self, hashed: &[u8], inside: impl FnOnce(&mut Self)) {
        let outside = self.hashed.replace(hashed.to_vec());
        inside(self);
        self.hashed = outside;
    }

    /// What a hash looks at for `key`.
    pub(crate) fn hashed(&self, key: &[u8]) -> Vec<u8> {
        self.hashed.as_deref().unwrap_or(key).to_vec()
    }

    /// A server.
    pub(crate) fn server(&mut self, destination: &Arc<Destination>) {
        let (name, address) = (&destination.name, destination.address.to_string());
        if *name == address {
            self.line(name);
        } else {
            self.line(format_args!("{name} at {address}"));
        }
        if !self.servers.contains(destination) {
            self.servers.push(Arc::clone(destination));
        }
    }

    /// The failure domain of the server just told of.
    pub(crate) fn in_domain(&mut self, domain: Option<&Domain>) {
        if self.servers.len() == 1 {
            self.domain = domain.cloned();
        }
    }

    /// The key is hashed by its bucket.
    pub(crate) fn bucket(&mut self, bucket: u32, keyspace: &str) {
        self.bucket.get_or_insert_with(|| (bucket, keyspace.to_owned()));
    }

    /// The failure domain of the first server.
    pub(crate) fn domain(&self) -> Option<&Domain> {
        self.domain.as_ref()
    }

    /// The bucket and the keyspace by which the key is hashed, if it is by one.
    pub(crate) fn bucketed(&self) -> Option<(u32, &str)> {
        self.bucket
            .as_ref()
            .map(|(bucket, keyspace)| (*bucket, &**keyspace))
    }

    fn line(&mut self, what: impl std::fmt::Display) {
        let _ = writeln!(self.text, "{:1$}{what}", "", 2 * self.depth);
    }

    /// Each server once.
    pub(crate) fn servers(&self) -> &[Arc<Destination>] {
        &self.servers
    }

    /// The tree, a handle or server a line, indented.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}
