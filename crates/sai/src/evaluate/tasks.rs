//! Tasks of `sai evaluate`: reading them, running models through them, writing what came of it.

use std::ops::ControlFlow;
use std::path::PathBuf;

use anyhow::bail;
use sai_evals::{Exam, ExamOptions, Journal, LanguageModel, Profile, Task, TaskResult};
use sai_generation::{CacheType, LoadOptions, Model, Source};

use super::corpus;
use super::data::Data;
use super::endpoint::Endpoint;
use super::output::{OutputArgs, Results};
use crate::cli::{MOST, whole};
use crate::interrupt::{EXIT_INTERRUPTED, Interrupt};
use crate::ui::Ui;

/// What is asked of tasks.
#[derive(clap::Args)]
#[command(next_help_heading = "Tasks")]
pub(super) struct TaskArgs {
    /// Tasks and groups of lm-evaluation-harness: kobest, english, all, boolq, …
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    tasks: Vec<String>,

    /// The folder of the tasks' data, JSONL or Parquet; without it the data is fetched from the Hub
    #[arg(long, value_name = "FOLDER", requires = "tasks")]
    data: Option<PathBuf>,

    /// A task of your own, a TOML file, which --tasks may name; may be given again
    #[arg(long, value_name = "FILE", requires = "tasks")]
    tasks_from: Vec<PathBuf>,

    /// Whose prompts and rules: the branch by which 42dot judged its model, or lm-eval 0.4.13
    #[arg(long, value_enum, default_value_t = Branch::Polyglot, requires = "tasks")]
    profile: Branch,

    /// Examples before each question [default: the task's own number, mostly 0]
    #[arg(long, value_name = "N", value_parser = whole(0..=1000), requires = "tasks")]
    fewshot: Option<usize>,

    /// Documents of each task at most; figures of fewer do not compare with published ones
    #[arg(long, value_name = "N", value_parser = whole(1..=MOST), requires = "tasks")]
    limit: Option<usize>,

    /// Tokens that are read at most; 0 means the model's context
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = whole(0..=MOST), requires = "tasks")]
    max_length: usize,

    /// Keep every score here, so that a stopped run goes on and what was scored is not scored again
    #[arg(long, value_name = "FILE", requires = "tasks")]
    journal: Option<PathBuf>,

    /// Judge the model of a completions server too, as http://127.0.0.1:8000/v1; it has to return log-probabilities with
    /// `echo`, as vLLM and sai do
    #[arg(long, value_name = "URL", requires_all = ["tasks", "model_name"])]
    endpoint: Option<String>,

    /// What the server calls its model
    #[arg(long, value_name = "NAME", requires = "endpoint")]
    model_name: Option<String>,

    /// A model on this machine or the Hub that has the server's vocabulary; without it the server cuts texts
    #[arg(long, value_name = "MODEL", requires = "endpoint")]
    tokenizer: Option<String>,

    /// Requests to the server at a time
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = whole(1..=256), requires = "endpoint")]
    concurrent: usize,

    /// Say which documents occur in a corpus, a folder of documents or of packed shards, and the figures without them
    #[arg(long, value_name = "DIR", requires = "tasks")]
    check_corpus: Option<PathBuf>,

    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Branch {
    Polyglot,
    Main,
}

