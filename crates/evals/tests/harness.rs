//! Held to lm-evaluation-harness: prompts, order, log-likelihoods, choices and figures of every task, on a tiny model.
//! `scripts/fixtures/evals.py` made what is expected.

use sai_evals::{Exam, ExamOptions, Journal, Profile, Task, TaskResult, harness, run};
use sai_generation::{CacheType, LoadOptions, Model};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;

#[derive(Deserialize)]
struct Run {
    profile: Profile,
    model: String,
    examples: usize,
    max_length: usize,
    tasks: BTreeMap<String, Expected>,
}

#[derive(Deserialize)]
struct Expected {
    /// By name: value and standard error.
    figures: BTreeMap<String, (f64, Option<f64>)>,
    documents: Vec<Document>,
}

#[derive(Deserialize)]
struct Document {
    number: usize,
    arguments: Vec<(String, String)>,
    lls: Vec<f64>,
    greedy: Vec<bool>,
    #[serde(default)]
    said: String,
}

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn runs(profile: Profile) -> Vec<Run> {
    let text = std::fs::read_to_string(fixtures().join("expected.json")).expect("expected.json");
    let runs: Vec<Run> = serde_json::from_str(&text).expect("JSON");
    runs.into_iter().filter(|run| run.profile == profile).collect()
}

fn open(model: &str) -> Model {
    // What the harness computes in, too.
    let options = LoadOptions { threads: 1, cache_type: CacheType::F32, ..LoadOptions::default() };
    Model::open(&fixtures().join(model), &options).expect("the model")
}

fn score(model: &Model, exam: &Exam<'_>, max_length: usize, journal: &mut Journal) -> TaskResult {
    let result =
        run(model, exam, max_length, journal, &mut |_, _| ControlFlow::Continue(())).expect("scores");
    let ControlFlow::Continue(result) = result else { panic!("nobody broke it off") };
    result
}

fn as_the_harness(profile: Profile) {
    let tasks = Task::own().expect("sound tasks");
    for expected in runs(profile) {
        let model = open(&expected.model);
        let mut journal = Journal::in_memory();
        for (name, of_task) in &expected.tasks {
            let at = format!("{} {} {} {}", expected.model, expected.examples, expected.max_length, name);
            let task = tasks.iter().find(|task| task.name() == name).expect("a task of that name");
            let options = ExamOptions { profile, examples: expected.examples, limit: None };
            let exam = Exam::read(task, &fixtures().join("data"), options).expect(&at);
            let result = score(&model, &exam, expected.max_length, &mut journal);
            assert_eq!(result.samples.len(), of_task.documents.len(), "{at}");
            for (sample, document) in result.samples.iter().zip(&of_task.documents) {
                let question = &sample.judged.question;
                assert_eq!(sample.number, document.number, "{at}");
                let choices = question.contexts.iter().zip(&question.choices);
                let arguments: Vec<(String, String)> = choices
                    .map(|(c, choice)| (c.clone(), format!("{}{choice}", question.delimiter)))
                    .collect();
                assert_eq!(arguments, document.arguments, "{at}");
                for (ours, theirs) in sample.judged.logprobs.iter().zip(&document.lls) {
                    assert!((ours - theirs).abs() <= 1e-3 * theirs.abs(), "{at}: {ours} {theirs}");
                }
                assert_eq!(sample.greedy, document.greedy, "{at}");
                assert_eq!(sample.judged.said, document.said, "{at}");
            }
            // Of the tasks with a short context, WinoGrande's texts fit into it.
            assert_eq!(result.cut > 0, expected.max_length > 0 && name != "winogrande", "{at}");
            assert_eq!(result.figures.len(), of_task.figures.len(), "{at}");
            for figure in &result.figures {
                let name = figure.metric.name(profile);
                let name =
                    figure.filter.as_ref().map_or(name.to_owned(), |filter| format!("{name},{filter}"));
                let (value, stderr) = of_task.figures[&name];
                assert!((figure.value - value).abs() < 5e-5, "{at}: {figure:?} {value}");
                assert_eq!(figure.stderr.is_some(), stderr.is_some(), "{at}: {figure:?} {stderr:?}");
                let difference = figure.stderr.unwrap_or(0.0) - stderr.unwrap_or(0.0);
                assert!(difference.abs() < 5e-5, "{at}: {figure:?} {stderr:?}");
            }
        }
    }
}

#[test]
fn main_gives_the_harness_s_prompts_scores_choices_and_figures() {
    as_the_harness(Profile::Main);
}

#[test]
fn polyglot_gives_the_branch_s_prompts_scores_choices_and_figures() {
    as_the_harness(Profile::Polyglot);
}

