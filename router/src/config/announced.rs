//! Weights that DNS announces for servers: those of SRV records.

use cluster::{HashKind, Weight};

/// A weight for each server of a pool, of which at least two differ. Kubernetes announces equal ones, and others for
/// each number of pods: those are none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Announced(Vec<u16>);

impl Announced {
    /// Of servers with these weights, as far as they have any.
    pub(super) fn of(weights: impl IntoIterator<Item = Option<u16>>) -> Option<Self> {
        let weights: Vec<u16> = weights.into_iter().collect::<Option<_>>()?;
        let differ = weights.windows(2).any(|pair| pair[0] != pair[1]);
        differ.then_some(Self(weights))
    }

    /// Only those at `places`.
    pub(super) fn only(&self, places: &[usize]) -> Self {
        Self(
            places
                .iter()
                .filter_map(|place| self.0.get(*place).copied())
                .collect(),
        )
    }

    /// As `hash` takes weights; nothing if it takes none.
    pub(super) fn under(&self, hash: HashKind) -> Option<Vec<Weight>> {
        let most = self.0.iter().copied().max().map_or(1.0, f64::from);
        let sum: f64 = self.0.iter().copied().map(f64::from).sum();
        let unit = match hash {
            _ if !hash.uses_weights() => return None,
            // A share of what the server would have.
            HashKind::WeightedCh3 => most,
            // Points of a ring are memory: as many on average as without weights.
            #[expect(clippy::cast_precision_loss, reason = "a thousand servers at most")]
            HashKind::Ring { .. } => sum / self.0.len() as f64,
            _ => 1.0,
        };
        let weight = |weight: &u16| Weight::new(f64::from(*weight) / unit).unwrap_or_default();
        Some(self.0.iter().map(weight).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::Announced;

    fn under(weights: &[u16], hash: &str) -> Option<Vec<f64>> {
        let announced = Announced::of(weights.iter().copied().map(Some))?;
        let weights = announced.under(hash.parse().expect("a hash"))?;
        Some(weights.into_iter().map(cluster::Weight::get).collect())
    }

    #[test]
    fn weights_count_if_they_differ_and_the_hash_knows_what_to_do_with_them() {
        assert_eq!(under(&[33, 33, 33], "rendezvous"), None);
        assert_eq!(under(&[10, 30], "rendezvous"), Some(vec![10.0, 30.0]));
        assert_eq!(under(&[10, 30], "ketama"), Some(vec![10.0, 30.0]));
        assert_eq!(under(&[10, 30], "ring"), Some(vec![0.5, 1.5]));
        assert_eq!(under(&[15, 30], "WeightedCh3"), Some(vec![0.5, 1.0]));
        assert_eq!(under(&[10, 30], "Ch3"), None);
        assert_eq!(
            Announced::of([Some(1), None]),
            None,
            "a server beside them has none"
        );
    }
}
