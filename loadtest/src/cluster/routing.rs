//! What our router is told: its configuration file, as an operator would write it, and read anew when its shape changes.

use std::path::PathBuf;

use cluster::{HashKind, Weight};
use serde_json::{Value, json};

use super::{Cluster, ClusterError, http};

/// Copies a dead node's keys get no longer life than this in the gutter, seconds: it is back before they are old.
const GUTTER_EXPTIME: u32 = 60;

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
        let text = format!("{:#}\n", self.configuration());
        std::fs::write(self.configuration_file(), text).map_err(ClusterError::Logs)
    }

    /// The pools, and the way through them.
    fn configuration(&self) -> Value {
        let pool = |numbers: &[usize]| {
            let nodes = || numbers.iter().map(|number| &self.nodes[*number]);
            let servers: Vec<String> = nodes()
                .map(|node| format!("{}={}", node.name, node.front()))
                .collect();
            let mut pool = json!({"servers": servers});
            if nodes().any(|node| node.weight != Weight::ONE) {
                pool["weights"] = nodes().map(|node| f64::from(node.weight)).collect();
            }
            pool
        };
        let hashed = |numbers: &[usize], hash: HashKind| {
            let mut pool = pool(numbers);
            pool["hash"] = json!(hash.to_string());
            pool
        };
        let members = self.members();
        if self.spec.replicated {
            return json!({"pools": {"main": pool(&members)}, "route": "ReplicatedPoolRoute|main"});
        }
        let mut pools = json!({"main": hashed(&members, self.hash)});
        let mut route = json!("PoolRoute|main");
        if !self.gutter.is_empty() {
            pools["gutter"] = hashed(&self.gutter, self.hash);
            route = json!({
                "type": "FailoverWithExptimeRoute",
                "normal": route,
                "failover": "PoolRoute|gutter",
                "failover_exptime": GUTTER_EXPTIME,
            });
        }
        if let Some(warm) = &self.warm {
            pools["warm"] = hashed(&warm.nodes, warm.hash);
            let mut reads = json!({"type": "WarmUpRoute", "cold": route, "warm": "PoolRoute|warm"});
            if let Some(exptime) = warm.exptime {
                reads["exptime"] = json!(exptime);
            }
            // What is deleted must not come back from the old nodes.
            let deletes = json!({"type": "AllSyncRoute", "children": [route, "PoolRoute|warm"]});
            route = json!({
                "type": "OperationSelectorRoute",
                "default_policy": reads,
                "operation_policies": {"delete": deletes},
            });
        }
        json!({"pools": pools, "route": route})
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
        let Some(admin) = self.router.as_ref().and_then(|router| router.admin) else {
            return Err(ClusterError::Impossible {
                action: "another route",
                needs: "a router of ours",
            });
        };
        self.write_configuration()?;
        http::request("POST", admin, "/reload", "").await?;
        Ok(())
    }
}
