//! Fine-tuning held to transformers and PyTorch: which tokens are trained on, and the loss of thirty steps.

use sai_decoder::Cpu;
use sai_shards::PackOptions;
use sai_tokenizer::{ChatTemplate, Tokenizer};
use sai_trainer::{
    Base, Batch, Conversations, Data, Error, Event, FinetuneRecipe, Model, One, Options, Outcome, Place,
    Recipe, finetune,
};
use serde::Deserialize;
use std::cell::Cell;
use std::collections::HashMap;
use std::fmt::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

#[derive(Deserialize)]
struct Expected {
    lessons: Vec<Marked>,
    fortytwo_dot: Vec<Marked>,
    rate: f64,
    clip: f64,
    beta1: f64,
    beta2: f64,
    eps: f64,
    losses: Vec<f64>,
    norms: Vec<f64>,
}

#[derive(Deserialize)]
struct Marked {
    tokens: Vec<u32>,
    mask: Vec<u8>,
}

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sft")
}

fn expected() -> Expected {
    serde_json::from_slice(&std::fs::read(fixture().join("expected.json")).unwrap()).unwrap()
}

/// A recipe over the fixture's model and `data`.
fn recipe(data: &Path, overrides: &[&str]) -> FinetuneRecipe {
    let text = format!(
        "data = {:?}\ncontext = 100\nvalidation_share = 0\n[model]\nfrom = {:?}\n",
        data.display().to_string(),
        fixture().display().to_string()
    );
    let overrides: Vec<String> = overrides.iter().map(|&said| said.to_owned()).collect();
    FinetuneRecipe::parse(&text, Path::new("r.toml"), &overrides).unwrap()
}

fn read(recipe: &FinetuneRecipe) -> Result<Conversations, Error> {
    let base = Base::open(recipe)?;
    read_as(recipe, &base.tokenizer, &base.template)
}

fn read_as(
    recipe: &FinetuneRecipe,
    tokenizer: &Tokenizer,
    template: &ChatTemplate,
) -> Result<Conversations, Error> {
    let go_on = &mut |_, _| ControlFlow::Continue(());
    match Conversations::read(recipe, tokenizer, template, 2, go_on)? {
        ControlFlow::Continue(read) => Ok(read),
        ControlFlow::Break(()) => panic!("nobody broke off"),
    }
}

/// The number of a line.
fn number(place: Place) -> u64 {
    match place {
        Place::Line(n) | Place::Row(n) | Place::Document(n) => n,
    }
}

fn hold(conversations: &Conversations, marked: &[Marked]) {
    let mut seen = 0;
    for example in conversations.examples().take(marked.len()) {
        let line = number(example.place);
        let expected = &marked[line as usize - 1];
        let text = &example.texts[0];
        let mut mask = vec![0; text.tokens.len()];
        text.answers.iter().for_each(|answer| mask[answer.clone()].fill(1));
        assert_eq!((text.tokens, &mask), (&expected.tokens[..], &expected.mask), "line {line}");
        seen |= 1 << line;
    }
    assert_eq!(seen, (2 << marked.len()) - 2);
}

#[test]
fn the_assistants_tokens_are_those_of_transformers() {
    let recipe = recipe(&fixture().join("chat.jsonl"), &[]);
    let conversations = read(&recipe).unwrap();
    hold(&conversations, &expected().lessons);
    assert_eq!(conversations.found().broken + conversations.found().straddling, 0);
}

#[test]
fn in_42dots_form_too() {
    let home = tempfile::tempdir().unwrap();
    let mut lines = String::new();
    for line in std::fs::read_to_string(fixture().join("chat.jsonl")).unwrap().lines() {
        let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
        // 42dot's own system text would be most of the fixture.
        if line.get("conversations").is_none() {
            match line["messages"].as_array_mut() {
                Some(turns) => turns.insert(0, serde_json::json!({"role": "system", "content": "S"})),
                None => line["system"] = "S".into(),
            }
        }
        let _ = writeln!(lines, "{line}");
    }
    let data = home.path().join("chat.jsonl");
    std::fs::write(&data, lines).unwrap();
    let recipe = recipe(&data, &["template=42dot"]);
    hold(&read(&recipe).unwrap(), &expected().fortytwo_dot);
}

