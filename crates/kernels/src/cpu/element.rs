//! Floats as weights and caches store them.

use half::{bf16, f16};

/// A float type that widens to single precision without loss.
pub(crate) trait Element: Copy + 'static {
    fn widen(self) -> f32;
}

impl Element for f16 {
    #[inline(always)]
    fn widen(self) -> f32 {
        self.to_f32()
    }
}

impl Element for bf16 {
    #[inline(always)]
    fn widen(self) -> f32 {
        self.to_f32()
    }
}

impl Element for f32 {
    #[inline(always)]
    fn widen(self) -> f32 {
        self
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2 {
    use super::Element;
    use half::{bf16, f16};
    use std::any::TypeId;
    use std::arch::x86_64::*;

    /// Eight values, widened.
    ///
    /// # Safety
    /// `at` has eight values, at any byte; AVX2 and F16C.
    #[inline(always)]
    pub(crate) unsafe fn load<T: Element>(at: *const T) -> __m256 {
        // SAFETY: the caller's promise, of the type that `T` is.
        unsafe {
            if TypeId::of::<T>() == TypeId::of::<f16>() {
                _mm256_cvtph_ps(_mm_loadu_si128(at.cast()))
            } else if TypeId::of::<T>() == TypeId::of::<bf16>() {
                let halves = _mm256_cvtepu16_epi32(_mm_loadu_si128(at.cast()));
                _mm256_castsi256_ps(_mm256_slli_epi32::<16>(halves))
            } else {
                _mm256_loadu_ps(at.cast())
            }
        }
    }
}
