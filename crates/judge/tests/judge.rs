//! How services are asked, with a judge that misbehaves on command.

mod common;

use common::{
    Act, KEY, Mock, api, good, grade, grading, long_run, options_of, plainly, request, run, set, walk,
};
use sai_judge::{
    ApiModel, ApiOptions, AskOptions, Budget, ChatError, ChatModel, ChatRequest, Finish, Grading, Key, Price,
    Protocol, Reply, Report, ReportOptions, RetryPolicy, Run, answers, collect_grades, import_answers,
};
use std::fs;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

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

#[test]
fn a_key_that_is_a_word_changes_no_answer_and_one_that_is_escaped_is_hidden() {
    let mock = Mock::start(|_| Act::Say(format!("none {}", good([1; 6]))));
    for word in ["1", "none", "\""] {
        let api = ApiModel::new(ApiOptions { key: Key::new(Some(word.to_owned())), ..options_of(&mock) });
        let reply = api.expect("is an address").ask(&request("q"), &AtomicBool::new(false)).expect("answers");
        assert_eq!(reply.text, format!("none {}", good([1; 6])), "{word}");
    }
    let escaped = KEY.replace('s', "\\u0073");
    let answer = format!("{{\"choices\":[{{\"message\":{{\"content\":\"{escaped} 서울\"}}}}]}}");
    let parrot = Mock::start(move |_| Act::Status(200, "", answer.clone()));
    let reply = api(&parrot).ask(&request("q"), &AtomicBool::new(false)).expect("answers");
    assert_eq!(reply.text, "[key] 서울");
    assert!(!reply.raw.expect("is kept").to_string().contains(KEY));
    let refusal = format!("{{\"errors\":[\"{escaped}\"]}}");
    let refuses = Mock::start(move |_| Act::Status(403, "", refusal.clone()));
    match api(&refuses).ask(&request("q"), &AtomicBool::new(false)) {
        Err(ChatError::Fatal(error)) => assert!(error.to_string().contains("[key]"), "{error}"),
        other => panic!("{other:?}"),
    }
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

#[test]
fn a_run_that_was_killed_before_its_run_json_is_begun_again() {
    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().join("run");
    drop(Run::create(&folder, &set(), None).expect("begins"));
    fs::remove_file(folder.join("run.json")).expect("is there");
    drop(Run::create(&folder, &set(), None).expect("begins again"));
    // Prompts of something else are not written over.
    fs::remove_file(folder.join("run.json")).expect("is there");
    fs::write(folder.join("prompts.jsonl"), "{\"prompt\":\"mine\"}\n").expect("writes");
    let refused = Run::create(&folder, &set(), None).err().expect("is refused").to_string();
    assert!(refused.contains("it has files"), "{refused}");
}

#[test]
fn answers_that_cannot_be_read_are_paid_for_too() {
    let body = "{\"choices\":[],\"usage\":{\"prompt_tokens\":1000,\"completion_tokens\":500}}";
    let mock = Mock::start(move |_| Act::Status(200, "", body.to_owned()));
    let home = tempfile::tempdir().expect("a folder");
    let mut run = long_run(home.path(), 1);
    let judge = api(&mock);
    let budget = Budget::new(None);
    let price = Some(Price { input: 1000.0, output: 2000.0 });
    let asked = grade(&mut run, &judge, &grading(&judge, "criteria"), &budget, price).expect("goes on");
    assert_eq!((asked.replies, asked.failed.values().sum::<usize>()), (0, 2));
    // Two answers are to be graded, each is asked for four times, and costs two dollars a time.
    assert!((budget.spent() - 16.0).abs() < 1e-9, "{}", budget.spent());
}

#[test]
fn gemini_is_asked_in_its_own_words_and_shown_the_key_in_a_header() {
    let mock = Mock::start(|asked| {
        let head = asked.headers.to_ascii_lowercase();
        assert!(
            head.starts_with("post /v1/models/gemini-x:generatecontent http/1.1") && !head.contains("?key="),
            "{head}"
        );
        assert!(
            head.contains(&format!("x-goog-api-key: {KEY}")) && !head.contains("authorization"),
            "{head}"
        );
        assert_eq!(asked.body["contents"][0]["parts"][0]["text"], "hi");
        let parts = "[{\"text\":\"hmm\",\"thought\":true},{\"text\":\"hello\"}]";
        let answer =
            format!("{{\"candidates\":[{{\"content\":{{\"parts\":{parts}}},\"finishReason\":\"STOP\"}}]}}");
        Act::Status(200, "", answer)
    });
    let options = ApiOptions {
        name: "gemini-x".to_owned(),
        protocol: Protocol::Gemini,
        key: Key::new(Some(KEY.to_owned())),
        ..options_of(&mock)
    };
    let model = ApiModel::new(options).expect("is an address");
    assert_eq!(model.ask(&request("hi"), &false.into()).expect("answers").text, "hello");
    assert!(!model.identity().contains(KEY));
}

/// A model on this machine, of some context.
struct Local {
    context: usize,
}

impl ChatModel for Local {
    fn name(&self) -> &str {
        "local"
    }

    fn identity(&self) -> String {
        "local weights".to_owned()
    }

    fn ask(&self, request: &ChatRequest, _: &AtomicBool) -> Result<Reply, ChatError> {
        let refused = request.messages[0].content.len() > self.context;
        let finish = if refused { Finish::Refused } else { Finish::Stop };
        Ok(Reply { finish, ..Reply::plain(good([4; 6])) })
    }

    fn seconds(&self, _: f64, _: f64) -> f64 {
        0.0
    }

    fn is_paid(&self) -> bool {
        false
    }
}

#[test]
fn what_did_not_fit_is_missing_and_is_asked_again_with_more_room() {
    let home = tempfile::tempdir().expect("a folder");
    let mut run = run(home.path());
    let graded = |run: &Run| {
        let report =
            Report::of(run, &ReportOptions { resamples: 20, ..ReportOptions::default() }).expect("reports");
        report.scores[0].rows.iter().map(|row| row.graded).sum::<usize>()
    };
    assert_eq!(plainly(&mut run, &Local { context: 10 }, "criteria").replies, 8);
    assert_eq!(graded(&run), 0);
    assert_eq!(plainly(&mut run, &Local { context: 100_000 }, "criteria").replies, 8);
    assert_eq!(graded(&run), 8);
    assert_eq!(plainly(&mut run, &Local { context: 100_000 }, "criteria").known, 8);
}
