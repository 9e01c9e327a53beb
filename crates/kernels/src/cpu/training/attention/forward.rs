//! The forward: a block of queries against one span of keys after another, their softmax made as they come.

use super::super::product::tile;
use super::super::softmax::{LANES, exponentials, largest};
use super::{BLOCK, SPAN, Task, carve, forward_room, put, turn};
use crate::cpu::disjoint::Disjoint;
use crate::cpu::math::exp;
use crate::cpu::vector::Vector;

/// # Safety
/// `V` is of an instruction set that the processor has; no other task uses this head of these rows.
#[inline(always)]
pub(super) unsafe fn forward<V: Vector, const MR: usize, const NV: usize, const FMA: bool>(
    task: &Task<'_>,
    room: &mut Vec<f32>,
    out: &Disjoint<'_, f32>,
    log_sums: &Disjoint<'_, f32>,
) {
    let (heads, rows) = (task.heads, task.rows.len());
    let wide = NV * V::LANES;
    let (dim, kv_head) = (heads.head_dim, task.head * heads.kv_heads / heads.heads);
    let (long, deep) = task.padded();
    let [q, k, v, turned, sums, scores] = carve(room, forward_room(long, deep));
    task.copy(task.qkv, heads.qkv_columns(), task.head, 1.0 / (dim as f32).sqrt(), q);
    task.copy(task.qkv, heads.qkv_columns(), heads.heads + kv_head, 1.0, k);
    task.copy(task.qkv, heads.qkv_columns(), heads.heads + heads.kv_heads + kv_head, 1.0, v);
    turn(task.isa, k, deep, wide, turned);

    for q0 in (0..rows).step_by(BLOCK) {
        let height = BLOCK.min(rows - q0);
        let groups = height.div_ceil(MR);
        let (mut most, mut total) = ([f32::NEG_INFINITY; BLOCK], [0.0f32; BLOCK]);
        sums.fill(0.0);
        for k0 in (0..q0 + height).step_by(SPAN) {
            let k1 = (k0 + SPAN).min(q0 + height);
            for column in (k0..k1).step_by(wide) {
                let keys = &turned[column * deep..(column + wide) * deep];
                for group in (0..groups).filter(|g| column < q0 + (g + 1) * MR) {
                    let at = &mut scores[group * MR * SPAN + column - k0..];
                    // SAFETY: the rows of a group and a panel of keys, both `deep`; the group's rows of scores.
                    unsafe {
                        let q = q.as_ptr().add((q0 + group * MR) * deep);
                        let sums = tile::<V, MR, NV>(deep, q, deep, 1, keys.as_ptr(), wide);
                        put::<V, MR, NV, false>(sums, at.as_mut_ptr(), SPAN);
                    }
                }
            }
            for i in 0..groups * MR {
                let row = &mut scores[i * SPAN..(i + 1) * SPAN];
                let seen = (q0 + i + 1).min(k1) - k0;
                let whole = seen.next_multiple_of(LANES);
                // What is not seen weighs nothing, and costs less than the rest of a whole number of lanes.
                row[seen..whole].fill(f32::NEG_INFINITY);
                let shift = largest(&row[..whole], most[i]);
                let shrink = exp::<FMA>(most[i] - shift);
                most[i] = shift;
                total[i] = total[i] * shrink + exponentials::<FMA>(&mut row[..whole], shift);
                let filled = whole.max(seen + MR).min(SPAN);
                row[seen..filled].fill(0.0);
                if k0 > 0 {
                    sums[i * deep..(i + 1) * deep].iter_mut().for_each(|x| *x *= shrink);
                }
            }
            for group in 0..groups {
                let depth = (q0 + (group + 1) * MR - k0).min(SPAN);
                for column in (0..deep).step_by(wide) {
                    // SAFETY: the group's scores and the values from key `k0` on are `depth` long; its rows of sums.
                    unsafe {
                        let p = scores.as_ptr().add(group * MR * SPAN);
                        let v = v.as_ptr().add(k0 * deep + column);
                        let products = tile::<V, MR, NV>(depth, p, SPAN, 1, v, deep);
                        put::<V, MR, NV, true>(
                            products,
                            sums.as_mut_ptr().add(group * MR * deep + column),
                            deep,
                        );
                    }
                }
            }
        }
        for i in 0..height {
            let row = task.rows.start + q0 + i;
            let at = (row * heads.heads + task.head) * dim;
            // SAFETY: the task's own head and rows.
            let (out, log_sum) = unsafe {
                let log_sum = row * heads.heads + task.head;
                (out.part(at..at + dim), log_sums.part(log_sum..log_sum + 1))
            };
            for (out, sum) in out.iter_mut().zip(&sums[i * deep..]) {
                *out = sum / total[i];
            }
            log_sum[0] = most[i] + total[i].ln();
        }
    }
}
