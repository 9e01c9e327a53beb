//! `sai models`: what is listed, and that only what was named is removed.

// The Hub cache is made of links.
#![cfg(unix)]

mod common;

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{config, fails, gguf, run, sai, succeeds, weights};
use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use serde_json::Value;

const OLD: &str = "0123456789abcdef0123456789abcdef01234567";
const NEW: &str = "89abcdef0123456789abcdef0123456789abcdef";

fn models(home: &Path, arguments: &[&str]) -> Command {
    let mut command = sai(home);
    command.arg("models").args(arguments);
    command
}

fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(path, bytes).expect("a file");
}

/// A repository in the Hub cache of two revisions, which share one file.
fn cached(home: &Path, name: &str) -> PathBuf {
    let folder = home.join("hf/hub").join(name);
    for (blob, bytes) in [("shared", 100), ("old", 10), ("new", 1000)] {
        write(&folder.join("blobs").join(blob), &vec![b'x'; bytes]);
        write(&folder.join("blobs").join(format!("{blob}.lock")), b"");
    }
    for (commit, own, reference) in [(OLD, "old", "v1"), (NEW, "new", "main")] {
        let snapshot = folder.join("snapshots").join(commit);
        for (name, blob) in [("config.json", "shared"), ("model.safetensors", own)] {
            link(&format!("../../blobs/{blob}"), &snapshot.join(name));
        }
        write(&folder.join("refs").join(reference), commit.as_bytes());
    }
    folder
}

fn link(target: &str, path: &Path) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    std::os::unix::fs::symlink(target, path).expect("a link");
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("it").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn what_is_here_and_what_can_be_fetched_is_listed_with_licences() {
    let home = tempfile::tempdir().expect("a folder");
    let at = |name: &str| home.path().join(name);
    write(&at("models/SmolLM2-135M-Instruct.Q4_1.gguf"), &gguf("llama"));
    write(&at("models/broken.gguf"), b"no model");
    write(&at("models/of-django.py"), b"class Model: ...");
    write(&at("models/views/index.html"), b"");
    write(&at("models/mine/config.json"), config("LlamaForCausalLM").as_bytes());
    write(&at("models/mine/model.safetensors"), &weights());
    write(&at("models/mine/README.md"), b"---\nlicense: mit\n---\n");
    cached(home.path(), "models--42dot--42dot_LLM-SFT-1.3B");
    write(&at("hf/hub/models--owner--name/blobs/ab.part"), b"cut");
    write(&at("hf/hub/datasets--owner--data/blobs/ab"), b"none");

    let text = succeeds(&mut models(home.path(), &[])).out;
    let (here, rest) = text.split_once("\nCan be fetched").expect("two parts");
    for said in [
        "mini",
        "CC BY-SA 4.0",
        "smollm2-135m",
        "./models/SmolLM2-135M-Instruct.Q4_1.gguf",
        "broken.gguf",
        "licence unknown",
        "mit",
        "42dot-sft",
        "1.2 KiB  Hub cache, 42dot/42dot_LLM-SFT-1.3B, 2 revisions",
        "CC BY-NC 4.0",
        "owner/name",
        "a download of it is not finished",
    ] {
        assert!(here.contains(said), "{said} is missing in {here}");
    }
    assert!(!here.contains("django") && !here.contains("views") && !here.contains("data"), "{here}");
    for said in [
        "42dot-plm",
        "polyglot-ko-1.3b",
        "kanana-1.5-2.1b",
        "hyperclovax-seed-0.5b",
        "hyperclovax-seed-1.5b",
        "exaone-4.0-1.2b",
        "EXAONE AI Model License Agreement 1.2 - NC",
        "qwen3-0.6b",
        "qwen3-1.7b",
        "gemma3-270m",
        "gemma3-1b",
        "Gemma Terms of Use, to be accepted on the Hub first",
    ] {
        assert!(rest.contains(said), "{said} is missing in {rest}");
    }
    assert!(!rest.contains("42dot-sft") && !rest.contains("smollm2"), "{rest}");

    let json: Value =
        serde_json::from_str(&succeeds(&mut models(home.path(), &["--json"])).out).expect("JSON");
    let of = |list: &str, name: &str| {
        json[list].as_array().expect("a list").iter().find(|one| one["name"] == name).expect(name).clone()
    };
    assert_eq!(of("here", "42dot-sft")["revisions"][0]["names"][0], "v1");
    assert_eq!(of("here", "42dot-sft")["bytes"], 1110 + 80);
    assert_eq!(of("here", "owner/name")["finished"], false);
    assert_eq!(of("here", "mine")["licence"], "mit");
    assert_eq!(of("catalogue", "42dot-sft")["here"], true);
    assert_eq!(of("catalogue", "gemma3-1b")["gated"], true);
    assert_eq!(of("catalogue", "qwen3-0.6b")["repository"], "Qwen/Qwen3-0.6B");
}