/// Where a model is that is judged.
enum Contestant<'a> {
    Local(&'a Source),
    /// Behind an address.
    Server(&'a str),
}

impl TaskArgs {
    /// Whether any task is asked for.
    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Runs the models through the tasks and prints the tables, or adds the results to `json`.
    pub(super) fn run(
        self,
        models: &[(String, Source)],
        threads: usize,
        json: Option<&mut serde_json::Map<String, serde_json::Value>>,
        interrupt: &Interrupt,
        ui: &Ui,
    ) -> anyhow::Result<()> {
        let mut all = Task::own()?;
        for path in &self.tasks_from {
            let task = Task::open(path)?;
            if let Some(same) = all.iter().find(|other| other.name() == task.name()) {
                bail!(
                    "{}: `{}` is the name of {} too; give it another",
                    path.display(),
                    task.name(),
                    same.origin
                );
            }
            all.push(task);
        }
        let tasks = sai_evals::select(&all, &self.tasks)?;
        let reads: Vec<_> = self.journal.iter().chain(&self.data).chain(&self.tasks_from).collect();
        let reads: Vec<_> = reads.iter().map(|path| path.as_path()).filter(|path| path.is_file()).collect();
        self.output.check(&reads)?;
        let profile = match self.profile {
            Branch::Polyglot => Profile::Polyglot,
            Branch::Main => Profile::Main,
        };
        let mut data = match &self.data {
            Some(folder) => Data::Folder(folder),
            None => Data::Hub(Vec::new()),
        };
        let mut exams = Vec::new();
        for task in &tasks {
            let examples = self.fewshot.unwrap_or(task.file.fewshot);
            let options = ExamOptions { profile, examples, limit: self.limit };
            let exam = Exam::of(task, &data.paths(task, examples > 0, ui)?, options)?;
            self.tell(&exam, ui);
            exams.push(exam);
        }
        let seen = match &self.check_corpus {
            Some(folder) => {
                let names: Vec<String> =
                    models.iter().map(|(name, _)| name.clone()).chain(self.tokenizer.clone()).collect();
                Some(corpus::check(folder, &exams, &names, interrupt, ui)?)
            }
            None => None,
        };
        let mut journal = match &self.journal {
            Some(path) => Journal::open(path)?,
            None => Journal::in_memory(),
        };
        let mut results: Vec<(String, Vec<TaskResult>)> = Vec::new();
        let server = self.endpoint.iter().zip(&self.model_name);
        let local = models.iter().map(|(name, source)| (name, Contestant::Local(source)));
        for (name, contestant) in local.chain(server.map(|(url, name)| (name, Contestant::Server(url)))) {
            let model: Box<dyn LanguageModel> = match contestant {
                Contestant::Local(source) => {
                    // The harness computes in f32: rounded keys and values move log-likelihoods by a thousandth.
                    let options =
                        LoadOptions { threads, cache_type: CacheType::F32, ..LoadOptions::default() };
                    Box::new(Model::open(source, &options)?)
                }
                Contestant::Server(url) => {
                    Box::new(Endpoint::open(url, name, self.tokenizer.as_deref(), self.concurrent, ui)?)
                }
            };
            let total: usize = exams.iter().map(Exam::requests).sum();
            let bar = ui.bar(total as u64, name);
            let (mut before, mut of_model) = (0, Vec::new());
            for exam in &exams {
                bar.set_message(format!("{}, {name}", exam.task.name()));
                let found = sai_evals::run(&*model, exam, self.max_length, &mut journal, &mut |done, _| {
                    bar.set_position((before + done) as u64);
                    if interrupt.pending() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                })?;
                let ControlFlow::Continue(result) = found else {
                    bar.finish_and_clear();
                    let way = match &self.journal {
                        Some(path) => format!("the same command goes on from {}", path.display()),
                        None => "with --journal FILE a run can be gone on with".to_owned(),
                    };
                    ui.note(format_args!("stopped; {way}"));
                    std::process::exit(EXIT_INTERRUPTED)
                };
                before += exam.requests();
                if result.cut > 0 {
                    ui.warn(format_args!(
                        "{name}: {}: {} of {} choices have more context than the model reads, and were cut from the left",
                        result.task, result.cut, result.requests
                    ));
                }
                of_model.push(result);
            }
            bar.finish_and_clear();
            results.push((name.clone(), of_model));
        }
        let without = |(name, of_model): &(String, Vec<TaskResult>)| {
            let each = tasks.iter().zip(of_model).enumerate();
            let each = each.map(|(i, (task, result))| {
                seen.as_ref().map(|seen| sai_evals::uncontaminated(task, profile, result, seen.of(i)))
            });
            Some((name.clone(), each.collect::<Option<Vec<_>>>()?))
        };
        let uncontaminated = results.iter().filter_map(without).collect();
        let corpus = self.check_corpus.as_ref().map(|folder| folder.display().to_string());
        self.output.write(&Results { tasks: &tasks, profile, models: results, uncontaminated, corpus }, json)
    }

    /// What a person should know before they read the figures.
    fn tell(&self, exam: &Exam<'_>, ui: &Ui) {
        let name = exam.task.name();
        if exam.documents.len() < exam.available {
            ui.note(format_args!("{name}: {} of {} documents", exam.documents.len(), exam.available));
        }
        if exam.options.examples < self.fewshot.unwrap_or(0) {
            ui.note(format_args!("{name}: it has no examples to draw from, and is asked without"));
        }
        let file =
            exam.data.first().and_then(|file| file.path.file_name()).unwrap_or_default().to_string_lossy();
        if file.starts_with(&format!("{}.{}_", exam.task.file.file, exam.task.file.split)) {
            ui.warn(format_args!(
                "{name}: {file} is a part of the split; its figures do not compare with published ones"
            ));
        }
    }
}
