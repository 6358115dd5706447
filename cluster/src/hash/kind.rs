//! The names of the schemes: what a config file says, and what it is told when it says something else.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::key_hash::KeyHash;
use crate::error::UnknownHash;

/// How keys are placed on servers.
///
/// Written `NAME` or `NAME:OPTION`; [`HashKind::FORMS`] lists them all. A default option is not printed, so a scheme
/// has one spelling and [`Topology::checksum`](crate::Topology::checksum) may read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum HashKind {
    /// `rendezvous`: highest random weight, by server name. A server that comes or goes moves its own share and nothing
    /// else; weights are exact. The default; costs a few nanoseconds per server.
    #[default]
    Rendezvous,
    /// `ring` or `ring:POINTS`: XXH3 points on a circle, by server name; for pools too large for rendezvous. POINTS is
    /// the number of points of a server of weight 1 (160).
    Ring {
        /// Points (vnodes) of a server of weight 1.
        points: u32,
    },
    /// `jump`: Lamping and Veach's jump consistent hash over XXH3, by list position.
    Jump,
    /// `modulo` or `modulo:HASH`: libmemcached's modula, `hash % servers`; `one_at_a_time` unless another is named.
    Modulo(KeyHash),
    /// `ketama` or `ketama:POINTS`: libmemcached's `KETAMA_WEIGHTED` (php-memcached's `OPT_LIBKETAMA_COMPATIBLE`): MD5
    /// for points and keys, 160 points for a server of average weight.
    Ketama {
        /// Points of a server of average weight; a multiple of 4. libmemcached has 160.
        points: u32,
    },
    /// `ketama-libmemcached` or `ketama-libmemcached:HASH`: libmemcached's `KETAMA` flag alone (pylibmc's
    /// `{"ketama": True}`): 100 points a server, points and keys by HASH, which is `one_at_a_time` unless set. With any
    /// weight above 1 the points become `ketama`'s while keys stay with HASH, as the library does.
    KetamaLibmemcached(KeyHash),
    /// `ketama-spy` or `ketama-spy:HASH`: libmemcached's `DISTRIBUTION_CONSISTENT_KETAMA_SPY`, an imitation of
    /// spymemcached: as `ketama-libmemcached`, but points are named `/HOST:PORT-i`, the default port included.
    KetamaSpy(KeyHash),
    /// `ketama-twemproxy` or `ketama-twemproxy:HASH`: twemproxy's `distribution: ketama`, keys by its `hash:` setting,
    /// `fnv1a_64` unless set.
    KetamaTwemproxy(KeyHash),
    /// `modulo-twemproxy` or `modulo-twemproxy:HASH`: twemproxy's `distribution: modula`, which sorts the servers (by the
    /// length of the name, then the name) and gives each as many slots as its weight.
    ModuloTwemproxy(KeyHash),
    /// `Ch3`: mcrouter's default, furc over MurmurHash64A, by list position.
    Ch3,
    /// `WeightedCh3`: Ch3 that accepts a server with probability weight (0 to 1), else tries another. By list position.
    WeightedCh3,
    /// `ConstShard`: mcrouter's for keys that carry their server's list position, `any:17:any`; others go by Ch3.
    ConstShard,
    /// `Crc32`: mcrouter's `(crc32 & 0x7fffffff) % servers`.
    Crc32,
    /// `mcrouter-rendezvous`: mcrouter's `Rendezvous`, server names for its `tags`.
    McrouterRendezvous,
    /// `mcrouter-weighted-rendezvous`: mcrouter's `WeightedRendezvous`, server names for its `tags`.
    McrouterWeightedRendezvous,
}

/// libmemcached's and twemproxy's points for a server of average weight.
pub(crate) const KETAMA_POINTS: u32 = 160;
/// Points of a server of weight 1 on our own ring: shares within about 8 % of even (see `predict::ring_share_cv`).
pub(crate) const RING_POINTS: u32 = 160;
/// More points than this make a ring slower, not more even.
const POINTS_MAX: u32 = 10_000;

