//! Trained vocabularies: held to the trainer of `tokenizers`, and to what they promise.

use std::ops::ControlFlow;

use proptest::prelude::*;
use sai_tokenizer::train::{Counter, Pattern, Recipe, RoleNames, TrainError, Trained};
use sai_tokenizer::{ChatTemplate, Message, SpecialTokens, TemplateSources, Tokenizer};
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::tokenizer::{
    AddedToken, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer, Trainer,
};

const MEMORY: usize = 1 << 30;

fn recipe(vocab_size: usize) -> Recipe {
    Recipe {
        pattern: Pattern::new("gpt2").unwrap(),
        vocab_size,
        nfc: false,
        specials: vec!["<|endoftext|>".to_owned(), "<|pad|>".to_owned()],
        min_frequency: 0,
        max_token_length: None,
    }
}

/// Texts counted by `workers`, each taking its turn, and learnt on as many threads.
fn train(recipe: &Recipe, texts: &[String], workers: usize) -> Trained {
    let counter = Counter::new(recipe.clone(), MEMORY).unwrap();
    std::thread::scope(|scope| {
        for at in 0..workers {
            let mut worker = counter.worker();
            scope.spawn(move || {
                texts.iter().skip(at).step_by(workers).for_each(|text| worker.add(text).unwrap());
            });
        }
    });
    counter.learn(workers, &mut |_| ControlFlow::Continue(())).unwrap().unwrap()
}

/// Tokens and merges as `vocab.json` and `merges.txt` have them.
fn ours(trained: &Trained) -> (serde_json::Value, Vec<String>) {
    let files = trained.files(&RoleNames::default(), &TemplateSources::default()).unwrap();
    let file = |name: &str| files.iter().find(|(n, _)| *n == name).unwrap().1.clone();
    let merges = String::from_utf8(file("merges.txt")).unwrap();
    let merges = merges.lines().skip(1).map(str::to_owned).collect();
    (serde_json::from_slice(&file("vocab.json")).unwrap(), merges)
}

/// The same by the library.
fn theirs(recipe: &Recipe, texts: &[String]) -> (serde_json::Value, Vec<String>) {
    let specials = recipe.specials.iter().map(|s| AddedToken::from(s.clone(), true)).collect();
    let mut trainer: BpeTrainer = BpeTrainer::builder()
        .vocab_size(recipe.vocab_size)
        .min_frequency(recipe.min_frequency)
        .max_token_length(recipe.max_token_length)
        .special_tokens(specials)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .show_progress(false)
        .build();
    let cut = |text: &str| {
        let mut cut = PreTokenizedString::from(text);
        ByteLevel::new(false, true, true).pre_tokenize(&mut cut)?;
        let pieces = cut.get_splits(OffsetReferential::Original, OffsetType::Byte);
        Ok(pieces.into_iter().map(|(piece, ..)| piece.to_owned()).collect())
    };
    trainer.feed(texts.iter(), cut).unwrap();
    let mut model = BPE::default();
    trainer.train(&mut model).unwrap();
    let model = serde_json::to_value(&model).unwrap();
    let pair =
        |merge: &serde_json::Value| format!("{} {}", merge[0].as_str().unwrap(), merge[1].as_str().unwrap());
    let merges = model["merges"].as_array().unwrap().iter().map(pair).collect();
    (model["vocab"].clone(), merges)
}

