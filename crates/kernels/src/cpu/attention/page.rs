//! Queries against one page of one head: as many at a time as share a load of it.

#[cfg(not(target_arch = "aarch64"))]
use super::plain;
use crate::cpu::cache::groups;
use crate::cpu::element::Element;
use crate::cpu::isa::Isa;
use crate::cpu::pointwise::soft_cap;
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

/// The positions of a page that a query sees; none where both are 0.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) first: usize,
    pub(super) end: usize,
}

/// What a query's scores become before the softmax.
#[derive(Clone, Copy)]
pub(super) struct Bend {
    pub(super) soft_cap: Option<f32>,
    /// What a score loses for each position between key and query.
    pub(super) slope: Option<f32>,
    /// How far the query is behind the page's first position.
    pub(super) behind: f32,
}

impl Bend {
    #[inline(always)]
    pub(super) fn apply<const FMA: bool>(self, scores: &mut [f32; PAGE]) {
        if let Some(cap) = self.soft_cap {
            scores.iter_mut().for_each(|score| *score = soft_cap::<FMA>(*score, cap));
        }
        if let Some(slope) = self.slope {
            for (j, score) in scores.iter_mut().enumerate() {
                *score -= slope * (self.behind - j as f32);
            }
        }
    }
}

/// All queries of a task.
pub(super) struct Queries<'a> {
    /// (queries, head_dim), scaled.
    pub(super) values: &'a [f32],
    /// What each sees of the page.
    pub(super) seen: &'a dyn Fn(usize) -> Seen,
    /// Nothing where scores stay as they are.
    pub(super) bend: Option<&'a dyn Fn(usize) -> Bend>,
}

/// Some of them.
pub(super) struct Picked<'a, const Q: usize> {
    pub(super) values: [&'a [f32]; Q],
    pub(super) seen: [Seen; Q],
    pub(super) bend: Option<[Bend; Q]>,
}

impl<const Q: usize> Picked<'_, Q> {
    /// The end of what any of them sees.
    #[inline(always)]
    pub(super) fn end(&self) -> usize {
        self.seen.iter().map(|seen| seen.end).max().unwrap_or(0)
    }

    #[inline(always)]
    pub(super) fn bend<const FMA: bool>(&self, scores: &mut [[f32; PAGE]; Q]) {
        if let Some(bend) = &self.bend {
            scores.iter_mut().zip(bend).for_each(|(scores, bend)| bend.apply::<FMA>(scores));
        }
    }
}

/// Folds a page into the states (maximum, sum, weighted values) of all queries. A query's state does not depend on those
/// beside it.
pub(super) fn attend_page<T: Element>(
    isa: Isa,
    queries: &Queries<'_>,
    page: Page<'_, T>,
    states: &mut [&mut [f32]],
) {
    match isa {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: an `Isa` is only ever one that this processor has.
        Isa::Avx2 | Isa::AvxVnni => unsafe { x86::avx2(queries, page, states) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: likewise.
        Isa::Avx512Vnni => unsafe { x86::avx512(queries, page, states) },
        #[cfg(target_arch = "aarch64")]
        _ => arm::neon(queries, page, states),
        #[cfg(not(target_arch = "aarch64"))]
        Isa::Baseline => plain::fold_all(queries, page, states),
    }
}

/// Queries `first..first + Q`; nothing where none sees any of the page.
#[inline(always)]
pub(super) fn pick<'q, const Q: usize>(
    queries: &Queries<'q>,
    dim: usize,
    first: usize,
) -> Option<Picked<'q, Q>> {
    let mut picked = Picked { values: [&queries.values[..0]; Q], seen: [Seen::default(); Q], bend: None };
    for q in 0..Q {
        picked.values[q] = &queries.values[(first + q) * dim..(first + q + 1) * dim];
        picked.seen[q] = (queries.seen)(first + q);
    }
    picked.bend = queries.bend.map(|bend| std::array::from_fn(|q| bend(first + q)));
    (picked.seen != [Seen::default(); Q]).then_some(picked)
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::super::vector::fold_all;
    use super::{Element, Page, Queries};
    use std::arch::x86_64::{__m256, __m512};

    // Two queries' sums of a page fill eight of sixteen registers; three would spill.
    #[target_feature(enable = "avx2,fma,f16c")]
    pub(super) fn avx2<T: Element>(queries: &Queries<'_>, page: Page<'_, T>, states: &mut [&mut [f32]]) {
        // SAFETY: this function has the instructions.
        unsafe {
            let (done, states) = fold_all::<__m256, 4, 2, T>(0, queries, page, states);
            fold_all::<__m256, 4, 1, T>(done, queries, page, states);
        }
    }

    // Eight fill sixteen of 32.
    #[target_feature(enable = "avx2,fma,f16c,avx512f")]
    pub(super) fn avx512<T: Element>(queries: &Queries<'_>, page: Page<'_, T>, states: &mut [&mut [f32]]) {
        // SAFETY: this function has the instructions.
        unsafe {
            let (done, states) = fold_all::<__m512, 2, 8, T>(0, queries, page, states);
            let (done, states) = fold_all::<__m512, 2, 3, T>(done, queries, page, states);
            fold_all::<__m512, 2, 1, T>(done, queries, page, states);
        }
    }
}

#[cfg(target_arch = "aarch64")]
mod arm {
    use super::super::vector::fold_all;
    use super::{Element, Page, Queries};
    use std::arch::aarch64::float32x4_t;

    // Two queries' sums of a page fill sixteen of 32 registers, and its keys eight; three would spill.
    pub(super) fn neon<T: Element>(queries: &Queries<'_>, page: Page<'_, T>, states: &mut [&mut [f32]]) {
        // SAFETY: every aarch64 has NEON, and FMA with it.
        unsafe {
            let (done, states) = fold_all::<float32x4_t, 8, 2, T>(0, queries, page, states);
            fold_all::<float32x4_t, 8, 1, T>(done, queries, page, states);
        }
    }
}