impl HashKind {
    /// Every name, without options.
    pub const NAMES: &[&str] = &[
        "rendezvous",
        "ring",
        "jump",
        "modulo",
        "ketama",
        "ketama-libmemcached",
        "ketama-spy",
        "ketama-twemproxy",
        "modulo-twemproxy",
        "Ch3",
        "WeightedCh3",
        "ConstShard",
        "Crc32",
        "mcrouter-rendezvous",
        "mcrouter-weighted-rendezvous",
    ];

    /// Every name, with the options it takes.
    pub const FORMS: &[&str] = &[
        "rendezvous",
        "ring[:POINTS]",
        "jump",
        "modulo[:HASH]",
        "ketama[:POINTS]",
        "ketama-libmemcached[:HASH]",
        "ketama-spy[:HASH]",
        "ketama-twemproxy[:HASH]",
        "modulo-twemproxy[:HASH]",
        "Ch3",
        "WeightedCh3",
        "ConstShard",
        "Crc32",
        "mcrouter-rendezvous",
        "mcrouter-weighted-rendezvous",
    ];

    /// Whether owners follow server names rather than list positions: only then may a server leave the middle of the
    /// list at the cost of its own keys alone.
    pub const fn is_by_name(self) -> bool {
        match self {
            Self::Rendezvous
            | Self::Ring { .. }
            | Self::Ketama { .. }
            | Self::KetamaLibmemcached(_)
            | Self::KetamaSpy(_)
            | Self::KetamaTwemproxy(_)
            | Self::McrouterRendezvous
            | Self::McrouterWeightedRendezvous => true,
            Self::Jump
            | Self::Modulo(_)
            | Self::ModuloTwemproxy(_)
            | Self::Ch3
            | Self::WeightedCh3
            | Self::ConstShard
            | Self::Crc32 => false,
        }
    }

    /// Whether a server owns keys by its place in the list alone, so that it may stand there twice for two shares: mcrouter's.
    pub const fn is_by_place(self) -> bool {
        matches!(
            self,
            Self::Ch3 | Self::WeightedCh3 | Self::ConstShard | Self::Crc32
        )
    }

    /// Whether server weights have any effect. Where they have none they are ignored, as the originals do; a config
    /// check may want to say so.
    pub const fn uses_weights(self) -> bool {
        match self {
            Self::Rendezvous
            | Self::Ring { .. }
            | Self::Ketama { .. }
            | Self::KetamaLibmemcached(_)
            | Self::KetamaSpy(_)
            | Self::KetamaTwemproxy(_)
            | Self::ModuloTwemproxy(_)
            | Self::WeightedCh3
            | Self::McrouterWeightedRendezvous => true,
            Self::Jump
            | Self::Modulo(_)
            | Self::Ch3
            | Self::ConstShard
            | Self::Crc32
            | Self::McrouterRendezvous => false,
        }
    }
}

impl fmt::Display for HashKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by_hash = |f: &mut fmt::Formatter<'_>, name: &str, hash: KeyHash, default: KeyHash| {
            if hash == default {
                f.write_str(name)
            } else {
                write!(f, "{name}:{}", hash.name())
            }
        };
        match *self {
            Self::Rendezvous => f.write_str("rendezvous"),
            Self::Ring { points: RING_POINTS } => f.write_str("ring"),
            Self::Ring { points } => write!(f, "ring:{points}"),
            Self::Jump => f.write_str("jump"),
            Self::Modulo(hash) => by_hash(f, "modulo", hash, KeyHash::OneAtATime),
            Self::Ketama {
                points: KETAMA_POINTS,
            } => f.write_str("ketama"),
            Self::Ketama { points } => write!(f, "ketama:{points}"),
            Self::KetamaLibmemcached(hash) => by_hash(f, "ketama-libmemcached", hash, KeyHash::OneAtATime),
            Self::KetamaSpy(hash) => by_hash(f, "ketama-spy", hash, KeyHash::OneAtATime),
            Self::KetamaTwemproxy(hash) => by_hash(f, "ketama-twemproxy", hash, KeyHash::Fnv1a64),
            Self::ModuloTwemproxy(hash) => by_hash(f, "modulo-twemproxy", hash, KeyHash::Fnv1a64),
            Self::Ch3 => f.write_str("Ch3"),
            Self::WeightedCh3 => f.write_str("WeightedCh3"),
            Self::ConstShard => f.write_str("ConstShard"),
            Self::Crc32 => f.write_str("Crc32"),
            Self::McrouterRendezvous => f.write_str("mcrouter-rendezvous"),
            Self::McrouterWeightedRendezvous => f.write_str("mcrouter-weighted-rendezvous"),
        }
    }
}