fn run(home: &Path, out: &str, recipe: &FinetuneRecipe, resume: bool, stop_after: u64) -> Outcome {
    let base = Base::open(recipe).unwrap();
    let conversations = read(recipe).unwrap();
    let made = Cell::new(0);
    let options = Options {
        out: home.join(out),
        resume,
        memory_limit: None,
        peak: None,
        stop: &|| made.get() >= stop_after,
        ranks: &One::default(),
    };
    let on = &mut |event: Event<'_>| {
        if let Event::Step { .. } = event {
            made.set(made.get() + 1);
        }
        Ok(())
    };
    finetune(Cpu::new(1), recipe, Path::new("r.toml"), base, conversations, &options, on).unwrap()
}

#[test]
fn the_loss_follows_pytorchs() {
    let home = tempfile::tempdir().unwrap();
    let e = expected();
    let set = [
        format!("optimizer.learning_rate={}", e.rate),
        format!("optimizer.beta1={}", e.beta1),
        format!("optimizer.beta2={}", e.beta2),
        format!("optimizer.eps={}", e.eps),
        format!("optimizer.clip={}", e.clip),
        "batch_conversations=5".to_owned(),
        "epochs=30".to_owned(),
        "schedule.kind=constant".to_owned(),
        "schedule.warmup_steps=0".to_owned(),
    ];
    let set: Vec<&str> = set.iter().map(String::as_str).collect();
    let outcome = run(home.path(), "run", &recipe(&fixture().join("chat.jsonl"), &set), false, u64::MAX);
    assert_eq!(outcome.metrics.len(), e.losses.len());
    for (m, (loss, norm)) in outcome.metrics.iter().zip(e.losses.iter().zip(&e.norms)) {
        assert!((m.loss - loss).abs() < 1e-3, "step {}: {} where PyTorch has {loss}", m.step, m.loss);
        assert!((m.grad_norm / norm - 1.0).abs() < 1e-2, "step {}: {} {norm}", m.step, m.grad_norm);
    }
    // However the conversations are spread over passes.
    let small: Vec<&str> = set.iter().copied().chain(["micro_batch=3"]).collect();
    let other = run(home.path(), "other", &recipe(&fixture().join("chat.jsonl"), &small), false, u64::MAX);
    for (a, b) in outcome.metrics.iter().zip(&other.metrics) {
        assert!((a.loss - b.loss).abs() < 1e-3 && a.trained == b.trained, "{a:?} {b:?}");
    }
    for file in ["chat_template.jinja", "tokenizer.json", "generation_config.json", "config.json"] {
        assert!(home.path().join("run/checkpoints/step-000000030").join(file).is_file(), "{file}");
    }
}

/// So many short conversations, each with its number in it.
fn many(folder: &Path, name: &str, count: usize) -> PathBuf {
    let mut lines = String::new();
    for i in 0..count {
        let lang = if i % 3 == 0 { "ko" } else { "en" };
        let turns = [("user", format!("{name} {i}?")), ("assistant", format!("{}", i * i))];
        let turns = turns.map(|(role, content)| serde_json::json!({"role": role, "content": content}));
        let _ = writeln!(lines, "{}", serde_json::json!({"messages": turns, "lang": lang}));
    }
    let path = folder.join(format!("{name}.jsonl"));
    std::fs::write(&path, lines).unwrap();
    path
}

