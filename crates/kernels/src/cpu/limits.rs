//! What the machine can do at most, measured: the figures that a speed is held against.
//!
//! Each figure is the best of several short rounds on all threads, because whatever else the machine does can only
//! make a round slower. Together they take about a second.

use super::disjoint::Disjoint;
use super::isa::Isa;
use super::pool::Pool;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// The most that a machine's threads reach together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// Bytes read from memory a second.
    pub read_bytes_s: f64,
    /// Operations a second in f32, where a fused multiply-add is two.
    pub f32_flops: f64,
    /// Operations a second on bytes that are summed in 32 bits, where a multiplication and its addition are two.
    pub int8_ops: f64,
}

impl Limits {
    /// The higher of each figure, for limits measured twice.
    pub fn max(self, other: Limits) -> Limits {
        Limits {
            read_bytes_s: self.read_bytes_s.max(other.read_bytes_s),
            f32_flops: self.f32_flops.max(other.f32_flops),
            int8_ops: self.int8_ops.max(other.int8_ops),
        }
    }
}

/// Words of memory that are read: 256 MiB, many times what caches hold.
const WORDS: usize = 32 << 20;
/// Words of a task: 2 MiB.
const GRAIN: usize = 256 << 10;
/// Rounds of reading, of which the best counts.
const READ_ROUNDS: usize = 16;
/// Rounds of arithmetic: more, for they are shorter.
const ARITHMETIC_ROUNDS: usize = 64;
/// Steps of an arithmetic task: less than half a millisecond.
const STEPS: usize = 200_000;
/// Arithmetic tasks of a thread in a round, so that threads that begin late even out.
const TASKS: usize = 4;

/// Measures the machine with the threads of `pool`.
pub(crate) fn measure(isa: Isa, pool: &Pool) -> Limits {
    Limits {
        read_bytes_s: read(isa, pool),
        f32_flops: arithmetic(pool, &|| floats(isa, STEPS)),
        int8_ops: arithmetic(pool, &|| bytes(isa, STEPS)),
    }
}

fn fastest(rounds: usize, mut round: impl FnMut()) -> Duration {
    let times = (0..rounds).map(|_| {
        let start = Instant::now();
        round();
        start.elapsed()
    });
    times.min().unwrap_or_default().max(Duration::from_nanos(1))
}

/// Bytes a second. 0 where there is no memory to read.
fn read(isa: Isa, pool: &Pool) -> f64 {
    let mut words = Vec::new();
    if words.try_reserve_exact(WORDS).is_err() {
        return 0.0;
    }
    words.resize(WORDS, 1u64);
    // Each page is written by a thread of the pool, so that memory lies near the processors that read it.
    let parts = Disjoint::new(&mut words);
    pool.run_chunks(WORDS, GRAIN, &|range| {
        // SAFETY: the chunks do not overlap.
        unsafe { parts.part(range) }.fill(2);
    });
    let time = fastest(READ_ROUNDS, || {
        pool.run_chunks(WORDS, GRAIN, &|range| {
            black_box(sum(isa, &words[range]));
        });
    });
    (WORDS * size_of::<u64>()) as f64 / time.as_secs_f64()
}

/// Operations a second of `task`, which returns how many it did.
fn arithmetic(pool: &Pool, task: &(dyn Fn() -> u64 + Sync)) -> f64 {
    let tasks = TASKS * pool.threads();
    let operations = task() * tasks as u64;
    let time = fastest(ARITHMETIC_ROUNDS, || {
        pool.run(tasks, &|_| {
            black_box(task());
        });
    });
    operations as f64 / time.as_secs_f64()
}

/// The sum of all words, in as many additions at once as registers hold.
fn sum(isa: Isa, words: &[u64]) -> u64 {
    match isa {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: an `Isa` is only ever one that this processor has.
        Isa::Avx2 | Isa::AvxVnni | Isa::Avx512Vnni => unsafe { avx2::sum(words) },
        _ => plain::sum(words),
    }
}

