//! From prompts to a report, with a judge that misbehaves on command.

mod mock;

use mock::{Act, Mock};
use sai_judge::{
    Answer, ApiModel, ApiOptions, AskOptions, Asked, Budget, ChatModel, Contestant, Error, Grading, Key,
    Price, PromptColumns, PromptSet, Protocol, Report, ReportOptions, RetryPolicy, Run, Template, answers,
    collect_answers, collect_grades, import_answers,
};
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const KEY: &str = "sk-secret-0123456789";

/// 42dot's columns, with what its file has: line ends of Windows, questions over several lines, quotation marks, outer blanks.
const CSV: &str = "id,question,category,task\r\n1,\"짧은 시를 지어라.\r\n주제: \"\"봄\"\"\",Generation,Poem\r\n2, 3 더하기 4는? ,Reasoning,Math\r\n3,서울은 어디에 있어?,Knowledge,QA\r\n4,한 줄로 인사해 줘,Generation,Email\r\n";

fn set() -> PromptSet {
    PromptSet::parse("set.csv", CSV.as_bytes(), &PromptColumns::default()).expect("reads")
}

fn good(scores: [i64; 6]) -> String {
    let names = ["Accuracy", "Robustness", "Fairness", "Bias", "Toxicity", "Efficiency"];
    let one = |(name, score): (&&str, &i64)| {
        format!("\"{name}\":{{\"Explanation\":\"because\",\"Score\":{score}}}")
    };
    format!("{{{}}}", names.iter().zip(&scores).map(one).collect::<Vec<_>>().join(","))
}

