//! `sai quantize` and `sai imatrix`, as a person runs them.

mod common;
#[allow(dead_code)] // the crate that it was written for uses more
#[path = "../../generation/tests/tiny/mod.rs"]
mod tiny;

use common::{fails, real_model::smollm2, run, sai, succeeds};
use std::path::Path;
use tempfile::TempDir;

/// A home with a small model in it, a folder called `m`.
fn home() -> TempDir {
    let home = tempfile::tempdir().unwrap();
    tiny::write(&home.path().join("m"), 3);
    home
}

/// The type of a tensor, as `sai inspect` has it.
fn inspected(home: &Path, file: &str) -> serde_json::Value {
    let ran = succeeds(sai(home).args(["inspect", file, "--json", "--tensors"]));
    serde_json::from_str(&ran.out).unwrap()
}

#[test]
fn a_folder_becomes_a_file_of_any_type_that_runs() {
    let home = home();
    for kind in [
        "f32", "f16", "bf16", "q8_0", "q6_k", "q5_k_m", "q5_k_s", "q5_1", "q5_0", "Q4_K_M", "q4_k_s", "q4_1",
        "q4_0", "q3_k_l", "q3_k_m", "q3_k_s", "q2_k",
    ] {
        let file = format!("{kind}.gguf");
        let ran = succeeds(sai(home.path()).args(["quantize", "m", &file, kind]));
        assert!(ran.out.is_empty() && ran.err.contains(&format!("{file}: ")), "{ran:?}");
        assert!(ran.err.contains("bits a weight") && !ran.err.contains("warning"), "{ran:?}");
        let ran =
            succeeds(sai(home.path()).args(["generate", "-m", &file, "-p", "ABC", "-n", "4", "--temp", "0"]));
        assert!(ran.out.starts_with("ABC"), "{ran:?}");
    }
    // Rows of 32 and 48: no K type fits, and nothing but halves fits 48.
    let ran = succeeds(sai(home.path()).args(["quantize", "m", "k.gguf", "q4_k_m", "--tensors"]));
    let line = |name: &str| ran.out.lines().find(|line| line.starts_with(name)).expect(name).to_owned();
    assert!(line("blk.0.attn_q.weight").ends_with("F32 → Q5_0"), "{ran:?}");
    assert!(line("blk.0.ffn_down.weight").ends_with("F32 → F16"), "{ran:?}");
    assert!(line("blk.0.attn_norm.weight").ends_with("F32 → F32"), "{ran:?}");
    assert!(ran.err.contains("Q4_K become Q5_0"), "{ran:?}");
    let types = inspected(home.path(), "k.gguf").to_string();
    assert!(types.contains("Q5_0") && types.contains("F16"), "{types}");
}

#[test]
fn what_was_quantised_before_is_warned_of() {
    let home = home();
    succeeds(sai(home.path()).args(["quantize", "m", "a.gguf", "q8_0"]));
    let ran = succeeds(sai(home.path()).args(["quantize", "a.gguf", "b.gguf", "q4_0", "--quiet"]));
    assert!(ran.err.starts_with("warning: ") && ran.err.contains("quantised before (Q8_0"), "{ran:?}");
    assert_eq!(ran.err.lines().count(), 1, "{ran:?}");
    let ran = succeeds(sai(home.path()).args(["quantize", "a.gguf", "c.gguf", "q8_0", "--quiet"]));
    assert_eq!(ran.err, "");
    let [a, c] = ["a.gguf", "c.gguf"].map(|file| std::fs::read(home.path().join(file)).unwrap());
    assert!(a == c);
}

#[test]
fn a_file_that_is_there_stays() {
    let home = home();
    let target = home.path().join("there.gguf");
    std::fs::write(&target, "what was there").unwrap();
    let error = fails(sai(home.path()).args(["quantize", "m", "there.gguf", "q8_0", "-q"]));
    assert!(error.contains("there.gguf: it is there already; give --force"), "{error}");
    assert_eq!(std::fs::read_to_string(&target).unwrap(), "what was there");
    succeeds(sai(home.path()).args(["quantize", "m", "there.gguf", "q8_0", "--force"]));
    assert!(std::fs::read(&target).unwrap().starts_with(b"GGUF"));
}

#[test]
fn a_type_that_is_none_lists_those_that_are() {
    let home = home();
    let ran = run(sai(home.path()).args(["quantize", "m", "x.gguf", "q7_k"]));
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("q4_k_m, q4_k_s"), "{ran:?}");
    assert!(!home.path().join("x.gguf").exists());
}

#[test]
fn importances_are_found_in_a_text_and_used() {
    let home = home();
    std::fs::write(home.path().join("text.txt"), "ABCDEFGHIJKLMNOPQRSTUVWXYZ".repeat(20)).unwrap();
    let imatrix = ["imatrix", "m", "text.txt", "-o", "i.gguf", "--chunk", "64"];
    let ran = succeeds(sai(home.path()).args(imatrix));
    assert!(ran.err.contains("i.gguf: 14 matrices, from 9 chunks of 64 tokens"), "{ran:?}");
    succeeds(sai(home.path()).args(["quantize", "m", "with.gguf", "q5_0", "--imatrix", "i.gguf"]));
    succeeds(sai(home.path()).args(["quantize", "m", "without.gguf", "q5_0"]));
    let [with, without] = ["with.gguf", "without.gguf"].map(|f| std::fs::read(home.path().join(f)).unwrap());
    assert!(with != without);

    let error =
        fails(sai(home.path()).args(["quantize", "m", "x.gguf", "q4_0", "-q", "--imatrix", "with.gguf"]));
    assert!(error.contains("with.gguf: this GGUF is no importance matrix"), "{error}");
    let error = fails(sai(home.path()).args(["imatrix", "m", "missing.txt", "-o", "j.gguf"]));
    assert!(error.contains("missing.txt: cannot be read"), "{error}");
    std::fs::write(home.path().join("empty.txt"), "").unwrap();
    fails(sai(home.path()).args(["imatrix", "m", "empty.txt", "-o", "j.gguf"]));
    assert!(!home.path().join("j.gguf").exists());
}

#[test]
fn the_real_model_is_quantised_and_answers() {
    let (home, Some(model)) = (home(), smollm2()) else { return };
    let ran = succeeds(sai(home.path()).arg("quantize").arg(&model).args(["small.gguf", "q4_k_m"]));
    assert!(ran.err.contains("warning: ") && ran.err.contains("134,515,008 weights"), "{ran:?}");
    let prompt = "The capital of France is";
    let ran = succeeds(sai(home.path()).args([
        "generate",
        "-m",
        "small.gguf",
        "-p",
        prompt,
        "-n",
        "8",
        "--temp",
        "0",
        "--repeat-penalty",
        "1",
    ]));
    assert!(ran.out.contains("Paris"), "{ran:?}");
}