impl FromStr for HashKind {
    type Err = UnknownHash;

    fn from_str(text: &str) -> Result<Self, UnknownHash> {
        let (name, option) = match text.split_once(':') {
            Some((name, option)) => (name, Some(option)),
            None => (text, None),
        };
        let key_hash = |default: KeyHash| match option {
            None => Ok(default),
            Some(option) => KeyHash::from_name(option).ok_or_else(|| bad_key_hash(text, name, option)),
        };
        let points = |default: u32, step: u32| match option {
            None => Ok(default),
            Some(option) => option
                .parse()
                .ok()
                .filter(|points| (step..=POINTS_MAX).contains(points) && points % step == 0)
                .ok_or_else(|| bad_points(text, name, step, default)),
        };
        match name {
            "ring" => Ok(Self::Ring {
                points: points(RING_POINTS, 1)?,
            }),
            "modulo" => Ok(Self::Modulo(key_hash(KeyHash::OneAtATime)?)),
            "ketama" => Ok(Self::Ketama {
                points: points(KETAMA_POINTS, 4)?,
            }),
            "ketama-libmemcached" => Ok(Self::KetamaLibmemcached(key_hash(KeyHash::OneAtATime)?)),
            "ketama-spy" => Ok(Self::KetamaSpy(key_hash(KeyHash::OneAtATime)?)),
            "ketama-twemproxy" => Ok(Self::KetamaTwemproxy(key_hash(KeyHash::Fnv1a64)?)),
            "modulo-twemproxy" => Ok(Self::ModuloTwemproxy(key_hash(KeyHash::Fnv1a64)?)),
            _ => match text {
                "rendezvous" => Ok(Self::Rendezvous),
                "jump" => Ok(Self::Jump),
                "Ch3" => Ok(Self::Ch3),
                "WeightedCh3" => Ok(Self::WeightedCh3),
                "ConstShard" => Ok(Self::ConstShard),
                "Crc32" => Ok(Self::Crc32),
                "mcrouter-rendezvous" => Ok(Self::McrouterRendezvous),
                "mcrouter-weighted-rendezvous" => Ok(Self::McrouterWeightedRendezvous),
                _ => Err(bad_name(text, name)),
            },
        }
    }
}

fn bad_name(text: &str, name: &str) -> UnknownHash {
    let nearest = nearest(name, HashKind::NAMES.iter().copied());
    UnknownHash {
        name: text.to_owned(),
        nearest,
        valid: HashKind::FORMS.join(", "),
    }
}

fn bad_key_hash(text: &str, name: &str, option: &str) -> UnknownHash {
    let names = KeyHash::ALL.iter().map(|hash| hash.name());
    UnknownHash {
        name: text.to_owned(),
        nearest: format!("{name}:{}", nearest(option, names.clone())),
        valid: format!(
            "{name}:HASH where HASH is one of {}",
            names.collect::<Vec<_>>().join(", ")
        ),
    }
}

fn bad_points(text: &str, name: &str, step: u32, default: u32) -> UnknownHash {
    let multiple = if step == 1 {
        String::new()
    } else {
        format!(", a multiple of {step}")
    };
    UnknownHash {
        name: text.to_owned(),
        nearest: format!("{name}:{default}"),
        valid: format!("{name}:POINTS where POINTS is from {step} to {POINTS_MAX}{multiple}"),
    }
}

