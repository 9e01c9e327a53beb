//! Vocabularies from GGUF metadata.

use std::path::PathBuf;

use serde_json::json;

use crate::added::AddedToken;
use crate::byte_level::{ByteLevel, Rules};
use crate::error::{Error, one_line, quoted};
use crate::library::Library;
use crate::split::Split;
use crate::template::SpecialTokens;
use crate::tokenizer::{Roles, Tokenizer};

/// The `tokenizer.ggml.*` facts of a GGUF, as the file gives them.
#[derive(Clone, Debug, Default)]
pub struct GgufVocabulary {
    /// The file, for messages.
    pub path: PathBuf,
    /// `tokenizer.ggml.model`: `gpt2` is byte-level BPE, `llama` is SentencePiece BPE.
    pub model: String,
    /// `tokenizer.ggml.pre`: how byte-level BPE cuts words.
    pub pre: Option<String>,
    /// `tokenizer.ggml.tokens`, by id; `gpt2` in GPT-2's byte alphabet, control tokens as they are.
    pub tokens: Vec<String>,
    /// `tokenizer.ggml.token_type`: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte. May be
    /// empty: all normal.
    pub token_types: Vec<i32>,
    /// `tokenizer.ggml.merges`: pairs with a space between.
    pub merges: Vec<String>,
    /// `tokenizer.ggml.scores`, which SentencePiece merges by.
    pub scores: Vec<f32>,
    /// `tokenizer.ggml.bos_token_id`.
    pub bos: Option<u32>,
    /// `tokenizer.ggml.eos_token_id`.
    pub eos: Option<u32>,
    /// `tokenizer.ggml.eot_token_id`.
    pub eot: Option<u32>,
    /// `tokenizer.ggml.eom_token_id`.
    pub eom: Option<u32>,
    /// `tokenizer.ggml.padding_token_id`.
    pub pad: Option<u32>,
    /// `tokenizer.ggml.unknown_token_id`.
    pub unk: Option<u32>,
    /// `tokenizer.ggml.add_bos_token`.
    pub add_bos: Option<bool>,
    /// `tokenizer.ggml.add_eos_token`.
    pub add_eos: Option<bool>,
    /// `tokenizer.ggml.add_space_prefix`.
    pub add_space_prefix: Option<bool>,
}

pub(crate) const NORMAL: i32 = 1;
pub(crate) const UNKNOWN: i32 = 2;
pub(crate) const CONTROL: i32 = 3;
pub(crate) const USER_DEFINED: i32 = 4;
pub(crate) const UNUSED: i32 = 5;
pub(crate) const BYTE: i32 = 6;

/// What a `pre` name means: rules, and whether a BOS is added where the file does not say.
///
/// Names that llama.cpp gives to the same expressions are taken together. A file without one is GPT-2's, as
/// converters wrote before the key existed. Qwen2's own tokenizer composes text first and so does this, which
/// llama.cpp leaves out: decomposed Korean is where they would differ.
fn rules(pre: &str) -> Option<(Rules, bool)> {
    let (split, ignore_merges, add_bos) = match pre {
        "default" | "gpt-2" | "gpt2" | "phi-2" | "mpt" | "olmo" | "jais" | "trillion" | "jina-es"
        | "jina-de" | "jina-v2-es" | "jina-v2-de" | "gigachat" | "a.x-4.0" | "mellum" | "roberta-bpe" => {
            (Split::Gpt2, false, false)
        }
        "smollm" | "starcoder" | "refact" | "command-r" | "codeshell" | "exaone" | "minerva-7b" => {
            (Split::SmolLm, false, false)
        }
        "llama-bpe" | "llama3" | "llama-v3" | "falcon3" | "falcon-h1" | "pixtral" | "midm-2.0" | "lfm2" => {
            (Split::Llama3, true, true)
        }
        "dbrx" | "smaug-bpe" => (Split::Llama3, false, false),
        "qwen2" | "deepseek-r1-qwen" | "kormo" | "megrez" | "stablelm2" => (Split::Qwen2, false, false),
        _ => return None,
    };
    Some((Rules { ignore_merges, nfc: pre == "qwen2", ..Rules::new(split) }, add_bos))
}

