//! LatencyInjectionRoute: its child, answering later than it would: for rehearsing a slow network.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::{Answer, Blueprint, Handle, Plan, RouteHandle, Routed, Servers};
use crate::config::check::{Checker, ConfigError, Node};
use crate::flow::Caller;
use crate::request::{OwnedRequest, Routing};

/// The latencies that are added or waited for.
#[derive(Debug, Clone, Default, PartialEq)]
struct Latencies {
    before: Duration,
    after: Duration,
    /// The least time from asking to answering.
    total: Duration,
    /// The same, drawn anew for each request: up to which percentile which least time.
    percentiles: Vec<(f64, Duration)>,
}

pub(crate) fn parse(node: &Node<'_>, checker: &mut Checker<'_>) -> Result<Blueprint, ConfigError> {
    node.only_supported(
        &[
            "type",
            "name",
            "child",
            "before_latency_ms",
            "after_latency_ms",
            "total_latency_ms",
            "total_latency_percentile_ms",
        ],
        &["request_payload_latency", "max_request_latency_us"],
    )?;
    let child = checker.route(&node.need("child")?)?;
    let span = |name| match node.get(name) {
        Some(given) => milliseconds(&given),
        None => Ok(Duration::ZERO),
    };
    let mut latencies = Latencies {
        before: span("before_latency_ms")?,
        after: span("after_latency_ms")?,
        total: span("total_latency_ms")?,
        percentiles: Vec::new(),
    };
    if let Some(listed) = node.get("total_latency_percentile_ms") {
        for entry in listed.list()? {
            let pair = entry.list()?;
            let [percentile, latency] = pair.as_slice() else {
                return Err(entry.error("expected [percentile, milliseconds]"));
            };
            let upto = percentile.within(f64::MIN_POSITIVE, 100.0)?;
            if latencies
                .percentiles
                .last()
                .is_some_and(|(last, _)| *last >= upto)
            {
                return Err(percentile.error("percentiles have to rise"));
            }
            latencies.percentiles.push((upto, milliseconds(latency)?));
        }
    }
    if latencies == Latencies::default() {
        return Ok(child);
    }
    Ok(Arc::new(move |builder| {
        Rc::new(LatencyInjectionRoute {
            child: builder.once(&child),
            latencies: latencies.clone(),
        })
    }))
}

/// The longest that may be waited for.
const LATENCY_MAX_MS: f64 = 3_600_000.0;

fn milliseconds(node: &Node<'_>) -> Result<Duration, ConfigError> {
    Ok(Duration::from_secs_f64(node.within(0.0, LATENCY_MAX_MS)? / 1e3))
}

struct LatencyInjectionRoute {
    child: Handle,
    latencies: Latencies,
}

impl LatencyInjectionRoute {
    fn total(&self) -> Duration {
        let Latencies {
            total, percentiles, ..
        } = &self.latencies;
        if !total.is_zero() || percentiles.is_empty() {
            return *total;
        }
        let drawn = rand::random_range(0.0..100.0);
        let found = percentiles.iter().find(|(upto, _)| drawn < *upto);
        found
            .or(percentiles.last())
            .map_or(Duration::ZERO, |(_, least)| *least)
    }
}

impl RouteHandle for LatencyInjectionRoute {
    fn route(&self, _request: Routing<'_>, _servers: &Servers) -> Routed {
        Routed::Composite
    }

    fn call(self: Rc<Self>, request: Rc<OwnedRequest>, caller: Caller) -> Answer {
        let Latencies { before, after, .. } = self.latencies;
        Box::pin(async move {
            let least = self.total();
            let since = caller.now();
            if !before.is_zero() {
                caller.sleep(before).await;
            }
            let reply = Rc::clone(&self.child).call(request, caller.clone()).await;
            if !after.is_zero() {
                caller.sleep(after).await;
            }
            let passed = Duration::from_micros(caller.now().0.saturating_sub(since.0));
            if let Some(rest) = least.checked_sub(passed).filter(|rest| !rest.is_zero()) {
                caller.sleep(rest).await;
            }
            reply
        })
    }

    fn destinations(&self, request: Routing<'_>, into: &mut Plan) {
        into.handle("LatencyInjectionRoute", |into| {
            self.child.destinations(request, into)
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::route::testing::tree;

    #[test]
    fn it_is_asked_later_and_answers_later() {
        let play = |settings: &str| {
            let route = format!(r#"{{"type": "LatencyInjectionRoute", "child": "PoolRoute|A", {settings}}}"#);
            tree(&route).play("get k~", &[("a", &["END~"])])
        };
        assert_eq!(
            play(r#""before_latency_ms": 5"#),
            "(time passes)\na: get k~\n=> END~"
        );
        assert_eq!(
            play(r#""after_latency_ms": 5"#),
            "a: get k~\n(time passes)\n=> END~"
        );
        assert_eq!(
            play(r#""total_latency_ms": 5"#),
            "a: get k~\n(time passes)\n=> END~"
        );
        assert_eq!(
            play(r#""total_latency_percentile_ms": [[50, 5], [100, 9]]"#),
            "a: get k~\n(time passes)\n=> END~"
        );
        assert_eq!(
            play(r#""before_latency_ms": 5, "total_latency_ms": 4"#),
            "(time passes)\na: get k~\n=> END~"
        );
        let none = r#"{"type": "LatencyInjectionRoute", "child": "PoolRoute|A", "total_latency_ms": 0}"#;
        assert_eq!(tree(none).fast("get k~"), "a");
    }
}
