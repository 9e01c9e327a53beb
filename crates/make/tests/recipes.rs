//! Recipes of makings: those that come with sai, and what is said of wrong ones.

use sai_make::MakeRecipe;
use std::path::Path;

const SMALL: &str = "name = \"small\"\n[sample]\n\
                     rules = { files = [\"x\"], documents = 1, conversations = 1 }\n[pretrain]\nsteps = 10\n[pretrain.model]\nvocab_size = 300\n\
                     hidden_size = 32\nintermediate_size = 64\nnum_layers = 1\nnum_heads = 2\n[finetune]\n";

fn parse(text: &str, overrides: &[&str]) -> Result<MakeRecipe, String> {
    let overrides: Vec<String> = overrides.iter().map(|&said| said.to_owned()).collect();
    MakeRecipe::parse(text, Path::new("r.toml"), &overrides).map_err(|e| e.to_string())
}

#[test]
fn those_that_come_with_sai_are_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if std::fs::read_to_string(&path).unwrap().contains("[pretrain]") {
            let recipe = MakeRecipe::open(&path, &[]).unwrap();
            assert_eq!(Some(recipe.name.as_str()), path.file_stem().and_then(|name| name.to_str()));
            seen += 1;
        }
    }
    assert!(seen > 0);
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    assert!(parse(SMALL, &[]).is_ok());
    let lines: Vec<&str> =
        SMALL.lines().filter(|line| !line.contains("sample") && !line.contains("rules")).collect();
    assert!(parse(&lines.join("\n"), &[]).err().unwrap().contains("lacks the table [sample]"));
    for (from, to, said) in [
        ("[sample]", "[smaple]", "r.toml: line 2: `smaple` is no table or key of a recipe; `sample` is"),
        ("name =", "nane =", "r.toml: line 1: `nane` is no table or key of a recipe; `name` is"),
        ("\"small\"", "\"a/b\"", "a model's name is letters"),
        ("[sample]\nrules =", "[make]\nrules =", "`make` is no table or key"),
        ("documents = 1, ", "", "`sample.documents` and `rules` give no documents"),
        ("steps = 10", "stepz = 10", "r.toml: line 5: `stepz` is no key of a recipe; `steps` is"),
        (
            "steps = 10",
            "steps = \"10\"",
            "r.toml: line 5: the text \"10\" where a whole number from 0 on belongs",
        ),
        ("steps = 10", "steps = 10\ndata = \"shards\"", "`pretrain.data` is what the stages before make"),
        (
            "[finetune]",
            "[finetune]\nmodel.from = \"x\"",
            "`finetune.model.from` is what the stages before make",
        ),
        ("[finetune]", "[finetune]\n[quantize]\ntype = \"q9_9\"", "none of f32, f16"),
        ("[finetune]", "[finetune]\n[quantize]\ntype = \"f16\"", "and so is `convert.dtype`"),
        ("[finetune]", "[finetune]\n[tokenizer]\nvocab_size = 301", "more than the 300 of"),
        (
            "[finetune]",
            "[finetune]\n[card]\nlicence = \"x\"",
            "line 14: `licence` is no key of a recipe; `license` is",
        ),
        ("[finetune]", "[finetune]\n[finetune.lora]\nrank = 4", "an adapter is no model of its own"),
        ("[sample]", "[sample]\nheld = 1", "line 3: unknown field `held`"),
        (
            "[finetune]",
            "[finetune]\n[evaluate]\nbytes = 0",
            "r.toml: line 14: `evaluate.bytes` is 0; give at least 1",
        ),
        ("[finetune]", "[finetune]\n[evaluate]\nanswer_tokens = 0", "line 14: `evaluate.answer_tokens` is 0"),
        (
            "[sample]",
            "[sample]\ndocuments = [{ input = [\"d\"], take = 0.5 }]",
            "r.toml: line 3: `take` is 0.5, and not \"all\", a number of texts (1000, \"10k\") or bytes",
        ),
        (
            "[sample]",
            "[sample]\ndocuments = [{ input = [\"d\"], take = true }]",
            "line 3: `take` is true, and not",
        ),
        ("[sample]", "[sample]\nheld_out = 0.6", "`held_out` is 0.6; it is a share"),
    ] {
        let error = parse(&SMALL.replacen(from, to, 1), &[]).err().unwrap_or_default();
        assert!(error.contains(said), "{to}: {error}");
    }
}

#[test]
fn a_word_on_the_command_line_counts_more() {
    let recipe =
        parse(SMALL, &["name=other", "pretrain.steps=20", "quantize.type=q4_0", "seed = 5"]).unwrap();
    assert_eq!((recipe.name.as_str(), recipe.seed, recipe.mix().unwrap().name()), ("other", 5, "q4_0"));
    let folder = sai_make::Folder::new(Path::new("x"));
    let pretrain = recipe.pretrain(&folder).unwrap();
    assert_eq!(
        (pretrain.steps, pretrain.seed, pretrain.data[0].path.as_path()),
        (20, 5, Path::new("x/stages/pack"))
    );
    assert_eq!(recipe.finetune(&folder).unwrap().seed, 5);
    assert_eq!(recipe.sample().unwrap().seed, 5);
    for (over, said) in [
        (
            "pretrian.steps=1",
            "--set pretrian.steps=1: `pretrian` is no table or key of a recipe; `pretrain` is",
        ),
        ("pretrain.stepz=1", "--set pretrain.stepz=1: `stepz` is no key"),
        ("pretrain.data=x", "`pretrain.data` is what the stages before make"),
        ("name=a b", "a model's name is letters"),
        ("evaluate.bytes=0", "--set evaluate.bytes=0: `evaluate.bytes` is 0"),
    ] {
        let error = parse(SMALL, &[over]).err().unwrap_or_default();
        assert!(error.contains(said), "{over}: {error}");
    }
}
