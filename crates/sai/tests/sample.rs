//! `sai sample`: a folder to train a small model from.

mod common;

use std::fs;

use common::{fails, sai, succeeds};

const RULES: &str = r#"
license = "Apache-2.0"
[words]
thing = ["밥", "물", "책"]
[[topic]]
name = "what"
lang = "ko"
ask = ["{thing:이/가} 뭐야?"]
answer = ["{thing:이에요/예요}."]
"#;

#[test]
fn a_sample_is_written_counted_and_never_overwritten() {
    let home = tempfile::tempdir().expect("a folder");
    let recipe = "[sample]\n[sample.rules]\nfiles = [\"rules.toml\"]\nconversations = 200\n";
    fs::write(home.path().join("recipe.toml"), recipe).expect("written");
    fs::write(home.path().join("rules.toml"), RULES).expect("written");
    let ran = succeeds(sai(home.path()).args(["sample", "recipe.toml", "-o", "out", "--json"]));
    let counts: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
    let count = |key: &str| counts[0][key].as_u64().expect("a number");
    assert_eq!(count("taken") + count("held_out"), 200);
    assert_eq!(counts[0]["license"], "Apache-2.0");
    let lines = fs::read_to_string(home.path().join("out/conversations/rules-ko.jsonl")).expect("made");
    assert_eq!(lines.lines().count() as u64, count("taken"));

    let error = fails(sai(home.path()).args(["sample", "recipe.toml", "-o", "out"]));
    assert!(error.contains("out: cannot be written: it is there already; choose another name"), "{error}");
    fs::write(home.path().join("rules.toml"), RULES.replace("뭐야", "{what}")).expect("written");
    let error = fails(sai(home.path()).args(["sample", "recipe.toml", "-o", "other"]));
    assert!(error.contains("rules.toml: line 8: `what`: there is no list `what`"), "{error}");
    assert!(!home.path().join("other").exists());
}
