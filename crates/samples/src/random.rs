//! Numbers that a seed decides: SplitMix64 (Steele, Lea & Flood 2014).

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The number at a place of a stream of a seed. Two places of a stream never have the same.
pub(crate) fn at(seed: u64, stream: u64, index: u64) -> u64 {
    let stream = mix(mix(seed.wrapping_add(STEP)).wrapping_add((stream + 1).wrapping_mul(STEP)));
    mix(stream.wrapping_add((index + 1).wrapping_mul(STEP)))
}

/// A stream of numbers.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// The stream that begins at a place of another.
    pub(crate) fn new(seed: u64, stream: u64, index: u64) -> Random {
        Random(at(seed, stream, index))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// A number below `end`; 0 where there is none.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        ((u128::from(self.next()) * end as u128) >> 64) as usize
    }

    /// Whether something happens that does so with the chance `share`.
    pub(crate) fn chance(&mut self, share: f64) -> bool {
        ((self.next() >> 11) as f64) < share * (1u64 << 53) as f64
    }

    /// One of them; `None` of none.
    pub(crate) fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        of.get(self.below(of.len()))
    }
}

/// A number that stands for a text: FNV-1a, mixed.
pub(crate) fn of_text(text: &str) -> u64 {
    let step = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    mix(text.as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, step))
}
