//! The command as a person meets it: what goes wrong is one line that says what to do.

mod common;

use std::fs;

use common::real_model::smollm2;
use common::{config, fails, gguf, run, sai, succeeds, weights};

fn home() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

#[test]
fn help_and_version_are_answers() {
    let home = home();
    let help = succeeds(sai(home.path()).arg("--help"));
    for word in
        ["chat", "generate", "inspect", "perplexity", "bench", "convert", "Examples", "mini", "smollm2-135m"]
    {
        assert!(help.out.contains(word), "{word} is missing in {}", help.out);
    }
    assert!(succeeds(sai(home.path()).arg("--version")).out.starts_with("sai "));
    for verb in ["chat", "generate", "inspect", "perplexity", "bench", "convert"] {
        succeeds(sai(home.path()).args([verb, "--help"]));
    }
}

#[test]
fn a_wrong_question_is_code_two() {
    let home = home();
    for wrong in [
        &["--no-such-flag"][..],
        &["generate", "--temp", "warm"],
        &["inspect"],
        &["cook"],
        &["doctor", "-t", "100000"],
        &[],
    ] {
        let ran = run(sai(home.path()).args(wrong));
        assert_eq!(ran.code, Some(2), "{wrong:?} {ran:?}");
        assert_eq!(ran.out, "");
    }
}

#[test]
fn what_is_not_there_is_said_with_a_way_out() {
    let home = home();
    let says = |model: &str, words: &[&str]| {
        let error = fails(sai(home.path()).args(["inspect", model]));
        for word in words {
            assert!(error.contains(word), "{model}: {word} is missing in {error}");
        }
    };
    says("no/such/file.gguf", &["no/such/file.gguf: no such file"]);
    says("./nothing", &["no such file or folder"]);
    says("smollm2", &["did you mean `smollm2-135m`?", "42dot-sft"]);
    let error = fails(sai(home.path()).args(["inspect", "smollm2-135m"]).env("HF_HUB_OFFLINE", "1"));
    assert!(error.contains("HuggingFaceTB/SmolLM2-135M-Instruct: HF_HUB_OFFLINE is set"), "{error}");
    says("", &["--model is empty"]);
}

#[test]
fn broken_files_are_one_line() {
    let home = home();
    let says = |name: &str, bytes: &[u8], words: &str| {
        fs::write(home.path().join(name), bytes).expect("a file");
        for verb in [&["inspect"][..], &["generate", "-p", "x", "-m"], &["perplexity", "-f", "text", "-m"]] {
            let error = fails(sai(home.path()).args(verb).arg(name));
            assert!(error.contains(name) && error.contains(words), "{verb:?} {words}: {error}");
        }
    };
    fs::write(home.path().join("text"), "some text").expect("a file");
    let whole = gguf("llama");
    says("empty.gguf", b"", "");
    says("text.gguf", b"hello, this is no model at all", "");
    says("cut.gguf", &whole[..whole.len() - 16], "token_embd.weight");
    says("header.gguf", &whole[..60], "");
    let weights = weights();
    says("cut.safetensors", &weights[..weights.len() - 4], "");

    let folder = home.path().join("folder");
    fs::create_dir(&folder).expect("a folder");
    fails(sai(home.path()).args(["inspect", "folder"]));
    fs::write(folder.join("model.safetensors"), &weights).expect("a file");
    let error = fails(sai(home.path()).args(["inspect", "folder"]));
    assert!(error.contains("config.json"), "{error}");
    fs::write(folder.join("config.json"), "{ \"architectures\": [").expect("a file");
    let error = fails(sai(home.path()).args(["inspect", "folder"]));
    assert!(error.contains("config.json"), "{error}");
}

