//! What verdicts come to: what is missing, both orders, turns, repeats, several judges, the page.

mod common;

use common::{Act, Mock, api, first_is_one, good, grade, grading, long_run, options_of, plainly, run, set};
use sai_judge::{
    ApiModel, ApiOptions, AskOptions, Budget, ChatModel, Contestant, Grading, PromptColumns, PromptSet,
    Report, ReportOptions, Run, collect_answers, import_answers,
};
use std::fs;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

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
    assert!(
        one.categories[2].is_none() && report.tables()[2].cells.len() == 4,
        "a category without a grade stays"
    );
    assert!(
        report.notes[0].contains("Every prompt counts once") && report.notes[0].contains("95 %"),
        "{:?}",
        report.notes
    );
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
    let mut vast: serde_json::Value = serde_json::from_str(&file("지수", hash, 5)).expect("is JSON");
    vast["scale"] = serde_json::json!([i64::MIN, i64::MAX]);
    assert!(refused(vast.to_string()).contains("`scale` goes from"));
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
fn zeros_of_a_rule_are_counted_apart_and_prompts_that_are_not_graded_are_not_missing() {
    let mock = Mock::start(|asked| match asked.text().contains("첫째 답변 1") {
        true => Act::Say("{\"Fit\":{\"Explanation\":\"not in Korean\",\"Score\":0}}".to_owned()),
        false => Act::Say("{\"Fit\":{\"Explanation\":\"\",\"Score\":8}}".to_owned()),
    });
    let home = tempfile::tempdir().expect("a folder");
    let path = home.path().join("rule.txt");
    fs::write(&path, "{\"Fit\":{\"Explanation\":\"\",\"Score\":0}} {question} {answer}").expect("writes");
    let mut run = run(home.path());
    let judge = api(&mock);
    let templates = sai_judge::Template::find(path.to_str().expect("a name"), (0, 10)).expect("reads");
    let of = Grading { templates, name: "rule.txt".to_owned(), ..grading(&judge, "criteria") };
    grade(&mut run, &judge, &of, &Budget::new(None), None).expect("grades");
    // None of the set is English: nobody is asked, and nothing is missing.
    plainly(&mut run, &judge, "criteria-en");
    let report =
        Report::of(&run, &ReportOptions { resamples: 20, ..ReportOptions::default() }).expect("reports");
    assert_eq!((report.scores[0].rows[0].zeros, report.scores[0].rows[1].zeros), (1, 0));
    assert!(report.tables()[1].cells[0].contains(&"zeros".to_owned()), "{:?}", report.tables()[1]);
    assert!(
        report.warnings.iter().any(|told| told.contains("criteria-en) has given no grade")),
        "{:?}",
        report.warnings
    );
    let english = "{\"id\":1,\"prompt\":\"What is it?\"}\n{\"id\":2,\"prompt\":\"무엇일까?\"}\n";
    let set = PromptSet::parse("two.jsonl", english.as_bytes(), &PromptColumns::default()).expect("reads");
    let mut run = Run::create(&home.path().join("two"), &set, None).expect("begins");
    for name in ["one", "two"] {
        let path = home.path().join(format!("{name}-of-two.jsonl"));
        fs::write(&path, "{\"id\":1,\"answer\":\"a\"}\n{\"id\":2,\"answer\":\"b\"}\n").expect("writes");
        import_answers(&mut run, name, &path).expect("is taken");
    }
    let mock = Mock::start(|_| Act::Say(good([3; 6])));
    plainly(&mut run, &api(&mock), "criteria-en");
    let report =
        Report::of(&run, &ReportOptions { resamples: 20, ..ReportOptions::default() }).expect("reports");
    let pair = &report.scores[0].pairs[0];
    assert_eq!((report.scores[0].prompts, pair.ties, pair.missing), (1, 1, 0));
}
