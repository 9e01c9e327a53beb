//! A register of floats, so that a kernel is written once for every instruction set.

use super::element::Element;

/// Some floats that one instruction computes with.
#[cfg_attr(not(any(target_arch = "x86_64", target_arch = "aarch64")), allow(dead_code))]
pub(crate) trait Vector: Copy {
    /// How many.
    const LANES: usize;

    /// # Safety
    /// Here and below: the processor has the instruction set of this register.
    unsafe fn splat(value: f32) -> Self;
    /// # Safety
    /// `LANES` floats may be read from `at`.
    unsafe fn load(at: *const f32) -> Self;
    /// `LANES` values of a type that is widened on the way.
    ///
    /// # Safety
    /// They may be read from `at`, at any byte.
    unsafe fn widen<T: Element>(at: *const T) -> Self;
    /// # Safety
    /// `LANES` floats may be written to `at`.
    unsafe fn store(self, at: *mut f32);
    /// # Safety
    /// As [`Vector::splat`].
    unsafe fn add(self, other: Self) -> Self;
    /// # Safety
    /// As [`Vector::splat`].
    unsafe fn multiply(self, factor: Self) -> Self;
    /// `self · factor + sum`.
    ///
    /// # Safety
    /// As [`Vector::splat`].
    unsafe fn multiply_add(self, factor: Self, sum: Self) -> Self;
    /// The larger of each two.
    ///
    /// # Safety
    /// As [`Vector::splat`].
    unsafe fn max(self, other: Self) -> Self;
    /// The largest of all lanes.
    ///
    /// # Safety
    /// As [`Vector::splat`].
    unsafe fn largest(self) -> f32;
    /// The sum of all lanes.
    ///
    /// # Safety
    /// As [`Vector::splat`].
    unsafe fn total(self) -> f32;
}

