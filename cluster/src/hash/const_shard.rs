//! ConstShard: mcrouter's hash for keys that carry the number of their server, `anything:17:anything`.

/// The list position that `key` names between its first two colons, if it is one below `servers`.
pub(super) fn named(key: &[u8], servers: u32) -> Option<u32> {
    let mut parts = key.splitn(3, |byte| *byte == b':');
    let (_, shard, _) = (parts.next()?, parts.next()?, parts.next()?);
    if shard.is_empty() || !shard.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let shard: u32 = std::str::from_utf8(shard).ok()?.parse().ok()?;
    (shard < servers).then_some(shard)
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn a_shard_is_a_number_between_the_first_two_colons_and_below_their_count() {
        for (key, shard) in [
            ("key:1:blah", Some(1)),
            ("key:007:x:9:", Some(7)),
            (":0:", Some(0)),
            ("key:8:blah", None),
            ("key:1", None),
            ("key::1:", None),
            ("key:1a:x", None),
            ("key:99999999999999999999:x", None),
            ("key", None),
        ] {
            assert_eq!(named(key.as_bytes(), 8), shard, "{key}");
        }
    }
}
