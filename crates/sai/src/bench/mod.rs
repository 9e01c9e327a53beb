//! `sai bench`: how fast a model runs on this machine, and how near that is to what the machine can do.

mod report;

use std::io::Write;
use std::ops::ControlFlow;

use anyhow::ensure;
use sai_decoder::Cpu;
use sai_formats::DType;
use sai_generation::{BenchModel, RandomModel};

use crate::cli::{CacheKind, MOST, whole};
use crate::interrupt::{EXIT_INTERRUPTED, Interrupt};
use crate::models::{locate, memory};
use crate::ui::Ui;
use report::Measured;

const EXAMPLES: &str = "\
Examples:
  sai bench                                 a random model of 42dot LLM's shape, 1.44 billion weights in q4_0
  sai bench --type q8_0,q4_k --layers 4     smaller ones, for a quick look
  sai bench -m model.gguf -d 4096 -p 0      writing after 4,096 tokens of context
  sai bench -m a.gguf b.gguf --json         one JSON object a model";

/// Benchmark a model: tokens a second, beside what the machine can do.
///
/// Reading a prompt (prefill) and writing tokens (decode) are timed apart, several times in turns, each after --depth tokens of
/// context. In the same run the machine's limits are measured: bytes read from memory a second, operations a second
/// in f32 and on bytes. Writing is held against the first, reading against the one of the weights' type.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Bench {
    /// Models to measure: files, folders, Hub ids, short names; a random one is made where none is given
    #[arg(short, long, num_args = 1.., value_name = "MODEL")]
    model: Vec<String>,

    /// Tokens of the prompt; 0 leaves prefill out
    #[arg(short = 'p', long, default_value_t = 512, value_name = "N", value_parser = whole(0..=MOST), alias = "n_prompt")]
    n_prompt: usize,

    /// Tokens to generate; 0 leaves decode out
    #[arg(short, long, default_value_t = 128, value_name = "N", value_parser = whole(0..=MOST), alias = "n_gen")]
    n_gen: usize,

    /// Tokens of context before both
    #[arg(short, long, default_value_t = 0, value_name = "N", value_parser = whole(0..=MOST), alias = "n_depth")]
    depth: usize,

    /// How often each is timed; the median counts
    #[arg(short, long, default_value_t = 5, value_name = "N", value_parser = whole(1..=1000))]
    repeats: usize,

    /// Threads to compute with; 0 takes every core
    #[arg(short, long, default_value_t = 0, value_name = "N", value_parser = crate::cli::thread_count())]
    threads: usize,

    /// Type of the KV cache
    #[arg(long, value_enum, default_value_t = CacheKind::F16, alias = "cache_type")]
    cache_type: CacheKind,

    /// Types of the random model's matrices: f32, f16, bf16, q8_0, q4_0, q4_1, q5_0, q5_1, q2_k to q6_k
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',', default_value = "q4_0",
        conflicts_with = "model", value_parser = dtype)]
    types: Vec<DType>,

    /// Layers of the random model; fewer need less memory
    #[arg(long, default_value_t = 24, value_name = "N", value_parser = whole(1..=1000), conflicts_with = "model")]
    layers: usize,

    /// One JSON object a model instead of text
    #[arg(long)]
    json: bool,
}

impl Bench {
    pub(crate) fn run(self, ui: &Ui) -> anyhow::Result<()> {
        ensure!(self.n_prompt + self.n_gen > 0, "-p 0 -n 0: there is nothing to time");
        let interrupt = Interrupt::install("")?;
        for name in &self.model {
            let source = locate(name, ui)?;
            self.measure(name, BenchModel::File(&source), &interrupt, ui)?;
        }
        let types = if self.model.is_empty() { &self.types[..] } else { &[] };
        for &dtype in types {
            let model = RandomModel::new(dtype, self.layers)?;
            let name = format!("random, {} layers, {}", self.layers, dtype.name().to_ascii_lowercase());
            self.measure(&name, BenchModel::Random(&model), &interrupt, ui)?;
        }
        Ok(())
    }

    /// Times one model between two looks at the machine, and prints what was found.
    fn measure(&self, name: &str, model: BenchModel<'_>, stop: &Interrupt, ui: &Ui) -> anyhow::Result<()> {
        let bench = sai_generation::Bench {
            threads: self.threads,
            prompt: self.n_prompt,
            generate: self.n_gen,
            depth: self.depth,
            repeats: self.repeats,
            cache_type: self.cache_type.into(),
            memory_limit: memory::available(),
        };
        let bar = ui.bar(0, name);
        let before = Cpu::new(self.threads).limits();
        memory::forget_peak();
        let report = bench.run(model, &mut |done, total| {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
            if stop.pending() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        bar.finish_and_clear();
        let Some(report) = report? else { std::process::exit(EXIT_INTERRUPTED) };
        // Making random weights takes memory of its own.
        let peak_memory = memory::peak().filter(|_| matches!(model, BenchModel::File(_)));
        let cpu = Cpu::new(self.threads);
        let (limits, threads) = (before.max(cpu.limits()), cpu.threads());
        let measured = Measured { name, bench, report, limits, threads, peak_memory };
        let mut out = std::io::stdout().lock();
        match self.json {
            true => writeln!(out, "{}", measured.json())?,
            false => write!(out, "{measured}")?,
        }
        Ok(())
    }
}

fn dtype(text: &str) -> Result<DType, String> {
    let known = DType::from_name(&text.to_ascii_uppercase()).filter(|dtype| dtype.is_known());
    known.ok_or_else(|| {
        let names = DType::KNOWN.map(|dtype| dtype.name().to_ascii_lowercase());
        format!("the types are {}", names.join(", "))
    })
}