/// Asks for the line at `at`, wherever that is, ahead of its use.
#[inline(always)]
pub(crate) fn prefetch(at: *const f32) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 has the instruction, and nothing is read.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(at.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

/// The same, no nearer than the second-level cache.
#[inline(always)]
pub(crate) fn prefetch_far(at: *const f32) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: as in `prefetch`.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T1 }>(at.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

/// The register that every processor of the architecture has.
#[cfg(target_arch = "aarch64")]
pub(crate) type Baseline = std::arch::aarch64::float32x4_t;
/// The register that every processor of the architecture has.
#[cfg(not(target_arch = "aarch64"))]
pub(crate) type Baseline = Plain;

/// Four floats in plain Rust, which every processor of today has registers for.
#[cfg(not(target_arch = "aarch64"))]
#[derive(Clone, Copy)]
#[repr(C, align(16))]
pub(crate) struct Plain([f32; 4]);

#[cfg(not(target_arch = "aarch64"))]
impl Vector for Plain {
    const LANES: usize = 4;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Plain([value; 4])
    }

    #[inline(always)]
    unsafe fn load(at: *const f32) -> Self {
        // SAFETY: the caller's promise.
        Plain(unsafe { at.cast::<[f32; 4]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn widen<T: Element>(at: *const T) -> Self {
        // SAFETY: the caller's promise.
        Plain(unsafe { at.cast::<[T; 4]>().read_unaligned() }.map(T::widen))
    }

    #[inline(always)]
    unsafe fn store(self, at: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { at.cast::<[f32; 4]>().write_unaligned(self.0) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Plain(std::array::from_fn(|i| self.0[i] + other.0[i]))
    }

    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        Plain(std::array::from_fn(|i| self.0[i].max(other.0[i])))
    }

    #[inline(always)]
    unsafe fn largest(self) -> f32 {
        self.0.into_iter().fold(f32::NEG_INFINITY, f32::max)
    }

    #[inline(always)]
    unsafe fn total(self) -> f32 {
        self.0.into_iter().sum()
    }

    #[inline(always)]
    unsafe fn multiply(self, factor: Self) -> Self {
        Plain(std::array::from_fn(|i| self.0[i] * factor.0[i]))
    }

    #[inline(always)]
    unsafe fn multiply_add(self, factor: Self, sum: Self) -> Self {
        // Not fused: without an instruction for it, that is a call of a library.
        Plain(std::array::from_fn(|i| self.0[i] * factor.0[i] + sum.0[i]))
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Element, Vector};
    use half::{bf16, f16};
    use std::any::TypeId;
    use std::arch::x86_64::*;

    // SAFETY of every block below: the promise that the trait asks of its caller.

    impl Vector for __m256 {
        const LANES: usize = 8;

        #[inline(always)]
        unsafe fn splat(value: f32) -> Self {
            // SAFETY: the caller's promise.
            unsafe { _mm256_set1_ps(value) }
        }

        #[inline(always)]
        unsafe fn load(at: *const f32) -> Self {
            // SAFETY: the caller's promise.
            unsafe { _mm256_loadu_ps(at) }
        }

        #[inline(always)]
        unsafe fn widen<T: Element>(at: *const T) -> Self {
            // SAFETY: the caller's promise, of the type that `T` is.
            unsafe {
                let id = TypeId::of::<T>();
                if id == TypeId::of::<f16>() {
                    _mm256_cvtph_ps(_mm_loadu_si128(at.cast()))
                } else if id == TypeId::of::<bf16>() {
                    let halves = _mm256_cvtepu16_epi32(_mm_loadu_si128(at.cast()));
                    _mm256_castsi256_ps(_mm256_slli_epi32::<16>(halves))
                } else if id == TypeId::of::<i8>() {
                    _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(at.cast())))
                } else {
                    _mm256_loadu_ps(at.cast())
                }
            }
        }

        #[inline(always)]
        unsafe fn store(self, at: *mut f32) {
            // SAFETY: the caller's promise.
            unsafe { _mm256_storeu_ps(at, self) }
        }

        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            // SAFETY: the caller's promise.
            unsafe { _mm256_add_ps(self, other) }
        }

        #[inline(always)]
        unsafe fn max(self, other: Self) -> Self {
            // SAFETY: the caller's promise.
            unsafe { _mm256_max_ps(self, other) }
        }

        #[inline(always)]
        unsafe fn largest(self) -> f32 {
            // SAFETY: the caller's promise.
            unsafe {
                let max = _mm_max_ps(_mm256_castps256_ps128(self), _mm256_extractf128_ps::<1>(self));
                let max = _mm_max_ps(max, _mm_movehl_ps(max, max));
                _mm_cvtss_f32(_mm_max_ss(max, _mm_movehdup_ps(max)))
            }
        }

        #[inline(always)]
        unsafe fn total(self) -> f32 {
            // SAFETY: the caller's promise.
            unsafe {
                let sum = _mm_add_ps(_mm256_castps256_ps128(self), _mm256_extractf128_ps::<1>(self));
                let sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
                _mm_cvtss_f32(_mm_add_ss(sum, _mm_movehdup_ps(sum)))
            }
        }

        #[inline(always)]
        unsafe fn multiply(self, factor: Self) -> Self {
            // SAFETY: the caller's promise.
            unsafe { _mm256_mul_ps(self, factor) }
        }

        #[inline(always)]
        unsafe fn multiply_add(self, factor: Self, sum: Self) -> Self {
            // SAFETY: the caller's promise.
            unsafe { _mm256_fmadd_ps(self, factor, sum) }
        }
    }

    impl Vector for __m512 {
        const LANES: usize = 16;

        #[inline(always)]
        unsafe fn splat(value: f32) -> Self {
            // SAFETY: the caller's promise.
            unsafe { _mm512_set1_ps(value) }
        }

        #[inline(always)]
        unsafe fn load(at: *const f32) -> Self {
            // SAFETY: the caller's promise.
            unsafe { _mm512_loadu_ps(at) }
        }

        #[inline(always)]
        unsafe fn widen<T: Element>(at: *const T) -> Self {
            // SAFETY: the caller's promise, of the type that `T` is.
            unsafe {
                let id = TypeId::of::<T>();
                if id == TypeId::of::<f16>() {
                    _mm512_cvtph_ps(_mm256_loadu_si256(at.cast()))
                } else if id == TypeId::of::<bf16>() {
                    let halves = _mm512_cvtepu16_epi32(_mm256_loadu_si256(at.cast()));
                    _mm512_castsi512_ps(_mm512_slli_epi32::<16>(halves))
                } else if id == TypeId::of::<i8>() {
                    _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(at.cast())))
                } else {
                    _mm512_loadu_ps(at.cast())
                }
            }
        }

        #[inline(always)]
        unsafe fn store(self, at: *mut f32) {
            // SAFETY: the caller's promise.
            unsafe { _mm512_storeu_ps(at, self) }
        }

        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            // SAFETY: the caller's promise.
            unsafe { _mm512_add_ps(self, other) }
        }

        #[inline(always)]
        unsafe fn max(self, other: Self) -> Self {
            // SAFETY: the caller's promise.
            unsafe { _mm512_max_ps(self, other) }
        }

        #[inline(always)]
        unsafe fn largest(self) -> f32 {
            // SAFETY: the caller's promise.
            unsafe { _mm512_reduce_max_ps(self) }
        }

        #[inline(always)]
        unsafe fn total(self) -> f32 {
            // SAFETY: the caller's promise.
            unsafe { _mm512_reduce_add_ps(self) }
        }

        #[inline(always)]
        unsafe fn multiply(self, factor: Self) -> Self {
            // SAFETY: the caller's promise.
            unsafe { _mm512_mul_ps(self, factor) }
        }

        #[inline(always)]
        unsafe fn multiply_add(self, factor: Self, sum: Self) -> Self {
            // SAFETY: the caller's promise.
            unsafe { _mm512_fmadd_ps(self, factor, sum) }
        }
    }
}