#[test]
fn a_model_is_removed_after_a_yes_alone() {
    let home = tempfile::tempdir().expect("a folder");
    let folder = cached(home.path(), "models--42dot--42dot_LLM-SFT-1.3B");
    let ran = run(&mut models(home.path(), &["remove", "42dot-sft"]));
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("Remove 42dot/42dot_LLM-SFT-1.3B from the Hub cache (1.2 KiB)?"), "{ran:?}");
    assert!(ran.err.contains("give --yes") && folder.is_dir(), "{ran:?}");
    let ran = succeeds(&mut models(home.path(), &["remove", "42dot-sft", "--yes"]));
    assert!(ran.err.contains("removed 42dot/42dot_LLM-SFT-1.3B"), "{ran:?}");
    assert_eq!(names(&home.path().join("hf/hub")), [""; 0]);
}

#[test]
fn what_other_revisions_share_stays() {
    let home = tempfile::tempdir().expect("a folder");
    let folder = cached(home.path(), "models--owner--name");
    let ran = succeeds(&mut models(home.path(), &["remove", "owner/name@v1", "--yes"]));
    assert!(ran.err.contains("stays: its other revisions"), "{ran:?}");
    assert_eq!(names(&folder.join("snapshots")), [NEW]);
    assert_eq!(names(&folder.join("refs")), ["main"]);
    assert_eq!(names(&folder.join("blobs")), ["new", "new.lock", "shared", "shared.lock"]);
    assert!(folder.join("snapshots").join(NEW).join("model.safetensors").is_file());
    let error = fails(&mut models(home.path(), &["remove", "owner/name@v1", "--yes"]));
    assert!(error.contains("the cache has no revision v1; it has 89abcdef0123 (main)"), "{error}");
    // The last one takes the folder along; a commit can be said by its beginning.
    succeeds(&mut models(home.path(), &["remove", "owner/name@89abcde", "--yes"]));
    assert!(!folder.exists());
}

#[test]
fn nothing_outside_of_the_folders_is_removed() {
    let home = tempfile::tempdir().expect("a folder");
    let at = |name: &str| home.path().join(name);
    write(&at("mine/m.gguf"), &gguf("llama"));
    write(&at("models/mine.txt"), b"mine");
    write(&at("models/views/index.html"), b"mine");
    link("../mine/m.gguf", &at("models/linked.gguf"));
    link("../mine", &at("models/folder"));
    fs::create_dir_all(at("hf/hub")).expect("a folder");
    link("../../mine", &at("hf/hub/models--owner--name"));
    // A link inside of a snapshot that leads out.
    let folder = cached(home.path(), "models--owner--other");
    link("../../../../../mine", &folder.join("snapshots").join(OLD).join("out"));
    let whole = fs::read(at("mine/m.gguf")).expect("a file");

    let refused = |name: &str, said: &str| {
        let error = fails(&mut models(home.path(), &["remove", name, "--yes"]));
        assert!(error.contains(said), "{name}: {error}");
    };
    refused("mini", "it is part of the program");
    refused("views", "neither a GGUF file nor the folder of a model");
    refused("mine.txt", "neither a GGUF file nor the folder of a model");
    for name in ["mine/m.gguf", "../mine", "..", ".", "", "models/../mine", "nothing"] {
        refused(name, "there is no such model");
    }
    refused("owner/name:m.gguf", "");
    write(&at("mine/snapshots").join(OLD).join("config.json"), b"{}");
    refused("owner/name", "is a link to another place");

    let ran = succeeds(&mut models(home.path(), &["remove", "linked.gguf", "--yes"]));
    assert!(ran.err.contains("stays: what the link leads to"), "{ran:?}");
    succeeds(&mut models(home.path(), &["remove", "folder", "--yes"]));
    succeeds(&mut models(home.path(), &["remove", "owner/other", "--yes"]));
    assert_eq!(fs::read(at("mine/m.gguf")).expect("a file"), whole);
    assert_eq!(names(&at("models")), ["mine.txt", "views"]);
}

