//! Numbers as weights and caches store them.

use half::{bf16, f16};

/// A number that widens to single precision without loss.
pub(crate) trait Element: Copy + 'static {
    /// Whether it is an integer that a scale makes a value of.
    const SCALED: bool = false;

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

impl Element for i8 {
    const SCALED: bool = true;

    #[inline(always)]
    fn widen(self) -> f32 {
        f32::from(self)
    }
}
