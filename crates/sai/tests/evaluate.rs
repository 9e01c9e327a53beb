//! `sai evaluate --tasks`, on the tiny model and the few rows of the tests of `evals`.

mod common;

use common::{fails, sai, succeeds};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn fixtures(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../evals/tests/fixtures").join(name)
}

fn evaluate(home: &Path, model: &str, tasks: &str) -> Command {
    let mut command = sai(home);
    command.arg("evaluate").arg(fixtures(model)).args(["--tasks", tasks, "--data"]).arg(fixtures("data"));
    command
}

#[test]
fn the_korean_table_has_its_rows_its_average_and_the_published_columns() {
    let home = tempfile::tempdir().unwrap();
    let ran = succeeds(evaluate(home.path(), "model", "kobest").args(["--compare", "published"]));
    let lines: Vec<&str> = ran.out.lines().collect();
    assert!(
        lines[0].starts_with("Korean (macro-F1)") && lines[0].contains("42dot LLM-PLM 1.3B"),
        "{}",
        ran.out
    );
    let rows: Vec<&str> = lines[1..].iter().map(|line| line.split(' ').next().unwrap()).take(5).collect();
    assert_eq!(rows, ["kobest_boolq", "kobest_copa", "kobest_hellaswag", "kobest_sentineg", "average"]);
    // 42dot's average as it is printed, and ours of the four rows.
    let average: Vec<f64> = lines[5].split_whitespace().skip(1).map(|mean| mean.parse().unwrap()).collect();
    assert_eq!(average[..5], [0.504, 0.539, 0.488, 0.388, 0.549]);
    let ours = |line: &str| line.split_whitespace().nth(6).unwrap().parse::<f64>().unwrap();
    let mean = lines[1..5].iter().map(|line| ours(line)).sum::<f64>() / 4.0;
    assert!((average[5] - mean).abs() < 0.001, "{}", ran.out);
    assert!(ran.out.contains("kobest_wic/macro_f1") && ran.out.contains("Bits a byte"), "{}", ran.out);
}

#[test]
fn a_table_without_all_its_rows_has_no_average_and_says_why() {
    let home = tempfile::tempdir().unwrap();
    let ran =
        succeeds(evaluate(home.path(), "model", "kobest_boolq,kobest_copa").args(["--table", "markdown"]));
    assert!(ran.out.starts_with("| Korean (macro-F1) | "), "{}", ran.out);
    assert!(ran.out.contains("No average: kobest_hellaswag, kobest_sentineg were not asked."), "{}", ran.out);
}

#[test]
fn results_are_json_beside_texts_and_go_on_from_the_journal() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    fs::write(at("en.jsonl"), "{\"text\": \"Snow is white.\"}\n").unwrap();
    let both = || {
        let mut command = evaluate(home.path(), "model", "boolq,rte");
        command
            .args(["--json", "--profile", "main", "--texts"])
            .arg(format!("en={}", at("en.jsonl").display()));
        command.arg("--journal").arg(at("journal.jsonl"));
        command
    };
    let found: Value = serde_json::from_str(&succeeds(&mut both()).out).unwrap();
    assert_eq!(found["models"][0]["languages"][0]["language"], "en");
    assert!(found["tasks"][0]["results"]["boolq"]["acc,none"].is_number(), "{found}");
    let lines = fs::read_to_string(at("journal.jsonl")).unwrap().lines().count();
    assert_eq!(lines, 16);
    let again: Value = serde_json::from_str(&succeeds(&mut both()).out).unwrap();
    assert_eq!(again["tasks"], found["tasks"]);
    assert_eq!(fs::read_to_string(at("journal.jsonl")).unwrap().lines().count(), lines);
}

#[test]
fn samples_and_a_chart_are_written_and_nothing_is_replaced() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    let both = || {
        let mut command = evaluate(home.path(), "model", "kobest_copa");
        command
            .args(["--limit", "2", "--samples"])
            .arg(at("samples.jsonl"))
            .arg("--chart")
            .arg(at("chart.svg"));
        command
    };
    let ran = succeeds(&mut both());
    assert!(ran.err.contains("kobest_copa: 2 of 4 documents"), "{ran:?}");
    let text = fs::read_to_string(at("samples.jsonl")).unwrap();
    let sample: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(sample["doc_id"], 2, "the first of the shuffled order");
    assert_eq!(sample["filtered_resps"].as_array().map(Vec::len), Some(2));
    assert!(fs::read_to_string(at("chart.svg")).unwrap().contains("kobest_copa"));
    assert!(fails(&mut both()).contains("give --force"));
    succeeds(both().arg("--force"));
}