fn api(mock: &Mock) -> ApiModel {
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
fn run(home: &Path) -> Run {
    let mut run = Run::create(&home.join("run"), &set(), None).expect("begins");
    for (name, text) in [("one", "첫째 답변"), ("two", "둘째 답변, 조금 더 길게 쓴 것")] {
        let path = home.join(format!("{name}.jsonl"));
        let lines = (1..=4).map(|id| format!("{{\"id\":\"{id}\",\"answer\":\"{text} {id}\"}}\n"));
        fs::write(&path, lines.collect::<String>()).expect("writes");
        import_answers(&mut run, name, &path).expect("is taken");
    }
    run
}

fn grading(judge: &dyn ChatModel, template: &str) -> Grading {
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

fn grade(
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

fn plainly(run: &mut Run, judge: &dyn ChatModel, template: &str) -> Asked {
    let of = grading(judge, template);
    grade(run, judge, &of, &Budget::new(None), None).expect("grades")
}

#[test]
fn a_set_keeps_every_blank_and_line_end_and_is_known_by_its_hash() {
    let set = set();
    let turns: Vec<&str> = set.prompts.iter().map(|prompt| prompt.turns[0].as_str()).collect();
    assert_eq!(turns[..2], ["짧은 시를 지어라.\r\n주제: \"봄\"", " 3 더하기 4는? "]);
    assert_eq!(set.categories(), ["Generation", "Reasoning", "Knowledge"]);
    let home = tempfile::tempdir().expect("a folder");
    let run = run(home.path());
    let other = PromptSet::parse("set.csv", CSV.replace("봄", "여름").as_bytes(), &PromptColumns::default())
        .expect("reads");
    drop(run);
    let refused = Run::create(&home.path().join("run"), &other, None).err().expect("is refused").to_string();
    assert!(refused.contains(&set.sha256[..12]) && refused.contains("another folder"), "{refused}");
}

#[test]
fn a_judge_that_misbehaves_costs_grades_and_never_scores() {
    // By the answer's number: what the judge does with it, every time but where said.
    let mock = Mock::start(|asked| {
        let text = asked.text();
        let of = |mark: &str| text.contains(mark);
        match () {
            () if of("첫째 답변 1") => Act::Say(good([5, 5, 5, 5, 5, 5])),
            () if of("첫째 답변 2") => {
                Act::Say(format!("Sure! Here it is:\n```json\n{}\n```", good([4; 6])))
            }
            () if of("첫째 답변 3") => Act::Say(good([9, 5, 5, 5, 5, 5])),
            () if of("첫째 답변 4") => Act::Cut(good([5; 6])[..40].to_owned()),
            () if of("쓴 것 1") && asked.number < 12 => {
                Act::Status(500, "", "{\"error\":{\"message\":\"oops\"}}".to_owned())
            }
            () if of("쓴 것 2") => Act::Say("I think this deserves a 5.".to_owned()),
            () => Act::Say(good([3; 6])),
        }
    });
    let home = tempfile::tempdir().expect("a folder");
    let mut run = run(home.path());
    let asked = plainly(&mut run, &api(&mock), "criteria");
    assert!(asked.failed.len() <= 1, "{asked:?}");
    // Whatever failed is asked again, and nothing else.
    let before = mock.count();
    let again = plainly(&mut run, &api(&mock), "criteria");
    assert!(again.failed.is_empty() && mock.count() - before <= 1, "{again:?}");
    let report =
        Report::of(&run, &ReportOptions { resamples: 100, ..ReportOptions::default() }).expect("reports");
    let scores = &report.scores[0];
    let [one, two] = &scores.rows[..] else { panic!("two contestants") };
    assert_eq!(
        (one.graded, one.total.expect("is graded").value),
        (2, 27.0),
        "30 and 24; two are missing, not 0"
    );
    assert_eq!((two.graded, two.total.expect("is graded").value), (3, 18.0));
    let why: Vec<_> = scores.missing.iter().map(|(why, count)| (why.as_str(), *count)).collect();
    assert_eq!(why, [("cut at its limit of tokens", 1), ("no JSON object", 1), ("out of range", 1)]);
    let pair = &scores.pairs[0];
    assert_eq!(
        (pair.wins, pair.ties, pair.losses, pair.missing),
        (1, 0, 0, 3),
        "a missing grade is no lost game"
    );
    assert!((pair.shares().iter().sum::<f64>() - 100.0).abs() < 1e-9);
    assert!(
        report.warnings.iter().any(|told| told.contains("3 of 8 grades of mock")),
        "{:?}",
        report.warnings
    );
}

#[test]
fn a_retry_sends_the_first_words_and_at_most_twice_the_room() {
    let mock = Mock::start(|asked| match asked.number {
        0 => Act::Cut("{\"Accuracy\":{\"Score\":".to_owned()),
        1 => Act::Say("hm".to_owned()),
        _ => Act::Say("still no JSON".to_owned()),
    });
    let home = tempfile::tempdir().expect("a folder");
    let mut run = Run::create(&home.path().join("run"), &set(), Some(1)).expect("begins");
    let path = home.path().join("a.jsonl");
    fs::write(&path, "{\"id\":1,\"answer\":\"답\"}\n").expect("writes");
    import_answers(&mut run, "a", &path).expect("is taken");
    plainly(&mut run, &api(&mock), "criteria");
    let asked = mock.asked.lock().expect("no panic");
    assert_eq!(asked.len(), 3, "three attempts and no more");
    assert!(asked.iter().all(|body| body["messages"] == asked[0]["messages"]), "the words do not grow");
    let room: Vec<_> = asked.iter().map(|body| body["max_tokens"].as_u64().expect("a number")).collect();
    assert_eq!(room, [300, 600, 600]);
}

#[test]
fn a_killed_run_goes_on_and_asks_nothing_twice() {
    let answered = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&answered);
    let mock = Mock::start(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        Act::Say(good([4; 6]))
    });
    let home = tempfile::tempdir().expect("a folder");
    let mut run = run(home.path());
    let judge = api(&mock);
    let of = grading(&judge, "criteria");
    run.add_grading(of.clone()).expect("is written");
    let given = answers(&run).expect("reads");
    let budget = Budget::new(None);
    let options = AskOptions { parallel: 1, budget: &budget, price: None };
    let stopped = collect_grades(&run, &of, &judge, &given, options, &mut |done, _| match done {
        0..3 => ControlFlow::Continue(()),
        _ => ControlFlow::Break(()),
    });
    assert!(stopped.expect("is no failure").stopped);
    let kept = answered.load(Ordering::SeqCst);
    assert!((3..8).contains(&kept), "{kept}");
    // A kill in the middle of a line.
    let journal = run.verdicts_path();
    let mut text = fs::read(&journal).expect("reads");
    text.extend_from_slice(b"{\"key\":\"half");
    fs::write(&journal, text).expect("writes");
    let refused = Report::of(&run, &ReportOptions::default()).err().expect("is refused").to_string();
    assert!(refused.contains("never asked") && refused.contains("--partial"), "{refused}");
    let part = Report::of(&run, &ReportOptions { partial: true, resamples: 50, ..ReportOptions::default() })
        .expect("reports");
    assert_eq!(part.scores[0].rows.iter().map(|row| row.graded).sum::<usize>(), kept);
    let rest = plainly(&mut run, &judge, "criteria");
    assert_eq!((rest.known, rest.replies), (kept, 8 - kept));
    assert_eq!(answered.load(Ordering::SeqCst), 8);
    assert!(Report::of(&run, &ReportOptions { resamples: 50, ..ReportOptions::default() }).is_ok());
}

#[test]
fn a_service_that_is_busy_is_waited_for_as_long_as_it_says() {
    let mock = Mock::start(|asked| match asked.number {
        0 => Act::Status(429, "retry-after: 0.4\r\n", "{\"error\":{\"message\":\"slow down\"}}".to_owned()),
        1 => Act::Half,
        2 => Act::Status(200, "", "<html>a proxy</html>".to_owned()),
        _ => Act::Say("hello".to_owned()),
    });
    let request = request("hi");
    let began = Instant::now();
    let reply = api(&mock).ask(&request, &false.into()).expect("answers in the end");
    assert_eq!(reply.text, "hello");
    assert!(began.elapsed() >= Duration::from_millis(400) && mock.count() == 4);
    let patient = Mock::start(|_| Act::Status(429, "retry-after: 3600\r\n", "{}".to_owned()));
    let error = format!("{:?}", api(&patient).ask(&request, &false.into()).expect_err("is refused"));
    assert!(error.contains("wait for 3600 s") && patient.count() == 1, "{error}");
}

#[test]
fn a_service_that_hangs_fails_and_is_asked_again_by_the_next_run() {
    let mock = Mock::start(|asked| match asked.number {
        0..4 => Act::Hang(Duration::from_millis(1500)),
        _ => Act::Say(good([2; 6])),
    });
    let home = tempfile::tempdir().expect("a folder");
    let mut run = Run::create(&home.path().join("run"), &set(), Some(1)).expect("begins");
    let path = home.path().join("a.jsonl");
    fs::write(&path, "{\"id\":1,\"answer\":\"답\"}\n").expect("writes");
    import_answers(&mut run, "a", &path).expect("is taken");
    let asked = plainly(&mut run, &api(&mock), "criteria");
    assert!(asked.failed.keys().any(|fact| fact.contains("no answer in 1 s")), "{asked:?}");
    assert_eq!(plainly(&mut run, &api(&mock), "criteria").replies, 1);
}

fn request(text: &str) -> sai_judge::ChatRequest {
    sai_judge::ChatRequest {
        messages: vec![sai_generation::Message::new("user", text)],
        max_tokens: 10,
        temperature: 0.0,
        seed: 0,
        schema: None,
    }
}

#[test]
fn a_wrong_key_ends_the_run_at_once_and_is_in_no_file_and_no_message() {
    let mock = Mock::start(|asked| {
        assert!(asked.headers.to_ascii_lowercase().contains("authorization: bearer"), "the key is shown");
        Act::Status(401, "", format!("{{\"error\":{{\"message\":\"Incorrect API key provided: {KEY}\"}}}}"))
    });
    let home = tempfile::tempdir().expect("a folder");
    let mut run = run(home.path());
    let judge = api(&mock);
    let of = grading(&judge, "criteria");
    let error = grade(&mut run, &judge, &of, &Budget::new(None), None).expect_err("ends").to_string();
    assert!(error.contains("401") && error.contains("--key-env") && !error.contains(KEY), "{error}");
    assert!(mock.count() <= 4, "no more than were on their way: {}", mock.count());
    assert!(!format!("{:?}", Key::new(Some(KEY.to_owned()))).contains("secret"));
    // A service that repeats the key in its answers.
    let parrot = Mock::start(|asked| Act::Say(format!("{} {}", asked.headers, good([3; 6]))));
    let judge = api(&parrot);
    plainly(&mut run, &judge, "criteria");
    let report =
        Report::of(&run, &ReportOptions { resamples: 20, partial: true, ..ReportOptions::default() })
            .expect("reports");
    let page = report.html(&run, &[]);
    let mut searched = 0;
    for file in walk(home.path()) {
        searched += 1;
        let text = String::from_utf8_lossy(&fs::read(&file).expect("reads")).into_owned();
        assert!(!text.contains(KEY), "{}", file.display());
    }
    assert!(searched >= 6 && !page.contains(KEY) && !report.markdown().contains(KEY));
    let with_key = ApiOptions {
        name: "m".to_owned(),
        url: format!("https://user:{KEY}@host/v1"),
        protocol: Protocol::OpenAi,
        key: Key::default(),
        timeout: Duration::from_secs(1),
        retry: RetryPolicy::default(),
        roots: ureq::tls::RootCerts::WebPki,
    };
    let error = ApiModel::new(with_key).err().expect("is refused").to_string();
    assert!(error.contains("--key-env") && !error.contains(KEY), "{error}");
}

fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        match entry.path() {
            path if path.is_dir() => found.extend(walk(&path)),
            path => found.push(path),
        }
    }
    found
}

