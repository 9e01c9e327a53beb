//! Conversations as strangers keep them: files of other kinds, folders of the Hub, tables, templates of other people.
//! `scripts/fixtures/conversations.py` made the tables and what transformers marks.

use sai_tokenizer::ChatTemplate;
use sai_trainer::{Base, Conversations, Error, FinetuneRecipe, Place};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn recipe(data: &Path, set: &[&str]) -> FinetuneRecipe {
    let text = format!(
        "data = {:?}\ncontext = 200\nvalidation_share = 0\n[model]\nfrom = {:?}\n",
        data.display().to_string(),
        fixture("sft").display().to_string()
    );
    let set: Vec<String> = set.iter().map(|&said| said.to_owned()).collect();
    FinetuneRecipe::parse(&text, Path::new("r.toml"), &set).unwrap()
}

fn read_with(recipe: &FinetuneRecipe, template: Option<&str>) -> Result<Conversations, Error> {
    let base = Base::open(recipe)?;
    let template = match template {
        Some(source) => ChatTemplate::jinja(source, "template").unwrap(),
        None => base.template,
    };
    let go_on = &mut |_, _| ControlFlow::Continue(());
    match Conversations::read(recipe, &base.tokenizer, &template, 2, go_on)? {
        ControlFlow::Continue(read) => Ok(read),
        ControlFlow::Break(()) => panic!("nobody broke off"),
    }
}

fn read(data: &Path) -> Result<Conversations, Error> {
    read_with(&recipe(data, &[]), None)
}

/// What is trained on: place, tokens and the ranges of answers.
type Taught = BTreeMap<u64, (Vec<u32>, Vec<std::ops::Range<usize>>)>;

fn taught(read: &Conversations) -> Taught {
    let number = |place: Place| match place {
        Place::Line(n) | Place::Row(n) | Place::Document(n) => n,
    };
    let all = read.examples().take(read.trained() as usize);
    all.map(|e| (number(e.place), (e.texts[0].tokens.to_vec(), e.texts[0].answers.clone()))).collect()
}

/// The way a file of these bytes is refused.
fn refused(name: &str, bytes: &[u8]) -> String {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join(name);
    fs::write(&data, bytes).unwrap();
    let error = read(&data).map(|read| read.found().clone()).unwrap_err().to_string();
    assert!(error.contains(name), "{error}");
    error
}

fn row(i: usize) -> String {
    format!("{{\"instruction\": \"Name thing number {i}.\", \"input\": \"\", \"output\": \"Thing {i}.\"}}")
}

fn rows(count: usize, between: &str) -> String {
    (0..count).map(row).collect::<Vec<_>>().join(between)
}

#[test]
fn an_array_with_an_object_a_line_is_refused_as_a_whole() {
    let lines = format!("[\n{}\n]\n", rows(300, ",\n"));
    let pretty = "[\n    {\n        \"instruction\": \"q\",\n        \"output\": \"a\"\n    }\n]\n";
    for text in [&lines, &format!("[{}]", rows(3, ", ")), pretty, "\u{feff}\n [\n]"] {
        let error = refused("alpaca.json", text.as_bytes());
        assert!(error.contains("a JSON array") && error.contains("jq -c '.[]'"), "{error}");
    }
}

#[test]
fn rows_joined_by_commas_are_refused_as_a_whole() {
    let error = refused("rows.jsonl", rows(300, ",\n").as_bytes());
    assert!(error.contains("its lines end in commas"), "{error}");
    let error = refused("rows.jsonl", format!("{},\n", rows(3, ",\r\n")).as_bytes());
    assert!(error.contains("its lines end in commas"), "{error}");
}

