//! `sai quantize SOURCE TARGET TYPE`: a model in fewer bits.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use sai_formats::DType;
use sai_generation::convert::GgufModel;
use sai_generation::{Config, Imatrix, Mix, Plan};

use crate::output;
use crate::ui::{Size, Thousands, Ui};

/// Quantise a model: write it in fewer bits, as a GGUF file.
///
/// TYPE is a type, or one of llama.cpp's mixes, in which tensors that suffer more get more bits: f32, f16, bf16, q8_0,
/// q6_k, q5_k_m, q5_k_s, q5_1, q5_0, q4_k_m, q4_k_s, q4_1, q4_0, q3_k_l, q3_k_m, q3_k_s, q2_k. Of those with fewer than
/// eight bits q4_k_m is the usual choice. Rows that the blocks of a type do not divide get the next larger type of
/// smaller blocks, as in llama.cpp, or f16.
#[derive(clap::Args)]
pub(crate) struct Quantize {
    /// GGUF file, Hugging Face folder, Hub id or short name; best in f32, f16 or bf16
    source: String,

    /// GGUF file to write
    target: PathBuf,

    /// Type of the weights, such as q4_k_m
    #[arg(value_name = "TYPE", value_parser = mix)]
    mix: Mix,

    /// Importance matrix, of `sai imatrix` or llama.cpp, that says which errors matter
    #[arg(long, value_name = "FILE")]
    imatrix: Option<PathBuf>,

    /// Threads to compute with; 0 takes every core
    #[arg(short, long, default_value_t = 0, value_name = "N", value_parser = crate::cli::thread_count())]
    threads: usize,

    /// Replace the target where it is there already
    #[arg(long)]
    force: bool,

    /// List what every tensor becomes
    #[arg(long)]
    tensors: bool,

    #[command(flatten)]
    overrides: crate::cli::OverrideArgs,
}

fn mix(name: &str) -> Result<Mix, String> {
    Mix::from_name(name).ok_or_else(|| format!("the types are {}", Mix::ALL.map(Mix::name).join(", ")))
}

impl Quantize {
    pub(crate) fn run(self, ui: &Ui) -> anyhow::Result<()> {
        let target = self.target.display();
        let source = crate::models::locate(&self.source, ui)?;
        let reads: Vec<&Path> = output::path_of(&source).into_iter().chain(self.imatrix.as_deref()).collect();
        output::check_file(&self.target, self.force, &reads)?;
        let (_, config) = Config::open(&source)?;
        let model = GgufModel::open(&source, None)?.with_overrides(&self.overrides.override_kv);
        model.notes.iter().for_each(|note| ui.note(format_args!("note: {note}")));
        let imatrix = self.imatrix.as_deref().map(Imatrix::open).transpose()?;
        let plan = Plan::new(&config, &model.metadata, &model.tensors, self.mix, imatrix.as_ref())?;
        warn(&plan, ui);
        if self.tensors {
            list(&plan)?;
        }

        let began = Instant::now();
        let (before, after) = (plan.bytes_before(), plan.bytes_after());
        let bar = ui.bytes_bar(after, "quantize");
        crate::watched::run(ui, bar, |progress| plan.write(&self.target, self.threads, progress))?;
        let bits = |bytes: u64| 8.0 * bytes as f64 / plan.weights().max(1) as f64;
        ui.note(format_args!(
            "{target}: {} weights, {} to {}, {:.2} to {:.2} bits a weight, {:.1} s",
            Thousands(plan.weights()),
            Size(before),
            Size(after),
            bits(before),
            bits(after),
            began.elapsed().as_secs_f64()
        ));
        let types: Vec<String> =
            plan.types().iter().map(|(dtype, count)| format!("{count} {dtype}")).collect();
        ui.note(format_args!("tensors: {}", types.join(", ")));
        Ok(())
    }
}

/// What a person should know before they rely on the file.
fn warn(plan: &Plan<'_>, ui: &Ui) {
    let again: Vec<_> = plan.tensors().iter().filter(|tensor| tensor.is_requantized()).collect();
    if let Some(first) = again.first() {
        ui.warn(format_args!(
            "{} tensors were quantised before ({} among their types), and errors add up; begin from f16, bf16 or f32 \
             where you can",
            again.len(),
            first.from()
        ));
    }
    let mut fallen: Vec<(DType, DType, usize)> = Vec::new();
    for tensor in plan.tensors() {
        let Some(wanted) = tensor.wanted else { continue };
        match fallen.iter_mut().find(|(from, to, _)| (*from, *to) == (wanted, tensor.dtype)) {
            Some((_, _, count)) => *count += 1,
            None => fallen.push((wanted, tensor.dtype, 1)),
        }
    }
    if !fallen.is_empty() {
        let list: Vec<String> =
            fallen.iter().map(|(from, to, count)| format!("{count} of {from} become {to}")).collect();
        ui.note(format_args!("rows do not divide into blocks: {}", list.join(", ")));
    }
}

fn list(plan: &Plan<'_>) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for tensor in plan.tensors() {
        let shape: Vec<String> = tensor.shape().iter().map(usize::to_string).collect();
        let name = crate::terminal::clean::visible(tensor.name());
        writeln!(out, "{name:<32} {:>14}  {:>5} → {}", shape.join(" × "), tensor.from(), tensor.dtype)?;
    }
    Ok(())
}
