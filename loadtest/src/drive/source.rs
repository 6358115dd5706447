//! Where requests come from: drawn from a popularity and a mix, or the rows of a trace in order.

use std::sync::Arc;

use rand::RngExt;

use crate::scenario::{Mix, Shift};
use crate::workload::keyspace::KeySpace;
use crate::workload::popularity::Popularity;
use crate::workload::seed::Random;
use crate::workload::trace::{self, Row};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    Get,
    Set,
    Delete,
}

/// One request of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    pub op: Op,
    pub key: u32,
    pub value_len: u32,
    /// Seconds; `None` leaves it to the scenario.
    pub ttl: Option<u32>,
}

/// Gets for keys nobody asks for again. They share places at the end of the key space; each use of a place is another
/// key, by its version.
#[derive(Debug, Clone)]
pub struct Lone {
    /// Of the gets.
    pub share: f64,
    pub places: std::ops::Range<u32>,
    pub next: u32,
}

impl Lone {
    fn take(&mut self) -> u32 {
        let key = self.places.start + self.next;
        self.next = (self.next + 1) % (self.places.end - self.places.start).max(1);
        key
    }
}

#[derive(Debug, Clone)]
pub enum Source {
    Drawn {
        popularity: Popularity,
        mix: Mix,
        random: Random,
        keys: Arc<KeySpace>,
        lone: Option<Lone>,
    },
    Replay {
        rows: Arc<[Row]>,
        position: usize,
        repeat: bool,
    },
}

impl Source {
    /// The next request; `None` when a trace has ended.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator would hide that it is also looked into"
    )]
    pub fn next(&mut self) -> Option<Request> {
        match self {
            Self::Drawn {
                popularity,
                mix,
                random,
                keys,
                lone,
            } => {
                let op = match random.random::<f64>() {
                    x if x < mix.get => Op::Get,
                    x if x < mix.get + mix.set => Op::Set,
                    // Shares sum to one but for rounding.
                    _ if mix.delete > 0.0 => Op::Delete,
                    _ => Op::Get,
                };
                let key = match lone {
                    Some(lone) if op == Op::Get && random.random_bool(lone.share) => lone.take(),
                    _ => {
                        let drawn = match op {
                            Op::Set => popularity.draw_written(random),
                            Op::Get | Op::Delete => popularity.draw(random),
                        };
                        u32::try_from(drawn).expect("keys are counted in 32 bits")
                    }
                };
                Some(Request {
                    op,
                    key,
                    value_len: keys.value_len(key),
                    ttl: None,
                })
            }
            Self::Replay {
                rows,
                position,
                repeat,
            } => {
                if *position >= rows.len() && *repeat {
                    *position = 0;
                }
                let row = rows.get(*position)?;
                *position += 1;
                Some(Self::request(row))
            }
        }
    }

    /// The next request if it is as wanted; a drawn one is not put back but drawn to be so.
    pub fn next_if(&mut self, wanted: impl Fn(&Request) -> bool) -> Option<Request> {
        match self {
            Self::Drawn { .. } => {
                let mut request = self.next()?;
                request.op = Op::Get;
                Some(request)
            }
            Self::Replay { rows, position, .. } => {
                let request = Self::request(rows.get(*position)?);
                wanted(&request).then(|| {
                    *position += 1;
                    request
                })
            }
        }
    }

    /// Other keys become popular; a trace has its own order.
    pub fn shift(&mut self, shift: Shift) {
        if let Self::Drawn { popularity, .. } = self {
            popularity.shift(shift);
        }
    }

    /// The key at a rank (0 the most popular), where that is known.
    #[must_use]
    pub fn key_of_rank(&self, rank: u64) -> Option<u32> {
        match self {
            Self::Drawn { popularity, .. } => {
                u32::try_from(popularity.key_of_rank(rank.min(popularity.keys() - 1))).ok()
            }
            Self::Replay { .. } => None,
        }
    }

    fn request(row: &Row) -> Request {
        let op = match row.op {
            trace::Op::Get => Op::Get,
            trace::Op::Set => Op::Set,
            trace::Op::Delete => Op::Delete,
        };
        Request {
            op,
            key: row.key,
            value_len: row.value_len,
            ttl: row.ttl_seconds,
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Drawn { .. } => false,
            Self::Replay {
                rows,
                position,
                repeat,
            } => *position >= rows.len() && !*repeat,
        }
    }

    /// Keys of the gets to come, in order, if that is known.
    #[must_use]
    pub fn upcoming(&self) -> Option<Upcoming> {
        match self {
            Self::Drawn { .. } => None,
            Self::Replay { rows, position, .. } => Some(Upcoming {
                rows: Arc::clone(rows),
                position: *position,
            }),
        }
    }
}