#[test]
fn a_limit_takes_the_first_in_main_and_a_shuffled_order_s_first_in_polyglot() {
    let tasks = Task::own().expect("sound tasks");
    let task = tasks.iter().find(|task| task.name() == "kobest_boolq").expect("the task");
    let numbers = |profile, limit| {
        let options = ExamOptions { profile, examples: 0, limit };
        let exam = Exam::read(task, &fixtures().join("data"), options).expect("rows");
        (exam.documents.iter().map(|document| document.number).collect::<Vec<_>>(), exam.available)
    };
    assert_eq!(numbers(Profile::Main, Some(2)), (vec![0, 1], 4));
    // `random.Random(42).shuffle([0, 1, 2, 3])` of Python.
    assert_eq!(numbers(Profile::Polyglot, None).0, [2, 1, 3, 0]);
    assert_eq!(numbers(Profile::Polyglot, Some(2)), (vec![2, 1], 4));
}

#[test]
fn a_run_that_is_broken_off_goes_on_where_it_stopped() {
    let home = tempfile::tempdir().expect("a folder");
    let path = home.path().join("journal.jsonl");
    let tasks = Task::own().expect("sound tasks");
    let task = tasks.iter().find(|task| task.name() == "arc_easy").expect("the task");
    let exam = Exam::read(task, &fixtures().join("data"), ExamOptions::default()).expect("rows");
    let model = open("model");
    let whole = score(&model, &exam, 0, &mut Journal::in_memory());
    assert_eq!((whole.known, whole.requests), (0, exam.requests()));

    let mut journal = Journal::open(&path).expect("opens");
    let mut stop =
        |done: usize, _: usize| if done > 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    let stopped = run(&model, &exam, 0, &mut journal, &mut stop).expect("scores");
    assert!(matches!(stopped, ControlFlow::Break(())));
    drop(journal);
    let mut journal = Journal::open(&path).expect("opens");
    let again = score(&model, &exam, 0, &mut journal);
    assert!(again.known > 0, "what was scored is not scored again");
    assert_eq!(again.figures, whole.figures);
    drop(journal);
    let mut journal = Journal::open(&path).expect("opens");
    let known = score(&model, &exam, 0, &mut journal);
    assert_eq!(known.known, known.requests);
}

#[test]
fn weights_that_give_no_numbers_are_no_result() {
    let home = tempfile::tempdir().expect("a folder");
    for name in ["config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"] {
        std::fs::copy(fixtures().join("model").join(name), home.path().join(name)).expect("copies");
    }
    let path = home.path().join("model.safetensors");
    let mut bytes = std::fs::read(&path).expect("reads");
    let end = bytes.len();
    // The final norm is the last tensor of the file.
    for value in bytes[end - 128..].chunks_exact_mut(4) {
        value.copy_from_slice(&f32::NAN.to_le_bytes());
    }
    std::fs::write(&path, bytes).expect("writes");
    let tasks = Task::own().expect("sound tasks");
    let task = tasks.iter().find(|task| task.name() == "truthfulqa_mc1").expect("the task");
    let exam = Exam::read(task, &fixtures().join("data"), ExamOptions::default()).expect("rows");
    let model =
        Model::open(home.path(), &LoadOptions { threads: 1, ..LoadOptions::default() }).expect("opens");
    let found = run(&model, &exam, 0, &mut Journal::in_memory(), &mut |_, _| ControlFlow::Continue(()));
    let error = found.expect_err("is refused").to_string();
    assert!(
        error.contains("truthfulqa_mc1: ") && error.contains(": line ") && error.contains("NaN"),
        "{error}"
    );
}

#[test]
fn results_are_laid_out_as_the_harness_s() {
    let tasks = Task::own().expect("sound tasks");
    let task = tasks.iter().find(|task| task.name() == "kobest_boolq").expect("the task");
    let model = open("model");
    let of = |profile| {
        let options = ExamOptions { profile, examples: 0, limit: Some(3) };
        let exam = Exam::read(task, &fixtures().join("data"), options).expect("rows");
        harness("tiny", profile, &[score(&model, &exam, 0, &mut Journal::in_memory())])
    };
    let main = of(Profile::Main);
    assert!(main["results"]["kobest_boolq"]["f1,none"].is_number());
    assert_eq!(main["results"]["kobest_boolq"]["f1_stderr,none"], "N/A");
    assert!(main["results"]["kobest_boolq"]["acc_stderr,none"].is_number());
    assert_eq!(main["n-samples"]["kobest_boolq"]["effective"], 3);
    assert_eq!(main["data"]["kobest_boolq"][0]["sha256"].as_str().map(str::len), Some(64));
    let polyglot = of(Profile::Polyglot);
    assert!(polyglot["results"]["kobest_boolq"]["macro_f1_stderr"].is_number());
}
