//! `sai finetune`, as a person runs it, as a machine kills it, and as a disk fills up.

mod common;

use common::{fails, sai, succeeds};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

/// Writes a recipe over the trainer's small model and its five conversations.
fn recipe(home: &Path) {
    let sft = Path::new(env!("CARGO_MANIFEST_DIR")).join("../trainer/tests/fixtures/sft");
    let text = format!(
        "data = {:?}\nepochs = 40\ncontext = 100\nbatch_conversations = 2\nvalidation_share = 0\n\
         checkpoint_every = 5\nsample_tokens = 8\n[optimizer]\nlearning_rate = 3e-3\n[model]\nfrom = {:?}\n",
        sft.join("chat.jsonl").display().to_string(),
        sft.display().to_string()
    );
    std::fs::write(home.join("r.toml"), text).unwrap();
}

/// The bits of a run's newest weights and moments.
fn made_of(home: &Path, run: &str) -> [Vec<u8>; 2] {
    let read = |name: &str| std::fs::read(home.join(run).join("model").join(name)).unwrap();
    ["model.safetensors", "optimizer.safetensors"].map(read)
}

/// The newest checkpoint's step; 0 where there is none.
fn newest(home: &Path, run: &str) -> u64 {
    let found = std::fs::read_dir(home.join(run).join("checkpoints")).into_iter().flatten();
    let steps = found.filter_map(|e| e.unwrap().file_name().to_str()?.strip_prefix("step-")?.parse().ok());
    steps.max().unwrap_or(0)
}

#[test]
fn inspect_shows_what_is_trained_on() {
    let home = tempfile::tempdir().unwrap();
    recipe(home.path());
    let ran = succeeds(sai(home.path()).args(["finetune", "r.toml", "--inspect", "5"]));
    assert!(ran.out.contains("assistant\n⟦하루가 또 가네요.<|im_end|>⟧\n"), "{ran:?}");
    assert!(ran.out.contains("⟦hello<|im_end|>⟧\n<|im_start|>user\nbye"), "{ran:?}");
    assert!(ran.out.contains("chat.jsonl line 1 · 8 of 21 tokens trained on"), "{ran:?}");
    assert!(ran.err.contains("5 conversations ·"), "{ran:?}");
    // 42dot's own system text is longer than the conversations.
    let form = ["--set", "template=42dot", "--set", "context=400"];
    let ran = succeeds(sai(home.path()).args(["finetune", "r.toml", "--inspect", "9"]).args(form));
    assert_eq!(ran.out.matches("trained on").count(), 5, "{ran:?}");
    assert!(ran.out.contains("<human>: hi <bot>:⟦ hello<|endoftext|>⟧<human>: bye"), "{ran:?}");
    let error = fails(sai(home.path()).args(["finetune", "r.toml", "--out", "x", "--set", "epoch=3"]));
    assert!(error.contains("--set epoch=3: `epoch` is no key of a recipe; `epochs` is"), "{error}");
}

#[test]
fn what_was_taught_is_answered() {
    let home = tempfile::tempdir().unwrap();
    recipe(home.path());
    let set = ["--set", "samples=['hi']", "--set", "batch_conversations=5"];
    let ran = succeeds(sai(home.path()).args(["finetune", "r.toml", "--out", "run"]).args(set));
    assert!(ran.err.contains("5 conversations in 40 steps") && ran.err.contains("hi ▸ hello"), "{ran:?}");
    assert!(!ran.err.contains("warning"), "{ran:?}");
    let mut chat = sai(home.path());
    chat.args(["chat", "-m", "run/model", "--temperature", "0", "--repetition-penalty", "1"]);
    std::fs::write(home.path().join("questions"), "12시 땡!\n").unwrap();
    let ran = succeeds(chat.stdin(std::fs::File::open(home.path().join("questions")).unwrap()));
    assert!(ran.out.contains("하루가 또 가네요."), "{ran:?}");
    for file in ["recipe.toml", "report.html", "samples.jsonl", "metrics.jsonl"] {
        assert!(home.path().join("run").join(file).is_file(), "{file}");
    }
    // A run's folder is a model to begin from.
    let more = ["finetune", "r.toml", "--out", "more", "--set", "model.from=run", "--set", "steps=1"];
    assert!(succeeds(sai(home.path()).args(more)).err.contains("1 steps · loss"));
}

