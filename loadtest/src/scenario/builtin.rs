//! The scenarios that come with the program; each takes at most three minutes and 5,000 to 12,000 requests a second.

/// Name and text, in the order `list` shows them.
const BUILTINS: [(&str, &str); 26] = [
    ("smoke", include_str!("../../scenarios/smoke.toml")),
    ("trace-c52", include_str!("../../scenarios/trace-c52.toml")),
    (
        "hash-shootout",
        include_str!("../../scenarios/hash-shootout.toml"),
    ),
    (
        "warm-baseline",
        include_str!("../../scenarios/warm-baseline.toml"),
    ),
    ("add-node", include_str!("../../scenarios/add-node.toml")),
    ("remove-node", include_str!("../../scenarios/remove-node.toml")),
    ("kill-node", include_str!("../../scenarios/kill-node.toml")),
    ("restart-node", include_str!("../../scenarios/restart-node.toml")),
    ("flush-all", include_str!("../../scenarios/flush-all.toml")),
    (
        "restart-cold-vs-warm",
        include_str!("../../scenarios/restart-cold-vs-warm.toml"),
    ),
    (
        "replica-invalidate-partition",
        include_str!("../../scenarios/replica-invalidate-partition.toml"),
    ),
    (
        "rolling-replace",
        include_str!("../../scenarios/rolling-replace.toml"),
    ),
    ("warmup-route", include_str!("../../scenarios/warmup-route.toml")),
    (
        "rolling-restart",
        include_str!("../../scenarios/rolling-restart.toml"),
    ),
    ("gutter", include_str!("../../scenarios/gutter.toml")),
    ("replica-loss", include_str!("../../scenarios/replica-loss.toml")),
    (
        "popularity-shift",
        include_str!("../../scenarios/popularity-shift.toml"),
    ),
    ("eviction", include_str!("../../scenarios/eviction.toml")),
    (
        "capacity-search",
        include_str!("../../scenarios/capacity-search.toml"),
    ),
    (
        "hot-key-expiry",
        include_str!("../../scenarios/hot-key-expiry.toml"),
    ),
    ("hot-key-herd", include_str!("../../scenarios/hot-key-herd.toml")),
    ("ttl-limited", include_str!("../../scenarios/ttl-limited.toml")),
    ("ttl-sync", include_str!("../../scenarios/ttl-sync.toml")),
    ("ttl-jitter", include_str!("../../scenarios/ttl-jitter.toml")),
    ("metastable", include_str!("../../scenarios/metastable.toml")),
    (
        "metastable-guarded",
        include_str!("../../scenarios/metastable-guarded.toml"),
    ),
];

/// What others extend: nothing is done in it, and it may take longer.
const BASES: [(&str, &str); 1] = [(
    "base-3000rps",
    include_str!("../../scenarios/bases/base-3000rps.toml"),
)];

/// The TOML of a built-in.
#[must_use]
pub fn text(name: &str) -> Option<&'static str> {
    BUILTINS
        .iter()
        .chain(&BASES)
        .find(|(builtin, _)| *builtin == name)
        .map(|(_, text)| *text)
}

/// All names but those of the bases.
#[must_use]
pub fn names() -> Vec<&'static str> {
    BUILTINS.iter().map(|(name, _)| *name).collect()
}