#[test]
fn every_conversation_comes_once_an_epoch_whatever_the_batch() {
    let home = tempfile::tempdir().unwrap();
    let (a, b) = (many(home.path(), "a", 30), many(home.path(), "b", 11));
    let data = format!("data=[{:?}, {:?}]", a.display().to_string(), b.display().to_string());
    for batch in ["batch_conversations=7", "batch_tokens=150"] {
        let recipe = recipe(&a, &[&data, batch, "epochs=2", "validation_share=0.1"]);
        let conversations = read(&recipe).unwrap();
        let trained = conversations.trained();
        assert!((33..41).contains(&trained), "{trained}");
        let (mut position, mut seen) = (conversations.start(), HashMap::new());
        for step in 0..conversations.steps() {
            let mut batch = Batch::default();
            let units = conversations.units(&position);
            for i in 0..units {
                conversations.unit(&mut position, i, units, &mut batch);
            }
            assert!(batch.rows() > 0 && batch.rows() <= 200, "{step}");
            for (rows, &origin) in batch.documents.iter().zip(&batch.origins) {
                assert_eq!(batch.tokens[rows.start + 1..rows.end], batch.targets[rows.start..rows.end - 1]);
                // The last row predicts the end of the turn.
                assert_eq!((batch.targets[rows.end - 1], batch.weights[rows.end - 1]), (2, 1.0));
                assert_eq!(batch.weights[rows.start], 0.0);
                *seen.entry(origin).or_insert(0) += 1;
            }
        }
        assert!(seen.len() as u64 == trained && seen.values().all(|&times| times == 2), "{seen:?}");
        let held: usize = conversations.held_out().iter().map(|held| held.documents.len()).sum();
        assert_eq!(held as u64 + trained, 41);
    }
    // Three of the one for each of the other.
    let data = format!(
        "data=[{{path={:?}, share=1}}, {{path={:?}, share=3}}]",
        a.display().to_string(),
        b.display().to_string()
    );
    let conversations = read(&recipe(&a, &[&data])).unwrap();
    let drawn: Vec<bool> = conversations.examples().take(400).map(|e| e.path == b).collect();
    assert_eq!(drawn.iter().filter(|&&of_b| of_b).count(), 300);
}

#[test]
fn a_fine_tuning_that_is_stopped_and_resumed_is_the_same_to_the_bit() {
    let home = tempfile::tempdir().unwrap();
    let data = many(home.path(), "chat", 60);
    let set = [
        "batch_conversations=8",
        "epochs=2",
        "validation_share=0.1",
        "checkpoint_every=3",
        "validate_every=5",
    ];
    let recipe = recipe(&data, &set);
    let whole = run(home.path(), "whole", &recipe, false, u64::MAX);
    assert!(whole.finished && whole.metrics.iter().any(|m| m.validation.len() == 2), "{:?}", whole.metrics);
    for (resume, stop) in [(false, 4), (true, 5), (true, u64::MAX)] {
        run(home.path(), "parts", &recipe, resume, stop);
    }
    let weights = |run: &str| {
        let newest = home.path().join(run).join(format!("checkpoints/step-{:09}", whole.step));
        ["model.safetensors", "optimizer.safetensors"].map(|name| std::fs::read(newest.join(name)).unwrap())
    };
    assert!(weights("whole") == weights("parts"), "the weights differ");
    // Another file under the same name is other data.
    many(home.path(), "chat", 61);
    let (base, changed) = (Base::open(&recipe).unwrap(), read(&recipe).unwrap());
    let options = Options {
        out: home.path().join("parts"),
        resume: true,
        memory_limit: None,
        peak: None,
        stop: &|| false,
        ranks: &One::default(),
    };
    let error = finetune(Cpu::new(1), &recipe, Path::new("r.toml"), base, changed, &options, &mut |_| Ok(()));
    let error = error.unwrap_err().to_string();
    assert!(error.contains("of other data") || error.contains("another `"), "{error}");
}

/// Packs documents with the fixture's tokenizer, or with another.
fn packed(home: &Path, tokenizer: &Tokenizer) -> PathBuf {
    let mut lines = String::new();
    for i in 0..40 {
        let text = format!("Page {i} of a book says that {i} and {i} are {}. ", 2 * i).repeat(1 + i % 7);
        let _ = writeln!(lines, "{}", serde_json::json!({"text": text, "lang": "en"}));
    }
    let (input, target) = (home.join("documents.jsonl"), home.join("packed"));
    std::fs::write(&input, lines).unwrap();
    let options = PackOptions {
        shard_tokens: 2000,
        threads: 1,
        end: tokenizer.eos().first().copied(),
        tokenizer_name: "fixture".to_owned(),
    };
    let reading = sai_documents::Options::default();
    let go_on = &mut |_| ControlFlow::Continue(());
    assert!(
        sai_shards::pack(&target, tokenizer, vec![input], reading, &options, go_on).unwrap().is_continue()
    );
    target
}

