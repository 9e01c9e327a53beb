//! `sai judge answer`: collecting answers.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use sai_judge::{
    AnswerSettings, ApiModel, AskOptions, ChatModel, Contestant, Price, PromptColumns, PromptSet, Protocol,
    Run, collect_answers, estimate_answers, import_answers,
};

use super::asking::{AskingArgs, gemini, named, tell_spent, temperature, watch};
use crate::cli::{MOST, whole};
use crate::interrupt::Interrupt;
use crate::terminal::clean::visible;
use crate::ui::Ui;

const EXAMPLES: &str = "\
Examples:
  sai judge answer --models mini,nano=nano/nano-q8_0.gguf -o run
  sai judge answer --prompts benchmark_set_v2.csv --models 42dot-sft --answers Bard=bard.jsonl -o run
  sai judge answer --prompts questions.jsonl --api gpt-4o=https://api.openai.com/v1 --key-env OPENAI_API_KEY -o run
  sai judge answer --gemini gemini-2.5-flash --key-env GEMINI_API_KEY -o run";

/// Collect the answers of contestants to the same prompts into a run's folder.
///
/// Every reply is written down as it comes: the same command goes on where it was stopped, and further contestants can join later.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Answer {
    /// Prompts: CSV (id, question, category, task), JSONL (prompt, LogicKor's questions, MT-bench's turns), or sai-60, which is
    /// built in
    #[arg(long, default_value = sai_judge::OWN_PROMPTS_NAME, value_name = "FILE")]
    prompts: PathBuf,

    /// The run's folder
    #[arg(short, long, value_name = "RUN")]
    output: PathBuf,

    /// Models on this machine: what --model takes elsewhere, or NAME=MODEL
    #[arg(long, value_name = "MODELS", value_delimiter = ',')]
    models: Vec<String>,

    /// A model behind an OpenAI-compatible chat API; may be given again
    #[arg(long, value_name = "NAME=URL", value_parser = named)]
    api: Vec<(String, String)>,

    /// A model of Google's Gemini API; may be given again
    #[arg(long, value_name = "NAME[=URL]", value_parser = gemini)]
    gemini: Vec<(String, String)>,

    /// Answers that lie in a file already: JSONL or CSV with id and answer; may be given again
    #[arg(long, value_name = "NAME=FILE", value_parser = named)]
    answers: Vec<(String, String)>,

    /// Ask the first N prompts alone
    #[arg(long, value_name = "N", value_parser = whole(1..=MOST))]
    limit: Option<usize>,

    /// Tokens of an answer at most
    #[arg(long, default_value_t = 512, value_name = "N", value_parser = whole(1..=MOST))]
    max_tokens: usize,

    /// How freely answers are drawn; 0 takes the likeliest tokens
    #[arg(long, default_value = "0", value_name = "T", value_parser = temperature)]
    temperature: f32,

    /// Of what is drawn by chance
    #[arg(long, default_value_t = 42, value_name = "N")]
    seed: u64,

    /// A system message before every prompt
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,

    #[command(flatten)]
    columns: ColumnArgs,

    #[command(flatten)]
    asking: AskingArgs,
}

/// Names of columns and fields.
#[derive(Args)]
#[command(next_help_heading = "Columns of --prompts")]
struct ColumnArgs {
    /// The column of ids
    #[arg(long, default_value = "id", value_name = "NAME")]
    id_column: String,

    /// The column of questions
    #[arg(long, default_value = "question", value_name = "NAME")]
    question_column: String,

    /// The column of categories
    #[arg(long, default_value = "category", value_name = "NAME")]
    category_column: String,

    /// The column of kinds of task
    #[arg(long, default_value = "task", value_name = "NAME")]
    task_column: String,

    /// The column of right answers
    #[arg(long, default_value = "reference", value_name = "NAME")]
    reference_column: String,
}