/// The rest of a trace.
#[derive(Debug, Clone)]
pub struct Upcoming {
    rows: Arc<[Row]>,
    position: usize,
}

impl Upcoming {
    pub fn keys(&self) -> impl Iterator<Item = u32> + '_ {
        self.rows[self.position.min(self.rows.len())..]
            .iter()
            .filter(|row| row.op == trace::Op::Get)
            .map(|row| row.key)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Lone, Op, Source};
    use crate::scenario::{Distribution, Mix};
    use crate::workload::keyspace::KeySpace;
    use crate::workload::popularity::Popularity;
    use crate::workload::seed::stream;
    use crate::workload::trace::{self, Row};

    #[test]
    fn the_mix_is_as_asked_within_four_standard_deviations() {
        let keys = KeySpace::numbered(100, &Distribution::Fixed(8.0), &Distribution::Fixed(10.0), 1);
        let mix = Mix {
            get: 0.7,
            set: 0.05,
            delete: 0.25,
        };
        let mut source = Source::Drawn {
            popularity: Popularity::uniform(100, 1),
            mix,
            random: stream(1, "requests", 0),
            keys: Arc::new(keys),
            lone: None,
        };
        let mut counts = [0_u32; 3];
        for _ in 0..100_000 {
            counts[match source.next().unwrap().op {
                Op::Get => 0,
                Op::Set => 1,
                Op::Delete => 2,
            }] += 1;
        }
        for (count, share) in counts.into_iter().zip([mix.get, mix.set, mix.delete]) {
            let sd = (share * (1.0 - share) / 100_000.0_f64).sqrt();
            assert!(
                (f64::from(count) / 100_000.0 - share).abs() < 4.0 * sd,
                "{counts:?}"
            );
        }
    }

    #[test]
    fn lone_keys_are_their_share_of_the_gets_and_never_the_same_within_all_places() {
        let keys = KeySpace::numbered(110, &Distribution::Fixed(8.0), &Distribution::Fixed(10.0), 1);
        let mut source = Source::Drawn {
            popularity: Popularity::uniform(100, 1),
            mix: Mix {
                get: 0.8,
                set: 0.2,
                delete: 0.0,
            },
            random: stream(1, "requests", 0),
            keys: Arc::new(keys),
            lone: Some(Lone {
                share: 0.1347,
                places: 100..110,
                next: 0,
            }),
        };
        let (mut gets, mut lone) = (0_u32, Vec::new());
        for _ in 0..50_000 {
            let request = source.next().unwrap();
            gets += u32::from(request.op == Op::Get);
            if request.key >= 100 {
                assert_eq!(request.op, Op::Get);
                lone.push(request.key);
            }
        }
        let share = lone.len() as f64 / f64::from(gets);
        assert!(
            (share - 0.1347).abs() < 4.0 * (0.1347 * 0.8653 / 40_000.0_f64).sqrt(),
            "{share}"
        );
        assert!(lone.windows(2).all(|pair| pair[1] == 100 + (pair[0] - 99) % 10));
    }

    #[test]
    fn a_trace_is_replayed_in_order_and_again_if_asked() {
        let row = |key, op| Row {
            at_ms: 0,
            key,
            value_len: key * 10,
            op,
            ttl_seconds: None,
        };
        let rows: Arc<[Row]> = [
            row(1, trace::Op::Get),
            row(2, trace::Op::Set),
            row(1, trace::Op::Get),
        ]
        .into();
        let mut source = Source::Replay {
            rows: Arc::clone(&rows),
            position: 0,
            repeat: false,
        };
        assert_eq!(source.upcoming().unwrap().keys().collect::<Vec<_>>(), [1, 1]);
        let keys: Vec<u32> = std::iter::from_fn(|| source.next())
            .map(|request| request.key)
            .collect();
        assert_eq!(keys, [1, 2, 1]);
        assert!(source.is_empty() && source.next().is_none());
        let mut source = Source::Replay {
            rows,
            position: 3,
            repeat: true,
        };
        assert!(!source.is_empty());
        assert_eq!(source.next().unwrap().key, 1);
        assert_eq!(source.next_if(|request| request.op == Op::Get), None);
        assert_eq!(source.next().unwrap().op, Op::Set);
    }
}
