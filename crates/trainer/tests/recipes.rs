//! Recipes: those that come with sai, and what is said of wrong ones.

use sai_trainer::recipe::RecipeText;
use sai_trainer::{
    BatchSize, FinetuneRecipe, Length, Model, Recipe, ScheduleKind, differences, learning_rate,
};
use std::path::Path;

/// The least that a recipe says.
const SMALL: &str = "data = 'shards'\nsteps = 100\ncontext = 64\n[model]\nvocab_size = 256\nhidden_size = 32\n\
                     intermediate_size = 64\nnum_layers = 2\nnum_heads = 4\n";

fn parse(text: &str, overrides: &[&str]) -> Result<Recipe, String> {
    let overrides: Vec<String> = overrides.iter().map(|&said| said.to_owned()).collect();
    Recipe::parse(text, Path::new("r.toml"), &overrides).map_err(|e| e.to_string())
}

#[test]
fn every_recipe_has_the_parameters_of_its_name() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        if text.contains("[pretrain]") || text.contains("[[source]]") {
            // Of `sai make` or `sai corpus build`, which read it.
            continue;
        }
        if ["sft-", "lora-", "dpo-"]
            .iter()
            .any(|kind| path.file_name().unwrap().to_str().unwrap().starts_with(kind))
        {
            let recipe = FinetuneRecipe::open(&path, &[]).unwrap();
            let text = recipe.to_toml().unwrap();
            assert_eq!(FinetuneRecipe::parse(&text, &path, &[]).unwrap(), recipe);
            continue;
        }
        let recipe = Recipe::open(&path, &[]).unwrap();
        let Model::Shape(shape) = &recipe.model else { panic!("{}", path.display()) };
        let config = recipe.config(&path).unwrap();
        let name = path.file_stem().unwrap().to_str().unwrap().rsplit('-').next().unwrap().to_owned();
        let unit = if name.ends_with('b') { 1e9 } else { 1e6 };
        let named = name.trim_end_matches(['b', 'm']).parse::<f64>().unwrap() * unit;
        // A table that is only looked up is not counted in names.
        let looked_up = if shape.tie_word_embeddings { 0 } else { config.vocab_size * config.hidden_size };
        let parameters = (config.parameters() - looked_up as u64) as f64;
        assert!((parameters / named - 1.0).abs() < 0.05, "{}: {parameters}", path.display());
        // Resolved, it reads back as itself.
        let text = recipe.to_toml().unwrap();
        assert_eq!(Recipe::parse(&text, &path, &[]).unwrap(), recipe);
        seen += 1;
    }
    assert!(seen >= 4);
}

#[test]
fn the_large_recipe_has_42dots_settings() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes/plm-1.3b.toml");
    let r = Recipe::open(&path, &[]).unwrap();
    let Model::Shape(m) = &r.model else { panic!("it begins from nothing") };
    assert_eq!((m.num_layers, m.num_heads, m.hidden_size, m.intermediate_size), (24, 32, 2048, 5632));
    assert_eq!((m.vocab_size, r.context), (50_304, 4096));
    assert_eq!((r.optimizer.learning_rate, r.optimizer.weight_decay), (4e-4, 0.1));
    assert!((r.batch_tokens as f64 / 4.0e6 - 1.0).abs() < 0.05);
    assert!((r.tokens() as f64 / 1.4e12 - 1.0).abs() < 1e-4);
}

#[test]
fn the_large_fine_tuning_has_42dots_settings() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes/sft-1.3b.toml");
    let r = FinetuneRecipe::open(&path, &[]).unwrap();
    assert_eq!((r.batch, r.length, r.context), (BatchSize::Conversations(16), Length::Epochs(3.0), 4096));
    assert_eq!((r.optimizer.learning_rate, r.optimizer.weight_decay), (2e-5, 0.0));
    assert_eq!(r.schedule.warmup.steps(1000), 30);
}

