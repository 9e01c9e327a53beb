//! A sample: what is drawn, what is held out, and that the same recipe makes the same bytes.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use sai_corpus::{Count, Reader, SampleRecipe, sample};

const RECIPE: &str = r#"
[sample]
held_out = 0.1

[[sample.documents]]
input = ["web.jsonl"]
only = ["a/*"]
leave_out = ["secret"]
take = 100
clean = { duplicates = true, shortest = 8 }

[[sample.documents]]
input = ["web.jsonl"]
only = ["b/*"]
take = "1kB"

[[sample.conversations]]
input = ["talk.jsonl"]
leave_out = ["CC-BY-*"]
also_documents = true

[sample.rules]
files = ["rules.toml"]
documents = 50
dialogues = 5
conversations = 60

[tokenizer]
vocab_size = 300
"#;

const RULES: &str = r#"
license = "Apache-2.0"
[words]
thing = ["밥", "물", "책"]
[[topic]]
name = "what"
lang = "ko"
ask = ["{thing:이/가} 뭐야?", "{thing:은/는}?"]
answer = ["{thing:이에요/예요}."]
[[document]]
name = "story"
lang = "ko"
parts = [["{thing:이/가} 있어요."]]
"#;

fn made(folder: &Path) {
    let mut web = String::new();
    for i in 0..400 {
        let (source, license) = if i % 2 == 0 { ("a/x", "MIT") } else { ("b/y", "CC0-1.0") };
        let license = if i % 10 == 0 { "secret" } else { license };
        let text = format!("document {} of {source}", i / 4 * 4);
        let line =
            format!(r#"{{"text": "{text}", "lang": "en", "source": "{source}", "license": "{license}"}}"#);
        web.push_str(&format!("{line}\n"));
    }
    let talk: String = (0..80)
        .map(|i| {
            let license = if i % 2 == 0 { "MIT" } else { "CC-BY-SA-4.0" };
            format!(
                "{{\"messages\": [{{\"role\": \"user\", \"content\": \"q{i}\"}}, {{\"role\": \"assistant\", \"content\": \
                 \"a{i}\"}}], \"lang\": \"en\", \"source\": \"t\", \"license\": \"{license}\"}}\n"
            )
        })
        .collect();
    for (name, text) in
        [("web.jsonl", &*web), ("talk.jsonl", &talk), ("rules.toml", RULES), ("recipe.toml", RECIPE)]
    {
        fs::write(folder.join(name), text).unwrap();
    }
}

fn run(folder: &Path, out: &str, threads: usize) -> Result<Vec<Count>, String> {
    let recipe = SampleRecipe::open(&folder.join("recipe.toml")).map_err(|e| e.to_string())?;
    let flow = sample(&recipe, folder, &folder.join(out), threads, &mut |_| ControlFlow::Continue(()));
    match flow.map_err(|e| e.to_string())? {
        ControlFlow::Continue(counts) => Ok(counts),
        ControlFlow::Break(()) => Err("stopped".to_owned()),
    }
}

/// Every file of a folder, with what is in it.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for part in fs::read_dir(folder).unwrap().map(|part| part.unwrap().path()) {
        for file in fs::read_dir(&part).unwrap().map(|file| file.unwrap().path()) {
            let name = file.strip_prefix(folder).unwrap().display().to_string();
            found.insert(name, fs::read(file).unwrap());
        }
    }
    found
}

fn texts(path: &Path) -> Vec<String> {
    let batches = Reader::open(vec![path.to_owned()], sai_corpus::Options::default()).unwrap();
    let mut texts = Vec::new();
    for batch in batches {
        texts.extend(batch.unwrap().documents().map(|d| d.text.to_owned()));
    }
    texts
}