#[test]
fn documents_that_are_read_again_lie_among_the_conversations() {
    let home = tempfile::tempdir().unwrap();
    let data = many(home.path(), "chat", 60);
    let tokenizer = Base::open(&recipe(&data, &[])).unwrap().tokenizer;
    let shards = packed(home.path(), &tokenizer);
    let from = format!("replay.data={:?}", shards.display().to_string());
    let set = [
        from.as_str(),
        "replay.batch_tokens=200",
        "batch_conversations=8",
        "micro_batch=4",
        "epochs=2",
        "validation_share=0.1",
        "checkpoint_every=3",
        "validate_every=5",
    ];
    let with = recipe(&data, &set);
    let whole = run(home.path(), "whole", &with, false, u64::MAX);
    let without: Vec<&str> = set.into_iter().filter(|said| !said.starts_with("replay")).collect();
    let plain = run(home.path(), "plain", &recipe(&data, &without), false, u64::MAX);
    // As many steps, and in each of them two sequences more, of which every token counts.
    assert_eq!(whole.step, plain.step);
    for (with, plain) in whole.metrics.iter().zip(&plain.metrics) {
        assert_eq!((with.trained, with.tokens), (plain.trained + 200, plain.tokens + 200 * with.step));
    }
    let names = |outcome: &Outcome| -> Vec<String> {
        let validated = outcome.metrics.iter().find(|m| !m.validation.is_empty()).unwrap();
        validated.validation.iter().map(|v| v.language.clone()).collect()
    };
    assert_eq!(
        (names(&plain).len(), names(&whole)),
        (2, vec!["en".into(), "ko".into(), "en documents".into()])
    );
    // They are held against: what was read again is predicted better than after conversations alone.
    let judged = |outcome: &Outcome| outcome.metrics.last().unwrap().validation.last().unwrap().bits_per_byte;
    let first = whole.metrics.iter().find(|m| !m.validation.is_empty()).unwrap();
    assert!(judged(&whole) < first.validation.last().unwrap().bits_per_byte);

    for (resume, stop) in [(false, 4), (true, 5), (true, u64::MAX)] {
        run(home.path(), "parts", &with, resume, stop);
    }
    let weights = |run: &str| {
        let newest = home.path().join(run).join(format!("checkpoints/step-{:09}", whole.step));
        ["model.safetensors", "optimizer.safetensors"].map(|name| std::fs::read(newest.join(name)).unwrap())
    };
    assert!(weights("whole") == weights("parts"), "the weights differ");
}

#[test]
fn documents_that_cannot_be_read_again_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let data = many(home.path(), "chat", 10);
    // The same vocabulary but for its last merge.
    let mut other: serde_json::Value =
        serde_json::from_slice(&std::fs::read(fixture().join("tokenizer.json")).unwrap()).unwrap();
    assert!(other["model"]["merges"].as_array_mut().unwrap().pop().is_some());
    std::fs::write(home.path().join("tokenizer.json"), other.to_string()).unwrap();
    let shards = packed(home.path(), &Tokenizer::from_folder(home.path()).unwrap());
    let from = format!("replay.data={:?}", shards.display().to_string());
    let recipe = recipe(&data, &[&from]);
    let (base, conversations) = (Base::open(&recipe).unwrap(), read(&recipe).unwrap());
    let options = Options {
        out: home.path().join("run"),
        resume: false,
        memory_limit: None,
        peak: None,
        stop: &|| false,
        ranks: &One::default(),
    };
    let path = Path::new("r.toml");
    let error = finetune(Cpu::new(1), &recipe, path, base, conversations, &options, &mut |_| Ok(()));
    let error = error.unwrap_err().to_string();
    assert!(error.contains("packed with another tokenizer"), "{error}");

    let parse = |replay: &str| {
        let text = format!("data = 'a'\ncontext = 64\n[model]\nfrom = 'b'\n{replay}");
        FinetuneRecipe::parse(&text, path, &[]).map_err(|e| e.to_string())
    };
    let odd = parse("[replay]\ndata = 'c'\nbatch_tokens = 100\n").unwrap_err();
    assert_eq!(odd, "r.toml: line 7: `replay.batch_tokens` is 100, no multiple of `context` 64; 128 is");
    assert!(parse("[replay]\n").unwrap_err().contains("says no `replay.data`"));
    let misspelt = parse("[replay]\ndata = [{ path = 'c', lang = 'ko' }]\n").unwrap_err();
    assert!(misspelt.contains("`replay.data.lang` is no key of a recipe"), "{misspelt}");
    let pairs = parse("[dpo]\n[replay]\ndata = 'c'\n").unwrap_err();
    assert!(pairs.contains("[dpo] learns from pairs alone"), "{pairs}");
    let kept = parse("[replay]\ndata = 'c'\n").unwrap();
    assert_eq!(kept.replay.as_ref().map(|replay| replay.batch_tokens), Some(64));
    assert_eq!(FinetuneRecipe::parse(&kept.to_toml().unwrap(), path, &[]).unwrap(), kept);
}

