//! Tasks and data that are not as they should be.

use sai_evals::{DatasetOnHub, Exam, ExamOptions, Profile, Task, in_repository, select};
use serde_json::json;
use std::path::Path;

const COLOURS: &str = r#"
name = "colours"
about = "The colour of a thing."
file = "colours"
split = "test"
examples = "test"
columns = ["thing", "colours", "label"]
metrics = ["acc"]

[dataset]
repository = "somebody/colours"
config = "plain"

[prompt]
context = "{{ thing }} is"
items = "colours"
gold = "label"
"#;

fn colours() -> Task {
    Task::parse(COLOURS, "colours.toml").expect("a sound task")
}

fn read(folder: &Path, text: &str) -> String {
    std::fs::write(folder.join("colours.test.jsonl"), text).expect("writes");
    let task = colours();
    let found = Exam::read(&task, folder, ExamOptions::default());
    found.map(|exam| format!("{} documents", exam.documents.len())).unwrap_or_else(|e| e.to_string())
}

#[test]
fn a_row_that_does_not_fit_is_refused_with_its_file_and_line() {
    let home = tempfile::tempdir().expect("a folder");
    let good = r#"{"thing": "Snow", "colours": ["white", "red"], "label": 0}"#;
    let of = |line: &str| read(home.path(), &format!("{good}\n\n{line}\n"));
    assert_eq!(of(good), "2 documents");
    let cases = [
        (
            r#"{"thing": "Coal", "colours": ["black"]}"#,
            "no column `label`; the task colours wants thing, colours, label",
        ),
        (r#"{"thing": "Coal", "colours": ["black"], "label": null}"#, "no column `label`"),
        (
            r#"{"thing": "Coal", "colours": ["black", "red"], "label": 2}"#,
            "number 2 (from 0), and there are 2 choices",
        ),
        (r#"{"thing": "Coal", "colours": ["black", "red"], "label": -1}"#, "number -1 (from 0)"),
        (r#"{"thing": "Coal", "colours": ["black", ""], "label": 0}"#, "choice 2 is empty"),
        (r#"{"thing": "Coal", "colours": [], "label": 0}"#, "it has no choices"),
        (r#"{"thing": "Coal", "colours": 3, "label": 0}"#, "`colours` is no list"),
        (r#"{"thing": "Coal", "colours": ["black"], "label": 0"#, "it is no JSON object"),
        ("[1]", "it is no JSON object"),
    ];
    for (line, fact) in cases {
        let error = of(line);
        assert!(error.contains("colours.test.jsonl: line 3: ") && error.contains(fact), "{error}");
    }
    assert!(read(home.path(), "\n").contains("it has no rows"));
}

#[test]
fn data_is_found_compressed_and_never_twice() {
    let home = tempfile::tempdir().expect("a folder");
    let task = colours();
    let read = || Exam::read(&task, home.path(), ExamOptions::default());
    let error = read().expect_err("nothing there").to_string();
    assert!(
        error.contains("colours.test.jsonl") && error.contains("a copy of the Hub's somebody/colours"),
        "{error}"
    );
    let row = r#"{"thing": "Snow", "colours": ["white", "red"], "label": 0}"#;
    let packed = zstd::encode_all(row.as_bytes(), 1).expect("packs");
    std::fs::write(home.path().join("colours.test.jsonl.zst"), packed).expect("writes");
    assert_eq!(read().expect("rows").documents.len(), 1);
    std::fs::write(home.path().join("colours.test.jsonl"), row).expect("writes");
    assert!(read().expect_err("two files").to_string().contains("could both be the split test"));
}

#[test]
fn examples_from_the_documents_themselves_leave_out_the_one_that_is_asked() {
    let home = tempfile::tempdir().expect("a folder");
    let rows: Vec<String> = ["Snow", "Coal", "Grass"]
        .iter()
        .map(|thing| json!({"thing": thing, "colours": ["white", "red"], "label": 0}).to_string())
        .collect();
    std::fs::write(home.path().join("colours.test.jsonl"), rows.join("\n")).expect("writes");
    for profile in [Profile::Main, Profile::Polyglot] {
        let task = colours();
        let options = ExamOptions { profile, examples: 2, limit: None };
        for document in Exam::read(&task, home.path(), options).expect("rows").documents {
            let context = &document.question.contexts[0];
            let things = ["Snow", "Coal", "Grass"].map(|thing| context.matches(thing).count());
            assert_eq!(things, [1, 1, 1], "{context}");
            assert_eq!(context.matches(" is white\n\n").count(), 2, "{context}");
        }
        let error =
            Exam::read(&task, home.path(), ExamOptions { examples: 3, ..options }).expect_err("too many");
        assert!(error.to_string().contains("3 rows are too few for 3 examples"), "{error}");
    }
}

#[test]
fn every_task_of_sai_s_own_can_be_read_and_its_name_is_found() {
    let tasks = Task::own().expect("sound tasks");
    let names = |asked: &[&str]| {
        let asked: Vec<String> = asked.iter().map(ToString::to_string).collect();
        select(&tasks, &asked).map(|tasks| tasks.iter().map(|task| task.name()).collect::<Vec<_>>())
    };
    assert_eq!(names(&["kobest"]).expect("a group").len(), 5);
    let rows: usize =
        select(&tasks, &["english".to_owned()]).expect("a group").iter().map(|t| t.file.rows.len()).sum();
    assert_eq!(rows, 21, "the rows of the published table");
    assert_eq!(
        names(&["boolq", "anli", "boolq"]).expect("names"),
        ["anli_r1", "anli_r2", "anli_r3", "boolq"]
    );
    assert_eq!(names(&["all"]).expect("a group").len(), 20);
    let error = names(&["kobset"]).expect_err("no such").to_string();
    assert!(error.contains("no task or group `kobset`; there are all, kobest, kobest_boolq"), "{error}");
}

#[test]
fn a_task_that_makes_no_sense_is_refused_with_its_file() {
    let cases = [
        ("gold = \"label\"", "gold = \"label +\"", "`label +`"),
        ("{{ thing }}", "{{ thing", "`{{ thing is`"),
        ("items = \"colours\"\n", "", "either `choices`, the same for all rows, or `items`"),
        ("[\"acc\"]", "[]", "`metrics` is empty"),
        ("[\"acc\"]", "[\"mc2\"]", "`mc2` wants `labels`"),
        ("[\"acc\"]", "[\"accuracy\"]", "line 8: unknown variant `accuracy`"),
        ("split =", "spilt =", "unknown field `spilt`"),
    ];
    for (old, new, fact) in cases {
        let error = Task::parse(&COLOURS.replace(old, new), "mine.toml").expect_err(fact).to_string();
        assert!(error.starts_with("mine.toml: ") && error.contains(fact) && !error.contains('\n'), "{error}");
    }
}

#[test]
fn rows_of_tasks_beyond_the_tables_become_questions() {
    let tasks = Task::own().expect("sound tasks");
    let ask = |name: &str, row: serde_json::Value| {
        let task = tasks.iter().find(|task| task.name() == name).expect("the task");
        task.question(&row, Profile::Main).expect("a question")
    };
    let mmlu = ask(
        "mmlu",
        json!({"question": " How many? ", "subject": "high_school_maths", "choices": ["1", "2", "3", "4"], "answer": 2}),
    );
    assert_eq!(mmlu.contexts[0], "How many?\nA. 1\nB. 2\nC. 3\nD. 4\nAnswer:");
    assert_eq!((mmlu.gold, mmlu.choices[2].as_str()), (2, "C"));
    let kmmlu = ask(
        "kmmlu",
        json!({"question": "몇 개?", "A": "1", "B": "2", "C": "3", "D": "4", "answer": 4, "Category": "수학"}),
    );
    assert_eq!((kmmlu.contexts[0].as_str(), kmmlu.gold), ("몇 개?\nA. 1\nB. 2\nC. 3\nD. 4\n정답：", 3));
    let haerae = ask("haerae", json!({"query": "다음 중?", "answer": "(C)"}));
    assert_eq!((haerae.choices.len(), haerae.gold), (5, 2));
    let row = |id: &str, paragraph: &str| json!({"id": id, "paragraph": paragraph, "question": "무엇인가?", "choices": ["가", "나", "다", "라"], "answer": "나"});
    let click = ask("click", row("KIIP_1", ""));
    assert_eq!((click.choices.len(), click.gold), (4, 1));
    assert!(
        click.contexts[0].ends_with("\n\n질문: 무엇인가?\n보기:\nA:가, B: 나, C: 다, D: 라\n정답:"),
        "{}",
        click.contexts[0]
    );
    let click = ask("click", row("CSAT_korean_22_1", "글"));
    assert_eq!(click.choices.len(), 5);
    assert!(click.contexts[0].contains("답하시오.\n\n맥락: 글\n질문: "), "{}", click.contexts[0]);
}

#[test]
fn the_files_of_a_split_are_found_in_each_layout_of_the_hub() {
    let of = |config: &str| -> DatasetOnHub {
        toml::from_str(&format!("repository = \"a/b\"\n{config}")).expect("a dataset")
    };
    let found = |config: &str, names: &[&str]| {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        in_repository(&names, &of(config), "test").map_err(|e| e.to_string())
    };
    let one = "config = \"x\"";
    // Files by configuration, of one configuration alone, and as the Hub converts them.
    let shards = ["x/test-00000-of-00002.parquet", "x/test-00001-of-00002.parquet"];
    let others = [
        "y/test-00000-of-00001.parquet",
        "x/train-00000-of-00001.parquet",
        "x/test_r1-00000-of-00001.parquet",
        "README.md",
    ];
    assert_eq!(found(one, &[&shards[..], &others[..]].concat()).expect("two"), shards);
    assert_eq!(
        found("", &["data/test-00000-of-00001.parquet", "data/train-00000-of-00001.parquet"])
            .expect("one")
            .len(),
        1
    );
    let converted = ["x/test/0000.parquet", "y/test/0000.parquet", "x/dev/0000.parquet"];
    assert_eq!(found(one, &converted).expect("one"), converted[..1]);
    assert_eq!(found("config = \"*\"", &converted).expect("both"), converted[..2]);
    assert_eq!(found("config = [\"y\"]", &converted).expect("one"), converted[1..2]);
    let error = found(one, &["data/Accounting-test.csv"]).expect_err("no Parquet");
    assert_eq!(
        error,
        "a/b@main: it has no Parquet of the split test of the configuration x; give its rows with --data FOLDER"
    );
}

#[test]
fn a_copy_of_the_hub_s_files_is_read_and_lists_in_columns_too() {
    let tasks = Task::own().expect("sound tasks");
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    for name in ["kobest_copa", "truthfulqa_mc2"] {
        let task = tasks.iter().find(|task| task.name() == name).expect("the task");
        let read =
            |folder: &str| Exam::read(task, &fixtures.join(folder), ExamOptions::default()).expect("rows");
        let questions =
            |exam: Exam<'_>| exam.documents.into_iter().map(|document| document.question).collect::<Vec<_>>();
        assert_eq!(questions(read("hub")), questions(read("data")), "{name}");
    }
}

#[test]
fn examples_are_of_the_same_part_of_a_task_and_its_first_ones_in_order() {
    let home = tempfile::tempdir().expect("a folder");
    let tasks = Task::own().expect("sound tasks");
    let task = tasks.iter().find(|task| task.name() == "mmlu").expect("the task");
    let row = |question: &str, subject: &str| {
        json!({"question": question, "subject": subject, "choices": ["1", "2", "3", "4"], "answer": 1})
            .to_string()
    };
    let write = |split: &str, rows: &[String]| {
        std::fs::write(home.path().join(format!("mmlu.{split}.jsonl")), rows.join("\n")).expect("writes");
    };
    write("test", &[row("a?", "bird_law"), row("b?", "maths"), row("c?", "bird_law")]);
    write("dev", &[row("one?", "maths"), row("two?", "bird_law"), row("three?", "bird_law")]);
    let options = ExamOptions { profile: Profile::Main, examples: 2, limit: None };
    let error = Exam::read(task, home.path(), options).expect_err("one example of maths").to_string();
    assert!(error.contains("1 rows of maths are too few for 2 examples"), "{error}");
    let options = ExamOptions { examples: 1, ..options };
    let exam = Exam::read(task, home.path(), options).expect("rows");
    let asked: Vec<(usize, Option<&str>)> =
        exam.documents.iter().map(|document| (document.number, document.subtask.as_deref())).collect();
    assert_eq!(asked, [(0, Some("bird_law")), (2, Some("bird_law")), (1, Some("maths"))]);
    let options = "\nA. 1\nB. 2\nC. 3\nD. 4\nAnswer:";
    assert_eq!(
        exam.documents[1].question.contexts[0],
        format!(
            "The following are multiple choice questions (with answers) about bird law.\n\ntwo?{options} B\n\nc?{options}"
        )
    );
}
