//! A register of floats, so that a product is written once for every instruction set.

/// Some floats that one instruction computes with.
pub(super) trait Vector: Copy {
    /// How many.
    const LANES: usize;

    /// # Safety
    /// Here and below: the processor has the instruction set of this register.
    unsafe fn splat(value: f32) -> Self;
    /// # Safety
    /// `LANES` floats may be read from `at`.
    unsafe fn load(at: *const f32) -> Self;
    /// # Safety
    /// `LANES` floats may be written to `at`.
    unsafe fn store(self, at: *mut f32);
    /// # Safety
    /// As [`Vector::splat`].
    unsafe fn add(self, other: Self) -> Self;
    /// `self · factor + sum`.
    ///
    /// # Safety
    /// As [`Vector::splat`].
    unsafe fn multiply_add(self, factor: Self, sum: Self) -> Self;
    /// Asks for the line at `at` ahead of its use.
    ///
    /// # Safety
    /// As [`Vector::splat`]; any address will do.
    #[inline(always)]
    unsafe fn prefetch(_at: *const f32) {}
}

/// Four floats in plain Rust, which every processor of today has registers for.
#[derive(Clone, Copy)]
#[repr(C, align(16))]
pub(super) struct Plain([f32; 4]);

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
    unsafe fn store(self, at: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { at.cast::<[f32; 4]>().write_unaligned(self.0) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Plain(std::array::from_fn(|i| self.0[i] + other.0[i]))
    }

    #[inline(always)]
    unsafe fn multiply_add(self, factor: Self, sum: Self) -> Self {
        const FMA: bool = crate::cpu::isa::Isa::BASELINE_FMA;
        Plain(std::array::from_fn(|i| crate::cpu::math::fma::<FMA>(self.0[i], factor.0[i], sum.0[i])))
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Vector;
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
        unsafe fn multiply_add(self, factor: Self, sum: Self) -> Self {
            // SAFETY: the caller's promise.
            unsafe { _mm256_fmadd_ps(self, factor, sum) }
        }

        #[inline(always)]
        unsafe fn prefetch(at: *const f32) {
            // SAFETY: nothing is read.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
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
        unsafe fn multiply_add(self, factor: Self, sum: Self) -> Self {
            // SAFETY: the caller's promise.
            unsafe { _mm512_fmadd_ps(self, factor, sum) }
        }

        #[inline(always)]
        unsafe fn prefetch(at: *const f32) {
            // SAFETY: nothing is read.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
        }
    }
}