#[test]
fn a_fine_tuning_that_is_killed_ends_as_one_that_was_not() {
    let home = tempfile::tempdir().unwrap();
    recipe(home.path());
    let args = ["finetune", "r.toml", "-q", "--threads", "1", "--resume", "--out"];
    succeeds(sai(home.path()).args(args).arg("whole"));
    let (mut state, mut before) = (7u64, 0);
    for _ in 0..12 {
        let mut command = sai(home.path());
        command.args(args).arg("killed").stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(Duration::from_millis((state >> 33) % 150));
        child.kill().unwrap();
        child.wait().unwrap();
        let now = newest(home.path(), "killed");
        assert!(now >= before, "{now} after {before}");
        before = now;
    }
    succeeds(sai(home.path()).args(args).arg("killed"));
    assert!(made_of(home.path(), "whole") == made_of(home.path(), "killed"), "the weights differ");
}

/// A limit on the length of files stands for a full disk: the weights of a checkpoint still fit and its moments do not.
#[test]
#[cfg(unix)]
fn a_full_disk_is_said_and_the_older_checkpoint_stays() {
    let home = tempfile::tempdir().unwrap();
    recipe(home.path());
    let args = ["finetune", "r.toml", "-q", "--threads", "1", "--resume", "--out"];
    succeeds(sai(home.path()).args(args).arg("whole"));
    // Up to the first checkpoint with room, then without.
    let mut first = sai(home.path());
    let mut child = first.args(args).arg("run").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while newest(home.path(), "run") == 0 {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let kept = newest(home.path(), "run");
    assert!(kept < 100, "it was done before it could be stopped");
    // The link to it may not have been made yet.
    let checkpoint = home.path().join(format!("run/checkpoints/step-{kept:09}"));
    let bits =
        || ["model.safetensors", "optimizer.safetensors"].map(|n| std::fs::read(checkpoint.join(n)).unwrap());
    let before = bits();

    let mut full = std::process::Command::new("sh");
    full.current_dir(home.path()).env_remove("SAI_MODEL");
    // 150 KiB, in blocks of 512 bytes; the signal that goes with the error would end the process.
    full.args(["-c", "trap '' XFSZ; ulimit -f 300; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_sai")]);
    let error = fails(full.args(args).arg("run"));
    assert!(error.contains("optimizer.safetensors"), "{error}");
    assert!(error.contains("make room") && error.contains("--resume"), "{error}");
    assert_eq!(newest(home.path(), "run"), kept);
    assert!(bits() == before, "the older checkpoint was touched");

    succeeds(sai(home.path()).args(args).arg("run"));
    assert!(made_of(home.path(), "whole") == made_of(home.path(), "run"), "the weights differ");
}

/// Writes a recipe over the trainer's small model and its four pairs.
fn preferences(home: &Path) {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../trainer/tests/fixtures");
    let text = format!(
        "data = {:?}\nepochs = 30\ncontext = 100\nbatch_conversations = 2\nvalidation_share = 0\n\
         checkpoint_every = 5\n[optimizer]\nlearning_rate = 3e-4\n[model]\nfrom = {:?}\n[dpo]\nbeta = 0.3\n",
        fixtures.join("pairs/pairs.jsonl").display().to_string(),
        fixtures.join("sft").display().to_string()
    );
    std::fs::write(home.join("r.toml"), text).unwrap();
}

