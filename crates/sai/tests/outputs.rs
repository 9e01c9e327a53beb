//! What a verb may write over: never what it reads, and what is there only where `--force` says so.

#![allow(missing_docs)]

mod common;
#[allow(dead_code)] // the crate that it was written for uses more
#[path = "../../generation/tests/tiny/mod.rs"]
mod tiny;

use std::fs;
use std::path::Path;

use common::{fails, sai, succeeds};
use tempfile::TempDir;

const NOTES: &str = "notes of a year\n";

/// A home with a model's folder `m`, a GGUF file of it, and somebody's notes.
fn home() -> TempDir {
    let home = tempfile::tempdir().unwrap();
    tiny::write(&home.path().join("m"), 3);
    fs::write(home.path().join("notes.txt"), NOTES).unwrap();
    fs::write(home.path().join("text.txt"), "ABCDEFGHIJKLMNOPQRSTUVWXYZ".repeat(20)).unwrap();
    succeeds(sai(home.path()).args(["quantize", "m", "m.gguf", "f16"]));
    home
}

/// Every file below a folder with its bytes.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(contents(&path));
        } else {
            all.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
    all.sort();
    all
}

/// Runs commands that must fail and leave everything as it was; each has a part of what is said.
fn leaves_all(home: &Path, commands: &[(&str, &str)]) {
    let before = contents(home);
    for (command, said) in commands {
        let error = fails(sai(home).arg("--quiet").args(command.split(' ')));
        assert!(error.contains(said), "{command}: {error}");
        assert!(contents(home) == before, "{command} changed a file");
    }
}

#[test]
fn a_prompt_cache_replaces_a_prompt_cache_alone() {
    let home = home();
    let other = "no prompt cache of sai; choose another name";
    leaves_all(
        home.path(),
        &[
            ("generate -p Hello -n 2 --prompt-cache notes.txt", other),
            ("generate -m m.gguf -p AB -n 2 --prompt-cache m.gguf", other),
            ("generate -p Hello -n 2 --prompt-cache m", other),
            ("chat --no-save --prompt-cache notes.txt", other),
        ],
    );
    assert!(
        fails(sai(home.path()).args(["generate", "-p", "a", "--prompt-cache", "/dev/null"])).contains(other)
    );
    fs::write(home.path().join("empty"), "").unwrap();
    for file in ["new", "empty"] {
        let args = ["generate", "-p", "Hello there", "-n", "2", "--prompt-cache", file];
        succeeds(sai(home.path()).args(args));
        succeeds(sai(home.path()).args(args));
        assert!(fs::read(home.path().join(file)).unwrap().starts_with(b"sai prompt cache"));
        // A damaged one is still a cache.
        fs::write(home.path().join(file), b"sai prompt cache and nonsense").unwrap();
        succeeds(sai(home.path()).args(args));
    }
}

#[test]
fn a_model_is_never_replaced_by_what_is_made_of_it() {
    let home = home();
    fs::hard_link(home.path().join("m.gguf"), home.path().join("hard.gguf")).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink("m.gguf", home.path().join("soft.gguf")).unwrap();
    fs::create_dir(home.path().join("both")).unwrap();
    fs::copy(home.path().join("m/config.json"), home.path().join("both/config.json")).unwrap();
    fs::copy(home.path().join("m.gguf"), home.path().join("both/m.gguf")).unwrap();
    let read = "is what is read";
    leaves_all(
        home.path(),
        &[
            ("quantize m.gguf m.gguf q8_0 --force", read),
            ("quantize m.gguf ./both/../m.gguf q8_0 --force", read),
            ("quantize m.gguf hard.gguf q8_0 --force", read),
            ("quantize m.gguf soft.gguf q8_0 --force", read),
            ("quantize soft.gguf m.gguf q8_0 --force", read),
            ("quantize m m/model.safetensors q8_0 --force", read),
            ("quantize m m q8_0 --force", "is a folder"),
            ("convert both/m.gguf both --force", read),
            ("convert m.gguf m.gguf --force", read),
            ("convert m m --force", read),
            ("merge m m m --force", read),
            ("imatrix m text.txt -o text.txt --force", read),
            ("imatrix m.gguf text.txt -o m.gguf --force", read),
        ],
    );
    // Beside its source, and again, there is nothing against it.
    succeeds(sai(home.path()).args(["quantize", "m", "m/small.gguf", "q8_0"]));
    succeeds(sai(home.path()).args(["quantize", "m", "m/small.gguf", "q4_0", "--force"]));
}

#[test]
fn what_is_there_is_replaced_with_force_alone() {
    let home = home();
    fs::write(home.path().join("notes.svg"), NOTES).unwrap();
    fs::create_dir(home.path().join("pages")).unwrap();
    fs::write(home.path().join("pages/sai-chat.1"), NOTES).unwrap();
    leaves_all(
        home.path(),
        &[
            ("quantize m notes.txt q8_0", "give --force"),
            ("convert m m.gguf", "give --force"),
            ("convert m.gguf m", "give --force"),
            ("convert m.gguf notes.txt --force", "no model's folder"),
            ("merge m m notes.txt", "give --force"),
            ("imatrix m text.txt -o notes.txt", "give --force"),
            ("imatrix m text.txt -o none/i.gguf", "no folder none"),
            ("quantize m none/q.gguf q8_0", "no folder none"),
            ("tokenizer eval m --text a=text.txt --plot notes.svg", "no SVG picture"),
            ("man pages", "no manual page"),
        ],
    );
    for again in ["", " --force"] {
        let args = format!("imatrix m text.txt -o i.gguf --chunk 64{again}");
        succeeds(sai(home.path()).args(args.split(' ')));
    }
    for _ in 0..2 {
        succeeds(sai(home.path()).args(["man", "man1"]));
        succeeds(sai(home.path()).args([
            "tokenizer",
            "eval",
            "m",
            "--text",
            "a=text.txt",
            "--plot",
            "a.svg",
        ]));
    }
}
