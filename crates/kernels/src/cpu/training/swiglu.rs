//! The backward of `h = silu(gate) · up`, which makes `h` anew. Shazeer 2020.

use crate::cpu::isa::Isa;
use crate::cpu::math::exp;

/// Rows of `columns` gates and as many ups become their gradients; rows of the gradient of `h` become `h`.
pub(super) fn backward(isa: Isa, gate_up: &mut [f32], hidden: &mut [f32], columns: usize) {
    match isa {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: an `Isa` is only ever one that this processor has.
        Isa::Avx2 | Isa::AvxVnni => unsafe { avx2(gate_up, hidden, columns) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: likewise.
        Isa::Avx512Vnni => unsafe { avx512(gate_up, hidden, columns) },
        _ => rows::<{ Isa::BASELINE_FMA }>(gate_up, hidden, columns),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2(gate_up: &mut [f32], hidden: &mut [f32], columns: usize) {
    rows::<true>(gate_up, hidden, columns);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn avx512(gate_up: &mut [f32], hidden: &mut [f32], columns: usize) {
    rows::<true>(gate_up, hidden, columns);
}

#[inline(always)]
fn rows<const FMA: bool>(gate_up: &mut [f32], hidden: &mut [f32], columns: usize) {
    for (gate_up, hidden) in gate_up.chunks_exact_mut(2 * columns).zip(hidden.chunks_exact_mut(columns)) {
        let (gates, ups) = gate_up.split_at_mut(columns);
        for i in 0..columns {
            let (gate, up, d) = (gates[i], ups[i], hidden[i]);
            let sigmoid = 1.0 / (1.0 + exp::<FMA>(-gate));
            let silu = gate * sigmoid;
            gates[i] = d * up * (sigmoid + silu * (1.0 - sigmoid));
            ups[i] = d * silu;
            hidden[i] = silu * up;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::testing::{Random, assert_close};

    #[test]
    fn every_path_is_the_reference() {
        let mut random = Random::new(43);
        for n in [1, 3, 17, 100] {
            let (mut gate_up, d) = (random.normals(3 * 2 * n), random.normals(3 * n));
            // Beyond what an exponential can be, either way.
            (gate_up[0], gate_up[2 * n]) = (200.0, -200.0);
            let (mut want, mut want_hidden) = (gate_up.clone(), Vec::new());
            for row in 0..3 {
                for i in 0..n {
                    let (at_gate, at_up) = (row * 2 * n + i, row * 2 * n + n + i);
                    let (gate, up) = (f64::from(gate_up[at_gate]), f64::from(gate_up[at_up]));
                    let (d, sigmoid) = (f64::from(d[row * n + i]), 1.0 / (1.0 + (-gate).exp()));
                    want[at_gate] = (d * up * sigmoid * (1.0 + gate * (1.0 - sigmoid))) as f32;
                    want[at_up] = (d * gate * sigmoid) as f32;
                    want_hidden.push((gate * sigmoid * up) as f32);
                }
            }
            for isa in Isa::available() {
                let (mut gate_up, mut hidden) = (gate_up.clone(), d.clone());
                backward(isa, &mut gate_up, &mut hidden, n);
                assert_close(&gate_up, &want, 1e-6);
                assert_close(&hidden, &want_hidden, 1e-6);
            }
        }
    }
}
