//! Vocabulary and template from GGUF metadata.

use super::Parts;
use crate::Error;
use sai_formats::gguf::Gguf;
use sai_tokenizer::{ChatTemplate, GgufVocabulary, Tokenizer};

const TOKENS: &str = "tokenizer.ggml.tokens";
const MODEL: &str = "tokenizer.ggml.model";

/// The vocabulary's facts as the file has them.
///
/// # Errors
/// The file has none, or one of another type than the format says.
pub(super) fn vocabulary(gguf: &Gguf) -> Result<GgufVocabulary, Error> {
    let metadata = &gguf.metadata;
    let path = metadata.path().to_path_buf();
    let read = || -> Result<_, sai_formats::Error> {
        let texts = |key: &str| -> Result<Option<Vec<String>>, sai_formats::Error> {
            Ok(metadata.strings(key)?.map(|list| list.into_iter().map(str::to_owned).collect()))
        };
        let text = |key: &str| metadata.str(key).map(|text| text.map(str::to_owned));
        Ok((
            text(MODEL)?,
            texts(TOKENS)?,
            GgufVocabulary {
                path: path.clone(),
                pre: text("tokenizer.ggml.pre")?,
                token_types: metadata.i32s("tokenizer.ggml.token_type")?.unwrap_or_default(),
                merges: texts("tokenizer.ggml.merges")?.unwrap_or_default(),
                scores: metadata.f32s("tokenizer.ggml.scores")?.unwrap_or_default(),
                bos: metadata.u32("tokenizer.ggml.bos_token_id")?,
                eos: metadata.u32("tokenizer.ggml.eos_token_id")?,
                eot: metadata.u32("tokenizer.ggml.eot_token_id")?,
                pad: metadata.u32("tokenizer.ggml.padding_token_id")?,
                unk: metadata.u32("tokenizer.ggml.unknown_token_id")?,
                add_bos: metadata.bool("tokenizer.ggml.add_bos_token")?,
                add_eos: metadata.bool("tokenizer.ggml.add_eos_token")?,
                add_space_prefix: metadata.bool("tokenizer.ggml.add_space_prefix")?,
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

pub(super) fn parts(gguf: &Gguf) -> Result<Parts, Error> {
    let metadata = &gguf.metadata;
    let text = |key: &str| metadata.str(key).map_err(sai_decoder::Error::from);
    let template = match text("tokenizer.chat_template")? {
        Some(source) => Some(ChatTemplate::jinja(source, &metadata.path().display().to_string())?),
        None => None,
    };
    Ok(Parts {
        name: text("general.name")?.map(str::to_owned),
        template,
        tokenizer: Tokenizer::from_gguf(vocabulary(gguf)?)?,
    })
}
