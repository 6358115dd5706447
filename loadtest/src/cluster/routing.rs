//! What our router is told: its configuration file, as an operator would write it, and read anew when its shape changes.

use std::path::{Path, PathBuf};

use cluster::{HashKind, Weight};
use serde_json::{Map, Value, json};

use super::{Cluster, ClusterError, http};
use crate::scenario::OnNodeDown;

/// Copies a dead node's keys get no longer life than this in the gutter, seconds: it is back before they are old.
const GUTTER_EXPTIME: u32 = 60;

/// Of a pool that fails over to its own nodes so many are asked at most, the first among them.
pub(crate) const FAILOVER_TRIES: usize = 4;

/// A configuration larger than this is none for a cluster on one machine.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The pool whose nodes are asked for what the pool proper lacks.
#[derive(Debug, Clone)]
pub(super) struct WarmPool {
    nodes: Vec<usize>,
    hash: HashKind,
    /// What copies get instead of the TTL that is left.
    exptime: Option<u64>,
}

impl Cluster {
    /// Where the router's configuration lies.
    pub(super) fn configuration_file(&self) -> PathBuf {
        self.logs.join("router.json")
    }

    pub(super) fn write_configuration(&self) -> Result<(), ClusterError> {
        let text = format!("{:#}\n", self.configuration()?);
        std::fs::write(self.configuration_file(), text).map_err(ClusterError::Logs)
    }

    /// The pools, and the way through them: ours, or that of the user's file.
    fn configuration(&self) -> Result<Value, ClusterError> {
        let Some(path) = self
            .spec
            .router
            .as_ref()
            .and_then(|router| router.config.as_ref())
        else {
            return Ok(json!({"pools": self.pools(), "route": self.route()}));
        };
        let refuse = |why: String| ClusterError::Configuration {
            path: path.display().to_string(),
            why,
        };
        let pools = self.pools();
        if let Some(written) = read_configuration(path).map_err(refuse)? {
            return Ok(Value::Object(with_pools(written, pools)));
        }
        // Its servers have other addresses in every run.
        let mut kept = json!({"pools": pools.clone(), "route": self.route()});
        for (name, _) in &pools {
            kept["pools"][name]["servers"] = json!([]);
        }
        std::fs::write(path, format!("{kept:#}\n")).map_err(|error| refuse(error.to_string()))?;
        Ok(json!({"pools": pools, "route": self.route()}))
    }

    fn pools(&self) -> Map<String, Value> {
        let mut pools = Map::new();
        let mut add = |name: &str, numbers: &[usize], hash: Option<HashKind>| {
            let nodes = || numbers.iter().map(|number| &self.nodes[*number]);
            let servers: Vec<String> = nodes()
                .map(|node| format!("{}={}", node.name, node.front()))
                .collect();
            let mut pool = json!({"servers": servers});
            if nodes().any(|node| node.weight != Weight::ONE) {
                pool["weights"] = nodes().map(|node| f64::from(node.weight)).collect();
            }
            if let Some(hash) = hash {
                pool["hash"] = json!(hash.to_string());
            }
            if self.spec.on_node_down == OnNodeDown::Error {
                pool["get_errors"] = json!("error");
            }
            pools.insert(name.to_owned(), pool);
        };
        let members = self.members();
        if self.spec.replicated {
            add("main", &members, None);
            return pools;
        }
        add("main", &members, Some(self.hash));
        if !self.gutter.is_empty() {
            add("gutter", &self.gutter, Some(self.hash));
        }
        if let Some(warm) = &self.warm {
            add("warm", &warm.nodes, Some(warm.hash));
        }
        pools
    }

    fn route(&self) -> Value {
        if self.spec.replicated {
            return json!("ReplicatedPoolRoute|main");
        }
        let mut route = match self.spec.on_node_down {
            OnNodeDown::Miss | OnNodeDown::Eject | OnNodeDown::Error => json!("PoolRoute|main"),
            OnNodeDown::Failover => json!({
                "type": "SaltedFailoverRoute",
                "pool": "main",
                "failover_policy": {
                    "type": "DeterministicOrderPolicy",
                    "max_tries": FAILOVER_TRIES,
                    "max_error_tries": FAILOVER_TRIES,
                },
            }),
            OnNodeDown::Gutter(_) => json!({
                "type": "FailoverWithExptimeRoute",
                "normal": "PoolRoute|main",
                "failover": "PoolRoute|gutter",
                "failover_exptime": GUTTER_EXPTIME,
            }),
        };
        if let Some(warm) = &self.warm {
            // What is deleted must not come back from the old nodes.
            route =
                json!({"type": "WarmUpRoute", "cold": route, "warm": "PoolRoute|warm", "deletes": "both"});
            if let Some(exptime) = warm.exptime {
                route["exptime"] = json!(exptime);
            }
        }
        route
    }

