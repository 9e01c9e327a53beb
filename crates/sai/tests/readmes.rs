//! `README.md` and `README.ko.md` name the same commands, and nothing that is not there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).expect("the README is there")
}

/// The lines of all blocks of the language `sh`, without what they say to people.
fn commands(readme: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut inside = false;
    for line in readme.lines() {
        if line.starts_with("```") {
            inside = line == "```sh";
        } else if inside {
            let code = line.split("  # ").next().unwrap_or(line).trim();
            if !code.is_empty() && !code.starts_with('#') {
                lines.push(code.to_owned());
            }
        }
    }
    lines
}

/// What stands between backticks and begins with `sai `, in tables' first columns.
fn verbs(readme: &str) -> BTreeSet<String> {
    let rows = readme.lines().filter_map(|line| line.strip_prefix("| `sai "));
    rows.filter_map(|row| row.split("` |").next()).map(str::to_owned).collect()
}

#[test]
fn both_readmes_have_the_same_commands() {
    let (english, korean) = (read("README.md"), read("README.ko.md"));
    let (mut here, mut there) = (commands(&english), commands(&korean));
    here.sort();
    there.sort();
    let missing: Vec<&String> = here.iter().filter(|line| !there.contains(line)).collect();
    let surplus: Vec<&String> = there.iter().filter(|line| !here.contains(line)).collect();
    assert!(
        missing.is_empty() && surplus.is_empty(),
        "README.ko.md lacks {missing:#?} and has beside README.md {surplus:#?}"
    );
    assert_eq!(here, there, "a command stands more often in one of them");
    assert!(here.len() > 10);
}

#[test]
fn both_readmes_have_the_same_verbs() {
    let (english, korean) = (verbs(&read("README.md")), verbs(&read("README.ko.md")));
    let differ: Vec<&String> = english.symmetric_difference(&korean).collect();
    assert!(differ.is_empty(), "only one README has a row for {differ:#?}");
}

#[test]
fn links_of_both_readmes_lead_somewhere() {
    for name in ["README.md", "README.ko.md"] {
        let text = read(name);
        for (at, _) in text.match_indices("](") {
            let target = text[at + 2..].split([')', '#']).next().unwrap_or("");
            if !target.is_empty() && !target.contains("://") {
                assert!(root().join(target).exists(), "{name}: {target} is not there");
            }
        }
    }
}
