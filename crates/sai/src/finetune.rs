//! `sai finetune`: a model that answers, from a recipe, a model and conversations.

mod inspect;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use sai_decoder::Cpu;
use sai_trainer::{Base, ConversationCounts, Conversations, FinetuneRecipe, Length, Options};

use crate::interrupt::{EXIT_INTERRUPTED, Interrupt};
use crate::ranks::Team;
use crate::run_watch::RunWatch;
use crate::ui::{Thousands, Ui};

const EXAMPLES: &str = "\
Examples:
  sai finetune recipes/sft-20m.toml --set model.from=run/ --set data=chat.jsonl --inspect 3
  sai finetune recipes/sft-20m.toml --set model.from=run/ --set data=chat.jsonl --out tuned/
  sai finetune tuned/recipe.toml --out tuned/ --resume   go on after Ctrl-C, a kill or a full disk
  sai chat -m tuned/model

Conversations are JSON lines, plain or compressed, or Parquet: {\"messages\": [{\"role\": …, \"content\": …}]}, ShareGPT's
{\"conversations\": [{\"from\": …, \"value\": …}]}, Alpaca's {\"instruction\": …, \"input\": …, \"output\": …}, or a question and its
answer under other names (prompt and completion, question and response). \"weight\": 0 or \"train\": false leaves an answer out.
With [dpo] in the recipe they are pairs: {\"prompt\": …, \"chosen\": …, \"rejected\": …}, each a text or a list of messages.";

/// Fine-tune a model on conversations (SFT, with LoRA too) or on preferences (DPO).
///
/// The tokenizer's chat template writes them, and only the tokens of the assistant's answers and the one that ends each
/// are trained on; --inspect shows which. The run's folder is as that of `sai pretrain`; `sai chat` talks to its
/// `model` at any time. With [lora] in the recipe an adapter is trained instead, which `sai merge` makes a model of; with
/// [dpo] the model learns from pairs which of two answers is the better (direct preference optimisation).
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Finetune {
    /// Recipe (TOML)
    recipe: PathBuf,

    /// Folder of the run
    #[arg(short, long, value_name = "DIR", required_unless_present = "inspect")]
    out: Option<PathBuf>,

    /// Say a key of the recipe otherwise, as in model.from=run/; may be given again
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,

    /// Go on from the newest checkpoint, where there is one
    #[arg(long)]
    resume: bool,

    /// Print the first N conversations, in the order of training, with the tokens that are trained on in colour
    #[arg(long, value_name = "N", value_parser = crate::cli::whole(1..=crate::cli::MOST), conflicts_with_all = ["out", "resume"])]
    inspect: Option<usize>,

    /// Threads to compute with; 0 takes every core
    #[arg(short, long, default_value_t = 0, value_name = "N", value_parser = crate::cli::thread_count())]
    threads: usize,
}

impl Finetune {
    pub(crate) fn run(self, ui: &Ui) -> anyhow::Result<()> {
        Team::join()?.run(ui, |team, ui| self.train(team, ui))
    }

    /// One process's part of it; whether it was finished.
    fn train(&self, team: &Team, ui: &Ui) -> anyhow::Result<bool> {
        let recipe = FinetuneRecipe::open(&self.recipe, &self.overrides)?;
        let interrupt = Interrupt::install_with_term("")?;
        let (base, recipe) = open_base(recipe)?;
        let threads = crate::cli::threads(self.threads);
        let conversations = read(&recipe, &base, threads, &interrupt, ui)?;
        let what = if conversations.are_pairs() { "pairs" } else { "conversations" };
        report(conversations.found(), what, ui);
        if let Some(n) = self.inspect {
            inspect::print(&conversations, &base.tokenizer, n, ui)?;
            return Ok(true);
        }
        let (near, threads) = team.share(self.threads)?;

        let out = self.out.clone().unwrap_or_default();
        let options = Options {
            out: out.clone(),
            resume: self.resume,
            memory_limit: crate::models::memory::available().map(|free| free / near as u64),
            peak: Some(&|cpu: &Cpu| cpu.limits().f32_flops),
            stop: &|| interrupt.pending(),
            ranks: team.ranks(),
        };
        let trained = Thousands(conversations.trained());
        let amount = match recipe.length {
            Length::Epochs(1.0) => format!("{trained} {what}"),
            Length::Epochs(epochs) => format!("{epochs} times {trained} {what}"),
            Length::Steps(_) => format!("drawn from {trained} {what}"),
        };
        let model = out.join("model");
        let next = match &recipe.lora {
            None => format!("sai chat -m {}", model.display()),
            Some(_) => format!("sai merge {} {} MERGED", recipe.model.from.display(), model.display()),
        };
        let say = |path: &Path, question: &str| {
            sai_generation::answer(path, question, recipe.sample_tokens, threads)
        };
        let mut watch = RunWatch::new(ui, "finetune", out, amount, &recipe.samples, &say);
        let device = Cpu::new(threads);
        let outcome = sai_trainer::finetune(
            device,
            &recipe,
            &self.recipe,
            base,
            conversations,
            &options,
            &mut |event| watch.on(event),
        );
        watch.end(outcome, &next)
    }
}

/// Opens the model of a recipe, which then says the day where the template asks for it: what `sai chat` tells it, and the
/// same when the run goes on tomorrow.
pub(crate) fn open_base(mut recipe: FinetuneRecipe) -> anyhow::Result<(Base, FinetuneRecipe)> {
    let base = Base::open(&recipe)?;
    if recipe.date.is_some() || !base.asks_for_date() {
        return Ok((base, recipe));
    }
    recipe.date = Some(jiff::ZonedDateTime::now().datetime().date().to_string());
    Ok((Base::open(&recipe)?, recipe))
}

/// Reads the conversations of a recipe, or its pairs.
pub(crate) fn read(
    recipe: &FinetuneRecipe,
    base: &Base,
    threads: usize,
    interrupt: &Interrupt,
    ui: &Ui,
) -> anyhow::Result<Conversations> {
    let bar = ui.bytes_bar(0, "reading");
    let read = Conversations::read(recipe, &base.tokenizer, &base.template, threads, &mut |done, total| {
        bar.set_length(total);
        bar.set_position(done);
        if interrupt.pending() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    bar.finish_and_clear();
    match read? {
        ControlFlow::Continue(conversations) => Ok(conversations),
        ControlFlow::Break(()) => std::process::exit(EXIT_INTERRUPTED),
    }
}

/// Says what the files held, conversations or pairs, and what of it is not used.
fn report(found: &ConversationCounts, what: &str, ui: &Ui) {
    const SHOWN: usize = 5;
    ui.note(format_args!(
        "{} {what} · {} tokens, {} of them of answers",
        Thousands(found.conversations),
        Thousands(found.tokens),
        Thousands(found.trained)
    ));
    if let Some(names) = sai_documents::file_names(&found.left_out) {
        ui.warn(format_args!("not read: {names}; name what is to be in `data`"));
    }
    for broken in found.examples.iter().take(SHOWN) {
        ui.warn(format_args!("{}: {}: {}", broken.path.display(), broken.place, broken.fact));
    }
    if found.broken > 0 {
        let more = found.broken.saturating_sub(SHOWN as u64);
        let more =
            if more > 0 { format!(" ({} more than are shown)", Thousands(more)) } else { String::new() };
        ui.warn(format_args!("{} broken {what} are passed over{more}", Thousands(found.broken)));
    }
    if found.too_long > 0 {
        ui.warn(format_args!(
            "{} {what} are passed over: not even a first answer fits into `context`",
            Thousands(found.too_long)
        ));
    }
    if found.cut > 0 {
        ui.note(format_args!("{} {what} are cut after an answer, for length", Thousands(found.cut)));
    }
    if found.straddling > 0 {
        ui.warn(format_args!(
            "the first token of {} answers begins in the template's opening and is not trained on",
            Thousands(found.straddling)
        ));
    }
}