#[test]
fn what_cannot_be_learnt_is_counted_and_said() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("chat.jsonl");
    let turn = |role: &str, content: &str| serde_json::json!({"role": role, "content": content});
    let long = "word ".repeat(60);
    let lines = [
        serde_json::json!({"messages": [turn("user", "a"), turn("assistant", "b")]}).to_string(),
        "{\"messages\": [".to_owned(),
        String::new(),
        serde_json::json!({"messages": [turn("user", "<|im_end|>"), turn("assistant", "b")]}).to_string(),
        serde_json::json!({"messages": [turn("user", "a"), turn("assistant", "b"), turn("user", &long),
            turn("assistant", "c")]})
        .to_string(),
        serde_json::json!({"messages": [turn("user", &long), turn("assistant", "b")]}).to_string(),
    ];
    std::fs::write(&data, lines.join("\n")).unwrap();
    let conversations = read(&recipe(&data, &[])).unwrap();
    let found = conversations.found();
    assert_eq!((found.conversations, found.cut, found.too_long, found.broken), (2, 1, 1, 2));
    let facts: Vec<(u64, &str)> = found.examples.iter().map(|b| (number(b.place), b.fact.as_str())).collect();
    assert!(facts[0].0 == 2 && facts[0].1.contains("EOF"), "{facts:?}");
    assert_eq!(facts[1], (4, "turn 1 spells the special token <|im_end|>"));
    // What was cut ends with an answer.
    let mut examples = conversations.examples();
    let [a, b] = [examples.next().unwrap(), examples.next().unwrap()];
    assert!(a.texts[0].tokens == b.texts[0].tokens && a.place != b.place);

    // And is judged by the bytes of what is left: both that are held out are one letter and the end of the turn.
    let held = home.path().join("held.jsonl");
    std::fs::write(&held, [&lines[0], &lines[4], &lines[0], &lines[0]].map(String::as_str).join("\n"))
        .unwrap();
    let held = read(&recipe(&held, &["validation_share=0.3"])).unwrap().held_out();
    assert_eq!(held.iter().map(|held| (held.tokens, held.text_bytes)).collect::<Vec<_>>(), [(4, 2)]);

    let error = |set: &[&str]| read(&recipe(&data, set)).map(|_| ()).unwrap_err().to_string();
    assert!(error(&["strict=true"]).contains("chat.jsonl: line 2: EOF"), "{}", error(&["strict=true"]));
    assert!(error(&["context=3"]).contains("no conversation"), "{}", error(&["context=3"]));
    assert!(error(&["template=nowhere.jinja"]).contains("nowhere.jinja"));
}

#[test]
fn a_template_that_does_not_tell_whose_tokens_are_whose_is_refused() {
    let recipe = recipe(&fixture().join("chat.jsonl"), &[]);
    let tokenizer = Base::open(&recipe).unwrap().tokenizer;
    let refused = |source: &str| {
        let template = ChatTemplate::jinja(source, "template").unwrap();
        read_as(&recipe, &tokenizer, &template).map(|_| ()).unwrap_err().to_string()
    };
    // Answers are shown in short once another turn follows.
    let error = refused(
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if loop.last %}{{ m.content }}{% else %}\
         {{ m.content[:2] }}{% endif %}<|im_end|>\n{% endfor %}",
    );
    assert!(
        error.contains("chat.jsonl: line") && error.contains("in another way when it is not the last"),
        "{error}"
    );
    let error = refused("{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}");
    assert!(error.contains("with no token that ends an answer"), "{error}");
}

