//! `sai make`: the whole life of a model, from one recipe.

mod board;
mod planned;

use std::path::PathBuf;

use sai_decoder::Cpu;
use sai_make::{Machine, MakeRecipe, Options, Stage};

use crate::interrupt::{EXIT_INTERRUPTED, Interrupt};
use crate::ui::{Size, Ui};
use board::Board;

const EXAMPLES: &str = "\
Examples:
  sai make recipes/nano.toml                         a small model from nothing, in minutes; talk to it with
  sai chat -m nano
  sai make recipes/nano.toml -o big --set pretrain.steps=2000
  sai make recipes/nano.toml --dry-run               what would be done, for how long, and why
  sai make recipes/nano.toml --set quantize.type=q4_0    again: what has not changed is not done again

Stages: sample, tokenizer, pack, pretrain, finetune, convert, quantize, evaluate, judge (where the recipe names one), card.";

/// Make a model from one recipe: text, vocabulary, training, conversations, GGUF, figures, card.
///
/// The folder becomes a Hugging Face folder with a GGUF file of it, the same in fewer bits, a model card (README.md) and
/// report.html; below stages/ is what they were made of. A stage is done if its inputs, settings or code have changed.
/// Interrupted or killed, the same command goes on.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Make {
    /// Recipe (TOML)
    recipe: PathBuf,

    /// Folder to make; the recipe's name where not given
    #[arg(short, long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Say a key of the recipe otherwise, as in pretrain.steps=2000; may be given again
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,

    /// Say what would be done and why, how long it takes and how much disk, and do nothing
    #[arg(long)]
    dry_run: bool,

    /// Do this stage anew, and none before it
    #[arg(long, value_name = "STAGE", value_parser = stage)]
    from: Option<Stage>,

    /// End after this stage
    #[arg(long, value_name = "STAGE", value_parser = stage)]
    until: Option<Stage>,

    /// Threads to compute with; 0 takes every core
    #[arg(short, long, default_value_t = 0, value_name = "N", value_parser = crate::cli::thread_count())]
    threads: usize,
}

fn stage(name: &str) -> Result<Stage, String> {
    Stage::named(name).ok_or_else(|| format!("the stages are {}", Stage::ALL.map(Stage::name).join(", ")))
}

impl Make {
    pub(crate) fn run(self, ui: &Ui) -> anyhow::Result<()> {
        let recipe = MakeRecipe::open(&self.recipe, &self.overrides)?;
        let interrupt = Interrupt::install_with_term("")?;
        let options = Options {
            out: self.out.unwrap_or_else(|| PathBuf::from(&recipe.name)),
            from: self.from,
            until: self.until,
            threads: self.threads,
            memory: crate::models::memory::available().map(|free| free / 5 * 4),
            // What would be done can be said without fetching a model.
            judge: match recipe.judge.model.as_deref().filter(|_| !self.dry_run) {
                Some(model) => Some(crate::models::locate(model, ui)?),
                None => None,
            },
            machine: machine(self.threads),
            stop: &|| interrupt.pending(),
        };
        if self.dry_run {
            return planned::print(&sai_make::plan(&recipe, &options)?, &options.out);
        }
        let mut board = Board::new(ui);
        let finished = sai_make::make(&recipe, &options, &mut |event| board.on(event));
        board.leave();
        let out = options.out.display();
        if !finished? {
            ui.note(format_args!("interrupted; the same command goes on in {out}"));
            std::process::exit(EXIT_INTERRUPTED);
        }
        if options.until.is_none_or(|last| last == Stage::Card) {
            let model = crate::models::built_in::spelled(&options.out);
            ui.note(format_args!(
                "{out}: sai chat -m {model} · {}",
                options.out.join("report.html").display()
            ));
        }
        Ok(())
    }
}

/// The machine, for the report.
fn machine(threads: usize) -> Machine {
    let cpu = Cpu::new(threads);
    let mut facts = Vec::new();
    facts.extend(crate::doctor::processor().map(|name| ("Processor".to_owned(), name)));
    facts.push(("Cores".to_owned(), format!("{}, {}", crate::cli::threads(0), std::env::consts::ARCH)));
    facts.push(("Threads".to_owned(), cpu.threads().to_string()));
    facts.extend(Cpu::instruction_sets().last().map(|set| ("Instructions".to_owned(), (*set).to_owned())));
    facts.extend(crate::models::memory::total().map(|bytes| ("Memory".to_owned(), Size(bytes).to_string())));
    facts.push(("System".to_owned(), std::env::consts::OS.to_owned()));
    facts
}