/// The rules that a byte-level vocabulary's `pre` stands for.
pub(crate) fn rules_of(v: &GgufVocabulary) -> Result<Rules, Error> {
    let pre = v.pre.as_deref().unwrap_or("default");
    let Some((rules, _)) = rules(pre) else {
        let fact = format!(
            "tokenizer.ggml.pre is {}; sai knows gpt-2, smollm, llama-bpe and qwen2, for this one use the Hugging Face folder with its tokenizer.json",
            quoted(&one_line(pre))
        );
        return Err(Error::unsupported(&v.path, fact));
    };
    let prefix_space = v.add_space_prefix.unwrap_or(false) && rules.split == Split::Gpt2;
    Ok(Rules { prefix_space, ..rules })
}

/// Whether a BOS goes before a text where the file does not say.
pub(crate) fn prefixes_bos(v: &GgufVocabulary) -> bool {
    match v.model.as_str() {
        "gpt2" => rules(v.pre.as_deref().unwrap_or("default")).is_some_and(|(_, add_bos)| add_bos),
        _ => true,
    }
}

impl Tokenizer {
    /// A tokenizer from a GGUF's metadata.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a model or pre-tokeniser that sai does not know, [`Error::Vocabulary`] where
    /// tokens, types, merges and scores contradict each other.
    pub fn from_gguf(vocabulary: GgufVocabulary) -> Result<Tokenizer, Error> {
        let v = &vocabulary;
        let count = v.tokens.len();
        if count == 0 || u32::try_from(count).is_err() {
            return Err(Error::vocabulary(&v.path, format!("tokenizer.ggml.tokens has {count} entries")));
        }
        for (name, length) in [("token_type", v.token_types.len()), ("scores", v.scores.len())] {
            if length != 0 && length != count {
                let fact = format!("tokenizer.ggml.{name} has {length} entries for {count} tokens");
                return Err(Error::vocabulary(&v.path, fact));
            }
        }
        match v.model.as_str() {
            "gpt2" => byte_level(v),
            "llama" => sentence_piece(v),
            other => {
                let fact = format!(
                    "tokenizer.ggml.model is {}; sai runs `gpt2` and `llama` from a GGUF, for this one use the Hugging Face folder with its tokenizer.json",
                    quoted(&one_line(other))
                );
                Err(Error::unsupported(&v.path, fact))
            }
        }
    }
}

fn kind(v: &GgufVocabulary, id: u32) -> i32 {
    v.token_types.get(id as usize).copied().unwrap_or(1)
}

fn added(v: &GgufVocabulary) -> Vec<AddedToken> {
    let tokens = v.tokens.iter().zip(0u32..);
    tokens
        .filter_map(|(token, id)| match kind(v, id) {
            CONTROL | UNKNOWN => Some(AddedToken::special(id, token)),
            USER_DEFINED => Some(AddedToken { special: false, ..AddedToken::special(id, token) }),
            _ => None,
        })
        .collect()
}

fn roles(v: &GgufVocabulary) -> Roles {
    Roles {
        bos: v.bos,
        eos: v.eos,
        eot: v.eot,
        eom: v.eom,
        pad: v.pad,
        unk: v.unk,
        add_bos: v.add_bos.unwrap_or_else(|| prefixes_bos(v)),
        add_eos: v.add_eos.unwrap_or(false),
        named: SpecialTokens::default(),
    }
}