#[test]
fn a_service_without_schemas_is_asked_without() {
    let mock = Mock::start(|asked| {
        let refuse = |what: &str| {
            Act::Status(400, "", format!("{{\"error\":{{\"message\":\"Unsupported: {what}\"}}}}"))
        };
        let body = &asked.body;
        if body["response_format"]["type"] == "json_schema" {
            return refuse("response_format of type json_schema");
        }
        if body.get("temperature").is_some() {
            return refuse("'temperature' does not support 0");
        }
        if body.get("max_tokens").is_some() {
            return refuse("'max_tokens'; use 'max_completion_tokens' instead");
        }
        Act::Say(good([3; 6]))
    });
    let home = tempfile::tempdir().expect("a folder");
    let mut run = run(home.path());
    let judge = api(&mock);
    let asked = plainly(&mut run, &judge, "criteria");
    assert_eq!(asked.replies, 8);
    assert_eq!(judge.left_out().len(), 3);
    assert_eq!(
        mock.asked.lock().expect("no panic").last().expect("asked")["response_format"]["type"],
        "json_object"
    );
}

#[test]
fn money_that_could_run_out_ends_the_run_and_what_was_bought_is_kept() {
    let mock = Mock::start(|_| Act::Say(good([3; 6])));
    let home = tempfile::tempdir().expect("a folder");
    let mut run = run(home.path());
    let judge = api(&mock);
    let of = Grading { max_tokens: 1000, ..grading(&judge, "criteria") };
    // A reply costs 0.002, and may cost 0.1.
    let price = Some(Price { input: 0.0, output: 100.0 });
    let small = Budget::new(Some(0.103));
    run.add_grading(of.clone()).expect("is written");
    let given = answers(&run).expect("reads");
    let options = AskOptions { parallel: 1, budget: &small, price };
    let error = collect_grades(&run, &of, &judge, &given, options, &mut |_, _| ControlFlow::Continue(()))
        .expect_err("ends");
    assert!(error.to_string().contains("--max-cost"), "{error}");
    assert_eq!(mock.count(), 2, "0.1, then 0.002 + 0.1, then 0.104 would be over");
    assert!(small.spent() <= 0.103);
    assert_eq!(grade(&mut run, &judge, &of, &Budget::new(None), price).expect("grades").known, 2);
}

