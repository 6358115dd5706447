//! `bucketize` of a PoolRoute: a key is first hashed to one of many buckets, and the bucket's number to a server, so that
//! whoever copies data elsewhere can do it bucket by bucket. Keys with a common prefix may share a few of the buckets.

use std::sync::Arc;

use cluster::{ch3_bucket, hashed_part};

use crate::config::check::{ConfigError, Node};

/// Which buckets there are.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Buckets {
    total: u32,
    /// Buckets that keys with these prefixes share, the longest prefix first.
    by_prefix: Vec<(String, u32)>,
    keyspace: String,
}

impl Buckets {
    /// Reads what a PoolRoute says of them; `None` if it has none.
    pub(crate) fn read(node: &Node<'_>) -> Result<Option<Arc<Self>>, ConfigError> {
        let wanted = node.get("bucketize").map_or(Ok(false), |flag| flag.flag())?;
        if !wanted {
            return Ok(None);
        }
        let most = node.need("total_buckets")?;
        let total = count(&most, cluster::CH3_BUCKETS_MAX)?;
        let mut by_prefix = Vec::new();
        if let Some(prefixes) = node.get("total_buckets_by_prefix") {
            for (prefix, share) in prefixes.entries()? {
                by_prefix.push((prefix.to_owned(), count(&share, total)?));
            }
        }
        by_prefix.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        let keyspace = node.need("bucketization_keyspace")?.string()?.to_owned();
        Ok(Some(Arc::new(Self {
            total,
            by_prefix,
            keyspace,
        })))
    }

    /// The bucket of a key, hash stop and all.
    pub(super) fn of(&self, key: &[u8]) -> u32 {
        let part = hashed_part(key);
        let shared = self
            .by_prefix
            .iter()
            .find(|(prefix, _)| part.starts_with(prefix.as_bytes()));
        match shared {
            Some((prefix, few)) => {
                let stands_for = format!("{prefix}{}", ch3_bucket(part, *few));
                ch3_bucket(stands_for.as_bytes(), self.total)
            }
            None => ch3_bucket(part, self.total),
        }
    }

    pub(super) fn keyspace(&self) -> &str {
        &self.keyspace
    }
}

fn count(node: &Node<'_>, most: u32) -> Result<u32, ConfigError> {
    match u32::try_from(node.count()?) {
        Ok(count) if (1..=most).contains(&count) => Ok(count),
        _ => Err(node.error(&format!("there are 1 to {most} buckets"))),
    }
}

#[cfg(test)]
mod tests {
    use crate::route::testing::{POOLS, Recording, tree};

    fn route(settings: &str) -> Recording {
        tree(&format!(
            r#"{{"type": "PoolRoute", "pool": "AB", "hash": "WeightedCh3", "bucketize": true,
                 "bucketization_keyspace": "test", "total_buckets": 1000{settings}}}"#
        ))
    }

    #[test]
    fn keys_of_a_bucket_go_together() {
        let bucketized = route("");
        let mut homes = std::collections::HashMap::new();
        for key in 0..3000 {
            let line = format!("get k{key}~");
            let plan = bucketized.plan(&line);
            let (_, bucket) = plan.split_once("bucket ").expect("a bucket");
            let bucket = bucket.split(' ').next().expect("a number").to_owned();
            let home = bucketized.fast(&line);
            assert_eq!(*homes.entry(bucket).or_insert(home.clone()), home, "{plan}");
        }
        assert!(homes.len() > 800 && homes.values().any(|home| home == "a"));
    }

    #[test]
    fn keys_of_a_prefix_share_a_few_buckets() {
        let few = route(r#", "total_buckets_by_prefix": {"few": 3, "fewer": 1}"#);
        let buckets = |prefix: &str| {
            let plans = (0..300).map(|key| few.plan(&format!("get {prefix}{key}~")));
            let buckets: std::collections::HashSet<String> = plans
                .map(|plan| plan.split_once("bucket ").expect("a bucket").1[..4].to_owned())
                .collect();
            buckets.len()
        };
        assert_eq!((buckets("few"), buckets("fewer")), (3, 1));
        assert!(buckets("other") > 100);
    }

    #[test]
    fn odd_buckets_are_told_with_their_place() {
        for (settings, complaint) in [
            (r#""bucketize": true"#, "route: needs \"total_buckets\""),
            (r#""bucketize": 1"#, "route.bucketize: expected true or false"),
            (
                r#""bucketize": true, "total_buckets": 0, "bucketization_keyspace": "x""#,
                "route.total_buckets: there are 1 to",
            ),
            (
                r#""bucketize": true, "total_buckets": 10, "bucketization_keyspace": "x", "total_buckets_by_prefix": {"a": 11}"#,
                "there are 1 to 10 buckets",
            ),
            (
                r#""bucketize": true, "total_buckets": 10, "bucketization_keyspace": "x", "hash": "Crc32""#,
                "route.bucketize: only WeightedCh3",
            ),
        ] {
            let config =
                format!(r#"{{{POOLS}, "route": {{"type": "PoolRoute", "pool": "AB", {settings}}}}}"#);
            let source = crate::config::parse(&config).expect("JSON");
            let error = crate::config::Config::check(source, &Default::default(), 1)
                .err()
                .expect("odd");
            assert!(error.to_string().contains(complaint), "{settings}: {error}");
        }
    }
}
