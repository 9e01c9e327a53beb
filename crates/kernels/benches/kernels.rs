//! Each kernel's speed beside what this machine can do: `cargo bench -p sai-kernels`.
//!
//! An argument picks the kernels whose names contain it: `cargo bench -p sai-kernels -- q4_k`, and `--set=AVX2` an
//! instruction set other than the processor's best. A time is the median of some rounds; the limits are measured before
//! and after, and the higher counts. Work that is bound by memory is larger than the caches.

#![allow(clippy::print_stdout)]

use sai_formats::{Bytes, DType, Tensor};
use sai_kernels::{
    Activation, Attention, CacheShape, CacheType, Cpu, Device, Heads, Limits, PAGE, RopeStyle, Span,
};
use std::path::Path;
use std::time::{Duration, Instant};

/// What a kernel does in one call, and what holds it back.
struct Measured {
    name: String,
    time: Duration,
    amount: f64,
    limit: Limit,
}

#[derive(Clone, Copy)]
enum Limit {
    /// Bytes read from memory.
    Read,
    /// Operations in f32.
    Float,
    /// Operations on bytes.
    Byte,
}

fn main() {
    // Cargo itself passes `--bench`.
    let picked: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let wanted = |name: &str| picked.is_empty() || picked.iter().any(|part| name.contains(part.as_str()));
    let set = std::env::args().find_map(|arg| arg.strip_prefix("--set=").map(str::to_owned));
    let device = match &set {
        Some(name) => Cpu::with_instruction_set(name, 0)
            .unwrap_or_else(|| panic!("this processor has {:?}", Cpu::instruction_sets())),
        None => Cpu::new(0),
    };
    println!("{}", device.describe());
    let before = device.limits();
    let mut measured = Vec::new();
    for dtype in DTYPES {
        let floats = dtype.is_float();
        let name = dtype.name().to_lowercase();
        // As wide as a model of a billion parameters; for one row as much as leaves the caches.
        for (rows, outputs) in [(1, if floats { 32_768 } else { 131_072 }), (512, 2048)] {
            let name = format!("linear {name}, {rows} row{}", if rows == 1 { "" } else { "s" });
            if wanted(&name) {
                measured.push(linear(&device, name, dtype, rows, outputs));
            }
        }
    }
    for dtype in [CacheType::F16, CacheType::F32, CacheType::Q8_0] {
        for (rows, before) in [(1, 4095), (512, 0)] {
            let cache = format!("{dtype:?}").to_lowercase();
            let name = format!("attend {cache}, {rows} of {} positions", before + rows);
            if wanted(&name) {
                measured.push(attend(&device, name, dtype, rows, before));
            }
        }
    }
    measured.extend(elementwise(&device).into_iter().filter(|kernel| wanted(&kernel.name)));
    let limits = before.max(device.limits());
    for kernel in measured {
        print(&kernel, &limits);
    }
}

const DTYPES: [DType; 13] = [
    DType::F32,
    DType::F16,
    DType::BF16,
    DType::Q8_0,
    DType::Q4_0,
    DType::Q4_1,
    DType::Q5_0,
    DType::Q5_1,
    DType::Q2_K,
    DType::Q3_K,
    DType::Q4_K,
    DType::Q5_K,
    DType::Q6_K,
];

/// The median of rounds that together take a third of a second, after one that is not counted.
fn time(mut call: impl FnMut()) -> Duration {
    call();
    let begin = Instant::now();
    let mut times = Vec::new();
    while times.len() < 5 || begin.elapsed() < Duration::from_millis(300) {
        let start = Instant::now();
        call();
        times.push(start.elapsed());
    }
    times.sort();
    times[times.len() / 2]
}

fn print(kernel: &Measured, limits: &Limits) {
    let (limit, unit) = match kernel.limit {
        Limit::Read => (limits.read_bytes_s, "GB/s"),
        Limit::Float => (limits.f32_flops, "GFLOP/s"),
        Limit::Byte => (limits.int8_ops, "GOP/s"),
    };
    let speed = kernel.amount / kernel.time.as_secs_f64();
    println!(
        "{:<32} {:>9.1} µs · {:>6.1} {unit} of {:.1} ({:.0} %)",
        kernel.name,
        kernel.time.as_secs_f64() * 1e6,
        speed / 1e9,
        limit / 1e9,
        100.0 * speed / limit,
    );
}

/// Numbers that repeat only after a long while, the same in each run (Knuth's linear congruence).
fn random_bytes(n: usize) -> Vec<u8> {
    let mut state = 42u64;
    (0..n)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        })
        .collect()
}