#[test]
fn a_model_that_sai_cannot_run_is_shown_all_the_same() {
    let home = home();
    fs::write(home.path().join("m.gguf"), gguf("mamba")).expect("a file");
    let ran = succeeds(sai(home.path()).args(["inspect", "m.gguf", "--tensors", "--metadata"]));
    assert!(ran.out.contains("sai cannot run it") && ran.out.contains("mamba"), "{}", ran.out);
    assert!(ran.out.contains("token_embd.weight") && ran.out.contains("4 × 8"), "{}", ran.out);
    // What a file says cannot steer the terminal.
    assert!(ran.out.contains("tiny ␛[31mred") && !ran.out.contains('\x1b'), "{}", ran.out);
    let ran = succeeds(sai(home.path()).args(["inspect", "m.gguf", "--json", "--tensors"]));
    let json: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!(json["runs"], false);
    assert_eq!(json["tensors"][0]["shape"], serde_json::json!([4, 8]));
    assert_eq!(json["model"]["layers"], 1);
}

#[test]
fn a_model_that_does_not_fit_is_refused_with_the_figures() {
    let home = home();
    let folder = home.path().join("model");
    fs::create_dir(&folder).expect("a folder");
    // 2^32 positions, whose keys and values take 16 bytes in each of 64 layers.
    let config = config("LlamaForCausalLM").replace(":64,", ":4294967296,");
    let config = config.replace("\"num_hidden_layers\":1,", "\"num_hidden_layers\":64,");
    fs::write(folder.join("config.json"), config).expect("a file");
    fs::write(folder.join("model.safetensors"), weights()).expect("a file");
    let error = fails(sai(home.path()).args(["generate", "-p", "x", "-c", "4294967296", "-m", "model"]));
    for fact in ["model: needs 409", "GiB of memory", "are available", "--context", "smaller quantisation"] {
        assert!(error.contains(fact), "{fact} is missing in {error}");
    }
}

