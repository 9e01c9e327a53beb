//! A sample: what is drawn, what is held out, and that the same recipe makes the same bytes.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use sai_documents::Reader;
use sai_samples::{Count, SampleRecipe, Sampled, sample};

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

/// A conversation has messages, to who learns from it.
fn check(line: &str) -> Result<(), String> {
    if line.contains("\"messages\"") { Ok(()) } else { Err("has no `messages`".to_owned()) }
}

fn run(folder: &Path, out: &str, threads: usize) -> Result<Vec<Count>, String> {
    Ok(run_whole(folder, out, threads)?.counts)
}

fn run_whole(folder: &Path, out: &str, threads: usize) -> Result<Sampled, String> {
    let recipe = SampleRecipe::open(&folder.join("recipe.toml")).map_err(|e| e.to_string())?;
    let flow =
        sample(&recipe, folder, &folder.join(out), threads, &check, &mut |_| ControlFlow::Continue(()));
    match flow.map_err(|e| e.to_string())? {
        ControlFlow::Continue(sampled) => Ok(sampled),
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
    let batches = Reader::open(vec![path.to_owned()], sai_documents::Options::default()).unwrap();
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
        (
            "take = 100",
            "take = \"100 bits\"",
            "line 9: `take` is \"100 bits\", and not \"all\", a number of texts (1000",
        ),
        ("take = 100", "take = 0.5", "line 9: `take` is 0.5, and not \"all\", a number of texts (1000"),
        ("take = 100", "take = true", "line 9: `take` is true, and not \"all\""),
        ("take = 100", "take = -1", "line 9: `take` is -1, and not \"all\""),
        ("take = 100", "take = [100]", "line 9: a list, and not \"all\""),
        ("held_out = 0.1", "held_out = \"0.1\"", "line 3: a string, and not a number"),
        ("documents = 50", "documents = \"50\"", "line 24: a string, and not a whole number"),
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
fn an_amount_means_what_it_means_on_the_command_line() {
    use sai_samples::SampleSize::{All, Bytes, Texts};
    for (take, size) in [
        ("\"all\"", All),
        ("1000", Texts(1000)),
        ("\"10M\"", Texts(10_000_000)),
        ("\"10MB\"", Bytes(10_000_000)),
        ("\"10 MiB\"", Bytes(10 << 20)),
        ("\"1B\"", Bytes(1)),
    ] {
        let text = format!("documents = [{{ input = [], take = {take} }}]");
        let recipe: SampleRecipe = toml::from_str(&text).unwrap();
        assert_eq!(recipe.documents[0].take, size, "{take}");
        let again: SampleRecipe = toml::from_str(&toml::to_string(&recipe).unwrap()).unwrap();
        assert_eq!(again.documents[0].take, size, "{take}");
    }
}

#[test]
fn documents_are_no_conversations() {
    let folder = tempfile::tempdir().unwrap();
    made(folder.path());
    let talk = fs::read_to_string(folder.path().join("talk.jsonl")).unwrap();
    let document = "{\"text\": \"a document\"}\n";
    let says = |lines: &str, skip: bool| {
        fs::write(folder.path().join("talk.jsonl"), lines).unwrap();
        let head = format!("held_out = 0.1\nskip_broken = {skip}");
        fs::write(folder.path().join("recipe.toml"), RECIPE.replacen("held_out = 0.1", &head, 1)).unwrap();
        let _ = fs::remove_dir_all(folder.path().join("out"));
        run_whole(folder.path(), "out", 2)
    };
    let error = says(&document.repeat(20), false).unwrap_err();
    assert!(error.contains("talk.jsonl: line 1: has no `messages`; mend it"), "{error}");
    let error = says(&document.repeat(20), true).unwrap_err();
    assert!(
        error.contains("talk.jsonl: 20 of 20 documents are broken, the first at line 1: has no"),
        "{error}"
    );
    let whole = says(&talk, false).unwrap();
    let sampled = says(&(talk.clone() + &document.repeat(3)), true).unwrap();
    assert_eq!(sampled.passed_over, 3);
    assert_eq!(sampled.counts, whole.counts);
    // A name that is no text, and turns that are no texts, are no reason to leave a conversation out in silence.
    let parts =
        talk.replacen("\"content\": \"q0\"", "\"content\": [{\"type\": \"text\", \"text\": \"q0\"}]", 1);
    let error = says(&parts, false).unwrap_err();
    assert!(error.contains("line 1: it cannot be a document too (`also_documents`)"), "{error}");
    let null = talk.replacen("\"lang\": \"en\"", "\"lang\": null, \"score\": NaN", 1);
    let counts = says(&null, false).unwrap().counts;
    assert!(
        counts.iter().any(|count| count.lang == "und" && count.taken + count.held_out == 1),
        "{counts:?}"
    );
    let error = says(&format!("[\n{}]\n", talk.replace("}\n", "},\n")), true).unwrap_err();
    assert!(error.contains("talk.jsonl: a JSON array; `jq -c '.[]' < talk.jsonl"), "{error}");
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