/// Multiplies and adds in f32 for `steps` steps; returns the operations.
fn floats(isa: Isa, steps: usize) -> u64 {
    match isa {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: an `Isa` is only ever one that this processor has.
        Isa::Avx2 | Isa::AvxVnni => unsafe { avx2::floats(steps) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: likewise.
        Isa::Avx512Vnni => unsafe { avx512::floats(steps) },
        #[cfg(target_arch = "aarch64")]
        _ => neon::floats(steps),
        #[cfg(not(target_arch = "aarch64"))]
        Isa::Baseline => plain::floats(steps),
    }
}

/// Multiplies bytes and adds the products in 32 bits for `steps` steps; returns the operations.
fn bytes(isa: Isa, steps: usize) -> u64 {
    match isa {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: an `Isa` is only ever one that this processor has.
        Isa::Avx2 => unsafe { avx2::bytes(steps) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: likewise.
        Isa::AvxVnni => unsafe { avx2::bytes_vnni(steps) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: likewise.
        Isa::Avx512Vnni => unsafe { avx512::bytes(steps) },
        #[cfg(target_arch = "aarch64")]
        // SAFETY: likewise.
        Isa::NeonDotprod => unsafe { neon::bytes(steps) },
        Isa::Baseline => plain::bytes(steps),
    }
}

/// What every processor does, in plain Rust.
mod plain {
    use std::hint::black_box;

    #[inline(always)]
    pub(super) fn sum(words: &[u64]) -> u64 {
        let mut sums = [0u64; 32];
        let (whole, rest) = words.as_chunks::<32>();
        for chunk in whole {
            for (sum, word) in sums.iter_mut().zip(chunk) {
                *sum = sum.wrapping_add(*word);
            }
        }
        sums.iter().chain(rest).fold(0, |a, b| a.wrapping_add(*b))
    }

    #[cfg(not(target_arch = "aarch64"))]
    pub(super) fn floats(steps: usize) -> u64 {
        const LANES: usize = 32;
        let (x, y) = black_box((0.5f32, 1.0f32));
        let mut sums: [f32; LANES] = black_box(std::array::from_fn(|i| i as f32));
        for _ in 0..steps {
            for sum in &mut sums {
                *sum = *sum * x + y;
            }
        }
        black_box(sums);
        (steps * LANES * 2) as u64
    }

    pub(super) fn bytes(steps: usize) -> u64 {
        const LANES: usize = 512;
        // Widened once: what plain code makes of bytes before it multiplies them.
        let a: [i16; LANES] = std::array::from_fn(|i| i as i16 % 128);
        for _ in 0..steps / 16 {
            let (a, b) = (black_box(&a), black_box(&a));
            let mut sum = 0i32;
            for i in 0..LANES {
                sum = sum.wrapping_add(i32::from(a[i]) * i32::from(b[i]));
            }
            black_box(sum);
        }
        (steps / 16 * LANES * 2) as u64
    }
}

/// Twelve chains that do not wait for one another, more than the units' latency asks for. What a chain adds to is
/// also what it multiplies, so that no product can be computed once for all.
#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;
    use std::hint::black_box;

    const CHAINS: usize = 12;

    #[target_feature(enable = "avx2")]
    pub(super) fn sum(words: &[u64]) -> u64 {
        super::plain::sum(words)
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn floats(steps: usize) -> u64 {
        let (x, y) = (_mm256_set1_ps(black_box(0.5)), _mm256_set1_ps(black_box(1.0)));
        let mut sums: [__m256; CHAINS] = black_box([y; CHAINS]);
        for _ in 0..steps {
            for sum in &mut sums {
                *sum = _mm256_fmadd_ps(*sum, x, y);
            }
        }
        black_box(sums);
        (steps * CHAINS * 8 * 2) as u64
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn bytes(steps: usize) -> u64 {
        let (x, ones) = (_mm256_set1_epi8(black_box(3)), _mm256_set1_epi16(black_box(1)));
        let mut sums: [__m256i; CHAINS] = black_box([ones; CHAINS]);
        for _ in 0..steps {
            for sum in &mut sums {
                let pairs = _mm256_maddubs_epi16(x, *sum);
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(pairs, ones));
            }
        }
        black_box(sums);
        (steps * CHAINS * 32 * 2) as u64
    }

    #[target_feature(enable = "avx2,avxvnni")]
    pub(super) fn bytes_vnni(steps: usize) -> u64 {
        let x = _mm256_set1_epi32(black_box(0x0303_0303));
        let mut sums: [__m256i; CHAINS] = black_box([x; CHAINS]);
        for _ in 0..steps {
            for sum in &mut sums {
                *sum = _mm256_dpbusd_avx_epi32(*sum, x, *sum);
            }
        }
        black_box(sums);
        (steps * CHAINS * 32 * 2) as u64
    }
}

/// As with AVX2, in twice as wide registers.
#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::*;
    use std::hint::black_box;

    const CHAINS: usize = 12;

    #[target_feature(enable = "avx512f")]
    pub(super) fn floats(steps: usize) -> u64 {
        let (x, y) = (_mm512_set1_ps(black_box(0.5)), _mm512_set1_ps(black_box(1.0)));
        let mut sums: [__m512; CHAINS] = black_box([y; CHAINS]);
        for _ in 0..steps {
            for sum in &mut sums {
                *sum = _mm512_fmadd_ps(*sum, x, y);
            }
        }
        black_box(sums);
        (steps * CHAINS * 16 * 2) as u64
    }

    #[target_feature(enable = "avx512f,avx512vnni")]
    pub(super) fn bytes(steps: usize) -> u64 {
        let x = _mm512_set1_epi32(black_box(0x0303_0303));
        let mut sums: [__m512i; CHAINS] = black_box([x; CHAINS]);
        for _ in 0..steps {
            for sum in &mut sums {
                *sum = _mm512_dpbusd_epi32(*sum, x, *sum);
            }
        }
        black_box(sums);
        (steps * CHAINS * 64 * 2) as u64
    }
}

/// As with AVX2: more chains, for there are more units.
#[cfg(target_arch = "aarch64")]
mod neon {
    use std::arch::aarch64::*;
    use std::arch::asm;
    use std::hint::black_box;

    const CHAINS: usize = 24;

    pub(super) fn floats(steps: usize) -> u64 {
        // SAFETY: every aarch64 has NEON.
        unsafe {
            let (x, y) = (vdupq_n_f32(black_box(0.5)), vdupq_n_f32(black_box(1.0)));
            let mut sums: [float32x4_t; CHAINS] = black_box([y; CHAINS]);
            for _ in 0..steps {
                for sum in &mut sums {
                    *sum = vfmaq_f32(*sum, x, y);
                }
            }
            black_box(sums);
        }
        (steps * CHAINS * 4 * 2) as u64
    }

    #[target_feature(enable = "neon,dotprod")]
    pub(super) fn bytes(steps: usize) -> u64 {
        let x = vdupq_n_s32(black_box(0x0303_0303));
        let mut sums: [int32x4_t; CHAINS] = black_box([x; CHAINS]);
        for _ in 0..steps {
            for sum in &mut sums {
                // SAFETY: the caller has the dot product instructions, whose intrinsic is not yet stable.
                unsafe {
                    asm!(
                        "sdot {sum:v}.4s, {x:v}.16b, {x:v}.16b",
                        sum = inout(vreg) *sum, x = in(vreg) x,
                        options(pure, nomem, nostack, preserves_flags)
                    );
                }
            }
        }
        black_box(sums);
        (steps * CHAINS * 16 * 2) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_sums_all_words() {
        for length in [0, 1, 31, 32, 33, 1000] {
            let words: Vec<u64> = (0..length).map(|i| (u64::MAX / 3).wrapping_mul(i)).collect();
            let want = words.iter().fold(0u64, |a, b| a.wrapping_add(*b));
            for isa in Isa::available() {
                assert_eq!(sum(isa, &words), want, "{isa:?} {length}");
            }
        }
    }

    #[test]
    fn limits_are_those_of_a_machine() {
        let limits = measure(Isa::detect(), &Pool::new(2));
        for figure in [limits.read_bytes_s, limits.f32_flops, limits.int8_ops] {
            assert!((1e8..1e15).contains(&figure), "{limits:?}");
        }
        let doubled = Limits { f32_flops: 2.0 * limits.f32_flops, ..limits };
        assert_eq!(limits.max(doubled), doubled);
    }

    #[test]
    fn a_better_instruction_set_does_more() {
        let pool = Pool::new(1);
        let [plain, best] =
            [Isa::Baseline, Isa::detect()].map(|isa| arithmetic(&pool, &|| floats(isa, STEPS)));
        assert!(best >= 0.7 * plain, "{best} after {plain}");
    }
}
