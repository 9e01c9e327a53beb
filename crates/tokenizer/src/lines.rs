//! A table of the processor's lines, found by hash, that threads share.

use memmap2::{MmapOptions, MmapRaw};

/// Lines that a table has at least.
const LEAST: usize = 1 << 8;
/// Tables from this size on are in large pages where the system gives them: each look is at another place, and small
/// pages would have the processor look up where it is before.
const LARGE: usize = 4 << 20;

/// What may lie in a table.
///
/// # Safety
/// Zeros must be a value of it, it must need no more than a page's alignment, and it must be made of atomics alone.
pub(crate) unsafe trait Shared: Sync {}

/// See the head of this file. Its lines are zeros at first.
pub(crate) struct Lines<L> {
    memory: MmapRaw,
    /// Lines, a power of two.
    len: usize,
    of: std::marker::PhantomData<L>,
}

impl<L: Shared> Lines<L> {
    /// A table of about `bytes`.
    pub(crate) fn new(bytes: usize) -> Lines<L> {
        let mut len = 1 << (bytes / size_of::<L>()).max(LEAST).ilog2();
        loop {
            match MmapOptions::new().len(len * size_of::<L>()).map_anon() {
                Ok(map) => {
                    // Without large pages it is only slower.
                    #[cfg(target_os = "linux")]
                    if map.len() >= LARGE {
                        let _ = map.advise(memmap2::Advice::HugePage);
                    }
                    return Lines { memory: map.into(), len, of: std::marker::PhantomData };
                }
                // A smaller one is only slower, too.
                Err(_) if len > 1 => len /= 2,
                Err(error) => panic!("a page of memory: {error}"),
            }
        }
    }

    #[inline(always)]
    pub(crate) fn at(&self, hash: u64) -> &L {
        let at = hash as usize & (self.len - 1);
        // SAFETY: the map has `len` lines at a page's start, zeros at first, for as long as `self`; nothing else knows
        // of it, and by `Shared` lines are written through their atomics alone.
        unsafe { &*self.memory.as_ptr().cast::<L>().add(at) }
    }

    /// Has a line fetched, and does not wait for it, where processors have an instruction for it that Rust has too.
    #[inline(always)]
    pub(crate) fn fetch(&self, hash: u64) {
        let line: *const L = self.at(hash);
        #[cfg(target_arch = "x86_64")]
        for part in (0..size_of::<L>()).step_by(64) {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            // SAFETY: every x86-64 processor has it, and it only hints at an address.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(line.cast::<i8>().wrapping_add(part)) };
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = line;
    }
}
