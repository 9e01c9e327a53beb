//! The backward: five products of a block of queries and one of keys, whose scores are made again.

use super::super::product::tile;
use super::super::softmax::LANES;
use super::{BLOCK, Kept, Task, backward_room, carve, put, turn};
use crate::cpu::disjoint::Disjoint;
use crate::cpu::math::{dot, exp};
use crate::cpu::vector::Vector;

/// # Safety
/// As [`super::forward::forward`], of this key–value head and its queries.
#[inline(always)]
pub(super) unsafe fn backward<V: Vector, const MR: usize, const NV: usize, const FMA: bool>(
    task: &Task<'_>,
    kept: &Kept<'_>,
    room: &mut Vec<f32>,
    d_qkv: &Disjoint<'_, f32>,
) {
    let (heads, rows) = (task.heads, task.rows.len());
    let wide = NV * V::LANES;
    let (columns, dim) = (heads.qkv_columns(), heads.head_dim);
    let scale = 1.0 / (dim as f32).sqrt();
    let (long, deep) = task.padded();
    let [q, k, v, turned_k, turned_v, d_out, d_q, d_k, d_v, p, d_s, facts] =
        carve(room, backward_room(long, deep));
    let (log_sums, inner) = facts.split_at_mut(long);
    let (key_head, value_head) = (heads.heads + task.head, heads.heads + heads.kv_heads + task.head);
    task.copy(task.qkv, columns, key_head, 1.0, k);
    task.copy(task.qkv, columns, value_head, 1.0, v);
    turn(task.isa, k, deep, wide, turned_k);
    turn(task.isa, v, deep, wide, turned_v);
    d_k.fill(0.0);
    d_v.fill(0.0);

    let shared = heads.heads / heads.kv_heads;
    for head in task.head * shared..(task.head + 1) * shared {
        task.copy(task.qkv, columns, head, scale, q);
        task.copy(kept.d_out, heads.heads * dim, head, 1.0, d_out);
        d_q.fill(0.0);
        log_sums.fill(0.0);
        inner.fill(0.0);
        for i in 0..rows {
            let row = (task.rows.start + i) * heads.heads + head;
            log_sums[i] = kept.log_sums[row];
            let at = row * dim..(row + 1) * dim;
            inner[i] = dot::<FMA>(&kept.out[at.clone()], &kept.d_out[at]);
        }
        for k0 in (0..rows).step_by(BLOCK) {
            for q0 in (k0..rows).step_by(BLOCK) {
                let groups = BLOCK.min(rows - q0).div_ceil(MR);
                let block = Block { q0, k0, groups, keys: BLOCK.min(rows - k0), deep };
                // SAFETY: all copies are whole blocks of rows of length `deep`, the squares one block.
                unsafe {
                    block.scores::<V, MR, NV>(q, turned_k, p);
                    block.scores::<V, MR, NV>(d_out, turned_v, d_s);
                    block.weigh::<MR, FMA>(p, d_s, log_sums, inner);
                    block.add_to_keys::<V, MR, NV>(p, d_out, d_v);
                    block.add_to_keys::<V, MR, NV>(d_s, q, d_k);
                    block.add_to_queries::<V, MR, NV>(d_s, k, d_q);
                }
            }
        }
        // SAFETY: the task's own heads and rows.
        unsafe { task.copy_back(d_q, deep, scale, head, d_qkv) };
    }
    // SAFETY: likewise.
    unsafe {
        task.copy_back(d_k, deep, 1.0, key_head, d_qkv);
        task.copy_back(d_v, deep, 1.0, value_head, d_qkv);
    }
}

/// A block of queries against one of keys, in the backward.
struct Block {
    /// The first query and the first key, by their rows in the document.
    q0: usize,
    k0: usize,
    /// Groups of `MR` queries.
    groups: usize,
    keys: usize,
    /// Columns of copied rows.
    deep: usize,
}

impl Block {
    /// `square = rows · keysᵀ`, for tiles in which a query sees a key.
    ///
    /// # Safety
    /// `rows`, and the panels of `keys`, are (document, `deep`) in whole blocks, `square` is (BLOCK, BLOCK); as [`tile`].
    #[inline(always)]
    unsafe fn scores<V: Vector, const MR: usize, const NV: usize>(
        &self,
        rows: &[f32],
        keys: &[f32],
        square: &mut [f32],
    ) {
        let (deep, wide) = (self.deep, NV * V::LANES);
        for column in (0..self.keys).step_by(wide) {
            let sees = |g: &usize| self.k0 + column < self.q0 + (g + 1) * MR;
            for group in (0..self.groups).filter(sees) {
                // SAFETY: the rows of a group and a panel of keys, both `deep`; a tile of the square.
                unsafe {
                    let rows = rows.as_ptr().add((self.q0 + group * MR) * deep);
                    let keys = keys.as_ptr().add((self.k0 + column) * deep);
                    let sums = tile::<V, MR, NV>(deep, rows, deep, 1, keys, wide);
                    let to = square.as_mut_ptr().add(group * MR * BLOCK + column);
                    put::<V, MR, NV, false>(sums, to, BLOCK);
                }
            }
        }
    }

