//! TTL classes: items that will expire at about the same time lie in the same segments, so that a segment expires
//! as a whole and its memory comes back without looking at its items one by one for their time.

/// Number of classes.
pub(super) const CLASSES: usize = 4;

/// The longest TTL of each class but the last, in seconds: a minute, a quarter of an hour, four hours. The last class
/// holds longer ones and items that never expire.
const LONGEST: [u32; CLASSES - 1] = [60, 15 * 60, 4 * 60 * 60];

/// The class of an item that expires at `expires` (zero: never), seen from `now`.
#[inline]
pub(super) fn class_of(expires: u32, now: u32) -> usize {
    if expires == 0 {
        return CLASSES - 1;
    }
    let ttl = expires.saturating_sub(now);
    LONGEST
        .iter()
        .position(|&longest| ttl <= longest)
        .unwrap_or(CLASSES - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_class_follows_the_seconds_left() {
        for (expires, class) in [
            (0, 3),
            (90, 0),
            (160, 0),
            (161, 1),
            (1000, 1),
            (1001, 2),
            (14_500, 2),
            (14_501, 3),
        ] {
            assert_eq!(class_of(expires, 100), class, "expires at {expires}");
        }
    }
}
