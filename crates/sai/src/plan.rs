//! `sai plan`: what a recipe will take on machines that need not be here.

use std::fmt::{self, Display};
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::ValueEnum;
use sai_decoder::Cpu;
use sai_trainer::{
    Accelerator, BatchUnit, FinetuneRecipe, Fleet, Plan as Planned, Precision, Recipe, Sharding, Throughput,
};

use crate::interrupt::Interrupt;
use crate::models::memory;
use crate::ui::{Thousands, Ui};
use crate::{cli, finetune};

/// What 42dot's training of its 1.3B model reached of the bf16 peak of 256 A100s; published recipes say 0.2 to 0.5.
const SHARE_GPU: f64 = 0.24;
/// About what sai reaches on processors; a run's own figure is better.
const SHARE_CPU: f64 = 0.5;

const EXAMPLES: &str = "\
Examples:
  sai plan recipes/plm-1.3b.toml --device a100-80g --count 256 --price 1.5
  sai plan recipes/124m.toml --device rtx4090 --share 0.4 --set micro_batch=16
  sai plan recipes/20m.toml                        on this processor
  sai plan recipes/20m.toml --like run/            at the share of the peak that a run reached
  sai plan recipes/dpo-20m.toml --set model.from=tuned/ --set data=pairs.jsonl";

/// Estimate what training a recipe takes: parameters, memory, speed, time, cost.
///
/// Nothing is trained; only conversations and pairs are read, for how long they are. Memory is what training keeps, for
/// each way of sharing it out among devices; speed is the share of a device's published peak (MFU) that you say, for `cpu`
/// of this machine's measured one.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Plan {
    /// Recipe (TOML)
    recipe: PathBuf,

    /// Say a key of the recipe otherwise; may be given again
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,

    /// What to run on: cpu (this machine), a100-40g, a100-80g, h100, h200, b200, l40s, rtx3090 or rtx4090
    #[arg(long, default_value = "cpu", value_name = "NAME")]
    device: String,

    /// How many of them
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = crate::cli::whole(1..=1_000_000))]
    count: usize,

    /// Share of the peak that is reached (model FLOPs utilisation), as in 0.4
    #[arg(long, alias = "mfu", value_name = "SHARE", value_parser = share, conflicts_with = "like")]
    share: Option<f64>,

    /// Take the share that this run reached, by its metrics
    #[arg(long, value_name = "RUN")]
    like: Option<PathBuf>,

    /// Precision to train in; bf16 where the device has it
    #[arg(long, value_enum)]
    precision: Option<Numbers>,

    /// Price of a device's hour, in any currency
    #[arg(long, value_name = "AMOUNT", value_parser = price)]
    price: Option<f64>,

    /// One JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Numbers {
    F32,
    Bf16,
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|&share: &f64| share > 0.0 && share <= 1.0);
    share.ok_or_else(|| "give a number above 0 and at most 1, such as 0.4".to_owned())
}

fn price(text: &str) -> Result<f64, String> {
    let price = text.parse().ok().filter(|&price: &f64| price.is_finite() && price >= 0.0);
    price.ok_or_else(|| "give an amount from 0 on, such as 1.5".to_owned())
}

impl Plan {
    pub(crate) fn run(self, ui: &Ui) -> anyhow::Result<()> {
        let device = self.device()?;
        let precision = match self.precision {
            Some(Numbers::F32) => Precision::F32,
            Some(Numbers::Bf16) => Precision::Bf16,
            None if device.bf16_flops > 0.0 => Precision::Bf16,
            None => Precision::F32,
        };
        let measured = self.like.as_deref().map(sai_trainer::measured).transpose()?;
        let assumed = if device.bf16_flops > 0.0 { SHARE_GPU } else { SHARE_CPU };
        if self.share.is_none() && measured.is_none() {
            ui.note(format_args!(
                "a share of {assumed} of the peak is assumed; say another with --share, or --like a run"
            ));
        }
        let share = self.share.or(measured.map(|run| run.peak_share)).unwrap_or(assumed);
        let fleet = Fleet { device, count: self.count, precision, share, price: self.price };
        let plan = self.plan(fleet, ui)?;
        let mut out = std::io::stdout().lock();
        match self.json {
            true => writeln!(out, "{}", serde_json::to_string(&plan)?)?,
            false => write!(out, "{}", Page { plan: &plan, measured })?,
        }
        Ok(())
    }