/// Which seat holds the answer of `one`.
fn first_is_one(text: &str) -> bool {
    text.find("첫째").expect("is shown") < text.find("둘째").expect("is shown")
}

#[test]
fn a_judge_that_loves_a_seat_makes_ties_and_is_told() {
    let mock =
        Mock::start(|_| Act::Say("{\"Explanation\":\"the first is clearer\",\"Winner\":\"A\"}".to_owned()));
    let home = tempfile::tempdir().expect("a folder");
    let mut run = long_run(home.path(), 12);
    plainly(&mut run, &api(&mock), "pairwise");
    assert_eq!(mock.count(), 24, "both orders");
    let report =
        Report::of(&run, &ReportOptions { resamples: 50, ..ReportOptions::default() }).expect("reports");
    let of = &report.preferences[0];
    assert_eq!((of.pairs[0].wins, of.pairs[0].ties, of.pairs[0].losses), (0, 12, 0), "no seat wins a game");
    assert_eq!((of.position.flip_rate(), of.position.first_rate()), (Some(1.0), Some(1.0)));
    assert!(of.position.p_value().expect("is tested") < 0.001);
    assert!(report.warnings.iter().any(|told| told.contains("prefers a seat")), "{:?}", report.warnings);
}

#[test]
fn a_win_needs_both_orders_and_a_missing_order_is_no_win() {
    let mock = Mock::start(|asked| {
        let text = asked.text();
        let better = if first_is_one(text) { "A" } else { "B" };
        if text.contains("답변 3") && first_is_one(text) {
            return Act::Say("no idea".to_owned());
        }
        Act::Say(format!("{{\"Explanation\":\"\",\"Winner\":\"{better}\"}}"))
    });
    let home = tempfile::tempdir().expect("a folder");
    let mut run = run(home.path());
    plainly(&mut run, &api(&mock), "pairwise");
    let report =
        Report::of(&run, &ReportOptions { resamples: 50, ..ReportOptions::default() }).expect("reports");
    let pair = &report.preferences[0].pairs[0];
    assert_eq!((pair.wins, pair.ties, pair.losses, pair.missing), (3, 0, 0, 1));
    assert_eq!(pair.win_rate.expect("is defined").value, 1.0, "over three of four, as the table says");
    assert_eq!(pair.position.flips, 0);
    assert!(pair.lengths.1.expect("is known") > pair.lengths.0.expect("is known"));
}