#[test]
fn a_wrong_key_is_named_with_its_line_and_the_right_one() {
    let said = |text: &str, overrides: &[&str]| parse(text, overrides).unwrap_err();
    let error = said(&SMALL.replace("steps", "stepz"), &[]);
    assert_eq!(error, "r.toml: line 2: `stepz` is no key of a recipe; `steps` is");
    let error = said(&format!("{SMALL}layers = 2\n"), &[]);
    assert_eq!(error, "r.toml: line 10: `model.layers` is no key of a recipe; `model.num_layers` is");
    let error = said(SMALL, &["optimizer.lr_rate=1"]);
    assert!(error.contains("--set optimizer.lr_rate=1: `optimizer.lr_rate` is no key"), "{error}");
    let error = said(SMALL, &["optimizer.lr=1e-3"]);
    assert!(error.ends_with("`optimizer.lr` is no key of a recipe; `optimizer.learning_rate` is"), "{error}");
    let error = said(&format!("output_dir = 'run'\n{SMALL}"), &[]);
    assert_eq!(error, "r.toml: line 1: `output_dir` is no key of a recipe; the flag --out is");
    assert!(said(SMALL, &["steps"]).contains("--set steps: an override is key=value"));
    assert!(said(SMALL, &["a.=1"]).contains("an override is key=value"));
    let error = said(&SMALL.replace("100", "'many'"), &[]);
    assert!(
        error.starts_with("r.toml: line 2: the text \"many\" where a whole number from 0 on belongs"),
        "{error}"
    );
    let error = said(SMALL, &["steps=many"]);
    assert!(error.contains("--set steps=many: the text \"many\" where a whole number"), "{error}");
    assert!(said("steps = = 3", &[]).starts_with("r.toml: line 1: "));
    let error = said(&format!("{SMALL}[optimizer]\nbeta1 = 1.5\n"), &[]);
    assert!(
        error.starts_with("r.toml: line 11: `optimizer.beta1` is 1.5; it is to be 0.0 to below 1"),
        "{error}"
    );
    // Recipes of other verbs are called so.
    for (text, verb) in [("name = 'a'\n[sample]\n[card]\n", "make"), ("epochs = 3\n[lora]\n", "finetune")] {
        assert_eq!(said(text, &[]), format!("r.toml: this is a recipe of `sai {verb}`"));
    }
    let error = FinetuneRecipe::parse(SMALL, Path::new("r.toml"), &[]).unwrap_err().to_string();
    assert_eq!(error, "r.toml: this is a recipe of `sai pretrain`");
    for (set, fact) in [
        ("optimizer.learning_rate=0", "`optimizer.learning_rate` is 0.0; it is to be above 0 to 10.0"),
        ("model.rope_theta=nan", "`model.rope_theta` is NaN; it is to be above 0"),
        ("model.rms_norm_eps=inf", "`model.rms_norm_eps` is inf; it is to be above 0"),
        ("model.num_layers=0", "`model.num_layers` is 0; it is to be at least 1"),
        ("validation_tokens=0", "`validation_tokens` is 0; it is to be at least 1"),
    ] {
        assert!(said(SMALL, &[set]).contains(fact), "{}", said(SMALL, &[set]));
    }
}

#[test]
fn contradictions_are_refused() {
    let error = parse(&format!("tokens = 5\n{SMALL}"), &[]).unwrap_err();
    assert_eq!(error, "r.toml: line 1: `steps` and `tokens` both say how long to train; give one");
    let error = parse(SMALL, &["batch_tokens=100"]).unwrap_err();
    assert!(error.contains("no multiple of `context` 64; 128 is"), "{error}");
    assert!(parse(SMALL, &["micro_batch=9"]).unwrap_err().contains("a step has 8 sequences"));
    assert!(parse(SMALL, &["schedule.warmup_steps=100"]).unwrap_err().contains("only 100 steps"));
    assert!(parse(&SMALL.replace("data = 'shards'", ""), &[]).unwrap_err().contains("says no `data`"));
    assert!(parse(SMALL, &["model.num_heads=5"]).unwrap_err().contains("give `model.head_dim`"));
    assert!(parse(SMALL, &["data=[{path='a', share=0}]"]).unwrap_err().contains("share of a is 0"));
}