    /// A recipe with a key that only fine-tunings have is one of these.
    fn plan(&self, fleet: Fleet, ui: &Ui) -> anyhow::Result<Planned> {
        if !FinetuneRecipe::is_meant(&self.recipe, &self.overrides)? {
            let recipe = Recipe::open(&self.recipe, &self.overrides)?;
            return Ok(sai_trainer::plan(&recipe, &self.recipe, fleet)?);
        }
        let recipe = FinetuneRecipe::open(&self.recipe, &self.overrides)?;
        let (base, recipe) = finetune::open_base(recipe)?;
        let interrupt = Interrupt::install_with_term("")?;
        let conversations = finetune::read(&recipe, &base, cli::threads(0), &interrupt, ui)?;
        Ok(sai_trainer::plan_finetune(&recipe, &self.recipe, &base.config, &conversations, fleet)?)
    }

    fn device(&self) -> anyhow::Result<Accelerator> {
        if self.device == "cpu" {
            let memory = memory::available().context("this system does not say how much memory is free")?;
            let f32_flops = Cpu::new(0).limits().f32_flops;
            return Ok(Accelerator { name: "cpu".to_owned(), bf16_flops: 0.0, f32_flops, memory });
        }
        match Accelerator::named(&self.device) {
            Some(known) => Ok(known),
            None => {
                let names: Vec<String> = Accelerator::published().map(|known| known.name).collect();
                bail!("--device {}: is none of cpu, {}", self.device, names.join(", "))
            }
        }
    }
}

/// A plan for a person.
struct Page<'a> {
    plan: &'a Planned,
    measured: Option<Throughput>,
}

impl Display for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Planned { fleet, parameters: p, .. } = self.plan;
        let precision = if fleet.precision == Precision::Bf16 { "bf16" } else { "f32" };
        writeln!(
            f,
            "{} × {}: {precision}, {} of peak, {} each\n",
            Thousands(fleet.count as u64),
            fleet.device.name,
            Operations(fleet.peak(), "/s"),
            Gigabytes(fleet.device.memory),
        )?;
        writeln!(f, "parameters    {:>16}", Thousands(p.total))?;
        for (part, count) in [
            ("embedding", p.embedding),
            ("head", p.head),
            ("attention", p.attention),
            ("feed-forward", p.feed_forward),
            ("norms", p.norms),
        ] {
            if count > 0 {
                writeln!(f, "  {part:12}{:>16}", Thousands(count))?;
            }
        }
        if self.plan.trained < p.total {
            writeln!(f, "trained       {:>16}", Thousands(self.plan.trained))?;
        }
        let times = if self.plan.trained < p.total { 4 } else { 6 };
        let (all, attention) = (self.plan.operations_per_token, self.plan.attention_per_token);
        writeln!(
            f,
            "a token       {}: {} for {times} times the weights of matrices, {} for attention\n",
            Operations(all, ""),
            Operations(all - attention, ""),
            Operations(attention, "")
        )?;
        self.memory(f)?;
        self.time(f)
    }
}

