//! What was measured, for people and as JSON.

use std::fmt;

use sai_decoder::Limits;
use sai_generation::{BenchReport, Spread};
use serde_json::{Value, json};

use crate::ui::Size;

/// A model's speed beside its machine's limits.
pub(super) struct Measured<'a> {
    pub(super) name: &'a str,
    pub(super) bench: sai_generation::Bench,
    pub(super) report: BenchReport,
    pub(super) limits: Limits,
    pub(super) threads: usize,
    /// Bytes of memory that the process held at most, files mapped into it included.
    pub(super) peak_memory: Option<u64>,
}

impl Measured<'_> {
    /// What products with the weights are held against: its name, and operations a second.
    fn arithmetic_limit(&self) -> (&'static str, f64) {
        match self.report.dtype.is_float() {
            true => ("f32", self.limits.f32_flops),
            false => ("int8", self.limits.int8_ops),
        }
    }

    fn dtype(&self) -> String {
        self.report.dtype.name().to_ascii_lowercase()
    }

    pub(super) fn json(&self) -> Value {
        let (report, limits) = (&self.report, &self.limits);
        let (arithmetic, operations_s) = self.arithmetic_limit();
        let median = |spread: Option<Spread>| spread.map(|s| s.median);
        let range = |spread: Option<Spread>| spread.map(|s| [s.lowest, s.highest]);
        let share = |spread: Option<Spread>, a_token: f64, limit: f64| {
            spread.filter(|_| limit > 0.0).map(|s| s.median * a_token / limit)
        };
        json!({
            "model": self.name,
            "type": self.dtype(),
            "parameters": report.config.parameters(),
            "layers": report.config.num_layers,
            "weights_bytes": report.weights,
            "prompt": self.bench.prompt,
            "generate": self.bench.generate,
            "depth": self.bench.depth,
            "repeats": self.bench.repeats,
            "prefill_tok_s": median(report.prefill),
            "prefill_tok_s_range": range(report.prefill),
            "prefill_operations_per_token": report.prefill_operations,
            "prefill_limit": arithmetic,
            "prefill_share": share(report.prefill, report.prefill_operations, operations_s),
            "decode_tok_s": median(report.decode),
            "decode_tok_s_range": range(report.decode),
            "decode_bytes_per_token": report.decode_bytes,
            "decode_operations_per_token": report.decode_operations,
            "decode_share": share(report.decode, report.decode_bytes, limits.read_bytes_s),
            "load_s": report.load.as_secs_f64(),
            "first_token_s": report.first_token.as_secs_f64(),
            "peak_memory_bytes": self.peak_memory,
            "machine": {
                "device": report.device,
                "threads": self.threads,
                "read_bytes_s": limits.read_bytes_s,
                "f32_flops": limits.f32_flops,
                "int8_ops": limits.int8_ops,
            },
        })
    }
}

impl fmt::Display for Measured<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (report, limits) = (&self.report, &self.limits);
        writeln!(
            f,
            "{} · reads {:.1} GB/s · f32 {:.0} GFLOP/s · int8 {:.0} GOP/s",
            report.device,
            limits.read_bytes_s / 1e9,
            limits.f32_flops / 1e9,
            limits.int8_ops / 1e9
        )?;
        write!(
            f,
            "{} · {:.2}B weights, {} · loaded in {:.2} s · first token after {:.2} s",
            self.name,
            report.config.parameters() as f64 / 1e9,
            Size(report.weights),
            report.load.as_secs_f64(),
            report.first_token.as_secs_f64()
        )?;
        match self.peak_memory {
            Some(bytes) => writeln!(f, " · peak memory {}", Size(bytes))?,
            None => writeln!(f)?,
        }
        let depth = match self.bench.depth {
            0 => String::new(),
            depth => format!(" after {depth}"),
        };
        if let Some(spread) = report.prefill {
            let (arithmetic, limit) = self.arithmetic_limit();
            writeln!(
                f,
                "prefill {} · {} tokens{depth} · {} · {:.2} GOP a token · {}",
                self.dtype(),
                self.bench.prompt,
                speed(spread),
                report.prefill_operations / 1e9,
                share(spread.median * report.prefill_operations, limit, &format!("GOP/s {arithmetic}"))
            )?;
        }
        if let Some(spread) = report.decode {
            writeln!(
                f,
                "decode {} · {} tokens{depth} · {} · {:.0} MB a token · {}",
                self.dtype(),
                self.bench.generate,
                speed(spread),
                report.decode_bytes / 1e6,
                share(spread.median * report.decode_bytes, limits.read_bytes_s, "GB/s")
            )?;
        }
        Ok(())
    }
}

/// `27.0 tok/s ±0.4 (26.6 to 27.3)`.
fn speed(spread: Spread) -> String {
    let Spread { median, lowest, highest } = spread;
    let wide = (highest - median).max(median - lowest);
    format!("{median:.1} tok/s ±{wide:.1} ({lowest:.1} to {highest:.1})")
}

/// `20.3 GB/s of 22.1 (92 %)`.
fn share(reached: f64, limit: f64, unit: &str) -> String {
    let reached_shown = format!("{:.1} {unit}", reached / 1e9);
    match limit > 0.0 {
        true => format!("{reached_shown} of {:.1} ({:.0} %)", limit / 1e9, 100.0 * reached / limit),
        false => reached_shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_said_with_their_limit() {
        let spread = Spread { median: 27.04, lowest: 26.62, highest: 27.3 };
        assert_eq!(speed(spread), "27.0 tok/s ±0.4 (26.6 to 27.3)");
        assert_eq!(share(20.3e9, 22.1e9, "GB/s"), "20.3 GB/s of 22.1 (92 %)");
        assert_eq!(share(20.3e9, 0.0, "GB/s"), "20.3 GB/s");
    }
}
