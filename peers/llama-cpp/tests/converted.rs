//! GGUF files that sai converted, in llama.cpp: they load, texts have the same ids, and answers are the same.
//!
//! Weights are f32 here: of other types llama.cpp rounds the activations, and two programs that round differently
//! part ways at the first close call.

#[path = "../../../crates/generation/tests/convert/folders.rs"]
mod folders;
#[path = "../../../tests/real_model.rs"]
mod real_model;

use std::num::NonZeroU32;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::LazyLock;

use llama_cpp_2::context::params::{KvCacheType, LlamaContextParams};
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;
use llama_cpp_2::token::LlamaToken;
use sai_formats::DType;
use sai_generation::convert::{FolderModel, GgufModel};
use sai_generation::{CacheType, LoadOptions, Model, Request, Sampling, Session};
use serde_json::json;

static BACKEND: LazyLock<LlamaBackend> = LazyLock::new(|| {
    let mut backend = LlamaBackend::init().expect("llama.cpp starts");
    backend.void_logs();
    backend
});

/// Tokens of an answer; more than the fifty that are asked for, so that rotary angles and caches have their say.
const ANSWER: usize = 64;

/// Logits of a random model, which spread by about 3, are the same within this. llama.cpp makes the angles of a
/// position by repeated products in single precision.
const TIE: f32 = 2e-3;

const TEXTS: [&str; 9] = [
    "동해 물과 백두산이 마르고 닳도록 하느님이 보우하사 우리나라 만세.",
    "<|im_start|>user\n한국의 수도는 어디입니까? 1234 서울!<|im_end|>\n<|im_start|>assistant\n",
    "안녕<|endoftext|>하세요<|im_end|><|im_end|> ㅋㅋㅋ ㅠㅠ 뷁 쀍 힣",
    "  들여쓰기\n\n\t탭과   빈칸   \r\n끝 ",
    "<|im_end 잘린 토큰 <|im_ |> 와 <tool>도구</tool>, <tool><tool>",
    "2026년 3월 9일 오후 2시 5분, 3.14159 그리고 １２３ ½ Ⅷ",
    "It's DON'T I'm they'll — “quotes” 😀👨‍👩‍👧‍👦🇰🇷 日本語 中文 Ελληνικά",
    "fn main() {\n    println!(\"{}\", 42);\n}\n",
    "ᄒ\u{1161}ᆫ글 풀어쓰기 각",
];

fn ids(tokens: &[LlamaToken]) -> Vec<u32> {
    tokens.iter().map(|token| token.0 as u32).collect()
}

/// Goes along an answer, holding each token to be llama.cpp's likeliest, or as likely as that but for rounding.
/// Random models come to such ties; a real one is given none (`tie` 0).
fn follow(model: &LlamaModel, prompt: &[u32], answer: &[u32], tie: f32) {
    let size = prompt.len() + ANSWER;
    let params = LlamaContextParams::default()
        .with_n_ctx(NonZeroU32::new(size as u32))
        .with_n_threads(2)
        .with_n_threads_batch(2)
        .with_type_k(KvCacheType::F32)
        .with_type_v(KvCacheType::F32)
        .with_flash_attention_policy(0);
    let mut context = model.new_context(&BACKEND, params).expect("a context");
    let mut batch = LlamaBatch::new(size, 1);
    let mut next: Vec<u32> = prompt.to_vec();
    let mut at = 0;
    for (step, &token) in answer.iter().enumerate() {
        batch.clear();
        for (i, &token) in next.iter().enumerate() {
            batch.add(LlamaToken(token as i32), (at + i) as i32, &[0], i + 1 == next.len()).expect("room");
        }
        at += next.len();
        context.decode(&mut batch).expect("a pass");
        let logits = context.get_logits_ith(batch.n_tokens() - 1);
        let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let behind = most - logits[token as usize];
        assert!(
            behind <= tie,
            "token {step} of the answer, {token}, is {behind} behind llama.cpp's likeliest"
        );
        assert!(!model.vocab().is_eog(LlamaToken(token as i32)), "llama.cpp ends its answer with {token}");
        next = vec![token];
    }
}