/// Activations: (rows, columns), between -1 and 1.
fn activations(device: &Cpu, rows: usize, columns: usize) -> <Cpu as Device>::Buffer {
    let values: Vec<f32> = random_bytes(columns).iter().map(|&b| f32::from(b) / 128.0 - 1.0).collect();
    let row = device.upload(&values);
    let mut out = device.buffer(rows, columns);
    device.select_rows(&row, &vec![0; rows], &mut out);
    out
}

fn linear(device: &Cpu, name: String, dtype: DType, rows: usize, outputs: usize) -> Measured {
    let inputs = 2048;
    let bytes = dtype.bytes_for(outputs * inputs).unwrap_or_default();
    // Exponents between 2^-15 and 2 for any halves among the bytes, so that no product overflows.
    let data = Bytes::from_vec(random_bytes(bytes).into_iter().map(|b| b & 0xBF).collect());
    let file = Path::new("random").into();
    let tensor = Tensor { name: "weight".to_owned(), dtype, shape: vec![outputs, inputs], data, file };
    let matrix = device.matrix(&[&tensor]).expect("a matrix of whole blocks");
    let x = activations(device, rows, inputs);
    let mut out = device.buffer(rows, outputs);
    let time = time(|| device.linear(&x, &matrix, None, &mut out));
    let operations = 2.0 * (rows * outputs * inputs) as f64;
    let (amount, limit) = match rows {
        1 => (bytes as f64, Limit::Read),
        _ if dtype.is_float() => (operations, Limit::Float),
        _ => (operations, Limit::Byte),
    };
    Measured { name, time, amount, limit }
}

fn attend(device: &Cpu, name: String, dtype: CacheType, rows: usize, before: usize) -> Measured {
    let heads = Heads { heads: 32, kv_heads: 32, head_dim: 64 };
    let pages: Vec<u32> = (0..(before + rows).div_ceil(PAGE) as u32).collect();
    let shape = CacheShape {
        layers: 1,
        kv_heads: heads.kv_heads,
        head_dim: heads.head_dim,
        pages: pages.len(),
        dtype,
    };
    let mut cache = device.cache(shape).expect("a small cache");
    let columns = heads.qkv_columns();
    let history = activations(device, before + rows, columns);
    let whole = Span { first_row: 0, rows: before + rows, position: 0, pages: &pages };
    device.append(&mut cache, 0, &history, heads, &[whole]);
    let qkv = activations(device, rows, columns);
    let span = Span { first_row: 0, rows, position: before, pages: &pages };
    let mut out = device.buffer(rows, heads.heads * heads.head_dim);
    let time = time(|| device.attend(&qkv, &cache, 0, &Attention::plain(heads), &[span], &mut out));
    let positions: usize = (before + 1..=before + rows).sum();
    let (amount, limit) = match rows {
        1 => (shape.bytes() as f64, Limit::Read),
        _ => (4.0 * (positions * heads.heads * heads.head_dim) as f64, Limit::Float),
    };
    Measured { name, time, amount, limit }
}

/// Bytes read and written by operations on one value at a time, for 512 rows.
fn elementwise(device: &Cpu) -> Vec<Measured> {
    let (rows, columns) = (512, 2048);
    let bytes = |values: usize| (4 * values) as f64;
    let x = activations(device, rows, columns);
    let gain = device.upload(&vec![1.0; columns]);
    let mut out = device.buffer(rows, columns);
    let norm = time(|| device.rms_norm(&x, &gain, 1e-5, &mut out));

    let gate_up = activations(device, rows, 2 * 5632);
    let mut hidden = device.buffer(rows, 5632);
    let swiglu = time(|| device.activate(&gate_up, Activation::Silu, true, &mut hidden));

    let heads = Heads { heads: 32, kv_heads: 32, head_dim: 64 };
    let mut qkv = activations(device, rows, heads.qkv_columns());
    let inv_freq: Vec<f32> = (0..32).map(|i| 10_000f32.powf(-f32::from(i as u8) / 32.0)).collect();
    let positions: Vec<u32> = (0..rows as u32).collect();
    let mut angles = device.buffer(rows, 64);
    device.rope_angles(&positions, &vec![&inv_freq[..]; rows], 1.0, &mut angles);
    let rope = time(|| device.rope(&mut qkv, &angles, heads, RopeStyle::Pairs));

    let row = |name: &str, time, values| Measured {
        name: format!("{name}, {rows} rows"),
        time,
        amount: bytes(values),
        limit: Limit::Read,
    };
    vec![
        row("rms_norm", norm, 2 * rows * columns),
        row("swiglu", swiglu, 3 * rows * 5632),
        row("rope", rope, 2 * rows * 2 * 2048),
    ]
}
