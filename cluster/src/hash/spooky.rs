//! SpookyHash V2 (Bob Jenkins, public domain), 64 bits of it: WeightedCh3 draws acceptance with their lower half.

/// "Not zero, odd, and not a regular mix of ones and zeros."
const CONSTANT: u64 = 0xdead_beef_dead_beef;
/// Messages shorter than two blocks take a shorter road.
const SHORT_BELOW: usize = 2 * BLOCK;
const BLOCK: usize = 96;

/// The lower half of the first 64-bit word of the 128-bit hash, both seeds being `seed`.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the lower half is what is asked for"
)]
pub(super) fn spooky32(message: &[u8], seed: u32) -> u32 {
    hash(message, u64::from(seed)) as u32
}

/// The first 64-bit word, both seeds being 0: with which mcrouter chooses by a client's address.
#[must_use]
pub fn spooky64(message: &[u8]) -> u64 {
    hash(message, 0)
}

fn hash(message: &[u8], seed: u64) -> u64 {
    if message.len() < SHORT_BELOW {
        short(message, seed)
    } else {
        long(message, seed)
    }
}

fn word(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |word, &byte| (word << 8) | u64::from(byte))
}

fn short(message: &[u8], seed: u64) -> u64 {
    let mut h = [seed, seed, CONSTANT, CONSTANT];
    let (blocks, mut tail) = message.as_chunks::<32>();
    let take_two = |h: &mut [u64; 4], bytes: &[u8]| {
        h[2] = h[2].wrapping_add(word(&bytes[..8]));
        h[3] = h[3].wrapping_add(word(&bytes[8..16]));
        short_mix(h);
    };
    for block in blocks {
        take_two(&mut h, &block[..16]);
        h[0] = h[0].wrapping_add(word(&block[16..24]));
        h[1] = h[1].wrapping_add(word(&block[24..]));
    }
    if tail.len() >= 16 {
        take_two(&mut h, &tail[..16]);
        tail = &tail[16..];
    }
    h[3] = h[3].wrapping_add((message.len() as u64) << 56);
    if tail.is_empty() {
        h[2] = h[2].wrapping_add(CONSTANT);
        h[3] = h[3].wrapping_add(CONSTANT);
    } else {
        let (low, high) = tail.split_at(tail.len().min(8));
        h[2] = h[2].wrapping_add(word(low));
        h[3] = h[3].wrapping_add(word(high));
    }
    short_end(&mut h);
    h[0]
}

fn short_mix(h: &mut [u64; 4]) {
    for (step, rotation) in [50, 52, 30, 41, 54, 48, 38, 37, 62, 34, 5, 36]
        .into_iter()
        .enumerate()
    {
        let [a, b, c] = [step + 2, step + 3, step].map(|at| at % 4);
        h[a] = h[a].rotate_left(rotation).wrapping_add(h[b]);
        h[c] ^= h[a];
    }
}

fn short_end(h: &mut [u64; 4]) {
    for (step, rotation) in [15, 52, 26, 51, 28, 9, 47, 54, 32, 25, 63]
        .into_iter()
        .enumerate()
    {
        let [a, b] = [step + 3, step + 2].map(|at| at % 4);
        h[a] ^= h[b];
        h[b] = h[b].rotate_left(rotation);
        h[a] = h[a].wrapping_add(h[b]);
    }
}

fn long(message: &[u8], seed: u64) -> u64 {
    let mut s: [u64; 12] = std::array::from_fn(|at| if at % 3 == 2 { CONSTANT } else { seed });
    let (blocks, tail) = message.as_chunks::<BLOCK>();
    for block in blocks {
        mix(&mut s, block);
    }
    let mut last = [0; BLOCK];
    last[..tail.len()].copy_from_slice(tail);
    last[BLOCK - 1] = u8::try_from(tail.len()).expect("a tail is shorter than a block");
    for (state, bytes) in s.iter_mut().zip(last.chunks(8)) {
        *state = state.wrapping_add(word(bytes));
    }
    for _ in 0..3 {
        end_partial(&mut s);
    }
    s[0]
}

fn mix(s: &mut [u64; 12], block: &[u8; BLOCK]) {
    for (at, rotation) in [11, 32, 43, 31, 17, 28, 39, 57, 55, 54, 22, 46]
        .into_iter()
        .enumerate()
    {
        let [next, two, ten, eleven] = [1, 2, 10, 11].map(|step| (at + step) % 12);
        s[at] = s[at].wrapping_add(word(&block[at * 8..][..8]));
        s[two] ^= s[ten];
        s[eleven] ^= s[at];
        s[at] = s[at].rotate_left(rotation);
        s[eleven] = s[eleven].wrapping_add(s[next]);
    }
}

fn end_partial(s: &mut [u64; 12]) {
    for (at, rotation) in [44, 15, 34, 21, 38, 33, 10, 13, 38, 53, 42, 54]
        .into_iter()
        .enumerate()
    {
        let [last, one, two] = [11, 1, 2].map(|step| (at + step) % 12);
        s[last] = s[last].wrapping_add(s[one]);
        s[two] ^= s[last];
        s[one] = s[one].rotate_left(rotation);
    }
}
