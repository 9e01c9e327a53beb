//! Changes of low rank, forward and backward. Hu et al. 2021.
//!
//! With `l = scale · x · aᵀ` and `g = scale · d_out · b`, of as many columns as the rank: `out += l · bᵀ`,
//! `d_x += g · a`, `d_b += d_outᵀ · l`, `d_a += gᵀ · x`. Bound by the reading of `x` and `out`.

use super::product::{Onto, Strided};
use super::{Buffer, Cpu, of};
use crate::training::LowRank;

pub(super) fn forward(
    cpu: &Cpu,
    x: &Buffer,
    adapters: &Buffer,
    change: &LowRank,
    low: &mut Buffer,
    out: &mut Buffer,
) {
    let (a, b, width) = (change.a, change.b, out.columns);
    assert_eq!((x.columns, x.rows), (a.columns, out.rows), "rows of another shape");
    assert!(change.column + b.rows <= width, "a change of columns that are not there");
    inward(cpu, x, adapters, change, low);
    let size = [x.rows, b.rows, b.columns];
    let (l, turned) = (Strided::rows(&low.values, b.columns), Strided::columns(of(adapters, b), b.columns));
    let columns = out.values.get_mut(change.column..).unwrap_or_default();
    cpu.product_within(size, l, turned, Onto::There, None, columns, width);
}

pub(super) fn backward(
    cpu: &Cpu,
    d_out: &Buffer,
    adapters: &Buffer,
    change: &LowRank,
    low: &mut Buffer,
    d_x: &mut Buffer,
) {
    let a = change.a;
    assert_eq!((d_x.columns, d_x.rows), (a.columns, d_out.rows), "rows of another shape");
    outward(cpu, d_out, adapters, change, low);
    let (g, a_rows) = (Strided::rows(&low.values, a.rows), Strided::rows(of(adapters, a), a.columns));
    cpu.product([d_x.rows, a.columns, a.rows], g, a_rows, Onto::There, None, &mut d_x.values);
}

pub(super) fn gradient(
    cpu: &Cpu,
    d_out: &Buffer,
    x: &Buffer,
    adapters: &Buffer,
    change: &LowRank,
    low: &mut Buffer,
    gradients: &mut Buffer,
) {
    let (a, b) = (change.a, change.b);
    assert_eq!((x.columns, x.rows), (a.columns, d_out.rows), "rows of another shape");
    if x.rows == 0 {
        return;
    }
    inward(cpu, x, adapters, change, low);
    let turned = Strided { row: 1, column: d_out.columns, ..slice(d_out, change) };
    let l = Strided::rows(&low.values, b.columns);
    let d_b = &mut gradients.values[b.range()];
    cpu.product([b.rows, b.columns, x.rows], turned, l, Onto::There, None, d_b);
    outward(cpu, d_out, adapters, change, low);
    let (g, x_rows) = (Strided::columns(&low.values, a.rows), Strided::rows(&x.values, a.columns));
    let d_a = &mut gradients.values[a.range()];
    cpu.product([a.rows, a.columns, x.rows], g, x_rows, Onto::There, None, d_a);
}

/// `low = scale · x · aᵀ`
fn inward(cpu: &Cpu, x: &Buffer, adapters: &Buffer, change: &LowRank, low: &mut Buffer) {
    let a = change.a;
    low.shape(x.rows, a.rows);
    let (rows, turned) = (Strided::rows(&x.values, a.columns), Strided::columns(of(adapters, a), a.columns));
    cpu.product([x.rows, a.rows, a.columns], rows, turned, Onto::Zero, None, &mut low.values);
    low.values.iter_mut().for_each(|l| *l *= change.scale);
}

/// `low = scale · d_out · b`, of the change's columns.
fn outward(cpu: &Cpu, d_out: &Buffer, adapters: &Buffer, change: &LowRank, low: &mut Buffer) {
    let b = change.b;
    low.shape(d_out.rows, b.columns);
    let rows = Strided::rows(of(adapters, b), b.columns);
    cpu.product(
        [d_out.rows, b.columns, b.rows],
        slice(d_out, change),
        rows,
        Onto::Zero,
        None,
        &mut low.values,
    );
    low.values.iter_mut().for_each(|g| *g *= change.scale);
}