impl Page<'_> {
    /// A column for each way of sharing memory out.
    fn memory(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (plan, all) = (self.plan, &self.plan.memory);
        let room = plan.fleet.device.memory;
        // One device has nobody to share with.
        let columns = if plan.fleet.count == 1 { &all[..1] } else { &all[..] };
        write!(f, "memory a device         ")?;
        for column in columns {
            let name = match column.sharding {
                Sharding::None => "all on each",
                Sharding::Zero1 => "ZeRO-1",
                Sharding::Zero2 => "ZeRO-2",
                Sharding::Zero3 => "ZeRO-3",
            };
            write!(f, "{name:>14}")?;
        }
        let mut row = |name: &str, of: &dyn Fn(usize) -> u64, judged: bool| {
            write!(f, "\n  {name:22}")?;
            for i in 0..columns.len() {
                let full = if judged && of(i) > room { " ✗" } else { "  " };
                write!(f, "{:>12}{full}", Gigabytes(of(i)).to_string())?;
            }
            Ok::<(), fmt::Error>(())
        };
        row("weights", &|i| all[i].weights, false)?;
        row("gradients", &|i| all[i].gradients, false)?;
        row("optimiser", &|i| all[i].optimizer, false)?;
        row("activations", &|_| plan.activations, false)?;
        row("  or computed again", &|_| plan.activations_recomputed, false)?;
        row("in all", &|i| all[i].kept, true)?;
        row("  or computed again", &|i| all[i].recomputed, true)?;
        let said = if plan.recompute { "computes them again" } else { "keeps them" };
        writeln!(f, "\n  (the recipe {said}; ✗ is more than {})\n", Gigabytes(room))
    }

    fn time(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (p, count) = (self.plan, self.plan.fleet.count as f64);
        writeln!(
            f,
            "a step        {}{} tokens: {} {}, {} a device",
            if p.unit == BatchUnit::Sequences { "" } else { "about " },
            Thousands(p.batch_tokens),
            Thousands(p.sequences),
            p.unit.name(),
            Thousands(p.sequences_per_device)
        )?;
        writeln!(
            f,
            "speed         {} tokens/s, {} a device, at {:.1} % of the peak",
            Thousands(p.tokens_per_second as u64),
            Thousands((p.tokens_per_second / count) as u64),
            100.0 * p.fleet.share
        )?;
        if let Some(run) = self.measured {
            writeln!(f, "  the run made {} tokens/s", Thousands(run.tokens_per_second as u64))?;
        }
        writeln!(f, "step time     {}", Time(p.step_seconds))?;
        if let Some(seconds) = p.reference_seconds {
            writeln!(f, "reference     {} before the first step", Time(seconds))?;
        }
        writeln!(
            f,
            "in all        {} for {} steps, {} tokens",
            Time(p.seconds),
            Thousands(p.steps),
            Thousands(p.tokens)
        )?;
        write!(f, "device hours  {}", Amount(p.device_hours))?;
        if let Some(cost) = p.cost {
            write!(f, ", which cost {}", Amount(cost))?;
        }
        if count > 1.0 {
            let sent = p.sent_per_step / 1e9;
            let rate = sent / p.step_seconds;
            write!(f, "\nsent          {sent:.1} GB a step and device; {rate:.2} GB/s of network keep up")?;
        }
        writeln!(f)
    }
}

/// Whole ones where there are many, and two digits of few.
struct Amount(f64);

impl Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            n if n >= 100.0 => write!(f, "{}", Thousands(n.ceil() as u64)),
            n if n >= 0.01 => write!(f, "{n:.2}"),
            n => write!(f, "{n:.1e}"),
        }
    }
}

/// Bytes in the units of those who sell memory.
struct Gigabytes(u64);

impl Display for Gigabytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 as f64 {
            n if n >= 1e9 => write!(f, "{:.1} GB", n / 1e9),
            n => write!(f, "{:.1} MB", n / 1e6),
        }
    }
}

/// Operations, or operations a second.
struct Operations(f64, &'static str);

impl Display for Operations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (value, unit) = match self.0 {
            n if n >= 1e12 => (n / 1e12, "TFLOP"),
            n if n >= 1e9 => (n / 1e9, "GFLOP"),
            n => (n / 1e6, "MFLOP"),
        };
        let digits = if value < 100.0 { 2 } else { 0 };
        write!(f, "{value:.digits$} {unit}{}", self.1)
    }
}

/// Seconds, by the two largest units.
struct Time(f64);

impl Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 60.0 {
            return write!(f, "{:.2} s", self.0);
        }
        let minutes = (self.0 / 60.0).round() as u64;
        let (days, hours, minutes) = (minutes / 1440, minutes / 60 % 24, minutes % 60);
        match (days, hours) {
            (0, 0) => write!(f, "{minutes} min"),
            (0, _) => write!(f, "{hours} h {minutes} min"),
            _ => write!(f, "{} d {hours} h", Thousands(days)),
        }
    }
}