#[test]
fn a_task_of_ones_own_is_asked() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    let task = "name = \"colours\"\nabout = \"Colours.\"\nfile = \"colours\"\nsplit = \"test\"\ncolumns = [\"thing\", \"label\"]\n\
                metrics = [\"acc\"]\n[prompt]\ncontext = \"{{ thing }} is\"\nchoices = [\"white\", \"red\"]\ngold = \"label\"\n";
    fs::write(at("colours.toml"), task).unwrap();
    fs::write(
        at("colours.test.jsonl"),
        "{\"thing\": \"Snow\", \"label\": 0}\n{\"thing\": \"Blood\", \"label\": 1}\n",
    )
    .unwrap();
    let own = |name: &str| {
        let mut command = sai(home.path());
        command.args(["evaluate"]).arg(fixtures("model")).args([
            "--tasks",
            name,
            "--data",
            ".",
            "--tasks-from",
        ]);
        command.arg(at("colours.toml"));
        command
    };
    assert!(succeeds(&mut own("colours")).out.contains("colours/acc"));
    assert!(fails(&mut own("kobest_boolq")).contains("wants kobest_boolq.test.jsonl"));
    assert!(fails(&mut own("colors")).contains("no task or group `colors`; there are all, kobest"));
    fs::write(at("colours.toml"), task.replace("\"colours\"\nabout", "\"boolq\"\nabout")).unwrap();
    assert!(fails(&mut own("boolq")).contains("`boolq` is the name of task boolq too"));
}

#[test]
fn tasks_without_data_and_a_chart_that_is_no_svg_are_refused_before_the_work() {
    let home = tempfile::tempdir().unwrap();
    let error =
        fails(sai(home.path()).env("HF_HUB_OFFLINE", "1").args(["evaluate", "mini", "--tasks", "kobest"]));
    assert!(error.contains("skt/kobest_v1@refs/convert/parquet: HF_HUB_OFFLINE is set"), "{error}");
    let error = fails(evaluate(home.path(), "model", "boolq").args(["--chart", "chart.png"]));
    assert!(error.contains("pictures are SVG"), "{error}");
    let error = fails(evaluate(home.path(), "model", "boolq").args(["--max-length", "1"]));
    assert!(error.contains("boolq.validation.jsonl: line ") && error.contains("tokens"), "{error}");
}

#[test]
fn documents_of_a_corpus_are_found_raw_and_packed_and_the_figures_are_without_them() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    fs::create_dir(at("corpus")).unwrap();
    let text = "그날은 추웠다. 길이 얼었다. 결과 사람들이 미끄러졌다! 두 번 다시 사지 않을래요.";
    fs::write(at("corpus/a.jsonl"), format!("{}\n", serde_json::json!({ "text": text }))).unwrap();
    let check = |corpus: &str| {
        let mut command = evaluate(home.path(), "model", "kobest_sentineg,kobest_copa");
        command.args(["--json", "--check-corpus"]).arg(at(corpus));
        let found: Value = serde_json::from_str(&succeeds(&mut command).out).unwrap();
        found["tasks"][0]["contamination"]["tasks"].clone()
    };
    let raw = check("corpus");
    assert_eq!(
        (&raw[0]["task"], &raw[0]["found"], &raw[0]["documents"]),
        (&"kobest_copa".into(), &0.into(), &4.into())
    );
    assert_eq!((&raw[1]["task"], &raw[1]["found"]), (&"kobest_sentineg".into(), &1.into()));
    assert!(raw[1]["figures"][0]["value"].is_number());
    let mut pack = sai(home.path());
    pack.args(["tokenizer", "pack", "--eos", "</s>", "--input"])
        .arg(at("corpus"))
        .arg("-o")
        .arg(at("packed"));
    succeeds(pack.arg("--tokenizer").arg(fixtures("model/tokenizer.json")));
    assert_eq!(check("packed"), raw);
    let ran =
        succeeds(evaluate(home.path(), "model", "kobest_sentineg").arg("--check-corpus").arg(at("corpus")));
    assert!(ran.out.contains("kobest_sentineg: 1 of 4 documents occur in the corpus"), "{}", ran.out);
    fs::create_dir(at("empty")).unwrap();
    let error = fails(evaluate(home.path(), "model", "boolq").arg("--check-corpus").arg(at("empty")));
    assert!(error.contains("empty"), "{error}");
}

#[test]
fn a_report_is_one_page_with_tables_charts_and_documents() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("report.html");
    let write = || {
        let mut command = evaluate(home.path(), "model", "kobest,gsm8k");
        command.args(["--fewshot", "0", "--compare", "published", "--report"]).arg(&path);
        command
    };
    succeeds(&mut write());
    let page = fs::read_to_string(&path).unwrap();
    for text in
        ["<svg", "42dot LLM-PLM 1.3B", "kobest_boolq", "class=\"published\"", "수원은 경기도에", "gsm8k"]
    {
        assert!(page.contains(text), "{text}");
    }
    // Nothing is fetched: the only address is the name of SVG's own words.
    assert_eq!(page.matches("http").count(), page.matches("http://www.w3.org/2000/svg").count());
    assert!(fails(&mut write()).contains("give --force"));
}