#[test]
fn overrides_replace_what_is_there() {
    let recipe =
        parse(SMALL, &["tokens=5120", "data=other", "model.num_layers=3", "schedule.kind=wsd"]).unwrap();
    let Model::Shape(shape) = &recipe.model else { panic!("it begins from nothing") };
    assert_eq!((recipe.steps, shape.num_layers), (10, 3));
    assert_eq!((recipe.data[0].path.to_str(), recipe.schedule.kind), (Some("other"), ScheduleKind::Wsd));
    let (one, other) = (recipe.to_toml().unwrap(), parse(SMALL, &[]).unwrap().to_toml().unwrap());
    // Where data lies is none of it: what it holds has a checksum.
    assert_eq!(differences(&one, &other), ["model", "schedule", "steps"]);
    let shared = parse(SMALL, &["data=[{path='shards', share=2}]"]).unwrap().to_toml().unwrap();
    assert_eq!(differences(&shared, &other), ["data"]);
}

#[test]
fn the_rate_rises_and_falls() {
    let rates = |overrides: &[&str]| {
        let recipe = parse(SMALL, overrides).unwrap();
        (0..recipe.steps).map(|step| learning_rate(&recipe.course(), step)).collect::<Vec<f64>>()
    };
    let cosine = rates(&["schedule.warmup_steps=10", "optimizer.learning_rate=1"]);
    assert!((cosine[0] - 0.1).abs() < 1e-12 && (cosine[9] - 1.0).abs() < 1e-12 && cosine[10] == 1.0);
    assert!((cosine[99] - 0.1).abs() < 1e-12 && cosine[10..].is_sorted_by(|a, b| a > b));
    let wsd = rates(&[
        "schedule.kind=wsd",
        "schedule.warmup_steps=0",
        "schedule.min_share=0",
        "optimizer.learning_rate=1",
    ]);
    assert!(wsd[..80].iter().all(|&rate| rate == 1.0) && wsd[80] == 1.0 && wsd[81] < 1.0 && wsd[99] == 0.0);
    let constant = rates(&["schedule.kind=constant", "schedule.warmup_steps=2"]);
    assert!(constant[2..].iter().all(|&rate| rate == constant[1]));
}

#[test]
fn a_table_of_a_longer_text_is_a_recipe() {
    let text = "name = \"x\"\n[pretrain]\nsteps = 10\ncontext = 32\n[pretrain.model]\nvocab_size = 300\n\
                hidden_size = 32\nintermediate_size = 64\nnum_layers = 1\nnum_heads = 2\n[other]\nsteps = \"none\"\n";
    let overrides =
        ["pretrain.data=shards".to_owned(), "pretrain.steps = 20".to_owned(), "other.x=1".to_owned()];
    let whole = RecipeText { text, path: Path::new("make.toml"), table: None, overrides: &overrides };
    let recipe = Recipe::of(&whole.table("pretrain")).unwrap();
    assert_eq!((recipe.steps, recipe.context, recipe.data[0].path.as_path()), (20, 32, Path::new("shards")));

    let misspelt = text.replace("num_heads", "num_haeds");
    let error =
        Recipe::of(&RecipeText { text: &misspelt, ..whole }.table("pretrain")).unwrap_err().to_string();
    assert_eq!(error, "make.toml: line 10: `model.num_haeds` is no key of a recipe; `model.num_heads` is");
    let mistyped = text.replace("= 32\n[", "= \"32\"\n[");
    let error =
        Recipe::of(&RecipeText { text: &mistyped, ..whole }.table("pretrain")).unwrap_err().to_string();
    assert!(error.starts_with("make.toml: line 4: the text \"32\" where a whole number"), "{error}");
    let wrong = ["pretrain.stepz=1".to_owned()];
    let error =
        Recipe::of(&RecipeText { overrides: &wrong, ..whole }.table("pretrain")).unwrap_err().to_string();
    assert_eq!(error, "make.toml: --set pretrain.stepz=1: `stepz` is no key of a recipe; `steps` is");
    let error =
        Recipe::of(&RecipeText { text: "pretrain = 1", ..whole }.table("pretrain")).unwrap_err().to_string();
    assert!(error.contains("line 1: `pretrain` is to be a table"), "{error}");
}