#[test]
fn what_is_no_jsonl_is_refused_at_its_first_line_with_the_way_out() {
    for (name, text, says) in [
        ("pretty.jsonl", "{\n \"instruction\": \"q\",\n \"output\": \"a\"\n}\n", "`jq -c . "),
        ("one.jsonl", &rows(3, ""), "several objects stand on a line; `jq -c . "),
        ("cr.jsonl", &rows(3, "\r"), "carriage returns alone"),
        ("t.csv", "instruction,input,output\nq,,a\n", "a table of text; `python3 -c"),
        (
            "t.jsonl",
            "instruction,input,output\nq,,a\n",
            "no JSONL: it begins with `instruction,input,output` and not with an object; if it is a table, `python3",
        ),
        ("page.jsonl", "<!DOCTYPE html>\n<html>\n", "a web page or XML"),
        ("null.jsonl", "null\n", "no JSONL: it begins with `null` and not with an object"),
        ("python.jsonl", "{'instruction': 'q', 'output': 'a'}\n", "Python's notation, with single quotes"),
        ("lfs.parquet", "version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "a Git LFS pointer"),
        ("README.md", "# Data\n\nabout it\n", "no JSONL: it begins with `# Data`"),
        ("long.jsonl.bz2", "BZh91AY&SY", "bzip2"),
    ] {
        let error = refused(name, text.as_bytes());
        assert!(error.contains(says), "{name}: {error}");
    }
    let utf16: Vec<u8> = "\u{feff}{}\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(refused("utf16.jsonl", &utf16).contains("UTF-16, and not UTF-8; `iconv"));
    assert!(refused("empty.jsonl", b"\n\n").contains("has no conversation to train on"));
}

#[test]
fn a_file_of_which_most_is_broken_is_an_error_and_no_count() {
    let bad = "{\"text\": \"a document\"}";
    // The first reason, and not the last.
    let text = [&row(0), bad, "{", "{", &row(1), "{}", "{}"].join("\n");
    let error = refused("most.jsonl", text.as_bytes());
    assert!(
        error.contains("5 of its 7 rows are no conversations, the first of them line 2: has `text`"),
        "{error}"
    );
    // Of two one is left.
    let error = refused("one.jsonl", [bad, &row(0)].join("\n").as_bytes());
    assert!(error.contains("1 of its 2 rows are no conversations, the first of them line 1"), "{error}");
    let error = refused("none.jsonl", [bad, "{"].join("\n").as_bytes());
    assert!(error.contains("has no conversation to train on; line 1: has `text`"), "{error}");
    // 949 is no UTF-8.
    let error = refused("cp949.jsonl", b"{\"instruction\": \"\xc1\xfa\", \"output\": \"a\"}\n");
    assert!(error.contains("line 1: byte 17 is not UTF-8"), "{error}");
    // A few are counted.
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("few.jsonl");
    fs::write(&data, format!("{}\n{},\n{{'a'}}\n", rows(3, "\n"), row(3))).unwrap();
    let found = read(&data).unwrap().found().clone();
    assert_eq!((found.conversations, found.broken), (3, 2));
    assert!(
        found.examples[0].place == Place::Line(4) && found.examples[0].fact.contains("ends in a comma"),
        "{found:?}"
    );
}

#[test]
fn marks_and_line_ends_of_other_systems_do_no_harm() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("rows.jsonl");
    fs::write(&data, rows(3, "\n")).unwrap();
    let plain = taught(&read(&data).unwrap());
    for text in [
        format!("\u{feff}{}", rows(3, "\r\n")),
        format!("\u{feff}\u{feff}{}\n", rows(3, "\n")),
        format!("{}\n\u{feff}{}\n{}\n", row(0), row(1), row(2)),
    ] {
        fs::write(&data, text).unwrap();
        assert!(taught(&read(&data).unwrap()) == plain);
    }
}

#[test]
fn tables_say_what_their_lines_do() {
    let lines: BTreeMap<String, Vec<String>> =
        serde_json::from_slice(&fs::read(fixture("rows/rows.json")).unwrap()).unwrap();
    let home = tempfile::tempdir().unwrap();
    for (name, lines) in lines {
        let data = home.path().join("rows.jsonl");
        fs::write(&data, lines.join("\n")).unwrap();
        let of_lines = read(&data).unwrap();
        let table = read(&fixture("rows").join(format!("{name}.parquet"))).unwrap();
        assert_eq!(
            (table.found().conversations, table.found().broken),
            (4, 0),
            "{name}: {:?}",
            table.found()
        );
        assert!(taught(&table) == taught(&of_lines), "{name}");
        assert_eq!(table.found().trained, of_lines.found().trained, "{name}");
    }
    // An answer of weight 0 is there and not trained on.
    let table = read(&fixture("rows/messages.parquet")).unwrap();
    assert_eq!(taught(&table)[&1].1.len(), 1);
    let error = read_with(&recipe(&fixture("rows/alpaca.parquet"), &["dpo.beta=0.1"]), None).map(|_| ());
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("alpaca.parquet: has no pair to train on; row 1: has no `chosen`")
    );
    let cut = fs::read(fixture("rows/messages.parquet")).unwrap();
    assert!(refused("cut.parquet", &cut[..cut.len() / 2]).contains("no Parquet file that can be read"));
}

#[test]
fn of_a_clone_of_the_hub_the_data_files_are_read_and_the_others_named() {
    let home = tempfile::tempdir().unwrap();
    let clone = home.path().join("clone");
    fs::create_dir_all(clone.join("data")).unwrap();
    fs::create_dir_all(clone.join(".git")).unwrap();
    for (name, text) in [
        ("README.md", "---\nlicense: mit\n---\n"),
        (".gitattributes", "*.parquet filter=lfs\n"),
        (".git/index.jsonl", "{}"),
        ("dataset_infos.json", "{\n \"default\": {}\n}\n"),
        ("stray.jsonl", &row(0)),
    ] {
        fs::write(clone.join(name), text).unwrap();
    }
    let copy = |from: &str, to: &str| fs::copy(fixture("rows").join(from), clone.join(to)).unwrap();
    copy("messages.parquet", "data/train-00000-of-00001.parquet");
    copy("sharegpt.parquet", "data/test-00000-of-00001.parquet");
    let found = read(&clone).unwrap().found().clone();
    assert_eq!((found.conversations, found.broken), (4, 0));
    let names: Vec<String> =
        found.left_out.iter().map(|path| path.strip_prefix(&clone).unwrap().display().to_string()).collect();
    assert_eq!(names, ["README.md", "data/test-00000-of-00001.parquet", "dataset_infos.json", "stray.jsonl"]);
    // What is most of a folder is its data.
    fs::write(clone.join("stray.jsonl"), rows(300, "\n")).unwrap();
    assert_eq!(read(&clone).unwrap().found().conversations, 300);
    // Also where it was cloned without its large files.
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 123456789\n";
    fs::write(clone.join("data/train-00000-of-00001.parquet"), pointer).unwrap();
    let error = read(&clone).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("train-00000-of-00001.parquet: a Git LFS pointer"), "{error}");
    fs::remove_dir_all(clone.join("data")).unwrap();
    fs::remove_file(clone.join("stray.jsonl")).unwrap();
    let error = read(&clone).map(|_| ()).unwrap_err().to_string();
    assert!(
        error.contains("no files of documents there (there is README.md, dataset_infos.json)"),
        "{error}"
    );
    let error = read(&clone.join("gone.jsonl")).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("no such file or folder") && error.contains("--set data=FILE"), "{error}");
}

#[derive(Deserialize)]
struct Templated {
    name: String,
    template: String,
    messages: serde_json::Value,
    tokens: Vec<u32>,
    mask: Vec<u8>,
}

#[test]
fn an_answer_begins_where_transformers_marks_it_whatever_the_opening() {
    let all: Vec<Templated> =
        serde_json::from_slice(&fs::read(fixture("rows/templates.json")).unwrap()).unwrap();
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("one.jsonl");
    for Templated { name, template, messages, tokens, mask } in all {
        fs::write(&data, serde_json::json!({ "messages": messages }).to_string()).unwrap();
        let read = read_with(&recipe(&data, &[]), Some(&template)).unwrap_or_else(|e| panic!("{name}: {e}"));
        let (found, answers) = taught(&read).remove(&1).unwrap();
        let mut marked = vec![0; found.len()];
        answers.into_iter().for_each(|answer| marked[answer].fill(1));
        assert_eq!((found, marked), (tokens, mask), "{name}: {messages}");
    }
}

#[test]
fn an_opening_that_is_not_how_answers_are_written_is_refused_for_that() {
    let data = fixture("rows/sharegpt.parquet");
    let source = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}\
                  {% if add_generation_prompt %}assistant:{% endif %}<|endoftext|>";
    let error = read_with(&recipe(&data, &[]), Some(source)).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("the chat template opens an answer with"), "{error}");
    assert!(error.contains("does not write turn 2 so") && !error.contains("not the last"), "{error}");
}

#[test]
fn pairs_that_the_template_writes_alike_are_refused_and_counted() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("pairs.jsonl");
    let pair = |chosen: &str| format!("{{\"prompt\": \"q\", \"chosen\": \"{chosen}\", \"rejected\": \"b\"}}");
    fs::write(&data, [pair("a"), pair(" b "), pair("c"), pair("d")].join("\n")).unwrap();
    let source = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content | trim }}<|im_end|>\n{% endfor %}\
                  {% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
    let read = read_with(&recipe(&data, &["dpo.beta=0.1"]), Some(source)).unwrap();
    assert_eq!((read.found().conversations, read.found().broken), (3, 1));
    let fact = &read.found().examples[0].fact;
    assert!(fact.contains("both answers are the same tokens"), "{fact}");
}

#[test]
fn a_template_that_writes_the_day_writes_that_of_the_recipe() {
    let home = tempfile::tempdir().unwrap();
    let template = home.path().join("date.jinja");
    let source = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}\
                  {% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
    fs::write(
        &template,
        format!("<|im_start|>system\n{{{{ strftime_now('%d %b %Y') }}}}<|im_end|>\n{source}"),
    )
    .unwrap();
    let set = format!("template={:?}", template.display().to_string());
    let dated = recipe(&fixture("rows/sharegpt.parquet"), &[&set, "date=2026-11-30"]);
    let base = Base::open(&dated).unwrap();
    assert!(base.asks_for_date());
    let read = read_with(&dated, None).unwrap();
    let text = base.tokenizer.decode_shown(&taught(&read)[&1].0);
    assert!(text.contains("system\n30 Nov 2026<|im_end|>"), "{text}");
    assert_eq!(FinetuneRecipe::parse(&dated.to_toml().unwrap(), Path::new("r.toml"), &[]).unwrap(), dated);
    let text = "data = 'a'\ndate = 'tomorrow'\n[model]\nfrom = 'b'\n";
    let error = FinetuneRecipe::parse(text, Path::new("r.toml"), &[]).unwrap_err().to_string();
    assert!(error.contains("line 2: `date` is to be a day"), "{error}");
}
