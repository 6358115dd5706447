//! Changes the cluster: nodes come, go, lose their memory; the pool gets another list.

use cluster::{HashKind, Weight};

use super::node_client::NodeClient;
use super::proxy::{Passage, Proxy};
use super::start::end;
use super::{Body, Cluster, ClusterError, Node, http};
use crate::scenario::{ClusterSpec, Memory};

impl Cluster {
    /// Starts one more node, outside the pool; its number.
    pub async fn start_node(&mut self) -> Result<usize, ClusterError> {
        let number = self.start_named(ClusterSpec::node_name(self.started)).await?;
        self.started += 1;
        Ok(number)
    }

    pub(super) async fn start_named(&mut self, name: String) -> Result<usize, ClusterError> {
        let number = self.nodes.len();
        let (address, body) = self.bring_up(&name, None).await?;
        let mut node = Node::new(name, address, body);
        if self.needs.relay {
            let relay = Proxy::start(address).map_err(|source| ClusterError::Node {
                node: node.name.clone(),
                source,
            })?;
            node.relay = Some(relay);
        }
        self.nodes.push(node);
        Ok(number)
    }

    /// Puts an empty spare in a node's place, under its name, and returns its own address. Its old self is ended once
    /// the pool knows the new one.
    pub async fn replace_node(&mut self, number: usize) -> Result<(), ClusterError> {
        let name = self.nodes[number].name.clone();
        let (address, body) = self.bring_up(&name, None).await?;
        let node = &mut self.nodes[number];
        node.address = address;
        let old = std::mem::replace(&mut node.body, body);
        match &node.relay {
            Some(relay) => relay.set_target(address),
            None => self.set_pool(&self.members(), self.hash).await?,
        }
        end(old, false).await;
        Ok(())
    }

    /// Cuts a node off, slows it down, or lets everything pass again.
    pub fn set_passage(&self, number: usize, passage: Passage) -> Result<(), ClusterError> {
        match &self.nodes[number].relay {
            Some(relay) => relay.set(passage),
            None => {
                return Err(ClusterError::Impossible {
                    action: "a partition",
                    needs: "a relay before the node",
                });
            }
        }
        Ok(())
    }

    /// Starts a node that ended again at its old address, empty or with the memory file it left.
    pub async fn start_again(&mut self, number: usize, memory: Memory) -> Result<(), ClusterError> {
        let (name, address) = (self.nodes[number].name.clone(), self.nodes[number].address);
        if memory == Memory::Cold {
            // There may be none: a node that was killed leaves nothing behind.
            let _ = std::fs::remove_dir_all(self.memory_folder(&name));
        }
        let (_, body) = self.bring_up(&name, Some(address)).await?;
        self.nodes[number].body = body;
        Ok(())
    }

    /// Drains and ends a node.
    pub async fn stop_node(&mut self, number: usize) {
        end(std::mem::replace(&mut self.nodes[number].body, Body::Gone), false).await;
    }

    /// Ends a node without warning.
    pub async fn kill_node(&mut self, number: usize) {
        end(std::mem::replace(&mut self.nodes[number].body, Body::Gone), true).await;
    }

    /// What the node weighs in the pool from the next [`Cluster::set_pool`] on.
    pub fn set_weight(&mut self, number: usize, weight: f64) -> Result<(), ClusterError> {
        self.nodes[number].weight =
            Weight::new(weight).map_err(|_out_of_range| ClusterError::Impossible {
                action: "a change of weight",
                needs: "a weight from 0 to 1",
            })?;
        Ok(())
    }

    /// `flush_all` on these nodes, all at the same time.
    pub async fn flush(&self, numbers: &[usize]) -> Result<(), ClusterError> {
        let nodes = numbers.iter().map(|number| (*number, ())).collect();
        self.on_each(nodes, async |client, ()| client.flush_all().await)
            .await
    }

    /// `touch` of each node's keys, on all nodes at the same time. A key a node does not have is passed over.
    pub async fn touch(&self, nodes: Vec<(usize, Vec<Vec<u8>>)>, exptime: i64) -> Result<(), ClusterError> {
        self.on_each(nodes, async move |client, keys| {
            client.touch(&keys, exptime).await
        })
        .await
    }

    async fn on_each<T>(
        &self,
        nodes: Vec<(usize, T)>,
        act: impl AsyncFn(&mut NodeClient, T) -> std::io::Result<()>,
    ) -> Result<(), ClusterError> {
        let acts = nodes.into_iter().map(|(number, argument)| {
            let (node, act) = (&self.nodes[number], &act);
            async move {
                let done = async { act(&mut NodeClient::connect(node.address).await?, argument).await };
                done.await.map_err(|source| ClusterError::Node {
                    node: node.name.clone(),
                    source,
                })
            }
        });
        crate::cluster::together(acts).await
    }

    /// Makes these nodes, in this order, the pool, under `hash`. Returns once the router routes by it.
    pub async fn set_pool(&mut self, members: &[usize], hash: HashKind) -> Result<(), ClusterError> {
        for router in &self.routers {
            let Some(admin) = router.admin else {
                return Err(ClusterError::Impossible {
                    action: "a change of the pool",
                    needs: "the router's admin address",
                });
            };
            let servers: Vec<_> = members
                .iter()
                .map(|number| {
                    let node = &self.nodes[*number];
                    serde_json::json!({"name": node.name, "address": node.front().to_string(), "weight": f64::from(node.weight)})
                })
                .collect();
            let body = if self.spec.replicated {
                serde_json::json!({"pool": "main", "servers": servers})
            } else {
                serde_json::json!({"pool": "main", "hash": hash.to_string(), "servers": servers})
            };
            http::request("POST", admin, "/topology", &body.to_string()).await?;
        }
        self.hash = hash;
        self.set_members(members);
        Ok(())
    }

    pub(super) fn set_members(&mut self, members: &[usize]) {
        for (number, node) in self.nodes.iter_mut().enumerate() {
            node.member = members.contains(&number);
        }
    }

    /// Ends everything we started, the router first.
    pub async fn shutdown(mut self) {
        for router in self.routers.drain(..) {
            end(router.body, false).await;
        }
        let mut endings = tokio::task::JoinSet::new();
        for node in self.nodes.drain(..) {
            endings.spawn(end(node.body, false));
        }
        while endings.join_next().await.is_some() {}
    }
}