#[test]
fn of_two_answers_the_better_is_preferred() {
    let home = tempfile::tempdir().unwrap();
    preferences(home.path());
    let ran = succeeds(sai(home.path()).args(["finetune", "r.toml", "--inspect", "9"]));
    assert_eq!(ran.out.matches("or, rejected:").count(), 4, "{ran:?}");
    assert!(
        ran.out.contains("assistant\n⟦하루가 또 가네요.<|im_end|>⟧\n  or, rejected:\n⟦몰라요<|im_end|>⟧\n"),
        "{ran:?}"
    );
    assert!(ran.out.contains("⟦see you<|im_end|>⟧\n<|im_start|>user\nhm?"), "{ran:?}");
    assert!(ran.out.contains("pairs.jsonl line 4 · 2 tokens are preferred to"), "{ran:?}");
    assert!(ran.err.contains("4 pairs ·"), "{ran:?}");

    let ran = succeeds(sai(home.path()).args(["finetune", "r.toml", "--out", "run"]));
    assert!(ran.err.contains("4 pairs in 60 steps") && !ran.err.contains("warning"), "{ran:?}");
    let metrics = std::fs::read_to_string(home.path().join("run/metrics.jsonl")).unwrap();
    let last: serde_json::Value = serde_json::from_str(metrics.lines().last().unwrap()).unwrap();
    assert!(last["rewards"]["accuracy"] == 1.0 && last["loss"].as_f64().unwrap() < 0.1, "{last}");
    for file in ["recipe.toml", "report.html", "reference.json", "model/chat_template.jinja"] {
        assert!(home.path().join("run").join(file).is_file(), "{file}");
    }
    // An adapter learns the same, and becomes a model.
    let lora = ["--set", "lora.rank=4", "--set", "optimizer.learning_rate=5e-3", "-q"];
    succeeds(sai(home.path()).args(["finetune", "r.toml", "--out", "adapted"]).args(lora));
    let metrics = std::fs::read_to_string(home.path().join("adapted/metrics.jsonl")).unwrap();
    let last: serde_json::Value = serde_json::from_str(metrics.lines().last().unwrap()).unwrap();
    assert!(last["rewards"]["accuracy"] == 1.0, "{last}");
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("../trainer/tests/fixtures/sft");
    succeeds(sai(home.path()).arg("merge").arg(base).args(["adapted", "merged"]));
    let more = ["finetune", "r.toml", "--out", "more", "--set", "model.from=merged", "--set", "steps=1"];
    assert!(succeeds(sai(home.path()).args(more)).err.contains("1 steps · loss"));
    // Conversations are no pairs, and pairs no conversations.
    let chat = base_data("sft/chat.jsonl");
    let error = fails(sai(home.path()).args(["finetune", "r.toml", "--out", "x", "--set", chat.as_str()]));
    assert!(error.contains("has no pair to train on") && error.contains("has no `chosen`"), "{error}");
    recipe(home.path());
    let pairs = base_data("pairs/pairs.jsonl");
    let error = fails(sai(home.path()).args(["finetune", "r.toml", "--out", "x", "--set", pairs.as_str()]));
    assert!(error.contains("those want [dpo] in the recipe"), "{error}");
}

/// An override that names a file of the trainer's fixtures as the data.
fn base_data(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../trainer/tests/fixtures").join(name);
    format!("data={:?}", path.display().to_string())
}

