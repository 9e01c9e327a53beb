//! Vocabulary and template from GGUF metadata.

use super::Parts;
use crate::{Error, GenerationConfig};
use sai_formats::gguf::{Array, Gguf, Value};
use sai_tokenizer::{GgufVocabulary, TemplateSources, Tokenizer};

const TOKENS: &str = "tokenizer.ggml.tokens";
const MODEL: &str = "tokenizer.ggml.model";
const PREPEND_SCHEME: &str = "sai.tokenizer.prepend_scheme";
const TEMPLATE: &str = "tokenizer.chat_template";
const TEMPLATE_NAMES: &str = "tokenizer.chat_templates";

/// The vocabulary's facts as the file has them.
///
/// # Errors
/// The file has none, or one of another type than the format says.
pub(crate) fn vocabulary(gguf: &Gguf) -> Result<GgufVocabulary, Error> {
    let metadata = &gguf.metadata;
    let path = metadata.path().to_path_buf();
    let read = || -> Result<_, sai_formats::Error> {
        let texts = |key: &str| -> Result<Option<Vec<String>>, sai_formats::Error> {
            Ok(metadata.strings(key)?.map(|list| list.into_iter().map(str::to_owned).collect()))
        };
        let text = |key: &str| metadata.str(key).map(|text| text.map(str::to_owned));
        // Some converters write -1 where there is none, in a signed type or as the largest number.
        let id = |role: &str| -> Result<Option<u32>, sai_formats::Error> {
            let id = metadata.i64(&format!("tokenizer.ggml.{role}_token_id"))?;
            Ok(id.map(|id| u32::try_from(id).unwrap_or(u32::MAX)))
        };
        Ok((
            text(MODEL)?,
            texts(TOKENS)?,
            GgufVocabulary {
                path: path.clone(),
                pre: text("tokenizer.ggml.pre")?,
                token_types: metadata.i32s("tokenizer.ggml.token_type")?.unwrap_or_default(),
                merges: texts("tokenizer.ggml.merges")?.unwrap_or_default(),
                scores: metadata.f32s("tokenizer.ggml.scores")?.unwrap_or_default(),
                bos: id("bos")?,
                eos: id("eos")?,
                eot: id("eot")?,
                eom: id("eom")?,
                pad: id("padding")?,
                unk: id("unknown")?,
                add_bos: metadata.bool("tokenizer.ggml.add_bos_token")?,
                add_eos: metadata.bool("tokenizer.ggml.add_eos_token")?,
                add_space_prefix: metadata.bool("tokenizer.ggml.add_space_prefix")?,
                prepend_scheme: text(PREPEND_SCHEME)?,
                ..GgufVocabulary::default()
            },
        ))
    };
    let (model, tokens, rest) = read().map_err(sai_decoder::Error::from)?;
    let missing = |key| Error::NoTokenizer { path: path.clone(), key };
    Ok(GgufVocabulary {
        model: model.ok_or_else(|| missing(MODEL))?,
        tokens: tokens.ok_or_else(|| missing(TOKENS))?,
        ..rest
    })
}

/// The same facts as metadata, those that are said.
pub(crate) fn entries(v: &GgufVocabulary) -> Vec<(String, Value)> {
    let mut out = Vec::new();
    let mut put = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            out.push((key.to_owned(), value));
        }
    };
    let list = |array: Array| (!array.is_empty()).then_some(Value::Array(array));
    put(MODEL, Some(Value::String(v.model.clone())));
    put("tokenizer.ggml.pre", v.pre.clone().map(Value::String));
    put(TOKENS, Some(Value::Array(Array::from_strings(&v.tokens))));
    put("tokenizer.ggml.token_type", list(Array::from_i32s(&v.token_types)));
    put("tokenizer.ggml.scores", list(Array::from_f32s(&v.scores)));
    // llama.cpp wants this list of every byte-level vocabulary, be it empty.
    let merges = Value::Array(Array::from_strings(&v.merges));
    put("tokenizer.ggml.merges", (v.model == "gpt2").then_some(merges));
    for (role, id) in [
        ("bos", v.bos),
        ("eos", v.eos),
        ("eot", v.eot),
        ("eom", v.eom),
        ("padding", v.pad),
        ("unknown", v.unk),
    ] {
        put(&format!("tokenizer.ggml.{role}_token_id"), id.map(Value::U32));
    }
    put("tokenizer.ggml.add_bos_token", v.add_bos.map(Value::Bool));
    put("tokenizer.ggml.add_eos_token", v.add_eos.map(Value::Bool));
    put("tokenizer.ggml.add_space_prefix", v.add_space_prefix.map(Value::Bool));
    put(PREPEND_SCHEME, v.prepend_scheme.clone().map(Value::String));
    out
}

/// The chat templates of a file, in source form.
pub(crate) fn templates(gguf: &Gguf) -> Result<TemplateSources, Error> {
    let read = || -> Result<_, sai_formats::Error> {
        let metadata = &gguf.metadata;
        let mut sources =
            TemplateSources { default: metadata.str(TEMPLATE)?.map(str::to_owned), named: Vec::new() };
        for name in metadata.strings(TEMPLATE_NAMES)?.unwrap_or_default() {
            if let Some(source) = metadata.str(&format!("{TEMPLATE}.{name}"))? {
                sources.add(name, source);
            }
        }
        Ok(sources)
    };
    Ok(read().map_err(sai_decoder::Error::from)?)
}

/// The same as metadata. Names become such as keys may have.
pub(crate) fn template_entries(sources: &TemplateSources) -> Vec<(String, Value)> {
    let mut out = Vec::new();
    if let Some(source) = &sources.default {
        out.push((TEMPLATE.to_owned(), Value::String(source.clone())));
    }
    let mut names: Vec<String> = Vec::new();
    for (name, source) in &sources.named {
        let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        if !names.contains(&name) {
            out.push((format!("{TEMPLATE}.{name}"), Value::String(source.clone())));
            names.push(name);
        }
    }
    if !names.is_empty() {
        out.push((TEMPLATE_NAMES.to_owned(), Value::Array(Array::from_strings(&names))));
    }
    out
}

pub(super) fn parts(gguf: &Gguf) -> Result<Parts, Error> {
    let metadata = &gguf.metadata;
    let text = |key: &str| metadata.str(key).map_err(sai_decoder::Error::from);
    Ok(Parts {
        name: text("general.name")?.map(str::to_owned),
        templates: templates(gguf)?,
        templates_path: metadata.path().to_path_buf(),
        generation_config: GenerationConfig::of_gguf(metadata)?,
        tokenizer: Tokenizer::from_gguf(vocabulary(gguf)?)?,
    })
}