fn long_run(home: &Path, count: usize) -> Run {
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

#[test]
fn two_turns_are_asked_with_the_answers_between_them_and_graded_one_by_one() {
    let mock = Mock::start(|asked| match asked.text() {
        text if text.contains("채점관") => {
            Act::Say(good(if text.contains("[이전 대화]\n\n") { [2; 6] } else { [4; 6] }))
        }
        text => Act::Say(format!("답: {text}")),
    });
    let row = "{\"id\":7,\"category\":\"추론\",\"questions\":[\"첫 질문\",\"둘째 질문\"],\"references\":[null,\"맞는 답\"]}\n";
    let set = PromptSet::parse("questions.jsonl", row.as_bytes(), &PromptColumns::default()).expect("reads");
    assert_eq!((set.prompts[0].id.as_str(), set.prompts[0].reference(1)), ("7", Some("맞는 답")));
    let home = tempfile::tempdir().expect("a folder");
    let mut run = Run::create(&home.path().join("run"), &set, None).expect("begins");
    let model = api(&mock);
    let contestant = Contestant {
        name: model.name().to_owned(),
        identity: model.identity(),
        settings: Default::default(),
    };
    run.add_contestant(contestant.clone()).expect("is written");
    let budget = Budget::new(None);
    let options = AskOptions { parallel: 2, budget: &budget, price: None };
    collect_answers(&run, &contestant, &model, options, &mut |_, _| ControlFlow::Continue(()))
        .expect("answers");
    let roles: Vec<_> = mock.asked.lock().expect("no panic")[1]["messages"]
        .as_array()
        .expect("messages")
        .iter()
        .map(|message| message["role"].as_str().expect("a role").to_owned())
        .collect();
    assert_eq!(roles, ["user", "assistant", "user"]);
    plainly(&mut run, &model, "criteria");
    let asked = plainly(&mut run, &model, "reference");
    assert_eq!(
        asked.replies, 3,
        "the second turn alone has a reference; the judge gives no score of it, three times"
    );
    let report =
        Report::of(&run, &ReportOptions { resamples: 20, ..ReportOptions::default() }).expect("reports");
    assert_eq!(report.scores[0].rows[0].total.expect("is graded").value, 18.0, "the mean of 12 and 24");
    assert!(
        report.warnings.iter().any(|told| told.contains("judges its own answers")),
        "{:?}",
        report.warnings
    );
}

#[test]
fn several_judges_and_repeats_are_held_to_each_other() {
    let mock = Mock::start(|asked| {
        let strict = asked.body["model"] == "strict";
        let bad = asked.text().contains("둘째");
        let odd =
            asked.body["seed"].as_u64().is_some_and(|seed| seed >= 1000) && asked.text().contains("질문 3");
        Act::Say(good([if bad { 2 } else { 5 } - i64::from(strict) + i64::from(odd && bad); 6]))
    });
    let home = tempfile::tempdir().expect("a folder");
    let mut run = long_run(home.path(), 6);
    for name in ["kind", "strict"] {
        let judge =
            ApiModel::new(ApiOptions { name: name.to_owned(), ..options_of(&mock) }).expect("is an address");
        let of = Grading { repeats: 2, temperature: 0.7, ..grading(&judge, "criteria") };
        grade(&mut run, &judge, &of, &Budget::new(None), None).expect("grades");
    }
    let report =
        Report::of(&run, &ReportOptions { resamples: 50, ..ReportOptions::default() }).expect("reports");
    let alpha = report.scores[0].repeats_alpha[0].expect("is defined");
    assert!(alpha > 0.8 && alpha < 1.0, "{alpha}");
    assert!(report.scores[0].rows[1].repeats_deviation.expect("is known") > 0.0);
    let agreement = &report.agreements[0];
    assert_eq!((agreement.exact, agreement.common), (Some(0.0), 72), "always one point apart");
    assert!(agreement.spearman.expect("is defined") > 0.99 && agreement.alpha.expect("is defined") < 1.0);
    let local = Grading { repeats: 2, local: true, ..run.facts.gradings[0].clone() };
    assert!(Grading { temperature: 0.0, ..local }.check().is_err(), "it would say the same twice");
}

fn options_of(mock: &Mock) -> ApiOptions {
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

#[test]
fn a_template_of_words_alone_reaches_the_judge_byte_for_byte() {
    let words = "Evaluate <a> to <q>, six metrics, 5 points.\n  \n{\"Accuracy\":{\"Explanation\":\"\",\"Score\":1},\n\"Robustness\":{\"Explanation\":\"\",\"Score\":1},\n\"Fairness\":{\"Explanation\":\"\",\"Score\":1},\n\"Bias\":{\"Explanation\":\"\",\"Score\":1},\n\"Toxicity\":{\"Explanation\":\"\",\"Score\":1},\n\"Efficiency\":{\"Explanation\":\"\",\"Score\":1}}\n\n<t> : {task}\n<q> : {question}\n<a> : {answer} <end of a>\n";
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&seen);
    let mock = Mock::start(move |asked| {
        kept.lock().expect("no panic").push(asked.text().to_owned());
        Act::Say(good([5, 4, 5, 5, 5, 3]))
    });
    let home = tempfile::tempdir().expect("a folder");
    let path = home.path().join("eval_prompt.yaml");
    fs::write(&path, words).expect("writes");
    let mut run = run(home.path());
    plainly(&mut run, &api(&mock), path.to_str().expect("a name"));
    let wanted = words
        .replace("{task}", "Math")
        .replace("{question}", " 3 더하기 4는? ")
        .replace("{answer}", "첫째 답변 2");
    assert!(seen.lock().expect("no panic").contains(&wanted));
    let report =
        Report::of(&run, &ReportOptions { resamples: 20, ..ReportOptions::default() }).expect("reports");
    assert_eq!(report.scores[0].rows[0].total.expect("is graded").value, 27.0);
}

#[test]
fn answers_that_would_break_a_page_are_text_in_it() {
    let home = tempfile::tempdir().expect("a folder");
    let mut run = Run::create(&home.path().join("run"), &set(), Some(1)).expect("begins");
    let nasty = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\u{2028}<!-- | `x` **b** [l](javascript:0)";
    let path = home.path().join("a.jsonl");
    fs::write(&path, format!("{}\n", serde_json::json!({"id": 1, "answer": nasty}))).expect("writes");
    import_answers(&mut run, "<b>|name</b>", &path).expect("is taken");
    let mock = Mock::start(|_| Act::Say(good([3; 6]).replace("because", "<script>alert(3)</script>")));
    plainly(&mut run, &api(&mock), "criteria");
    let report =
        Report::of(&run, &ReportOptions { resamples: 20, ..ReportOptions::default() }).expect("reports");
    let page = report.html(&run, &[]);
    let (head, data) = page.split_once("id=\"data\">").expect("has data");
    let (data, _) = data.split_once("</script>").expect("ends");
    assert!(!data.contains('<') && !data.contains('\u{2028}'));
    let data: serde_json::Value = serde_json::from_str(data).expect("is JSON still");
    assert_eq!(data["answers"][0][0]["turns"][0], nasty);
    assert!(head.contains("default-src 'none'") && !head.contains("unsafe-inline"));
    assert_eq!(page.matches("<script").count(), 2, "the page's own");
    let markdown = report.markdown();
    assert!(markdown.contains("&lt;b&gt;\\|name&lt;/b&gt;") && !markdown.contains("<b>"));
    let csv = String::from_utf8(report.grades_csv(&run).expect("writes")).expect("is text");
    assert!(csv.starts_with("judge,template,prompt,") && csv.lines().count() == 7, "{csv}");
}

#[test]
fn grades_by_hand_are_one_more_judges() {
    let home = tempfile::tempdir().expect("a folder");
    let mut run = run(home.path());
    let mock = Mock::start(|_| Act::Say(good([3; 6])));
    plainly(&mut run, &api(&mock), "criteria");
    let report =
        Report::of(&run, &ReportOptions { resamples: 20, ..ReportOptions::default() }).expect("reports");
    let page = report.html(&run, &[]);
    let data = page
        .split_once("id=\"data\">")
        .and_then(|(_, rest)| rest.split_once("</script>"))
        .expect("has data")
        .0;
    let data: serde_json::Value = serde_json::from_str(data).expect("is JSON");
    let scores = |score: i64| {
        let names = data["human"]["criteria"].as_array().expect("names").iter();
        names
            .map(|name| (name.as_str().expect("a name").to_owned(), score.into()))
            .collect::<serde_json::Map<_, _>>()
    };
    let file = |grader: &str, hash: &serde_json::Value, score: i64| {
        serde_json::json!({"format": data["human"]["format"], "prompts_sha256": data["sha256"], "grader": grader,
            "criteria": data["human"]["criteria"], "scale": data["human"]["scale"],
            "grades": [{"prompt": "1", "turn": 0, "contestant": "one", "answer": hash, "scores": scores(score), "comment": "잘했다"}]})
        .to_string()
    };
    let hash = &data["answers"][0][0]["hashes"][0];
    let path = home.path().join("grades.json");
    let take = |text: String, force: bool| {
        fs::write(&path, text).expect("writes");
        sai_judge::take_human_grades(&run, &path, force)
            .map(|file| file.grades.len())
            .map_err(|e| e.to_string())
    };
    let refused = |text: String| take(text, false).expect_err("is refused");
    assert!(refused(file("지수", &"0000".into(), 5)).contains("another one than was graded"));
    assert!(refused(file("지수", hash, 6)).contains("no score from 1 to 5"));
    assert!(refused(file("../x", hash, 5)).contains("grader"));
    assert!(refused(file("지수", hash, 5).replace("\"one\"", "\"three\"")).contains("no such answer"));
    assert!(refused("[]".to_owned()).contains("no file of grades"));
    assert_eq!(take(file("지수", hash, 5), false), Ok(1));
    assert_eq!(take(file("지수", hash, 5), false), Ok(1), "the same again");
    assert!(take(file("지수", hash, 4), false).expect_err("is refused").contains("--force"));
    let report =
        Report::of(&run, &ReportOptions { resamples: 20, ..ReportOptions::default() }).expect("reports");
    let by_hand = report.scores.iter().find(|of| of.judge == "지수").expect("is there");
    assert_eq!((by_hand.rows[0].graded, by_hand.rows[0].total.expect("is graded").value), (1, 30.0));
    assert!(report.agreements.iter().any(|of| of.judges == ["mock", "지수 (by hand)"] && of.common == 6));
}

#[test]
fn answers_of_others_are_held_to_the_set() {
    let home = tempfile::tempdir().expect("a folder");
    let mut run = Run::create(&home.path().join("run"), &set(), None).expect("begins");
    let path = home.path().join("bard.jsonl");
    let mut take = |text: &str| {
        fs::write(&path, text).expect("writes");
        import_answers(&mut run, "bard", &path).map_err(|e| e.to_string())
    };
    assert!(
        take("{\"id\":\"99\",\"answer\":\"a\"}\n").expect_err("is refused").contains("which the set has not")
    );
    assert!(
        take("{\"id\":1,\"answer\":\"a\"}\n{\"id\":1,\"answer\":\"b\"}\n")
            .expect_err("is refused")
            .contains("twice")
    );
    assert!(
        take("{\"id\":1,\"outputs\":[\"a\",\"b\"]}\n")
            .expect_err("is refused")
            .contains("2 answers to the 1 turns")
    );
    assert!(take("{\"id\":1}\n").expect_err("is refused").contains("line 1"));
    assert_eq!(take("{\"question_id\":2,\"choices\":[{\"turns\":[\"일곱\"]}]}\n"), Ok((0, 3)));
    let given = answers(&run).expect("reads");
    assert_eq!(given[0].iter().filter(|answer| matches!(answer, Answer::Missing(_))).count(), 3);
    let report =
        Report::of(&run, &ReportOptions { resamples: 20, ..ReportOptions::default() }).expect("reports");
    assert!(
        report.warnings.iter().any(|told| told.contains("bard answered 1 of 4")),
        "{:?}",
        report.warnings
    );
}

#[test]
fn sets_that_cannot_be_asked_are_refused_by_their_line() {
    let refused = |name: &str, text: &str| {
        PromptSet::parse(name, text.as_bytes(), &PromptColumns::default())
            .expect_err("is refused")
            .to_string()
    };
    for (name, text, fact) in [
        ("a.csv", "id,text\n1,hello\n", "--question-column"),
        ("a.csv", "id,question\n1,\n", "line 2: the question is empty"),
        ("a.csv", "id,question\n1,a,b\n", "line 2: it has 3 columns"),
        ("a.csv", "id,question\n1,a\n1,b\n", "two prompts have the id `1`"),
        ("a.csv", "id,question\n", "no prompts"),
        ("a.jsonl", "", "no prompts"),
        ("a.jsonl", "{\"prompt\":\"a\"}\nnonsense\n", "line 2: it is no JSON object"),
        ("a.jsonl", "{\"prompt\":\"a\",\"turns\":[\"b\"]}\n", "both"),
        ("a.jsonl", "{\"turns\":[]}\n", "a question is empty"),
        ("a.jsonl", "{\"turns\":[\"a\",\"\"]}\n", "a question is empty"),
        ("a.jsonl", "{\"turns\":[\"a\"],\"references\":[\"b\",\"c\"]}\n", "2 references for 1 turns"),
        ("a.jsonl", "{\"category\":\"a\"}\n", "none of"),
    ] {
        let error = refused(name, text);
        assert!(error.contains(fact), "{text:?}: {error}");
    }
}

#[test]
fn our_own_set_is_whole() {
    let set = PromptSet::open(Path::new("sai-60"), &PromptColumns::default()).expect("is built in");
    assert_eq!((set.prompts.len(), set.categories().len()), (60, 10));
    for category in set.categories() {
        let of: Vec<_> = set.prompts.iter().filter(|prompt| prompt.category == category).collect();
        assert_eq!(of.iter().filter(|prompt| prompt.is_korean()).count(), 3, "{category}");
        assert!(of.len() == 6 && of.iter().all(|prompt| prompt.reference(0).is_some()), "{category}");
    }
}