#[test]
fn a_folder_is_shown_with_its_facts() {
    let home = home();
    let folder = home.path().join("model");
    fs::create_dir(&folder).expect("a folder");
    fs::write(folder.join("config.json"), config("LlamaForCausalLM")).expect("a file");
    fs::write(folder.join("model.safetensors"), weights()).expect("a file");
    fs::write(folder.join("chat_template.jinja"), "{{ messages }}").expect("a file");
    let ran = succeeds(sai(home.path()).args(["inspect", "model", "--json"]));
    let json: serde_json::Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!(json["parameters"], 856);
    assert_eq!(json["bits_per_weight"], 32.0);
    assert_eq!(json["model"]["key_value_heads"], 1);
    assert_eq!(json["chat_template"], "{{ messages }}");
    assert_eq!(succeeds(sai(home.path()).args(["inspect", "model", "--template"])).out, "{{ messages }}\n");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    use std::io::Read;
    use std::process::Stdio;
    let home = home();
    fs::write(home.path().join("m.gguf"), gguf("llama")).expect("a file");
    let mut child = sai(home.path())
        .args(["inspect", "m.gguf"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    drop(child.stdout.take());
    let mut said = String::new();
    child.stderr.take().expect("standard error").read_to_string(&mut said).expect("text");
    assert_eq!((child.wait().expect("it ends").code(), said.as_str()), (Some(0), ""));
}

#[test]
fn the_real_model_is_shown_as_it_is() {
    let Some(model) = smollm2() else { return };
    let home = home();
    let ran = succeeds(sai(home.path()).arg("inspect").arg(&model));
    // The first line is where the model is, the last how much memory this machine has.
    let (shown, verdict) = ran.out.trim_end().rsplit_once("\n\n").expect("a verdict");
    let shown = shown.split_once('\n').expect("more than a path").1;
    assert_eq!(shown, include_str!("snapshots/smollm2.txt").trim_end(), "{}", ran.out);
    assert!(verdict.starts_with("sai can run it: with 8,192 tokens of context"), "{verdict}");
}

#[test]
fn the_doctor_says_what_is_here_and_what_is_missing() {
    let home = home();
    let text = succeeds(sai(home.path()).arg("doctor")).out;
    for word in [
        "processor",
        "memory",
        "limits",
        "GFLOP/s",
        "ranks",
        "built in",
        "sai uses",
        "mini where none is named",
    ] {
        assert!(text.contains(word), "{word} is missing in {text}");
    }
    let found = succeeds(sai(home.path()).args(["doctor", "--json", "--threads", "1"])).out;
    let found: serde_json::Value = serde_json::from_str(&found).expect("JSON");
    assert_eq!(found["threads"], 1);
    assert!(found["read_bytes_s"].as_f64().is_some_and(|speed| speed > 1e8), "{found}");
    assert!(!found["instruction_sets"].as_array().expect("a list").is_empty());
    assert_eq!((&found["default_model"], &found["built_in"]["name"]), (&"mini".into(), &"mini".into()));
}

#[test]
fn shells_and_man_know_every_verb() {
    let home = home();
    for shell in ["bash", "zsh", "fish"] {
        let script = succeeds(sai(home.path()).args(["completions", shell])).out;
        for word in ["chat", "quantize", "cache-type"] {
            assert!(script.contains(word), "{shell} lacks {word}");
        }
    }
    let page = succeeds(sai(home.path()).arg("man")).out;
    assert!(page.starts_with(".ie") && page.contains(".TH sai 1"), "{page}");
    let folder = home.path().join("man1");
    succeeds(sai(home.path()).arg("man").arg(&folder));
    let chat = fs::read_to_string(folder.join("sai-chat.1")).expect("a page for the verb");
    assert!(chat.contains("system"), "{chat}");
    assert!(folder.join("sai-tokenizer-train.1").exists());
}

#[test]
fn the_help_lists_every_verb_once_and_in_a_group() {
    let home = home();
    let help = succeeds(sai(home.path()).arg("--help")).out;
    let (_, verbs) = help.split_once("Usage:").expect("a usage");
    let (verbs, _) = verbs.split_once("\nOptions:").expect("options");
    let headings: Vec<&str> = verbs.lines().filter(|l| l.ends_with(':') && !l.starts_with(' ')).collect();
    assert_eq!(headings, ["Talk:", "Make:", "Convert:", "Measure:", "Models:", "Shell:"]);
    // Lines that a description goes on in are deeper.
    let lines = || verbs.lines().filter_map(|line| line.strip_prefix("  ")).filter(|l| !l.starts_with(' '));
    let mut listed: Vec<&str> = lines().filter_map(|line| line.split(' ').next()).collect();
    listed.sort();
    // What shells complete comes from clap and not from the list.
    let script = succeeds(sai(home.path()).args(["completions", "bash"])).out;
    let mut known: Vec<&str> =
        script.lines().filter_map(|line| line.trim().strip_prefix("sai,")?.strip_suffix(')')).collect();
    known.sort();
    assert!(known.len() >= 20 && listed == known, "{listed:?} and {known:?}");
    assert!(help.lines().all(|line| line.chars().count() <= 110), "{help}");
    for line in lines() {
        assert!(line.trim().split_once("  ").is_some_and(|(_, about)| about.len() > 10), "{line}");
    }
    assert!(help.contains("--quiet") && help.contains("Examples:"), "{help}");
}

#[test]
fn the_folder_of_a_run_is_its_newest_model() {
    let home = home();
    let (run, model) = (home.path().join("run"), home.path().join("run/model"));
    fs::create_dir_all(&model).expect("a folder");
    fs::write(run.join("recipe.toml"), "").expect("a file");
    fs::write(run.join("metrics.jsonl"), "").expect("a file");
    let error = fails(sai(home.path()).args(["inspect", "run"]));
    assert!(error.contains("run: it is the folder of a run that has no checkpoint yet"), "{error}");
    fs::write(model.join("config.json"), config("LlamaForCausalLM")).expect("a file");
    fs::write(model.join("model.safetensors"), weights()).expect("a file");
    let ran = succeeds(sai(home.path()).args(["inspect", "run"]));
    assert!(ran.out.contains("LlamaForCausalLM"), "{ran:?}");
    assert!(ran.err.contains("run is the folder of a run; its model is run/model"), "{ran:?}");
    succeeds(sai(home.path()).args(["inspect", "run/", "--quiet"]));

    let stage = home.path().join("made/stages/pretrain/model");
    fs::create_dir_all(&stage).expect("a folder");
    fs::copy(model.join("config.json"), stage.join("config.json")).expect("a file");
    let error = fails(sai(home.path()).args(["inspect", "made"]));
    assert!(error.contains("not finished; its newest model is made/stages/pretrain/model"), "{error}");
}
