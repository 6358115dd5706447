//! How a hash is asked for, in a pool, a PoolRoute or a HashRoute.

use std::sync::Arc;

use cluster::{HashKind, Server, Topology, Weight};

use super::bucket::Buckets;
use crate::config::check::{ConfigError, Node};

/// How a hash is asked for: `"hash": "ketama"` or `"hash": {"hash_func": …, "salt": …, "weights": …, "tags": …}`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct HashSettings {
    pub kind: HashKind,
    /// Whether the file names the hash. If it does not, mcrouter takes WeightedCh3 for a pool with weights.
    pub named: bool,
    pub salt: Vec<u8>,
    pub weights: Option<Vec<Weight>>,
    pub tags: Option<Vec<String>>,
    /// Places that each child has in the list, one after the other.
    pub copies: usize,
    /// What is hashed instead of the key.
    pub buckets: Option<Arc<Buckets>>,
}

impl HashSettings {
    pub(crate) const fn of(kind: HashKind) -> Self {
        Self {
            kind,
            named: true,
            salt: Vec::new(),
            weights: None,
            tags: None,
            copies: 1,
            buckets: None,
        }
    }

    /// What a file that says nothing means.
    pub(crate) fn unsaid(node: &Node<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            named: false,
            ..Self::of(default_kind(node)?)
        })
    }

    /// A fingerprint of what is hashed beside the topology; 0 if that is the key alone.
    pub(crate) fn checksum(&self) -> u64 {
        let buckets = self.buckets.as_ref().map(|buckets| format!("{buckets:?}"));
        let text = match (self.copies, buckets) {
            (1, None) if self.salt.is_empty() => return 0,
            (copies, buckets) => format!(
                "{copies} {} {}",
                self.salt.escape_ascii(),
                buckets.unwrap_or_default()
            ),
        };
        cluster::spooky64(text.as_bytes())
    }

    /// Reads the value of a `hash` key.
    pub(crate) fn read(node: &Node<'_>) -> Result<Self, ConfigError> {
        if node.is_string() {
            return Ok(Self::of(kind(node)?));
        }
        node.only(&["hash_func", "salt", "weights", "weights_rv", "tags"])?;
        Self::fields(node)
    }

    /// Reads the same keys where they stand beside others.
    pub(super) fn fields(node: &Node<'_>) -> Result<Self, ConfigError> {
        let name = node.get("hash_func");
        let kind = match &name {
            Some(name) => kind(name)?,
            None => default_kind(node)?,
        };
        let salt = match node.get("salt") {
            Some(salt) => salt.string()?.as_bytes().to_vec(),
            None => Vec::new(),
        };
        let weights = node
            .get("weights")
            .map(|weights| read_weights(&weights))
            .transpose()?;
        let tags = match node.get("tags") {
            Some(tags) => Some(read_tags(&tags)?),
            None => None,
        };
        Ok(Self {
            kind,
            named: name.is_some(),
            salt,
            weights,
            tags,
            copies: 1,
            buckets: None,
        })
    }

    /// The placement of children that are called `names`.
    pub(crate) fn topology(&self, names: Vec<String>, weights: Option<&[Weight]>) -> Topology {
        let weights = self.weights.as_deref().or(weights);
        // mcrouter's short list of weights means a half for the rest.
        let rest = Weight::new(0.5).unwrap_or_default();
        let names = match &self.tags {
            Some(tags) if tags.len() == names.len() => tags.clone(),
            _ => names,
        };
        Topology::new(
            self.kind,
            names.into_iter().enumerate().map(|(index, name)| match weights {
                Some(weights) => Server::weighted(name, weights.get(index).copied().unwrap_or(rest)),
                None => Server::new(name),
            }),
        )
    }
}

/// mcrouter's default, where a file does not say.
fn default_kind(node: &Node<'_>) -> Result<HashKind, ConfigError> {
    "Ch3".parse().map_err(|error| node.error(&format!("{error}")))
}

fn kind(node: &Node<'_>) -> Result<HashKind, ConfigError> {
    let name = match node.string()? {
        // mcrouter's; ours are written small.
        "Rendezvous" => return Ok(HashKind::McrouterRendezvous),
        "WeightedRendezvous" => return Ok(HashKind::McrouterWeightedRendezvous),
        "WeightedCh3Rv" => {
            return Err(node.error(
                "WeightedCh3Rv has its weights in a runtime variable, and there is no --runtime-vars-file",
            ));
        }
        name => name,
    };
    name.parse().map_err(|error| node.error(&format!("{error}")))
}

/// Reads a list of tags.
pub(crate) fn read_tags(node: &Node<'_>) -> Result<Vec<String>, ConfigError> {
    node.list()?
        .iter()
        .map(|tag| tag.string().map(str::to_owned))
        .collect()
}

/// Reads a list of weights.
pub(crate) fn read_weights(node: &Node<'_>) -> Result<Vec<Weight>, ConfigError> {
    node.list()?
        .iter()
        .map(|weight| Weight::new(weight.number()?).map_err(|error| weight.error(&error.to_string())))
        .collect()
}
