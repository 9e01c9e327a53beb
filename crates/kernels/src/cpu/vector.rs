//! A register of floats, so that a kernel is written once for every instruction set.

use super::element::Element;

/// Some floats that one instruction computes with.
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
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

/// Four floats in plain Rust, which every processor of today has registers for.
#[derive(Clone, Copy)]
#[repr(C, align(16))]
pub(crate) struct Plain([f32; 4]);

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
        const FMA: bool = crate::cpu::isa::Isa::BASELINE_FMA;
        Plain(std::array::from_fn(|i| crate::cpu::math::fma::<FMA>(self.0[i], factor.0[i], sum.0[i])))
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