#[test]
fn a_sample_is_drawn_made_and_held_apart() {
    let folder = tempfile::tempdir().unwrap();
    made(folder.path());
    let counts = run(folder.path(), "out", 2).unwrap();
    assert_eq!(counts, run(folder.path(), "again", 1).unwrap());
    let out = folder.path().join("out");
    assert_eq!(files(&out), files(&folder.path().join("again")));
    let names: Vec<String> = files(&out).into_keys().collect();
    assert_eq!(
        names,
        [
            "conversations/en.jsonl",
            "conversations/rules-ko.jsonl",
            "documents/en.jsonl.zst",
            "documents/rules-ko.jsonl.zst",
            "held-out/conversations.jsonl",
            "held-out/en.jsonl",
        ]
    );
    // Of a/x only what is not secret, each text once.
    let of = |source: &str, kind: &str| {
        let fits = |c: &&Count| c.source == source && c.kind == kind;
        let found: Vec<&Count> = counts.iter().filter(fits).collect();
        assert_eq!(found.len(), 1, "{counts:?}");
        found[0].clone()
    };
    let a = of("a/x", "documents");
    assert_eq!((a.license.as_str(), a.taken + a.held_out), ("MIT", 100));
    assert!(a.held_out > 0);
    let b = of("b/y", "documents");
    assert!((25..=35).contains(&(b.taken + b.held_out)), "{b:?}");
    let talk = of("t", "conversations");
    assert_eq!((talk.license.as_str(), talk.taken + talk.held_out), ("MIT", 40));
    let rules = of("sai/rules", "conversations");
    assert_eq!((rules.license.as_str(), rules.taken + rules.held_out), ("Apache-2.0", 60));

    let trained = texts(&out.join("documents/en.jsonl.zst"));
    let held_out = texts(&out.join("held-out/en.jsonl"));
    assert!(held_out.iter().all(|text| !trained.contains(text)));
    assert!(trained.iter().any(|text| text.starts_with("user: q") && text.contains("\nassistant: a")));
    assert_eq!(
        trained.len() as u64,
        counts.iter().filter(|c| c.kind == "documents" && c.lang == "en").map(|c| c.taken).sum::<u64>()
    );
    assert_eq!(texts(&out.join("documents/rules-ko.jsonl.zst")).len(), 55);
}

#[test]
fn what_cannot_be_drawn_is_said_in_a_line() {
    for (from, to, why) in [
        ("take = 100", "take = \"100 MiB\"", "is no amount"),
        ("take = 100", "takes = 100", "takes"),
        ("held_out = 0.1", "held_out = 0.7", "`held_out` is 0.7"),
        ("web.jsonl", "none.jsonl", "no such file"),
        ("\"a/*\"", "\"a[\"", "no pattern"),
        ("rules.toml", "talk.jsonl", "line 1"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        made(folder.path());
        fs::write(folder.path().join("recipe.toml"), RECIPE.replacen(from, to, 1)).unwrap();
        let error = run(folder.path(), "out", 1).unwrap_err();
        assert!(error.contains(why) && !error.contains('\n'), "{error}");
        assert!(!folder.path().join("out").exists());
        let left = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 4, "nothing half-made is left");
    }
    let folder = tempfile::tempdir().unwrap();
    made(folder.path());
    run(folder.path(), "out", 1).unwrap();
    assert!(run(folder.path(), "out", 1).unwrap_err().contains("there already"));
}

#[test]
fn the_recipe_of_the_shipped_model_is_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes");
    let recipe = SampleRecipe::open(&folder.join("mini.toml")).unwrap();
    let patterns: Vec<&String> =
        recipe.documents.iter().flat_map(|d| d.only.iter().chain(&d.leave_out)).collect();
    assert!(patterns.iter().any(|pattern| *pattern == "e9t/nsmc"), "film reviews are never given away");
    // What a recipe says, resolved, reads back as itself.
    let text = toml::to_string(&recipe).unwrap();
    assert_eq!(toml::to_string(&toml::from_str::<SampleRecipe>(&text).unwrap()).unwrap(), text);
}
