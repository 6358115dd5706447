//! The words of the reports, each with its meaning: for the page's glossary and for `loadtest explain`.

/// A word and what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    pub word: &'static str,
    pub meaning: &'static str,
}

const fn term(word: &'static str, meaning: &'static str) -> Term {
    Term { word, meaning }
}

/// What the report speaks of.
pub const TERMS: [Term; 12] = [
    term(
        "warm, cold",
        "A cluster with its working set in memory; one without it yet.",
    ),
    term(
        "hit rate",
        "Hits / (hits + misses). Errors are in neither; the effective hit rate counts them as not-hit.",
    ),
    term("window", "One second, or a fixed number of gets."),
    term("warm baseline", "Mean over the baseline phase before the event."),
    term(
        "affected keys",
        "Keys whose owner changed, or whose owner lost its memory, at the latest event. All others are the control group.",
    ),
    term(
        "back to 95 %",
        "First window at or above 0.95 × warm that stays there for three windows.",
    ),
    term(
        "backend peak",
        "Highest second of backing-store reads over the baseline’s mean. Theory, at the moment of the event: 1 + f·h / (1 − h).",
    ),
    term(
        "miss debt",
        "Σ (warm − hit rate) · gets from event to recovery: the extra reads the event cost.",
    ),
    term(
        "keys moved, requests moved",
        "Share of keys whose owner changed; the same with each key weighted by its requests.",
    ),
    term(
        "response, service, lag",
        "Done − intended start; done − sent; sent − intended start.",
    ),
    term(
        "miss reasons",
        "First that fits: error, compulsory (never stored in this run), invalidated (deleted), expired, node_cold (owner lost its memory), remapped (other owner), evicted (space).",
    ),
    term(
        "invalid run",
        "The generator was late (p99 above 10 ms) or dropped more than 0.1 % of arrivals: the figures describe it, not the cluster.",
    ),
];

/// Why a get missed, in the order in which the first that fits decides.
pub const MISS_REASONS: [Term; 7] = [
    term(
        "error",
        "The get failed: no answer, or an error. No hit, and no miss either.",
    ),
    term(
        "compulsory",
        "The key was never stored in this run. No topology can save it.",
    ),
    term("invalidated", "A client deleted it after it was stored."),
    term("expired", "Its TTL had run out."),
    term(
        "node_cold",
        "Its owner is the same, but has lost its memory since it was stored: restart or flush.",
    ),
    term(
        "remapped",
        "Its owner changed after it was stored. Expect 1/(n+1) of the keys when a node is added, 1/n when one leaves.",
    ),
    term(
        "evicted",
        "None of these: it was lost for space. More memory, or fewer or smaller items.",
    ),
];

/// What the program's end says to scripts.
pub const EXIT_CODES: [Term; 6] = [
    term("0", "Every threshold held."),
    term(
        "1",
        "The run itself failed: a process did not start, a disk was full, an event could not be done.",
    ),
    term("2", "Bad command line or scenario; nothing was started."),
    term(
        "3",
        "Invalid: the load generator could not keep its schedule, so the figures mean nothing.",
    ),
    term("99", "A threshold did not hold, or a hit returned a wrong value."),
    term("130", "Interrupted; what was measured until then was written."),
];

/// The states of the live page.
pub const STATES: [Term; 9] = [
    term(
        "WARMING UP",
        "The cache is filling for the first time; there is nothing to compare with yet.",
    ),
    term("WARM", "The hit rate is at least 95 % of the warm baseline."),
    term(
        "RECOVERING",
        "Below 95 % of warm after an event; the number is how far it has come back from its lowest.",
    ),
    term("COLD", "The hit rate is less than half of warm."),
    term(
        "COOLING",
        "Below 95 % of warm though nothing was done to the cluster.",
    ),
    term(
        "INVALID",
        "The generator does not keep its schedule: what is measured is its own doing, not the cluster's.",
    ),
    term(
        "OVERLOADED",
        "Misses ask the backing store for more than it can answer, and reads are waiting.",
    ),
    term(
        "METASTABLE",
        "30 s after the last event the overload still feeds itself: timed-out reads fill no cache.",
    ),
    term(
        "FAILING",
        "More than 1 % of the requests of the last second failed.",
    ),
];
