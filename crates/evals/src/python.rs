//! What the harness takes from Python: its random numbers, its white space, `str.capitalize`.

/// The same numbers as Python's `random.Random(seed)`: the Mersenne Twister MT19937 of Matsumoto and Nishimura, 1998.
pub struct Random {
    state: [u32; 624],
    next: usize,
}

impl Random {
    /// Seeded as Python seeds with a whole number.
    pub fn new(seed: u64) -> Random {
        let mut key = vec![seed as u32];
        if seed >> 32 != 0 {
            key.push((seed >> 32) as u32);
        }
        let mut state = [0; 624];
        state[0] = 19_650_218;
        for i in 1..624 {
            state[i] = mixed(state[i - 1]).wrapping_mul(1_812_433_253).wrapping_add(i as u32);
        }
        let mut i = 1;
        for k in 0..624.max(key.len()) {
            let j = k % key.len();
            state[i] = (state[i] ^ mixed(state[i - 1]).wrapping_mul(1_664_525))
                .wrapping_add(key[j])
                .wrapping_add(j as u32);
            i = next(&mut state, i);
        }
        for _ in 0..623 {
            state[i] = (state[i] ^ mixed(state[i - 1]).wrapping_mul(1_566_083_941)).wrapping_sub(i as u32);
            i = next(&mut state, i);
        }
        state[0] = 0x8000_0000;
        Random { state, next: 624 }
    }

    fn bits(&mut self) -> u32 {
        if self.next == 624 {
            self.refill();
        }
        let mut y = self.state[self.next];
        self.next += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    fn refill(&mut self) {
        for i in 0..624 {
            let y = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % 624] & 0x7fff_ffff);
            let odd = if y & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[i] = self.state[(i + 397) % 624] ^ (y >> 1) ^ odd;
        }
        self.next = 0;
    }

    /// `random()`: from 0 to 1, 1 left out.
    pub fn random(&mut self) -> f64 {
        let (a, b) = (f64::from(self.bits() >> 5), f64::from(self.bits() >> 6));
        (a * 67_108_864.0 + b) / 9_007_199_254_740_992.0
    }

    /// `_randbelow(n)`, which `shuffle` and `sample` draw with; `n` from 1 to 2³² − 1.
    fn below(&mut self, n: usize) -> usize {
        let shift = (n as u32).leading_zeros();
        loop {
            let drawn = (self.bits() >> shift) as usize;
            if drawn < n {
                return drawn;
            }
        }
    }

    /// `shuffle(items)`.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            let j = self.below(i + 1);
            items.swap(i, j);
        }
    }

    /// The places that `sample(range(n), k)` draws; `None` where there are fewer than `k`.
    pub fn sample(&mut self, n: usize, k: usize) -> Option<Vec<usize>> {
        if k > n {
            return None;
        }
        // Python keeps a set of what is drawn where that is smaller than a list of all; the two draw differently.
        let set_size = match k {
            0..=5 => 21,
            _ => 21 + 4usize.pow((k as f64 * 3.0).log(4.0).ceil() as u32),
        };
        let mut drawn = Vec::with_capacity(k);
        if n <= set_size {
            let mut pool: Vec<usize> = (0..n).collect();
            for i in 0..k {
                let j = self.below(n - i);
                drawn.push(pool[j]);
                pool[j] = pool[n - i - 1];
            }
        } else {
            while drawn.len() < k {
                let j = self.below(n);
                if !drawn.contains(&j) {
                    drawn.push(j);
                }
            }
        }
        Some(drawn)
    }

    /// A place of `choices(range(n))`.
    pub fn choice(&mut self, n: usize) -> usize {
        (self.random() * n as f64) as usize
    }
}

fn mixed(y: u32) -> u32 {
    y ^ (y >> 30)
}

/// The place after `i`; the last number is also the one before the first.
fn next(state: &mut [u32; 624], i: usize) -> usize {
    if i == 623 {
        state[0] = state[623];
        return 1;
    }
    i + 1
}

/// What `str.strip` takes away: the white space of Unicode, and four separators of ASCII that Rust leaves.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// `text.rstrip()`.
pub fn rstrip(text: &str) -> &str {
    text.trim_end_matches(is_space)
}

/// `text.strip()`.
pub fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// `text.capitalize()`: the first character as in a title, the others in lower case.
pub fn capitalize(text: &str) -> String {
    let mut characters = text.chars();
    let Some(first) = characters.next() else { return String::new() };
    let mut upper = first.to_uppercase();
    let head: String = upper.next().into_iter().collect();
    let tail: String = upper.collect();
    head + &tail.to_lowercase() + &characters.as_str().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    // CPython 3.11, `random.Random(seed)`.
    const SHUFFLED: [usize; 10] = [7, 3, 2, 8, 5, 6, 9, 4, 0, 1];
    const OF_SET: [usize; 5] = [99, 56, 14, 0, 11];
    const OF_POOL: [usize; 5] = [14, 3, 0, 2, 1];
    const OF_EIGHT: [usize; 8] = [56, 14, 0, 11, 74, 4, 10, 12];
    const LONG_SEED: f64 = 0.1036394562812375;
    const CHOICES: [usize; 6] = [5, 5, 2, 1, 3, 2];

    #[test]
    fn draws_are_those_of_python() {
        let mut random = Random::new(42);
        assert_eq!(random.random(), 0.639_426_798_457_883_8);
        assert_eq!(random.random(), 0.025_010_755_222_666_936);
        let mut items: Vec<usize> = (0..10).collect();
        Random::new(42).shuffle(&mut items);
        assert_eq!(items, SHUFFLED);
        assert_eq!(Random::new(1234).sample(100, 5).expect("enough"), OF_SET);
        assert_eq!(Random::new(1234).sample(20, 5).expect("enough"), OF_POOL);
        assert_eq!(Random::new(1234).sample(84, 8).expect("enough"), OF_EIGHT);
        assert_eq!(Random::new(1 << 40).random(), LONG_SEED);
        let mut random = Random::new(0);
        assert_eq!((0..6).map(|_| random.choice(7)).collect::<Vec<_>>(), CHOICES);
        assert!(Random::new(1).sample(3, 4).is_none());
    }

    #[test]
    fn separators_are_white_space_as_in_python() {
        assert_eq!(rstrip("a \u{1c}\u{1f}\u{85}\u{a0}\u{3000}\n"), "a");
        assert_eq!(strip("\u{1d} a\u{200b} "), "a\u{200b}");
        assert_eq!(capitalize("ßEtA ΣΑΣ"), "Sseta σας");
        assert_eq!(capitalize("he SAYS"), "He says");
        assert_eq!(capitalize("\"he"), "\"he");
    }
}