#[cfg(target_arch = "aarch64")]
mod arm {
    use super::{Element, Vector};
    use half::{bf16, f16};
    use std::any::TypeId;
    use std::arch::aarch64::*;

    // SAFETY of every block below: every aarch64 has NEON, and the promise that the trait asks of its caller.

    impl Vector for float32x4_t {
        const LANES: usize = 4;

        #[inline(always)]
        unsafe fn splat(value: f32) -> Self {
            // SAFETY: every aarch64 has NEON.
            unsafe { vdupq_n_f32(value) }
        }

        #[inline(always)]
        unsafe fn load(at: *const f32) -> Self {
            // SAFETY: the caller's promise.
            unsafe { vld1q_f32(at) }
        }

        #[inline(always)]
        unsafe fn widen<T: Element>(at: *const T) -> Self {
            // SAFETY: the caller's promise, of the type that `T` is. Bytes may be loaded from anywhere.
            unsafe {
                let id = TypeId::of::<T>();
                if id == TypeId::of::<f16>() {
                    vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(at.cast())))
                } else if id == TypeId::of::<bf16>() {
                    let halves = vreinterpret_u16_u8(vld1_u8(at.cast()));
                    vreinterpretq_f32_u32(vshll_n_u16::<16>(halves))
                } else if id == TypeId::of::<i8>() {
                    let four = vreinterpret_s8_s32(vdup_n_s32(at.cast::<i32>().read_unaligned()));
                    vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(four))))
                } else {
                    vreinterpretq_f32_u8(vld1q_u8(at.cast()))
                }
            }
        }

        #[inline(always)]
        unsafe fn store(self, at: *mut f32) {
            // SAFETY: the caller's promise.
            unsafe { vst1q_f32(at, self) }
        }

        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            // SAFETY: every aarch64 has NEON.
            unsafe { vaddq_f32(self, other) }
        }

        #[inline(always)]
        unsafe fn max(self, other: Self) -> Self {
            // SAFETY: every aarch64 has NEON.
            unsafe { vmaxq_f32(self, other) }
        }

        #[inline(always)]
        unsafe fn largest(self) -> f32 {
            // SAFETY: every aarch64 has NEON.
            unsafe { vmaxvq_f32(self) }
        }

        #[inline(always)]
        unsafe fn total(self) -> f32 {
            // SAFETY: every aarch64 has NEON.
            unsafe { vaddvq_f32(self) }
        }

        #[inline(always)]
        unsafe fn multiply(self, factor: Self) -> Self {
            // SAFETY: every aarch64 has NEON.
            unsafe { vmulq_f32(self, factor) }
        }

        #[inline(always)]
        unsafe fn multiply_add(self, factor: Self, sum: Self) -> Self {
            // SAFETY: every aarch64 has NEON.
            unsafe { vfmaq_f32(sum, self, factor) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::isa::Isa;
    use half::{bf16, f16};

    /// Each value of a type that fits sixteen bits, from an odd byte.
    fn widens<V: Vector, T: Element + bytemuck::Pod>(values: &[T]) {
        let bytes = [&[0], bytemuck::cast_slice::<T, u8>(values)].concat();
        for (i, values) in values.chunks_exact(V::LANES).enumerate() {
            let mut got = vec![0.0f32; V::LANES];
            // SAFETY: as many values as the register has lanes; the processor has the instruction set.
            unsafe {
                let at = bytes.as_ptr().add(1).cast::<T>().wrapping_add(i * V::LANES);
                V::widen(at).store(got.as_mut_ptr());
            }
            for (got, want) in got.iter().zip(values) {
                let want = want.widen();
                assert!(got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan(), "{got} for {want}");
            }
        }
    }

    fn check<V: Vector>() {
        let every: Vec<u16> = (0..=u16::MAX).collect();
        widens::<V, f16>(bytemuck::cast_slice(&every));
        widens::<V, bf16>(bytemuck::cast_slice(&every));
        widens::<V, i8>(bytemuck::cast_slice(&every));
        widens::<V, f32>(&every.iter().map(|&x| f32::from(x) - 0.1).collect::<Vec<_>>());

        let [a, b, c] =
            [7, 5, 3].map(|n| (0..V::LANES).map(|i| ((i * 5 + 2) % n) as f32 - 2.5).collect::<Vec<_>>());
        let lanes = |each: &dyn Fn(usize) -> f32| (0..V::LANES).map(each).collect::<Vec<_>>();
        // SAFETY: as many values as the register has lanes; the processor has the instruction set.
        unsafe {
            let [x, y, z] = [&a, &b, &c].map(|values| V::load(values.as_ptr()));
            let stored = |register: V| {
                let mut values = vec![0.0f32; V::LANES];
                register.store(values.as_mut_ptr());
                values
            };
            assert_eq!(stored(V::splat(1.5)), lanes(&|_| 1.5));
            assert_eq!(stored(x.add(y)), lanes(&|i| a[i] + b[i]));
            assert_eq!(stored(x.multiply(y)), lanes(&|i| a[i] * b[i]));
            assert_eq!(stored(x.multiply_add(y, z)), lanes(&|i| a[i] * b[i] + c[i]));
            assert_eq!(stored(x.max(y)), lanes(&|i| a[i].max(b[i])));
            assert_eq!(x.total(), a.iter().sum::<f32>());
            for i in 0..V::LANES {
                let one = lanes(&|j| if i == j { -1.0 } else { -2.0 });
                assert_eq!(V::load(one.as_ptr()).largest(), -1.0);
            }
        }
    }

    #[test]
    fn every_register_computes_as_scalars_do() {
        check::<Baseline>();
        for isa in Isa::available() {
            match isa {
                #[cfg(target_arch = "x86_64")]
                Isa::Avx2 => check::<std::arch::x86_64::__m256>(),
                #[cfg(target_arch = "x86_64")]
                Isa::Avx512Vnni => check::<std::arch::x86_64::__m512>(),
                _ => {}
            }
        }
    }
}