/// The candidate with the fewest typos, letter case aside.
fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> String {
    let name = name.to_ascii_lowercase();
    candidates
        .min_by_key(|candidate| strsim::damerau_levenshtein(&name, &candidate.to_ascii_lowercase()))
        .unwrap_or_default()
        .to_owned()
}

impl TryFrom<String> for HashKind {
    type Error = UnknownHash;

    fn try_from(text: String) -> Result<Self, UnknownHash> {
        text.parse()
    }
}

impl From<HashKind> for String {
    fn from(kind: HashKind) -> Self {
        kind.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::{HashKind, KeyHash};

    #[test]
    fn every_scheme_is_read_back_as_it_is_printed() {
        let mut kinds = vec![
            HashKind::Rendezvous,
            HashKind::Ring { points: 160 },
            HashKind::Ring { points: 40 },
            HashKind::Jump,
            HashKind::Ketama { points: 160 },
            HashKind::Ketama { points: 640 },
            HashKind::Ch3,
            HashKind::WeightedCh3,
            HashKind::ConstShard,
            HashKind::Crc32,
            HashKind::McrouterRendezvous,
            HashKind::McrouterWeightedRendezvous,
        ];
        for &hash in KeyHash::ALL {
            kinds.extend([
                HashKind::Modulo(hash),
                HashKind::KetamaLibmemcached(hash),
                HashKind::KetamaSpy(hash),
                HashKind::KetamaTwemproxy(hash),
                HashKind::ModuloTwemproxy(hash),
            ]);
        }
        for kind in kinds {
            assert_eq!(kind.to_string().parse(), Ok(kind), "{kind}");
        }
    }

    #[test]
    fn every_listed_form_is_a_scheme() {
        assert_eq!(HashKind::FORMS.len(), HashKind::NAMES.len());
        for (form, &name) in HashKind::FORMS.iter().zip(HashKind::NAMES) {
            assert_eq!(form.split('[').next(), Some(name));
            let kind: HashKind = name.parse().unwrap();
            assert_eq!(kind.to_string(), name, "the plain name is the default option");
            if let Some(option) = form.split(['[', ']']).nth(1) {
                let written = option.replace("POINTS", "80").replace("HASH", "md5");
                assert!(format!("{name}{written}").parse::<HashKind>().is_ok(), "{form}");
            }
        }
    }

    #[test]
    fn an_unknown_name_is_told_the_nearest_valid_one() {
        for (written, nearest) in [
            ("rendevous", "rendezvous"),
            ("Rendezvous", "rendezvous"),
            ("ketma", "ketama"),
            ("ch3", "Ch3"),
            ("crc32", "Crc32"),
            ("jump:3", "jump"),
            ("modula", "modulo"),
            ("modulo:murmer", "modulo:murmur"),
            ("ketama:161", "ketama:160"),
            ("ketama:0", "ketama:160"),
            ("ring:", "ring:160"),
            ("ring:99999999999", "ring:160"),
            ("", "Ch3"),
        ] {
            let error = written.parse::<HashKind>().unwrap_err();
            assert_eq!(error.nearest, nearest, "{written:?}");
            assert!(
                error.to_string().contains(&format!("unknown hash {written:?}")),
                "{error}"
            );
        }
        let error = "x".parse::<HashKind>().unwrap_err();
        assert!(
            HashKind::FORMS.iter().all(|form| error.valid.contains(form)),
            "{error}"
        );
    }

    #[test]
    fn json_carries_the_name() {
        assert_eq!(
            serde_json::to_string(&HashKind::Ring { points: 40 }).unwrap(),
            r#""ring:40""#
        );
        assert_eq!(
            serde_json::from_str::<HashKind>(r#""Ch3""#).unwrap(),
            HashKind::Ch3
        );
        let error = serde_json::from_str::<HashKind>(r#""ketamma""#)
            .unwrap_err()
            .to_string();
        assert!(error.contains("did you mean \"ketama\""), "{error}");
    }
}