#[test]
fn a_model_that_is_being_fetched_stays() {
    let home = tempfile::tempdir().expect("a folder");
    let folder = cached(home.path(), "models--owner--name");
    let lock = fs::File::create(folder.join("blobs/new.lock")).expect("a file");
    lock.try_lock().expect("a lock");
    let error = fails(&mut models(home.path(), &["remove", "owner/name", "--yes"]));
    assert!(error.contains("another process is fetching it"), "{error}");
    drop(lock);
    succeeds(&mut models(home.path(), &["remove", "owner/name", "--yes"]));
}

#[test]
fn a_file_of_the_models_folder_goes_by_its_short_name() {
    let home = tempfile::tempdir().expect("a folder");
    let file = home.path().join("kept/SmolLM2-135M-Instruct.Q4_1.gguf");
    write(&file, &gguf("llama"));
    let mut command = models(home.path(), &["remove", "smollm2-135m", "--yes"]);
    let ran = succeeds(command.env("SAI_MODELS", "kept"));
    assert!(ran.err.contains("kept/SmolLM2-135M-Instruct.Q4_1.gguf") && !file.exists(), "{ran:?}");
}

/// What a run says on a terminal where `keys` are typed.
fn typed(home: &Path, arguments: &[&str], keys: &str) -> String {
    let size = PtySize { rows: 24, cols: 200, pixel_width: 0, pixel_height: 0 };
    let pair = native_pty_system().openpty(size).expect("a pseudo-terminal");
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_sai"));
    command.args(arguments);
    command.env_clear();
    command.env("HOME", home);
    command.env("HF_HOME", home.join("hf"));
    command.cwd(home);
    let mut child = pair.slave.spawn_command(command).expect("sai starts");
    let mut output = pair.master.try_clone_reader().expect("the terminal's output");
    let mut writer = pair.master.take_writer().expect("the terminal's keys");
    writer.write_all(keys.as_bytes()).expect("the terminal takes keys");
    let status = child.wait().expect("it ends");
    assert!(status.success());
    drop((pair, writer));
    let mut said = Vec::new();
    // A terminal that nobody has open any more is an error on some systems.
    let _ = output.read_to_end(&mut said);
    String::from_utf8_lossy(&said).into_owned()
}

#[test]
fn on_a_terminal_the_person_is_asked() {
    let home = tempfile::tempdir().expect("a folder");
    let folder = cached(home.path(), "models--owner--name");
    let remove = ["models", "remove", "owner/name"];
    for no in ["\n", "n\n"] {
        let said = typed(home.path(), &remove, no);
        assert!(said.contains("(1.2 KiB)? [y/N]") && said.contains("nothing is removed"), "{said}");
        assert!(folder.is_dir());
    }
    // The key of `y` on a Korean keyboard.
    let said = typed(home.path(), &remove, "ㅛ\n");
    assert!(said.contains("removed owner/name") && !folder.exists(), "{said}");
}