/// The columns that a change is added to.
fn slice<'a>(product: &'a Buffer, change: &LowRank) -> Strided<'a> {
    assert!(change.column + change.b.rows <= product.columns, "a change of columns that are not there");
    let values = product.values.get(change.column..).unwrap_or_default();
    Strided { values, row: product.columns, column: 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::testing::{Random, assert_close};
    use crate::training::{Training, View};

    /// `out[i, j] += factor · Σ of(i, j, k)` for `k` of `depth`, in columns `column..column + columns` of `width`.
    fn add(
        out: &mut [f32],
        [width, column, columns, depth]: [usize; 4],
        factor: f64,
        of: impl Fn(usize, usize, usize) -> f32,
    ) {
        for (i, row) in out.chunks_exact_mut(width).enumerate() {
            for (j, out) in row[column..column + columns].iter_mut().enumerate() {
                *out += (factor * (0..depth).map(|k| f64::from(of(i, j, k))).sum::<f64>()) as f32;
            }
        }
    }

    #[test]
    fn forward_and_backward_are_the_reference() {
        let mut random = Random::new(51);
        for (rows, inputs, outputs, rank, column, width) in
            [(1, 1, 1, 1, 0, 1), (3, 17, 5, 2, 3, 9), (131, 40, 33, 8, 20, 70), (70, 300, 64, 17, 64, 128)]
        {
            let scale = 0.75;
            let change = LowRank {
                a: View { start: 2, rows: rank, columns: inputs },
                b: View { start: 5 + rank * inputs, rows: outputs, columns: rank },
                column,
                scale,
            };
            let length = change.b.range().end + 1;
            let mut buffer = |rows, columns| Buffer { rows, columns, values: random.normals(rows * columns) };
            let (adapters, gradients) = (buffer(1, length), buffer(1, length));
            let [x, d_x] = [(); 2].map(|()| buffer(rows, inputs));
            let [out, d_out] = [(); 2].map(|()| buffer(rows, width));
            let (a, b) = (of(&adapters, change.a), of(&adapters, change.b));
            let zeros = || vec![0.0; rows * rank];

            let (mut l, mut want) = (zeros(), out.values.clone());
            add(&mut l, [rank, 0, rank, inputs], 0.75, |i, j, k| {
                x.values[i * inputs + k] * a[j * inputs + k]
            });
            add(&mut want, [width, column, outputs, rank], 1.0, |i, j, k| l[i * rank + k] * b[j * rank + k]);
            let (mut g, mut want_d_x) = (zeros(), d_x.values.clone());
            let d = |i: usize, j: usize| d_out.values[i * width + column + j];
            add(&mut g, [rank, 0, rank, outputs], 0.75, |i, j, k| d(i, k) * b[k * rank + j]);
            add(&mut want_d_x, [inputs, 0, inputs, rank], 1.0, |i, j, k| g[i * rank + k] * a[k * inputs + j]);
            let mut want_gradients = gradients.values.clone();
            let d_b = &mut want_gradients[change.b.range()];
            add(d_b, [rank, 0, rank, rows], 1.0, |i, j, k| d(k, i) * l[k * rank + j]);
            let d_a = &mut want_gradients[change.a.range()];
            add(d_a, [inputs, 0, inputs, rows], 1.0, |i, j, k| g[k * rank + i] * x.values[k * inputs + j]);

            let mut bits = Vec::new();
            for threads in [1, 3] {
                let cpu = Cpu::new(threads);
                let mut low = cpu.zeros(rows, rank).unwrap();
                let (mut out, mut d_x, mut gradients) = (out.clone(), d_x.clone(), gradients.clone());
                cpu.adapt(&x, &adapters, &change, &mut low, &mut out);
                cpu.adapt_backward(&d_out, &adapters, &change, &mut low, &mut d_x);
                cpu.adapt_gradient(&d_out, &x, &adapters, &change, &mut low, &mut gradients);
                assert_close(&out.values, &want, 1e-4);
                assert_close(&d_x.values, &want_d_x, 1e-4);
                assert_close(&gradients.values, &want_gradients, 1e-4);
                bits.push([out.values, d_x.values, gradients.values]);
            }
            assert!(bits[0] == bits[1], "other bits on other threads");
        }
    }
}
