//! Queries against one page of one head: as many at a time as share a load of it.

#[cfg(not(target_arch = "aarch64"))]
use super::plain;
use crate::cpu::cache::groups;
use crate::cpu::element::Element;
use crate::cpu::isa::Isa;
use crate::device::PAGE;
use half::f16;

/// One page of one head.
#[derive(Clone, Copy)]
pub(super) struct Page<'a, T> {
    /// (head_dim, [`PAGE`])
    pub(super) keys: &'a [T],
    /// ([`PAGE`], head_dim)
    pub(super) values: &'a [T],
    /// Scales of keys and of values where they are bytes, (groups, [`PAGE`]) each; else empty.
    pub(super) scales: [&'a [f16]; 2],
    /// Where the keys and the values of the page after this one lie, which are asked for meanwhile: the processor follows a
    /// stream by itself, but not from one page of memory to the next.
    #[cfg_attr(not(any(target_arch = "x86_64", target_arch = "aarch64")), allow(dead_code))]
    pub(super) next: [*const T; 2],
}

impl<'a, T: Element> Page<'a, T> {
    /// Page `this` of all heads' pages with head_dim `dim`; `next` is the one that comes after it.
    pub(super) fn of(
        keys: &'a [T],
        values: &'a [T],
        scales: [&'a [f16]; 2],
        dim: usize,
        this: usize,
        next: usize,
    ) -> Self {
        let (length, scaled) = (dim * PAGE, groups(dim) * PAGE);
        Page {
            keys: &keys[this * length..(this + 1) * length],
            values: &values[this * length..(this + 1) * length],
            scales: scales
                .map(|scales| if T::SCALED { &scales[this * scaled..(this + 1) * scaled] } else { scales }),
            next: [keys, values].map(|side| side.as_ptr().wrapping_add(next * length)),
        }
    }

    pub(super) fn dim(&self) -> usize {
        self.keys.len() / PAGE
    }

    /// The scales of components of group `g` of all keys.
    #[inline(always)]
    pub(super) fn key_scales(&self, g: usize) -> &[f16; PAGE] {
        &self.scales[0].as_chunks().0[g]
    }

    /// The same of values.
    #[inline(always)]
    pub(super) fn value_scales(&self, g: usize) -> &[f16; PAGE] {
        &self.scales[1].as_chunks().0[g]
    }
}

/// Folds a page into the states (maximum, sum, weighted values) of all queries, (queries, head_dim). `seen` says how many
/// of its positions a query sees. A query's state does not depend on those beside it.
pub(super) fn attend_page<T: Element>(
    isa: Isa,
    queries: &[f32],
    page: Page<'_, T>,
    seen: &dyn Fn(usize) -> usize,
    states: &mut [&mut [f32]],
) {
    match isa {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: an `Isa` is only ever one that this processor has.
        Isa::Avx2 | Isa::AvxVnni => unsafe { x86::avx2(queries, page, seen, states) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: likewise.
        Isa::Avx512Vnni => unsafe { x86::avx512(queries, page, seen, states) },
        #[cfg(target_arch = "aarch64")]
        _ => arm::neon(queries, page, seen, states),
        #[cfg(not(target_arch = "aarch64"))]
        Isa::Baseline => plain::fold_all(queries, page, seen, states),
    }
}

/// Queries `first..first + Q`, and how much of the page each sees; nothing where none sees any.
#[inline(always)]
pub(super) fn pick<'q, const Q: usize>(
    queries: &'q [f32],
    dim: usize,
    first: usize,
    seen: &dyn Fn(usize) -> usize,
) -> Option<([&'q [f32]; Q], [usize; Q])> {
    let mut picked = ([&queries[..0]; Q], [0; Q]);
    for q in 0..Q {
        picked.0[q] = &queries[(first + q) * dim..(first + q + 1) * dim];
        picked.1[q] = seen(first + q);
    }
    (picked.1 != [0; Q]).then_some(picked)
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::super::vector::fold_all;
    use super::{Element, Page};
    use std::arch::x86_64::{__m256, __m512};

    // Two queries' sums of a page fill eight of sixteen registers; three would spill.
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(super) fn avx2<T: Element>(
        queries: &[f32],
        page: Page<'_, T>,
        seen: &dyn Fn(usize) -> usize,
        states: &mut [&mut [f32]],
    ) {
        // SAFETY: this function has the instructions.
        unsafe {
            let (done, states) = fold_all::<__m256, 4, 2, T>(0, queries, page, seen, states);
            fold_all::<__m256, 4, 1, T>(done, queries, page, seen, states);
        }
    }

    // Eight fill sixteen of 32.
    #[target_feature(enable = "avx2,fma,f16c,avx512f")]
    pub(super) fn avx512<T: Element>(
        queries: &[f32],
        page: Page<'_, T>,
        seen: &dyn Fn(usize) -> usize,
        states: &mut [&mut [f32]],
    ) {
        // SAFETY: this function has the instructions.
        unsafe {
            let (done, states) = fold_all::<__m512, 2, 8, T>(0, queries, page, seen, states);
            let (done, states) = fold_all::<__m512, 2, 3, T>(done, queries, page, seen, states);
            fold_all::<__m512, 2, 1, T>(done, queries, page, seen, states);
        }
    }
}

#[cfg(target_arch = "aarch64")]
mod arm {
    use super::super::vector::fold_all;
    use super::{Element, Page};
    use std::arch::aarch64::float32x4_t;

    // Two queries' sums of a page fill sixteen of 32 registers, and its keys eight; three would spill.
    pub(super) fn neon<T: Element>(
        queries: &[f32],
        page: Page<'_, T>,
        seen: &dyn Fn(usize) -> usize,
        states: &mut [&mut [f32]],
    ) {
        // SAFETY: every aarch64 has NEON, and FMA with it.
        unsafe {
            let (done, states) = fold_all::<float32x4_t, 8, 2, T>(0, queries, page, seen, states);
            fold_all::<float32x4_t, 8, 1, T>(done, queries, page, seen, states);
        }
    }
}