/// Holds llama.cpp to sai on a GGUF file. A random model may end an answer at any time, so the longest counts.
fn same_in_llama_cpp(path: &Path, prompts: &[&str], tie: f32) {
    let options = LoadOptions { threads: 2, cache_type: CacheType::F32, ..LoadOptions::default() };
    let model = Model::open(path, &options).expect("sai opens it");
    let peer =
        LlamaModel::load_from_file(&BACKEND, path, &LlamaModelParams::default()).expect("llama.cpp does");
    // Qwen2's tokenizer composes a text first, which llama.cpp does not.
    let composes = model.tokenizer.facts().normalizer == "NFC";
    for text in TEXTS.into_iter().filter(|text| !(composes && text.contains('\u{1161}'))) {
        // llama.cpp puts its BOS before one that the text has already, and says so.
        let bos = model.tokenizer.bos().filter(|_| model.tokenizer.add_bos());
        let ours: Vec<u32> = bos.into_iter().chain(model.tokenizer.encode(text)).collect();
        let theirs = ids(&peer.vocab().tokenize(text.as_bytes(), true, true));
        assert_eq!(ours, theirs, "{}: {text:?}", path.display());
    }
    let mut longest = 0;
    for prompt in prompts {
        let prompt = model.encode_text(prompt);
        let mut session = Session::new(&model).expect("a session");
        let request = Request { sampling: Sampling::greedy(), max_new_tokens: ANSWER, ..Request::default() };
        let ours =
            session.generate(&prompt, &request, &mut |_| ControlFlow::Continue(())).expect("an answer");
        follow(&peer, &prompt, &ours.tokens, tie);
        longest = longest.max(ours.tokens.len());
    }
    assert!(longest > 50, "{}: an answer of {longest} tokens shows little", path.display());
}

fn to_gguf(folder: &Path, target: &Path) {
    let model = GgufModel::open(folder, Some(DType::F32)).expect("a model to convert");
    assert!(model.write(target, &mut |_| ControlFlow::Continue(())).expect("a file").is_continue());
}

#[test]
fn random_models_of_each_vocabulary() {
    let home = tempfile::tempdir().expect("a folder");
    let llama3 = json!({ "rope_theta": 500000.0, "rope_scaling": { "rope_type": "llama3", "factor": 8.0,
        "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64 } });
    for (name, more) in [
        ("gpt2", json!({ "num_key_value_heads": 1, "head_dim": 32, "tie_word_embeddings": true })),
        ("smollm", json!({ "rope_scaling": { "rope_type": "linear", "factor": 2.5 } })),
        ("llama3", llama3),
        ("qwen2", json!({ "tie_word_embeddings": true, "rope_theta": 1000000.0 })),
        (
            "yarn",
            json!({ "rope_scaling": { "rope_type": "yarn", "factor": 4.0,
            "original_max_position_embeddings": 64, "beta_fast": 16.0, "attention_factor": 1.25 } }),
        ),
    ] {
        let (folder, gguf) = (home.path().join(name), home.path().join(format!("{name}.gguf")));
        folders::with_tokenizer_json(&folder, if name == "yarn" { "gpt2" } else { name }, more);
        to_gguf(&folder, &gguf);
        same_in_llama_cpp(&gguf, &TEXTS, TIE);
    }
}

#[test]
fn a_folder_as_42dot_publishes_it() {
    let home = tempfile::tempdir().expect("a folder");
    let (folder, gguf) = (home.path().join("42dot_LLM-SFT-1.3B"), home.path().join("42dot.gguf"));
    folders::fortytwo_dot(&folder);
    to_gguf(&folder, &gguf);
    let form = "호기심 많은 인간 (human)과 인공지능 봇 (AI bot)의 대화입니다. \n<human>: 안녕? <bot>:";
    same_in_llama_cpp(&gguf, &[form, TEXTS[0], TEXTS[5]], TIE);
}

#[test]
fn the_real_model_by_way_of_a_folder() {
    let Some(path) = real_model::smollm2() else { return };
    let home = tempfile::tempdir().expect("a folder");
    let (folder, gguf) = (home.path().join("smollm2"), home.path().join("smollm2.gguf"));
    let model = FolderModel::open(&path, Some(DType::F32)).expect("a model to convert");
    let written = model.write(&folder, false, &mut |_| ControlFlow::Continue(())).expect("a folder");
    assert!(written.is_continue());
    to_gguf(&folder, &gguf);
    let prompt = "<|im_start|>user\nTell me about the history of Korea.<|im_end|>\n<|im_start|>assistant\n";
    same_in_llama_cpp(&gguf, &[prompt], 0.0);
}