#[test]
fn a_run_on_preferences_that_is_killed_ends_as_one_that_was_not() {
    let home = tempfile::tempdir().unwrap();
    preferences(home.path());
    let args = ["finetune", "r.toml", "-q", "--threads", "1", "--resume", "--out"];
    succeeds(sai(home.path()).args(args).arg("whole"));
    let mut state = 11u64;
    for _ in 0..8 {
        let mut command = sai(home.path());
        command.args(args).arg("killed").stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(Duration::from_millis((state >> 33) % 120));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    succeeds(sai(home.path()).args(args).arg("killed"));
    assert!(made_of(home.path(), "whole") == made_of(home.path(), "killed"), "the weights differ");
}

#[cfg(unix)]
#[test]
fn a_run_killed_behind_its_last_checkpoint_has_that_as_its_model_when_it_is_resumed() {
    let home = tempfile::tempdir().unwrap();
    preferences(home.path());
    let args = ["finetune", "r.toml", "-q", "--threads", "1", "--resume", "--out", "run"];
    succeeds(sai(home.path()).args(args));
    let link = home.path().join("run/model");
    let last = std::fs::read_link(&link).unwrap();
    assert!(last.ends_with("step-000000060"), "{}", last.display());
    std::fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink("checkpoints/step-000000055", &link).unwrap();
    succeeds(sai(home.path()).args(args));
    assert_eq!(std::fs::read_link(&link).unwrap(), last);
}

/// A folder like another, whose weights end in other bytes.
fn with_other_end(of: &Path, folder: &Path, file: &str, end: &[u8]) {
    std::fs::create_dir(folder).unwrap();
    for entry in std::fs::read_dir(of).unwrap().map(Result::unwrap) {
        std::fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
    }
    let path = folder.join(file);
    let mut bytes = std::fs::read(&path).unwrap();
    let from = bytes.len() - end.len();
    bytes[from..].copy_from_slice(end);
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn an_adapter_is_merged_into_the_base_that_it_was_trained_beside_and_no_other() {
    let home = tempfile::tempdir().unwrap();
    recipe(home.path());
    let at = |name: &str| home.path().join(name);
    // From a run's folder, whose newest checkpoint is the base.
    succeeds(sai(home.path()).args(["finetune", "r.toml", "-q", "--out", "begun", "--set", "steps=1"]));
    let lora = ["--set", "lora.rank=2", "--set", "steps=2", "--set", "model.from=begun", "-q"];
    succeeds(sai(home.path()).args(["finetune", "r.toml", "--out", "adapted"]).args(lora));
    let described = std::fs::read(at("adapted/model/adapter_config.json")).unwrap();
    let described: serde_json::Value = serde_json::from_slice(&described).unwrap();
    let base = Path::new(described["base_model_name_or_path"].as_str().unwrap());
    assert!(base.is_absolute() && base.join("config.json").is_file(), "{}", base.display());

    let merge = |base: &str, adapter: &str, target: &str| {
        let mut command = sai(home.path());
        command.args(["merge", "-q", base, adapter, target]);
        command
    };
    succeeds(&mut merge("begun", "adapted", "merged"));
    with_other_end(&at("begun/model"), &at("other"), "model.safetensors", &0.5f32.to_le_bytes());
    let error = fails(&mut merge("other", "adapted", "wrong"));
    assert!(error.contains("trained beside other weights than other has, those of"), "{error}");
    assert!(error.contains("--any-base") && !at("wrong").exists(), "{error}");
    succeeds(merge("other", "adapted", "asked").arg("--any-base"));
    // As another program's: the name alone tells.
    with_other_end(&at("adapted/model"), &at("theirs"), "adapter_config.json", b"\n");
    std::fs::remove_file(at("theirs/state.json")).unwrap();
    succeeds(&mut merge("begun", "theirs", "again"));
    let error = fails(&mut merge("other", "theirs", "wrong"));
    assert!(error.contains("trained beside other weights"), "{error}");
    let config = std::fs::read_to_string(at("theirs/adapter_config.json")).unwrap();
    let config = config.replace(&base.display().to_string(), "owner/name");
    std::fs::write(at("theirs/adapter_config.json"), config).unwrap();
    let ran = succeeds(sai(home.path()).args(["merge", "other", "theirs", "unknown"]));
    assert!(ran.err.contains("beside owner/name; whether other is that cannot be told"), "{ran:?}");

    // NaN on either side.
    let nan = f32::NAN.to_le_bytes();
    with_other_end(&at("theirs"), &at("broken"), "adapter_model.safetensors", &nan);
    let error = fails(&mut merge("begun", "broken", "wrong"));
    assert!(error.contains("lora_") && error.contains("no finite numbers (NaN or infinity)"), "{error}");
    with_other_end(&at("begun/model"), &at("hollow"), "model.safetensors", &nan);
    let error = fails(&mut merge("hollow", "theirs", "wrong"));
    assert!(error.contains("hollow") && error.contains("no finite numbers"), "{error}");
    assert!(!at("wrong").exists());

    // A run's folder is its model, and that of an adapter says what to do.
    let ran = succeeds(sai(home.path()).args([
        "generate",
        "-m",
        "begun",
        "-p",
        "hi",
        "-n",
        "2",
        "--context",
        "32",
    ]));
    assert!(ran.code == Some(0), "{ran:?}");
    let error = fails(sai(home.path()).args(["generate", "-m", "adapted", "-p", "hi"]));
    assert!(error.contains("adapted: it is an adapter; make a model of it with `sai merge BASE"), "{error}");
    let more = ["--set", "model.from=adapted", "--inspect", "1"];
    let error = fails(sai(home.path()).args(["finetune", "r.toml"]).args(more));
    assert!(error.contains("is an adapter; make a model of it"), "{error}");
}

#[test]
fn a_run_whose_data_was_moved_goes_on_with_its_new_place() {
    let home = tempfile::tempdir().unwrap();
    recipe(home.path());
    let sft = Path::new(env!("CARGO_MANIFEST_DIR")).join("../trainer/tests/fixtures/sft");
    std::fs::copy(sft.join("chat.jsonl"), home.path().join("chat.jsonl")).unwrap();
    let begin = ["finetune", "r.toml", "-q", "--out", "run", "--set", "data=chat.jsonl", "--set", "steps=2"];
    succeeds(sai(home.path()).args(begin));
    std::fs::rename(home.path().join("chat.jsonl"), home.path().join("moved.jsonl")).unwrap();
    let resume = ["finetune", "run/recipe.toml", "-q", "--out", "run", "--resume"];
    let error = fails(sai(home.path()).args(resume));
    assert!(
        error.contains("chat.jsonl: no such file or folder") && error.contains("--set data=FILE"),
        "{error}"
    );
    succeeds(sai(home.path()).args(resume).args(["--set", "data=moved.jsonl"]));
    // What it holds is what it was trained on.
    let text = std::fs::read_to_string(home.path().join("moved.jsonl")).unwrap();
    std::fs::write(home.path().join("moved.jsonl"), text.replace("hello", "hallo")).unwrap();
    let error = fails(sai(home.path()).args(resume).args(["--set", "data=moved.jsonl"]));
    assert!(error.contains("is of other data than lies there now"), "{error}");
}

#[test]
fn a_template_that_writes_the_day_is_told_it_and_the_run_keeps_it() {
    let home = tempfile::tempdir().unwrap();
    recipe(home.path());
    let template = "<|im_start|>system\n{{ strftime_now('%Y') }}<|im_end|>\n{% for m in messages %}<|im_start|>\
                    {{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}\
                    <|im_start|>assistant\n{% endif %}";
    std::fs::write(home.path().join("day.jinja"), template).unwrap();
    let set = ["--set", "template=day.jinja", "--set", "steps=1"];
    succeeds(sai(home.path()).args(["finetune", "r.toml", "-q", "--out", "run"]).args(set));
    let kept = std::fs::read_to_string(home.path().join("run/recipe.toml")).unwrap();
    assert!(kept.lines().any(|line| line.starts_with("date = \"20")), "{kept}");
    let more = ["finetune", "run/recipe.toml", "--inspect", "1", "--set", "date=2001-02-03"];
    let ran = succeeds(sai(home.path()).args(more));
    assert!(ran.out.contains("system\n2001<|im_end|>"), "{ran:?}");
}

#[test]
fn what_of_a_folder_is_not_read_is_named() {
    let home = tempfile::tempdir().unwrap();
    recipe(home.path());
    let sft = Path::new(env!("CARGO_MANIFEST_DIR")).join("../trainer/tests/fixtures/sft");
    std::fs::create_dir(home.path().join("clone")).unwrap();
    std::fs::copy(sft.join("chat.jsonl"), home.path().join("clone/chat.jsonl")).unwrap();
    std::fs::write(home.path().join("clone/README.md"), "# Chat\n").unwrap();
    let ran =
        succeeds(sai(home.path()).args(["finetune", "r.toml", "--set", "data=clone", "--inspect", "1"]));
    assert!(ran.err.contains("not read: README.md; name what is to be in `data`"), "{ran:?}");
    assert!(ran.err.contains("5 conversations ·") && !ran.err.contains("broken"), "{ran:?}");
    let table = base_data("rows/messages.parquet");
    let ran =
        succeeds(sai(home.path()).args(["finetune", "r.toml", "--inspect", "4", "--set", table.as_str()]));
    assert!(
        ran.out.contains("messages.parquet row 1 · ") && ran.out.contains("assistant\na0<|im_end|>"),
        "{ran:?}"
    );
    assert!(ran.out.contains("⟦b0<|im_end|>⟧"), "{ran:?}");
}
