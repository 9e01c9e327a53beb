//! A small set, answers from files, and a judge behind a mock service.

// Each test binary uses its own part of this.
#![allow(dead_code, unused_imports)]

#[path = "../mock/mod.rs"]
pub(crate) mod mock;

pub(crate) use mock::{Act, Mock};
use sai_judge::{
    ApiModel, ApiOptions, AskOptions, Asked, Budget, ChatModel, Error, Grading, Key, Price, PromptColumns,
    PromptSet, Protocol, RetryPolicy, Run, Template, answers, collect_grades, import_answers,
};
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

pub(crate) const KEY: &str = "sk-secret-0123456789";

/// 42dot's columns, with what its file has: line ends of Windows, questions over several lines, quotation marks, outer blanks.
pub(crate) const CSV: &str = "id,question,category,task\r\n1,\"짧은 시를 지어라.\r\n주제: \"\"봄\"\"\",Generation,Poem\r\n2, 3 더하기 4는? ,Reasoning,Math\r\n3,서울은 어디에 있어?,Knowledge,QA\r\n4,한 줄로 인사해 줘,Generation,Email\r\n";

pub(crate) fn set() -> PromptSet {
    PromptSet::parse("set.csv", CSV.as_bytes(), &PromptColumns::default()).expect("reads")
}

pub(crate) fn good(scores: [i64; 6]) -> String {
    let names = ["Accuracy", "Robustness", "Fairness", "Bias", "Toxicity", "Efficiency"];
    let one = |(name, score): (&&str, &i64)| {
        format!("\"{name}\":{{\"Explanation\":\"because\",\"Score\":{score}}}")
    };
    format!("{{{}}}", names.iter().zip(&scores).map(one).collect::<Vec<_>>().join(","))
}

pub(crate) fn api(mock: &Mock) -> ApiModel {
    let milliseconds = Duration::from_millis;
    let retry = RetryPolicy {
        attempts: 4,
        first: milliseconds(10),
        longest: milliseconds(50),
        patience: Duration::from_secs(5),
    };
    ApiModel::new(ApiOptions {
        name: "mock".to_owned(),
        url: mock.url.clone(),
        protocol: Protocol::OpenAi,
        key: Key::new(Some(KEY.to_owned())),
        timeout: milliseconds(1000),
        retry,
        roots: ureq::tls::RootCerts::WebPki,
    })
    .expect("is an address")
}

/// A run of the set, answered by two files.
pub(crate) fn run(home: &Path) -> Run {
    let mut run = Run::create(&home.join("run"), &set(), None).expect("begins");
    for (name, text) in [("one", "첫째 답변"), ("two", "둘째 답변, 조금 더 길게 쓴 것")] {
        let path = home.join(format!("{name}.jsonl"));
        let lines = (1..=4).map(|id| format!("{{\"id\":\"{id}\",\"answer\":\"{text} {id}\"}}\n"));
        fs::write(&path, lines.collect::<String>()).expect("writes");
        import_answers(&mut run, name, &path).expect("is taken");
    }
    run
}

pub(crate) fn grading(judge: &dyn ChatModel, template: &str) -> Grading {
    Grading {
        judge: judge.name().to_owned(),
        identity: judge.identity(),
        local: false,
        name: template.to_owned(),
        templates: Template::find(template, (1, 5)).expect("is there"),
        repeats: 1,
        attempts: 3,
        temperature: 0.0,
        max_tokens: 300,
        schema: true,
        against: None,
    }
}

pub(crate) fn grade(
    run: &mut Run,
    judge: &dyn ChatModel,
    grading: &Grading,
    budget: &Budget,
    price: Option<Price>,
) -> Result<Asked, Error> {
    run.add_grading(grading.clone())?;
    let answers = answers(run)?;
    let options = AskOptions { parallel: 4, budget, price };
    collect_grades(run, grading, judge, &answers, options, &mut |_, _| ControlFlow::Continue(()))
}

pub(crate) fn plainly(run: &mut Run, judge: &dyn ChatModel, template: &str) -> Asked {
    let of = grading(judge, template);
    grade(run, judge, &of, &Budget::new(None), None).expect("grades")
}

pub(crate) fn request(text: &str) -> sai_judge::ChatRequest {
    sai_judge::ChatRequest {
        messages: vec![sai_generation::Message::new("user", text)],
        max_tokens: 10,
        temperature: 0.0,
        seed: 0,
        schema: None,
    }
}

pub(crate) fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        match entry.path() {
            path if path.is_dir() => found.extend(walk(&path)),
            path => found.push(path),
        }
    }
    found
}

/// Which seat holds the answer of `one`.
pub(crate) fn first_is_one(text: &str) -> bool {
    text.find("첫째").expect("is shown") < text.find("둘째").expect("is shown")
}

pub(crate) fn long_run(home: &Path, count: usize) -> Run {
    let rows: String = (1..=count).map(|i| format!("{{\"id\":\"{i}\",\"prompt\":\"질문 {i}\"}}\n")).collect();
    let set = PromptSet::parse("long.jsonl", rows.as_bytes(), &PromptColumns::default()).expect("reads");
    let mut run = Run::create(&home.join("run"), &set, None).expect("begins");
    for (name, text) in [("one", "첫째 답변"), ("two", "둘째 답변")] {
        let path = home.join(format!("{name}.jsonl"));
        let lines = (1..=count).map(|id| format!("{{\"id\":\"{id}\",\"answer\":\"{text} {id}\"}}\n"));
        fs::write(&path, lines.collect::<String>()).expect("writes");
        import_answers(&mut run, name, &path).expect("is taken");
    }
    run
}

pub(crate) fn options_of(mock: &Mock) -> ApiOptions {
    ApiOptions {
        name: "mock".to_owned(),
        url: mock.url.clone(),
        protocol: Protocol::OpenAi,
        key: Key::default(),
        timeout: Duration::from_secs(2),
        retry: RetryPolicy::default(),
        roots: ureq::tls::RootCerts::WebPki,
    }
}
