//! numpy's `RandomState`: MT19937 (Matsumoto & Nishimura 1998), and its whole numbers of a range.

const LENGTH: usize = 624;

/// The generator.
pub(super) struct Mt19937 {
    state: [u32; LENGTH],
    at: usize,
}

impl Mt19937 {
    pub(super) fn new(seed: u32) -> Self {
        let mut state = [0; LENGTH];
        state[0] = seed;
        for i in 1..LENGTH {
            state[i] =
                1_812_433_253u32.wrapping_mul(state[i - 1] ^ (state[i - 1] >> 30)).wrapping_add(i as u32);
        }
        Self { state, at: LENGTH }
    }

    fn next(&mut self) -> u32 {
        if self.at == LENGTH {
            for i in 0..LENGTH {
                let y = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % LENGTH] & 0x7FFF_FFFF);
                let odd = if y & 1 == 1 { 0x9908_B0DF } else { 0 };
                self.state[i] = self.state[(i + 397) % LENGTH] ^ (y >> 1) ^ odd;
            }
            self.at = 0;
        }
        let mut y = self.state[self.at];
        self.at += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9D2C_5680;
        y ^= (y << 15) & 0xEFC6_0000;
        y ^ (y >> 18)
    }

    /// A number from `low` to below `high`: bits are masked, and what is too great is drawn again.
    pub(super) fn between(&mut self, low: u64, high: u64) -> u64 {
        let range = high - 1 - low;
        let mask = u64::MAX >> range.leading_zeros();
        loop {
            let value = (u64::from(self.next()) << 32 | u64::from(self.next())) & mask;
            if value <= range {
                return low + value;
            }
        }
    }
}
