//! How long a pool's servers may take: what the pool says, and mcrouter's rules for pools that are far away.

use std::time::Duration;

use super::check::Checker;
use super::node::{ConfigError, Node};

/// mcrouter's timeouts for pools that say where they are, instead of what they say otherwise; zero: none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Distances {
    /// To the router's own region and cluster (`--route-prefix`).
    pub within_cluster: Duration,
    /// To another cluster of its region.
    pub cross_cluster: Duration,
    /// To another region.
    pub cross_region: Duration,
}

impl Distances {
    /// How long servers in `region` and `cluster` may take, if that is what decides.
    fn to(self, region: &str, cluster: &str, own: &str) -> Option<Duration> {
        let mut parts = own.split('/').skip(1);
        let (own_region, own_cluster) = (parts.next()?, parts.next()?);
        let timeout = match (region == own_region, cluster == own_cluster) {
            (true, true) => self.within_cluster,
            (true, false) => self.cross_cluster,
            (false, _) => self.cross_region,
        };
        (!timeout.is_zero()).then_some(timeout)
    }
}

/// How long the servers of a pool may take.
pub(super) struct Timeouts {
    pub server: Duration,
    pub connect: Duration,
}

impl<'v> Checker<'v> {
    /// Reads a pool's `server_timeout`, `connect_timeout`, `region` and `cluster`.
    pub(super) fn timeouts_of<'n>(&self, node: &Node<'n>) -> Result<Timeouts, ConfigError>
    where
        'v: 'n,
    {
        let given = |name, default| {
            let timeout = self.inherited(node, name);
            timeout.map_or(Ok(default), |timeout| timeout.duration())
        };
        let mut server = given("server_timeout", self.defaults.server_timeout)?;
        let connect = given("connect_timeout", self.defaults.connect_timeout)?;
        let (region, cluster) = (self.inherited(node, "region"), self.inherited(node, "cluster"));
        if let (Some(region), Some(cluster)) = (&region, &cluster) {
            let own = self.defaults.route_prefix.as_deref();
            let own = own.unwrap_or(super::DEFAULT_PREFIX);
            let far = self
                .defaults
                .distances
                .to(region.string()?, cluster.string()?, own);
            server = far.unwrap_or(server);
        }
        Ok(Timeouts { server, connect })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Distances;

    #[test]
    fn a_pool_that_is_far_away_has_the_time_of_its_distance() {
        let ms = Duration::from_millis;
        let distances = Distances {
            within_cluster: Duration::ZERO,
            cross_cluster: ms(20),
            cross_region: ms(300),
        };
        for (region, cluster, timeout) in [
            ("eu", "a", None),
            ("eu", "b", Some(ms(20))),
            ("us", "a", Some(ms(300))),
        ] {
            assert_eq!(
                distances.to(region, cluster, "/eu/a/"),
                timeout,
                "{region} {cluster}"
            );
        }
        assert_eq!(distances.to("eu", "a", "/././"), Some(ms(300)));
    }
}