    /// `fresh` becomes the pool; the nodes that were it stand behind it and are asked for what it lacks.
    pub async fn warm_up(&mut self, fresh: &[usize], exptime: Option<u64>) -> Result<(), ClusterError> {
        if self.warm.is_some() {
            return Err(ClusterError::Impossible {
                action: "a warm-up",
                needs: "the one before it to be over",
            });
        }
        self.warm = Some(WarmPool {
            nodes: self.members(),
            hash: self.hash,
            exptime,
        });
        self.set_members(fresh);
        self.reload().await
    }

    /// The pool stands alone again; the nodes that stood behind it.
    pub async fn end_warm_up(&mut self) -> Result<Vec<usize>, ClusterError> {
        let Some(warm) = self.warm.take() else {
            return Err(ClusterError::Impossible {
                action: "the end of a warm-up",
                needs: "a beginning",
            });
        };
        self.reload().await?;
        Ok(warm.nodes)
    }

    /// Returns once every worker of the router goes by the new file.
    async fn reload(&self) -> Result<(), ClusterError> {
        self.write_configuration()?;
        for router in &self.routers {
            let Some(admin) = router.admin else {
                return Err(ClusterError::Impossible {
                    action: "another route",
                    needs: "a router of ours",
                });
            };
            http::request("POST", admin, "/reload", "").await?;
        }
        Ok(())
    }
}

/// A configuration of the user's; `None` if there is no such file yet.
pub(crate) fn read_configuration(path: &Path) -> Result<Option<Map<String, Value>>, String> {
    let text = match std::fs::metadata(path) {
        Ok(file) if file.len() > FILE_BYTES_MAX => {
            return Err(format!("more than {FILE_BYTES_MAX} bytes"));
        }
        Ok(_) => std::fs::read_to_string(path).map_err(|error| error.to_string())?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    match serde_json::from_str(&text) {
        Ok(Value::Object(fields)) if fields.contains_key("route") || fields.contains_key("routes") => {
            Ok(Some(fields))
        }
        Ok(_) => Err("there is no `route` in it".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// The user's file with the servers of this run in its pools; what else it says of them stays.
fn with_pools(mut written: Map<String, Value>, ours: Map<String, Value>) -> Map<String, Value> {
    let mut pools = match written.remove("pools") {
        Some(Value::Object(pools)) => pools,
        Some(_) | None => Map::new(),
    };
    for (name, ours) in ours {
        match (pools.get_mut(&name), ours) {
            (Some(Value::Object(theirs)), Value::Object(ours)) => {
                theirs.remove("weights");
                theirs.extend(ours);
            }
            (_, ours) => {
                pools.insert(name, ours);
            }
        }
    }
    written.insert("pools".to_owned(), Value::Object(pools));
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_the_users_keeps_its_route_and_gets_the_servers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("router.json");
        assert_eq!(read_configuration(&path), Ok(None));
        std::fs::write(
            &path,
            r#"{"pools": {"main": {"servers": ["old"], "get_errors": "error"}, "own": {"servers": ["x:1"]}},
                "route": {"type": "CoalesceRoute", "child": "PoolRoute|main"}}"#,
        )
        .unwrap();
        let written = read_configuration(&path).unwrap().unwrap();
        let ours = json!({"main": {"servers": ["node1=127.0.0.1:9"], "hash": "jump"}});
        let read = Value::Object(with_pools(written, ours.as_object().unwrap().clone()));
        let expected = json!({
            "pools": {
                "main": {"servers": ["node1=127.0.0.1:9"], "hash": "jump", "get_errors": "error"},
                "own": {"servers": ["x:1"]},
            },
            "route": {"type": "CoalesceRoute", "child": "PoolRoute|main"},
        });
        assert_eq!(read, expected);
    }

    #[test]
    fn what_is_no_configuration_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("router.json");
        for text in ["{", "[]", "{\"pools\": {}}", ""] {
            std::fs::write(&path, text).unwrap();
            assert!(read_configuration(&path).is_err(), "{text}");
        }
        assert!(read_configuration(folder.path()).is_err(), "a folder");
    }
}