impl Answer {
    pub(crate) fn run(self, ui: &Ui) -> anyhow::Result<()> {
        let columns = PromptColumns {
            id: self.columns.id_column.clone(),
            question: self.columns.question_column.clone(),
            category: self.columns.category_column.clone(),
            task: self.columns.task_column.clone(),
            reference: self.columns.reference_column.clone(),
        };
        let set = PromptSet::open(&self.prompts, &columns)?;
        let models: Vec<(String, String)> = self.models.iter().map(|said| model(said)).collect();
        let named = [&models, &self.api, &self.gemini, &self.answers].into_iter().flatten();
        let names: Vec<&str> = named.map(|(name, _)| name.as_str()).collect();
        if names.is_empty() {
            bail!("there is nobody to answer; name contestants with --models, --api, --gemini or --answers");
        }
        if let Some(twice) = names.iter().find(|name| names.iter().filter(|other| other == name).count() > 1)
        {
            bail!("two contestants are called `{twice}`; give one another name, as in NAME={twice}");
        }
        let mut services: Vec<(ApiModel, Option<Price>)> = Vec::new();
        for (of, protocol) in [(&self.api, Protocol::OpenAi), (&self.gemini, Protocol::Gemini)] {
            for (name, url) in of {
                services.push((self.asking.api(name, url, protocol)?, self.asking.price(name)?));
            }
        }
        if self.asking.dry_run {
            return self.dry_run(&set, &services, ui);
        }
        let mut run = Run::create(&self.output, &set, self.limit)?;
        for (name, file) in &self.answers {
            let (_, without) = import_answers(&mut run, name, Path::new(file))?;
            if without > 0 {
                ui.warn(format_args!(
                    "{name}: {without} of {} prompts have no answer in {file}",
                    run.prompts.len()
                ));
            }
        }
        let interrupt = Interrupt::install("")?;
        let budget = self.asking.budget();
        // All that costs is said before any of it is asked.
        for (service, price) in &services {
            let options = AskOptions { parallel: self.asking.parallel, budget: &budget, price: *price };
            let contestant = self.contestant(service);
            self.asking.announce(ui, service.name(), &estimate_answers(&run, &contestant, service, options)?);
        }
        for (name, model) in &models {
            let model = self.asking.local(name, model, ui)?;
            let options = AskOptions { parallel: self.asking.parallel, budget: &budget, price: None };
            let estimate = estimate_answers(&run, &self.contestant(&model), &model, options)?;
            self.asking.announce(ui, name, &estimate);
            self.ask(&mut run, &model, options, &interrupt, ui)?;
        }
        for (service, price) in &services {
            let options = AskOptions { parallel: self.asking.parallel, budget: &budget, price: *price };
            self.ask(&mut run, service, options, &interrupt, ui)?;
        }
        tell_spent(&services, &budget, ui);
        let of = run.facts.contestants.len();
        writeln!(
            std::io::stdout().lock(),
            "{}: {} prompts, {of} contestants",
            self.output.display(),
            run.prompts.len()
        )?;
        Ok(())
    }

    fn contestant(&self, model: &dyn ChatModel) -> Contestant {
        let settings = AnswerSettings {
            max_tokens: self.max_tokens,
            temperature: self.temperature,
            seed: self.seed,
            system: self.system.clone(),
        };
        Contestant { name: model.name().to_owned(), identity: model.identity(), settings }
    }

    fn ask(
        &self,
        run: &mut Run,
        model: &dyn ChatModel,
        options: AskOptions<'_>,
        interrupt: &Interrupt,
        ui: &Ui,
    ) -> anyhow::Result<()> {
        let contestant = self.contestant(model);
        run.add_contestant(contestant.clone())?;
        watch(ui, interrupt, model.name(), |progress| {
            collect_answers(run, &contestant, model, options, progress)
        })
    }

    /// What would be asked of services, and three prompts as they would be sent. Nothing is written into the run's folder.
    fn dry_run(
        &self,
        set: &PromptSet,
        services: &[(ApiModel, Option<Price>)],
        ui: &Ui,
    ) -> anyhow::Result<()> {
        let elsewhere = tempfile::tempdir().context("no folder can be made for a while")?;
        let run = match self.output.join("run.json").is_file() {
            true => Run::read(&self.output)?,
            false => Run::create(&elsewhere.path().join("run"), set, self.limit)?,
        };
        let budget = self.asking.budget();
        for (service, price) in services {
            let options = AskOptions { parallel: self.asking.parallel, budget: &budget, price: *price };
            self.asking.announce(
                ui,
                service.name(),
                &estimate_answers(&run, &self.contestant(service), service, options)?,
            );
        }
        let mut out = std::io::stdout().lock();
        let asked = self.limit.unwrap_or(usize::MAX).min(set.prompts.len());
        writeln!(out, "{}: {asked} prompts, SHA-256 {}", set.name, set.sha256)?;
        for prompt in set.prompts.iter().take(asked.min(3)) {
            writeln!(out, "\n--- {} ---", visible(&prompt.id))?;
            if let Some(system) = &self.system {
                writeln!(out, "[system] {}", visible(system))?;
            }
            for turn in &prompt.turns {
                writeln!(out, "{}", visible(turn))?;
            }
        }
        Ok(())
    }
}

/// `NAME=MODEL`, or a model that is called as it is named; a file with `=` in its name is a file.
fn model(said: &str) -> (String, String) {
    match said.split_once('=').filter(|_| !Path::new(said).exists()) {
        Some((name, model)) => (name.to_owned(), model.to_owned()),
        None => (said.to_owned(), said.to_owned()),
    }
}
