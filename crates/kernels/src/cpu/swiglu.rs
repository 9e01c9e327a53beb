//! `h = silu(gate) · up`, with `silu(x) = x / (1 + e⁻ˣ)`. Shazeer 2020.

use super::isa::Isa;
use super::math::exp;

/// A row of `gate_up` is `columns` gates and then `columns` ups; a row of `hidden` is `columns` long.
pub(crate) fn swiglu(isa: Isa, gate_up: &[f32], columns: usize, hidden: &mut [f32]) {
    match isa {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: an `Isa` is only ever one that this processor has.
        Isa::Avx2 | Isa::AvxVnni => unsafe { avx2(gate_up, columns, hidden) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: likewise.
        Isa::Avx512Vnni => unsafe { avx512(gate_up, columns, hidden) },
        _ => rows::<{ Isa::BASELINE_FMA }>(gate_up, columns, hidden),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2(gate_up: &[f32], columns: usize, hidden: &mut [f32]) {
    rows::<true>(gate_up, columns, hidden);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn avx512(gate_up: &[f32], columns: usize, hidden: &mut [f32]) {
    rows::<true>(gate_up, columns, hidden);
}

#[inline(always)]
fn rows<const FMA: bool>(gate_up: &[f32], columns: usize, hidden: &mut [f32]) {
    for (gate_up, hidden) in gate_up.chunks_exact(2 * columns).zip(hidden.chunks_exact_mut(columns)) {
        let (gate, up) = gate_up.split_at(columns);
        for i in 0..columns {
            hidden[i] = gate[i] / (1.0 + exp::<FMA>(-gate[i])) * up[i];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::testing::{Random, assert_close};

    #[test]
    fn every_path_is_the_reference() {
        let mut random = Random::new(2);
        for n in [1, 3, 16, 17, 1536] {
            let mut gate_up = random.normals(2 * 2 * n);
            gate_up[0] = -200.0;
            let want: Vec<f32> = gate_up
                .chunks(2 * n)
                .flat_map(|row| {
                    (0..n).map(|i| row[i] / (1.0 + (-row[i]).exp()) * row[n + i]).collect::<Vec<_>>()
                })
                .collect();
            for isa in Isa::available() {
                let mut hidden = vec![0.0; 2 * n];
                swiglu(isa, &gate_up, n, &mut hidden);
                assert_close(&hidden, &want, 1e-6);
            }
        }
    }
}
