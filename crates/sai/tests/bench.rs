//! Speeds beside the machine's limits.

mod common;

use common::real_model::smollm2;
use common::{fails, run, sai, succeeds};

fn home() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

#[track_caller]
fn positive(value: &serde_json::Value) -> f64 {
    value.as_f64().filter(|x| *x > 0.0).unwrap_or_else(|| panic!("{value} is no figure"))
}

#[test]
fn a_model_is_made_where_none_is_given() {
    let home = home();
    let flags = ["bench", "--layers", "1", "--type", "q4_0,Q2_K", "-p", "8", "-n", "4", "-r", "2", "-d", "3"];
    let ran = succeeds(sai(home.path()).args(flags).arg("--json"));
    let models: Vec<serde_json::Value> =
        ran.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(models.len(), 2, "{}", ran.out);
    for (model, dtype) in models.iter().zip(["q4_0", "q2_k"]) {
        assert_eq!(
            (&model["type"], &model["depth"], &model["repeats"]),
            (&dtype.into(), &3.into(), &2.into())
        );
        // One layer of 2,048 with feed-forward layers of 5,632, and two tables of 50,304.
        assert_eq!(model["parameters"], 257_431_552, "{model}");
        for name in ["read_bytes_s", "f32_flops", "int8_ops"] {
            positive(&model["machine"][name]);
        }
        for name in ["prefill", "decode"] {
            let speed = positive(&model[format!("{name}_tok_s")]);
            let range = &model[format!("{name}_tok_s_range")];
            assert!(positive(&range[0]) <= speed && speed <= positive(&range[1]), "{model}");
            positive(&model[format!("{name}_share")]);
        }
        let bytes = positive(&model["decode_bytes_per_token"]);
        let share = bytes * positive(&model["decode_tok_s"]) / positive(&model["machine"]["read_bytes_s"]);
        assert!((share / positive(&model["decode_share"]) - 1.0).abs() < 1e-9, "{model}");
    }
    // Layers and head at 4.5 bits a weight, norms in f32, and keys and values of six tokens at most.
    let bytes = positive(&models[0]["decode_bytes_per_token"]);
    let weights = (51_380_224.0 + 103_022_592.0) * 4.5 / 8.0;
    assert!((weights..weights + 100_000.0).contains(&bytes), "{bytes} {weights}");
}

#[test]
fn what_cannot_be_timed_is_said() {
    let home = home();
    assert!(fails(sai(home.path()).args(["bench", "-p", "0", "-n", "0"])).contains("nothing to time"));
    let error = fails(sai(home.path()).args(["bench", "--layers", "1", "-d", "4000"]));
    assert!(error.contains("4512") && error.contains("4096"), "{error}");
    assert!(fails(sai(home.path()).args(["bench", "-m", "nothing.gguf"])).contains("no such file"));
    for wrong in [&["--type", "q9_9"][..], &["--repeats", "0"], &["-m", "x", "--type", "q4_0"]] {
        assert_eq!(run(sai(home.path()).arg("bench").args(wrong)).code, Some(2), "{wrong:?}");
    }
}

#[test]
fn the_real_model_is_timed() {
    let Some(model) = smollm2() else { return };
    let home = home();
    let flags = ["bench", "-p", "16", "-n", "4", "-r", "1", "-m"];
    let ran = succeeds(sai(home.path()).args(flags).arg(&model));
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(lines.len(), 4, "{}", ran.out);
    for (line, words) in lines.iter().zip([
        &["reads", "GB/s", "f32", "int8"][..],
        &["0.13B weights", "loaded in", "first token after", "peak memory"],
        &["prefill q4_1 · 16 tokens", "tok/s ±", "GOP/s int8 of", "%)"],
        &["decode q4_1 · 4 tokens", "tok/s ±", "MB a token", "GB/s of", "%)"],
    ]) {
        assert!(words.iter().all(|word| line.contains(word)), "{words:?} {line}");
    }
}
