//! `sai corpus build`, `explain` and `report`, as a person runs them, and who reads the folder behind them.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn sai(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sai")).args(arguments).current_dir(folder).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Notes, of which one is there twice, and a page.
fn place() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let things =
        ["지도", "책상", "사과", "기차", "우산", "바다", "연필", "시계", "노래", "창문", "편지", "나무"];
    let mut lines = String::new();
    for (at, thing) in things.iter().enumerate() {
        let sentences: Vec<String> = (0..12)
            .map(|n| {
                format!(
                    "{}번째 날에 {thing}에 대하여 {}{}의 이야기를 적어 두었다.",
                    n * 7 + at,
                    things[(at + n) % 12],
                    things[(at * 5 + n) % 12]
                )
            })
            .collect();
        let line = serde_json::json!({"text": sentences.join("\n"), "license": "CC0-1.0", "url": format!("https://notes.example/{at}")});
        lines += &format!("{line}\n");
        if at == 3 {
            lines += &format!(
                "{}\n",
                serde_json::json!({"text": sentences.join("\n"), "url": "https://mirror.example/3"})
            );
        }
    }
    fs::write(folder.path().join("notes.jsonl"), lines).unwrap();
    fs::write(folder.path().join("page.html"), "<html><body><p>짧은 글.</p><script>x</script></body></html>")
        .unwrap();
    fs::write(folder.path().join("r.toml"), "[[source]]\nname = \"notes\"\ninput = [\"notes.jsonl\"]\n[[clean]]\nlang = \"ko\"\npreset = \"c4\"\nrules = { c4 = false }\n[[clean]]\n").unwrap();
    folder
}

#[test]
fn a_corpus_is_built_explained_reported_and_read_by_others() {
    let folder = place();
    let at = folder.path();
    let built = sai(at, &["corpus", "build", "r.toml", "-o", "corpus"]);
    assert!(built.status.success(), "{}", said(&built));
    let words = said(&built);
    assert!(
        words.contains("of the disk")
            && words.contains("12 documents")
            && words.contains("1 exact duplicate"),
        "{words}"
    );
    // Nothing is done twice, and the outcome is said again.
    assert!(sai(at, &["corpus", "build", "r.toml", "-o", "corpus"]).status.success());
    let report = sai(at, &["corpus", "report", "corpus"]);
    assert!(report.status.success(), "{}", said(&report));
    assert!(fs::read_to_string(at.join("corpus/report.html")).unwrap().contains("<h1>corpus</h1>"));
    let explained = sai(at, &["corpus", "explain", "https://mirror.example/3", "--in", "corpus"]);
    let text = String::from_utf8_lossy(&explained.stdout).into_owned();
    assert!(
        text.contains("kept by the rules") && text.contains("says the same"),
        "{text}{}",
        said(&explained)
    );
    let page = sai(at, &["corpus", "explain", "page.html"]);
    let text = String::from_utf8_lossy(&page.stdout).into_owned();
    assert!(
        text.contains("charset: utf-8, as its bytes are")
            && text.contains("짧은 글.")
            && text.contains("dropped: "),
        "{text}{}",
        said(&page)
    );
    let vocabulary = ["tokenizer", "train", "--input", "corpus", "--vocab-size", "400", "-o", "vocabulary"];
    let trained = sai(at, &vocabulary);
    assert!(trained.status.success(), "{}", said(&trained));
    // A corpus that lost a shard is no input.
    fs::remove_file(at.join("corpus/shard-00000.jsonl.zst")).unwrap();
    let refused = sai(at, &["tokenizer", "train", "--input", "corpus", "--vocab-size", "400", "-o", "other"]);
    assert!(
        !refused.status.success()
            && said(&refused).contains("its corpus's manifest names it; build the corpus again"),
        "{}",
        said(&refused)
    );
}

#[test]
fn what_cannot_be_built_is_said_in_one_line() {
    let folder = place();
    let at = folder.path();
    fs::create_dir(at.join("full")).unwrap();
    fs::write(at.join("full/thesis.txt"), "mine").unwrap();
    fs::write(at.join("gone.toml"), "[[source]]\nname = \"a\"\nhub = \"the-pile\"\n").unwrap();
    fs::write(at.join("none.toml"), "[[source]]\nname = \"a\"\ninput = [\"none.jsonl\"]\n").unwrap();
    for (arguments, words) in [
        (vec!["corpus", "build", "r.toml", "-o", "full"], "no corpus that sai builds; name another one"),
        (vec!["corpus", "build", "gone.toml", "-o", "c"], "taken down in 2023"),
        (vec!["corpus", "build", "none.toml", "-o", "c"], "no such file or folder"),
        (vec!["corpus", "build", "missing.toml", "-o", "c"], "missing.toml: cannot be read"),
        (vec!["corpus", "build", "r.toml", "-o", "c", "--shard", "3/3"], "such as 0/8"),
        (
            vec!["corpus", "build", "r.toml", "-o", "c", "--only", "keys"],
            "1 units of the first step are to come (--only map)",
        ),
        (vec!["corpus", "report", "full"], "no corpus that sai built"),
        (vec!["corpus", "explain", "https://a.example/"], "with --in"),
        (vec!["corpus", "explain", "notes.jsonl", "--number", "99"], "it has no record 99"),
    ] {
        let output = sai(at, &arguments);
        let said = said(&output);
        assert!(!output.status.success() && said.contains(words), "{arguments:?}: {said}");
    }
    assert_eq!(fs::read_to_string(at.join("full/thesis.txt")).unwrap(), "mine");
}
