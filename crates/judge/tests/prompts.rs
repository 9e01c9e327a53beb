//! Sets of prompts and files of answers, as others write them.

mod common;

use common::{CSV, run, set};
use sai_judge::{Answer, PromptColumns, PromptSet, Report, ReportOptions, Run, answers, import_answers};
use std::fs;
use std::path::Path;

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
fn prompts_of_the_same_words_keep_the_answers_that_a_file_gives_each() {
    let home = tempfile::tempdir().expect("a folder");
    let rows = "{\"id\":\"a\",\"prompt\":\"인사해 줘\"}\n{\"id\":\"b\",\"prompt\":\"인사해 줘\"}\n";
    let set = PromptSet::parse("twins.jsonl", rows.as_bytes(), &PromptColumns::default()).expect("reads");
    let mut run = Run::create(&home.path().join("run"), &set, None).expect("begins");
    let path = home.path().join("a.jsonl");
    fs::write(&path, "{\"id\":\"a\",\"answer\":\"안녕\"}\n{\"id\":\"b\",\"answer\":\"반가워\"}\n")
        .expect("writes");
    import_answers(&mut run, "one", &path).expect("is taken");
    let given = answers(&run).expect("reads");
    let texts: Vec<_> =
        given[0].iter().map(|answer| answer.replies().expect("is given")[0].text.as_str()).collect();
    assert_eq!(texts, ["안녕", "반가워"]);
}

#[test]
fn a_column_that_is_called_as_a_known_one_is_no_second_question() {
    for question in ["questions", "turns", "prompt", "instruction"] {
        let columns = PromptColumns { question: question.to_owned(), ..PromptColumns::default() };
        let row = format!("{{\"{question}\":\"안녕?\"}}\n");
        let set = PromptSet::parse("a.jsonl", row.as_bytes(), &columns).expect(question);
        assert_eq!(set.prompts[0].turns, ["안녕?"]);
    }
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