    /// Scores `p` become probabilities, and `d_s`, their gradients, those of the scores; nothing where a query sees no key.
    #[inline(always)]
    fn weigh<const MR: usize, const FMA: bool>(
        &self,
        p: &mut [f32],
        d_s: &mut [f32],
        log_sums: &[f32],
        inner: &[f32],
    ) {
        for i in 0..self.groups * MR {
            let query = self.q0 + i;
            let seen = (query + 1 - self.k0).min(BLOCK);
            let whole = seen.next_multiple_of(LANES);
            let (p, d_s) = (&mut p[i * BLOCK..(i + 1) * BLOCK], &mut d_s[i * BLOCK..(i + 1) * BLOCK]);
            weigh::<FMA>(&mut p[..whole], &mut d_s[..whole], log_sums[query], inner[query]);
            p[seen..].fill(0.0);
            d_s[seen..].fill(0.0);
        }
    }

    /// `sums[keys] += squareᵀ · rows[queries]`.
    ///
    /// # Safety
    /// `rows` and `sums` are (document, `deep`) in whole blocks, `square` is (BLOCK, BLOCK); as [`tile`].
    #[inline(always)]
    unsafe fn add_to_keys<V: Vector, const MR: usize, const NV: usize>(
        &self,
        square: &[f32],
        rows: &[f32],
        sums: &mut [f32],
    ) {
        let deep = self.deep;
        for group in 0..self.keys.div_ceil(MR) {
            // Queries before the keys do not see them.
            let first = if self.q0 == self.k0 { group * MR } else { 0 };
            let depth = (self.groups * MR).saturating_sub(first);
            for column in (0..deep).step_by(NV * V::LANES).filter(|_| depth > 0) {
                // SAFETY: columns of the square from row `first` on, and as many rows of the others.
                unsafe {
                    let square = square.as_ptr().add(first * BLOCK + group * MR);
                    let rows = rows.as_ptr().add((self.q0 + first) * deep + column);
                    let products = tile::<V, MR, NV>(depth, square, 1, BLOCK, rows, deep);
                    let to = sums.as_mut_ptr().add((self.k0 + group * MR) * deep + column);
                    put::<V, MR, NV, true>(products, to, deep);
                }
            }
        }
    }

    /// `sums[queries] += square · rows[keys]`.
    ///
    /// # Safety
    /// As [`Block::add_to_keys`].
    #[inline(always)]
    unsafe fn add_to_queries<V: Vector, const MR: usize, const NV: usize>(
        &self,
        square: &[f32],
        rows: &[f32],
        sums: &mut [f32],
    ) {
        let deep = self.deep;
        for group in 0..self.groups {
            let depth = (self.q0 + (group + 1) * MR - self.k0).min(BLOCK);
            for column in (0..deep).step_by(NV * V::LANES) {
                // SAFETY: the group's rows of the square and as many keys; the group's rows of queries.
                unsafe {
                    let square = square.as_ptr().add(group * MR * BLOCK);
                    let rows = rows.as_ptr().add(self.k0 * deep + column);
                    let products = tile::<V, MR, NV>(depth, square, BLOCK, 1, rows, deep);
                    let to = sums.as_mut_ptr().add((self.q0 + group * MR) * deep + column);
                    put::<V, MR, NV, true>(products, to, deep);
                }
            }
        }
    }
}

/// Scores `s` become `p = e^(s − log_sum)`, and gradients `d_p` of these `p · (d_p − inner)`, those of the scores.
#[inline(always)]
fn weigh<const FMA: bool>(s: &mut [f32], d_p: &mut [f32], log_sum: f32, inner: f32) {
    for (s, d_p) in s.as_chunks_mut::<LANES>().0.iter_mut().zip(d_p.as_chunks_mut::<LANES>().0) {
        for j in 0..LANES {
            s[j] = exp::<FMA>(s[j] - log_sum);
            d_p[j] = s[j] * (d_p[j] - inner);
        }
    }
}