/// Texts of few different letters, so that counts tie, tokens are made in several ways and pairs overlap.
fn texts() -> impl Strategy<Value = Vec<String>> {
    let word = prop_oneof![
        prop::collection::vec(prop::sample::select(vec!['a', 'b', 'c']), 1..9).prop_map(String::from_iter),
        prop::collection::vec(prop::sample::select(vec!['각', '간', '갇', '한', '국']), 1..5)
            .prop_map(String::from_iter),
        "[a-z]{1,6}|[0-9]{1,4}|[ .!\\n]{1,3}",
    ];
    let text = prop::collection::vec(word, 0..40).prop_map(|words| words.join(" "));
    prop::collection::vec(text, 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn merges_and_ids_are_those_of_tokenizers(
        texts in texts(),
        more in 0usize..120,
        min_frequency in 0u64..4,
        max_token_length in prop::option::of(0usize..12),
        workers in 1usize..4,
    ) {
        let recipe = Recipe { min_frequency, max_token_length, ..recipe(258 + more) };
        let trained = train(&recipe, &texts, workers);
        let (vocab, merges) = theirs(&recipe, &texts);
        let ours = ours(&trained);
        prop_assert_eq!(ours.1, merges);
        prop_assert_eq!(ours.0, vocab);
    }
}

/// Words that share their letters, more of them than one thread looks at alone.
fn many_words(count: usize) -> Vec<String> {
    let mut state = 1u64;
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let letters: Vec<char> = "abcdefgh가나다라마바사각난닫".chars().collect();
    let mut text = String::new();
    for _ in 0..count {
        for _ in 0..2 + random(6) {
            text.push(letters[(random(64) * random(64) / 64) as usize % letters.len()]);
        }
        text.push(' ');
    }
    let half = text.len() / 2;
    let cut = (half..text.len()).find(|&at| text.is_char_boundary(at)).unwrap();
    vec![text[..cut].to_owned(), text[cut..].to_owned()]
}

#[test]
fn threads_change_nothing() {
    let texts = many_words(60_000);
    let recipe = recipe(900);
    let one = train(&recipe, &texts, 1);
    assert_eq!(ours(&one), theirs(&recipe, &texts));
    for threads in [2, 3, 8] {
        let other = train(&recipe, &texts, threads);
        assert!(one.merges() == other.merges() && one.tokens().eq(other.tokens()), "{threads} threads");
    }
}

#[test]
fn too_many_words_are_refused_before_they_take_the_memory() {
    let texts = many_words(200_000);
    let counter = Counter::new(recipe(900), 8 << 20).unwrap();
    let mut worker = counter.worker();
    let refused = texts.iter().map(|text| worker.add(text)).find_map(Result::err);
    drop(worker);
    let Err(error @ TrainError::Memory { .. }) = counter.learn(1, &mut |_| ControlFlow::Continue(())) else {
        panic!("not refused")
    };
    assert!(error.to_string().contains("distinct words"), "{error}");
    assert!(
        !error.to_string().contains('\n') && refused.is_none_or(|e| e.to_string().contains("allow more"))
    );
    // Enough to count in, and not to learn in.
    let counter = Counter::new(recipe(900), 24 << 20).unwrap();
    let mut worker = counter.worker();
    texts.iter().for_each(|text| _ = worker.add(text));
    drop(worker);
    assert!(counter.learn(2, &mut |_| ControlFlow::Continue(())).is_err());
}

#[test]
fn recipes_that_cannot_be_followed_are_refused() {
    let refused = |change: &dyn Fn(&mut Recipe)| {
        let mut recipe = recipe(300);
        change(&mut recipe);
        matches!(Counter::new(recipe, MEMORY), Err(TrainError::Recipe(_)))
    };
    assert!(!refused(&|_| ()));
    assert!(refused(&|r| r.vocab_size = 257));
    assert!(refused(&|r| r.vocab_size = 1 << 33));
    for special in ["", "a", "Ġ", "<|pad|>", "two words"] {
        assert!(refused(&|r| r.specials.push(special.to_owned())), "{special:?}");
    }
}

#[test]
fn the_work_can_be_ended() {
    let recipe = recipe(900);
    let counter = Counter::new(recipe, MEMORY).unwrap();
    let mut worker = counter.worker();
    many_words(3000).iter().for_each(|text| worker.add(text).unwrap());
    drop(worker);
    let mut told = Vec::new();
    let ended = counter.learn(1, &mut |tokens| {
        told.push(tokens);
        if told.len() < 3 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    assert!(ended.unwrap().is_none());
    assert!(told.is_sorted() && told.len() == 3);
}

#[test]
fn absurd_texts_cost_as_their_length() {
    let recipe = recipe(2000);
    let texts = [
        String::new(),
        "a".repeat(1_000_000),
        "ab".repeat(500_000),
        many_words(150_000).concat().replace(' ', ""),
        "\0\u{10ffff}\u{feff}\r\n".repeat(1000),
        " ".repeat(100_000),
    ];
    let trained = train(&recipe, &texts, 2);
    assert_eq!(trained.len(), 2000);
    // Nothing to learn from is no fault of the trainer.
    assert_eq!(train(&recipe, &[], 2).len(), 258);
}

#[test]
fn a_folder_is_read_again_and_gives_the_ids_of_tokenizers() {
    let mut texts = many_words(5000);
    texts.push("안녕하세요! 나는 2024년에 태어났다.\r\n\r\n  It's DON'T 12345\t끝 ".repeat(50));
    let roles =
        RoleNames { bos: None, eos: Some("<|endoftext|>".to_owned()), pad: Some("<|pad|>".to_owned()) };
    let templates =
        TemplateSources { default: Some(ChatTemplate::CHATML_JINJA.to_owned()), named: Vec::new() };
    for pattern in ["gpt2", "llama3", "qwen2", "smollm"] {
        for nfc in [false, true] {
            let recipe = Recipe { pattern: Pattern::new(pattern).unwrap(), nfc, ..recipe(600) };
            let trained = train(&recipe, &texts, 2);
            let folder = tempfile::tempdir().unwrap();
            for (name, bytes) in trained.files(&roles, &templates).unwrap() {
                std::fs::write(folder.path().join(name), bytes).unwrap();
            }
            let tokenizer = Tokenizer::from_folder(folder.path()).unwrap();
            let file = folder.path().join("tokenizer.json");
            let library = tokenizers::Tokenizer::from_file(file).unwrap();
            assert_eq!(tokenizer.vocab_size(), 600);
            assert_eq!((tokenizer.bos(), tokenizer.eos(), tokenizer.pad()), (None, &[0][..], Some(1)));
            let decomposed = "\u{1112}\u{1161}\u{11ab}국 <|endoftext|> 값\u{301} <|pad|>끝".to_owned();
            for text in texts.iter().chain([&decomposed]) {
                let ids = tokenizer.encode(text);
                assert_eq!(ids, library.encode(text.as_str(), true).unwrap().get_ids(), "{pattern} {nfc}");
                if !nfc {
                    assert_eq!(tokenizer.decode_with_special(&ids), *text);
                }
            }
        }
    }
}

#[test]
fn composed_text_is_learnt_where_the_recipe_says_so() {
    let composed = vec!["한국어 값 한국 ".repeat(30)];
    let decomposed = vec![
        "\u{1112}\u{1161}\u{11ab}\u{1100}\u{116e}\u{11a8}\u{110b}\u{1165} 값 \u{1112}\u{1161}\u{11ab}국 "
            .repeat(30),
    ];
    let recipe = Recipe { nfc: true, ..recipe(290) };
    assert_eq!(train(&recipe, &composed, 1).merges(), train(&recipe, &decomposed, 1).merges());
}

#[test]
fn turns_of_the_chat_template_stand_between_its_tokens() {
    let template = ChatTemplate::jinja(ChatTemplate::CHATML_JINJA, "chatml").unwrap();
    let turn = |role: &str, content: &str| Message::new(role, content);
    let text = template
        .render(&[turn("system", " s\n"), turn("user", "물음")], true, &SpecialTokens::default())
        .unwrap();
    assert_eq!(
        text,
        "<|im_start|>system\n s\n<|im_end|>\n<|im_start|>user\n물음<|im_end|>\n<|im_start|>assistant\n"
    );
}