#[test]
fn a_tokenizer_that_is_not_the_models_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let own = home.path().join("own");
    std::fs::create_dir(&own).unwrap();
    for entry in std::fs::read_dir(fixture()).unwrap().map(Result::unwrap) {
        std::fs::copy(entry.path(), own.join(entry.file_name())).unwrap();
    }
    let said = format!("tokenizer={:?}", own.display().to_string());
    let recipe = recipe(&fixture().join("chat.jsonl"), &[&said]);
    assert!(Base::open(&recipe).is_ok());
    // Two tokens change places.
    let file = own.join("tokenizer.json");
    let mut json: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let vocab = json["model"]["vocab"].as_object_mut().unwrap();
    let [a, b] = ["a", "b"].map(|token| vocab[token].clone());
    (vocab["a"], vocab["b"]) = (b, a);
    std::fs::write(&file, json.to_string()).unwrap();
    let error = Base::open(&recipe).err().unwrap().to_string();
    assert!(error.contains("is another tokenizer than that of"), "{error}");
}

/// Many templates look at the first turn: they cannot open an answer before there is one.
#[test]
fn a_conversation_that_the_template_cannot_open_is_passed_over() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("chat.jsonl");
    let turn = |role: &str, content: &str| serde_json::json!({"role": role, "content": content});
    let lines = [
        serde_json::json!({"messages": [turn("assistant", "b"), turn("user", "a"), turn("assistant", "b")]}),
        serde_json::json!({"messages": [turn("user", "a"), turn("assistant", "b")]}),
        serde_json::json!({"messages": [turn("user", "c"), turn("assistant", "d")]}),
    ];
    std::fs::write(&data, lines.map(|line| line.to_string()).join("\n")).unwrap();
    let recipe = recipe(&data, &[]);
    let tokenizer = Base::open(&recipe).unwrap().tokenizer;
    let source = "{% if messages[0].role == 'system' %}{% endif %}{% for m in messages %}<|im_start|>{{ m.role }}\n\
                  {{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
    let template = ChatTemplate::jinja(source, "template").unwrap();
    let read = read_as(&recipe, &tokenizer, &template).unwrap();
    assert_eq!((read.found().conversations, read.found().broken), (2, 1));
    let fact = &read.found().examples[0].fact;
    assert!(fact.contains("cannot write no turn before an answer"), "{fact}");
}

#[test]
fn a_recipe_of_another_kind_is_refused_by_its_keys() {
    let parse = |text: &str| FinetuneRecipe::parse(text, Path::new("r.toml"), &[]).map_err(|e| e.to_string());
    let error = parse("data = 'a'\nepoch = 3\n[model]\nfrom = 'b'\n").unwrap_err();
    assert_eq!(error, "r.toml: line 2: `epoch` is no key of a recipe; `epochs` is");
    assert!(parse("data = 'a'\n").unwrap_err().contains("lacks `model.from`"));
    let error = parse("data = 'a'\nepochs = 3\nsteps = 4\n[model]\nfrom = 'b'\n").unwrap_err();
    assert!(error.contains("line 3: `epochs` and `steps` both say"), "{error}");
    let pretraining = |text: &str| Recipe::parse(text, Path::new("r.toml"), &[]).map_err(|e| e.to_string());
    let error = pretraining("data = 'a'\nsteps = 3\n[model]\nfrom = 'b'\nnum_layers = 2\n").unwrap_err();
    assert!(error.contains("line 5: `model.num_layers` contradicts `model.from`"), "{error}");
    let begun = pretraining(&format!(
        "data = 'a'\nsteps = 3\ncontext = 256\n[model]\nfrom = {:?}\n",
        fixture().display().to_string()
    ))
    .unwrap();
    let config = begun.config(Path::new("r.toml")).unwrap();
    assert_eq!((config.vocab_size, config.context_length), (400, 256));
    assert!(matches!(begun.model, Model::From { .. }));
    let text = begun.to_toml().unwrap();
    assert_eq!(Recipe::parse(&text, Path::new("r.toml"), &[]).unwrap(), begun);
}
