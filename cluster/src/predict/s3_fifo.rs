//! The warm hit rate of S3-FIFO (Yang et al., SOSP 2023), found the way Che found that of an LRU.
//!
//! A FIFO of fixed capacity keeps what enters it for a time that is nearly the same for all. Take it for the same, and keys
//! no longer depend on one another: each goes through its own cycle, and the times follow from the queues being just full.
//!
//! ```text
//!            miss                asked for meanwhile
//!   unknown ------> small (t_s) ---------------------> main, round after round of t_m;
//!                     | not asked for                  a round in which it was asked for n times
//!                     v                                earns min(n, 3) more; then unknown
//!                   ghost (t_g) --- miss meanwhile ---> main
//! ```

use super::Popularity;

/// The small queue's share of the items.
const SMALL_SHARE: f64 = 0.1;
/// Ghosts for each item held.
const GHOSTS_PER_ITEM: f64 = 1.0;
/// The times are found when no queue is off its size by more than this; the search halves the error every few steps.
const NEAR: f64 = 1e-6;
const STEPS_MAX: usize = 500;
/// So many rounds are for ever.
const ROUNDS_MAX: f64 = 1e15;

/// In requests.
#[derive(Debug, Clone, Copy)]
struct Times {
    small: f64,
    main: f64,
    ghost: f64,
}

/// One key from being unknown to being unknown again, on average.
struct Cycle {
    requests: f64,
    misses: f64,
    in_main: f64,
    /// Chance that it leaves the small queue for good.
    becomes_ghost: f64,
}

impl Popularity {
    /// Steady hit rate of an S3-FIFO that holds `items` keys. Like [`hit_rate_lru`](Self::hit_rate_lru), it serves a cluster by
    /// its total capacity.
    pub fn hit_rate_s3_fifo(&self, items: f64) -> f64 {
        if items <= 0.0 {
            return 0.0;
        }
        if items >= self.sum(|class| class.keys) {
            return 1.0;
        }
        let mut times = Times {
            small: SMALL_SHARE * items,
            main: 2.0 * items,
            ghost: items,
        };
        for _ in 0..STEPS_MAX {
            let (mut small, mut main, mut new_ghosts) = (0.0, 0.0, 0.0);
            for class in &self.classes {
                let cycle = cycle(class.probability, times);
                small += class.keys * times.small / cycle.requests;
                main += class.keys * cycle.in_main / cycle.requests;
                new_ghosts += class.keys * cycle.becomes_ghost / cycle.requests;
            }
            // How many times larger than it is each queue should be.
            let small = SMALL_SHARE * items / small;
            let main = (1.0 - SMALL_SHARE) * items / main;
            let ghost = GHOSTS_PER_ITEM * items / (new_ghosts * times.ghost);
            times.small *= small.sqrt();
            times.main *= main.sqrt();
            times.ghost *= ghost.sqrt();
            if [small, main, ghost].iter().all(|off| (off - 1.0).abs() < NEAR) {
                break;
            }
        }
        let misses = self.sum(|class| {
            let cycle = cycle(class.probability, times);
            class.keys * cycle.misses / cycle.requests
        });
        1.0 - misses
    }
}

fn cycle(probability: f64, times: Times) -> Cycle {
    let becomes_ghost = (-probability * times.small).exp();
    let comes_back = -(-probability * times.ghost).exp_m1();
    let reaches_main = 1.0 - becomes_ghost * (1.0 - comes_back);
    let in_main = reaches_main * rounds(probability * times.main) * times.main;
    // Each miss was waited for, from the moment the key was lost.
    let misses = 1.0 + becomes_ghost * comes_back;
    Cycle {
        requests: times.small + in_main + misses / probability,
        misses,
        in_main,
        becomes_ghost,
    }
}

/// How often an item goes round in main, asked for `per_round` times a round on average.
///
/// It begins a round with 0, 1 or 2 rounds in hand, and at the end has one more for each request, at most 3, less the one
/// that it then spends. With p(n) the chance of n requests and R(i) the rounds to come with i in hand:
/// `R(0) = 1 + p(1) R(0) + p(2) R(1) + p(3..) R(2)`, `R(1) = 1 + p(0) R(0) + p(1) R(1) + p(2..) R(2)`,
/// `R(2) = 1 + p(0) R(1) + p(1..) R(2)`. It enters with none.
fn rounds(per_round: f64) -> f64 {
    let none = (-per_round).exp();
    if none * ROUNDS_MAX < 1.0 {
        return ROUNDS_MAX;
    }
    let one = per_round * none;
    let two = per_round * one / 2.0;
    // R(2) - R(1), and R(1) - R(0).
    let second = 1.0 / none;
    let first = (1.0 + (1.0 - none - one) * second) / none;
    ((1.0 + two * first + (1.0 - none - one - two) * (first + second)) / none).min(ROUNDS_MAX)
}

#[cfg(test)]
mod tests {
    use super::rounds;

    #[test]
    fn who_is_never_asked_for_goes_round_once_and_who_often_is_for_ever() {
        assert!((rounds(0.0) - 1.0).abs() < 1e-12);
        // A rare request earns a round, and little else.
        assert!((rounds(0.01) - 1.01).abs() < 0.001, "{}", rounds(0.01));
        assert!(rounds(1.0) < rounds(2.0) && rounds(2.0) < rounds(4.0));
        assert!(rounds(20.0) > 1e12 && rounds(1e6).is_finite());
    }
}