fn byte_level(v: &GgufVocabulary) -> Result<Tokenizer, Error> {
    let rules = rules_of(v)?;
    let mut merges = Vec::with_capacity(v.merges.len());
    for (rank, merge) in v.merges.iter().enumerate() {
        // A piece may itself begin with a space in files of old converters.
        let cut = merge.char_indices().skip(1).find(|&(_, c)| c == ' ').map(|(at, _)| at);
        let Some(cut) = cut else {
            let fact = format!("merge {rank} is {}, not two pieces", quoted(merge));
            return Err(Error::vocabulary(&v.path, fact));
        };
        merges.push((&merge[..cut], &merge[cut + 1..]));
    }
    let is_text = |id| !matches!(kind(v, id), CONTROL | UNKNOWN | USER_DEFINED | UNUSED);
    let bpe = ByteLevel::new(&v.tokens, is_text, merges.into_iter(), rules, &v.path, &v.path)?;
    Tokenizer::byte_level(&v.tokens, added(v), roles(v), bpe, &v.path)
}

/// SentencePiece BPE, as LLaMA 2 has it, run by the library.
fn sentence_piece(v: &GgufVocabulary) -> Result<Tokenizer, Error> {
    let file = sentence_piece_json(v)?;
    let loaded = Library::from_json(file.to_string().as_bytes(), &v.path)?;
    Tokenizer::library(loaded, "SentencePiece BPE".to_owned(), roles(v), &v.path)
}

/// The vocabulary as a `tokenizer.json`: pairs merge by the score of what they make.
pub(crate) fn sentence_piece_json(v: &GgufVocabulary) -> Result<serde_json::Value, Error> {
    if v.scores.is_empty() {
        return Err(Error::vocabulary(
            &v.path,
            "tokenizer.ggml.scores is missing, which SentencePiece merges by",
        ));
    }
    let ids = crate::table::index(&v.tokens, &v.path)?;
    let mut merges: Vec<(f32, usize, u32, u32, &str, &str)> = Vec::new();
    for (piece, id) in v.tokens.iter().zip(0u32..) {
        // A piece of absurd length would have as many splits; the library of real ones ends far below.
        if !matches!(kind(v, id), 1 | USER_DEFINED) || piece.len() > 1024 {
            continue;
        }
        for (at, _) in piece.char_indices().skip(1) {
            let (left, right) = piece.split_at(at);
            if let (Some(&l), Some(&r)) = (ids.get(left), ids.get(right)) {
                merges.push((v.scores[id as usize], at, l, r, left, right));
            }
        }
    }
    merges.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.2.cmp(&b.2)).then(a.3.cmp(&b.3)));
    let merges: Vec<[&str; 2]> = merges.into_iter().map(|m| [m.4, m.5]).collect();
    let unknown = v.unk.and_then(|id| v.tokens.get(id as usize));
    let added_tokens: Vec<_> = added(v)
        .into_iter()
        .map(|t| {
            json!({ "id": t.id, "content": t.content, "special": t.special, "normalized": false,
                    "lstrip": false, "rstrip": false, "single_word": false })
        })
        .collect();
    let prefix = v.add_space_prefix.unwrap_or(true);
    let space = json!({ "type": "Replace", "pattern": { "String": " " }, "content": "▁" });
    let mut normalizers = vec![space];
    let mut decoders = vec![
        json!({ "type": "Replace", "pattern": { "String": "▁" }, "content": " " }),
        json!({ "type": "ByteFallback" }),
        json!({ "type": "Fuse" }),
    ];
    if prefix {
        normalizers.insert(0, json!({ "type": "Prepend", "prepend": "▁" }));
        decoders.push(json!({ "type": "Strip", "content": " ", "start": 1, "stop": 0 }));
    }
    let vocab: serde_json::Map<String, serde_json::Value> =
        v.tokens.iter().zip(0u32..).map(|(token, id)| (token.clone(), id.into())).collect();
    Ok(json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added_tokens,
        "normalizer": { "type": "Sequence", "normalizers": normalizers },
        "pre_tokenizer": null,
        "post_processor": null,
        "decoder": { "type": "Sequence", "decoders": decoders },
        "model": { "type": "BPE", "dropout": null, "unk_token": unknown, "continuing_subword_prefix": null,
                   "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": true,
                   "ignore_merges": false, "vocab": vocab, "merges": merges },
    }))
}
