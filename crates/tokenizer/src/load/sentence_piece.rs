//! `tokenizer.model`: SentencePiece's own file, as LLaMA 2, Gemma and PolyLM publish it.
//!
//! It is a protocol buffer of a few fields. What it says is said again as a `tokenizer.json`, so that all else of a
//! folder is heard as beside one. Text is prepared as the file tells, but for one thing that `transformers` does
//! otherwise: the space in front is not put before another.

use std::path::Path;

use serde_json::{Value, json};

use super::gguf::{CONTROL, GgufVocabulary, UNKNOWN, sentence_piece_json};
use crate::error::Error;

/// `trainer_spec.model_type` of BPE.
const BPE: u64 = 2;

/// What the file says, with SentencePiece's defaults for what it leaves out.
struct Model {
    pieces: Vec<String>,
    scores: Vec<f32>,
    /// The numbers that GGUF took over.
    types: Vec<i32>,
    kind: u64,
    byte_fallback: bool,
    bos: Option<u32>,
    eos: Option<u32>,
    /// Rules of normalisation, compiled; empty if there are none.
    rules: Vec<u8>,
    dummy_prefix: bool,
    one_space: bool,
}

/// The same vocabulary as a `tokenizer.json`, and its end token.
pub(crate) fn to_tokenizer_json(bytes: &[u8], path: &Path) -> Result<(Value, Option<String>), Error> {
    let model = read(bytes).ok_or_else(|| Error::malformed(path, "it is not a SentencePiece model"))?;
    if model.kind != BPE {
        let kind = match model.kind {
            1 => "unigram".to_owned(),
            3 => "words".to_owned(),
            4 => "characters".to_owned(),
            other => format!("the number {other}"),
        };
        let fact = format!(
            "it is a SentencePiece model of {kind}; from this file sai runs BPE, for others it needs tokenizer.json, which save_pretrained of transformers writes"
        );
        return Err(Error::unsupported(path, fact));
    }
    let vocabulary = GgufVocabulary {
        path: path.to_owned(),
        model: "llama".to_owned(),
        add_space_prefix: Some(model.dummy_prefix),
        tokens: model.pieces,
        scores: model.scores,
        token_types: model.types,
        ..GgufVocabulary::default()
    };
    let piece = |role: &str, id: Option<u32>| match id {
        None => Ok(None),
        Some(id) => match vocabulary.tokens.get(id as usize) {
            Some(piece) if vocabulary.token_types[id as usize] == CONTROL => Ok(Some((piece.clone(), id))),
            _ => Err(Error::vocabulary(path, format!("{role} is id {id}, which is no control piece"))),
        },
    };
    let (bos, eos) = (piece("bos", model.bos)?, piece("eos", model.eos)?);

    let mut normalizers = Vec::new();
    if !model.rules.is_empty() {
        normalizers.push(json!({ "type": "Precompiled", "precompiled_charsmap": base64(&model.rules) }));
    }
    if model.one_space {
        normalizers.push(json!({ "type": "Strip", "strip_left": true, "strip_right": true }));
        normalizers.push(json!({ "type": "Replace", "pattern": { "Regex": " {2,}" }, "content": " " }));
    }
    let scheme = if model.dummy_prefix { "first" } else { "never" };
    let mut file = sentence_piece_json(&vocabulary)?;
    if normalizers.is_empty() {
        file["normalizer"] = Value::Null;
    } else {
        file["normalizer"] = json!({ "type": "Sequence", "normalizers": normalizers });
    }
    file["pre_tokenizer"] =
        json!({ "type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": false });
    file["model"]["byte_fallback"] = model.byte_fallback.into();
    if !model.byte_fallback {
        let unknown = vocabulary.token_types.iter().position(|&kind| kind == UNKNOWN);
        file["model"]["unk_token"] = unknown.map(|id| vocabulary.tokens[id].as_str()).into();
    }
    if let Some((bos, id)) = bos {
        file["post_processor"] = json!({
            "type": "TemplateProcessing",
            "single": [{ "SpecialToken": { "id": bos, "type_id": 0 } }, { "Sequence": { "id": "A", "type_id": 0 } }],
            "pair": [{ "Sequence": { "id": "A", "type_id": 0 } }, { "Sequence": { "id": "B", "type_id": 1 } }],
            "special_tokens": { bos.as_str(): { "id": bos, "ids": [id], "tokens": [bos] } },
        });
    }
    Ok((file, eos.map(|(piece, _)| piece)))
}

/// The fields that text is cut by; `None` where the bytes are no such message.
fn read(bytes: &[u8]) -> Option<Model> {
    let mut model = Model {
        pieces: Vec::new(),
        scores: Vec::new(),
        types: Vec::new(),
        kind: 1,
        byte_fallback: false,
        bos: Some(1),
        eos: Some(2),
        rules: Vec::new(),
        dummy_prefix: true,
        one_space: true,
    };
    for field in fields(bytes)? {
        match field {
            (1, Field::Bytes(piece)) => {
                let (mut text, mut score, mut kind) = (None, 0.0, 1);
                for field in fields(piece)? {
                    match field {
                        (1, Field::Bytes(bytes)) => text = Some(std::str::from_utf8(bytes).ok()?.to_owned()),
                        (2, Field::Four(bytes)) => score = f32::from_le_bytes(bytes),
                        (3, Field::Number(number)) => kind = i32::try_from(number).ok()?,
                        _ => {}
                    }
                }
                model.pieces.push(text?);
                model.scores.push(score);
                model.types.push(kind);
            }
            (2, Field::Bytes(trainer)) => {
                for field in fields(trainer)? {
                    match field {
                        (3, Field::Number(kind)) => model.kind = kind,
                        (35, Field::Number(on)) => model.byte_fallback = on != 0,
                        // A negative number, which no id is, says that there is none.
                        (41, Field::Number(id)) => model.bos = u32::try_from(id).ok(),
                        (42, Field::Number(id)) => model.eos = u32::try_from(id).ok(),
                        _ => {}
                    }
                }
            }
            (3, Field::Bytes(normalizer)) => {
                for field in fields(normalizer)? {
                    match field {
                        (2, Field::Bytes(rules)) => model.rules = rules.to_vec(),
                        (3, Field::Number(on)) => model.dummy_prefix = on != 0,
                        (4, Field::Number(on)) => model.one_space = on != 0,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    (!model.pieces.is_empty()).then_some(model)
}

/// A field of a protocol buffer.
enum Field<'b> {
    Number(u64),
    Four([u8; 4]),
    Bytes(&'b [u8]),
    /// Of eight bytes, which no field here has.
    Eight,
}

/// The fields of a message with their numbers; `None` where it ends amid one or holds what no message does.
fn fields(mut bytes: &[u8]) -> Option<Vec<(u64, Field<'_>)>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let tag = number(&mut bytes)?;
        let field = match tag & 7 {
            0 => Field::Number(number(&mut bytes)?),
            1 => {
                bytes = bytes.get(8..)?;
                Field::Eight
            }
            2 => {
                let length = usize::try_from(number(&mut bytes)?).ok()?;
                let (field, rest) = bytes.split_at_checked(length)?;
                bytes = rest;
                Field::Bytes(field)
            }
            5 => {
                let (field, rest) = bytes.split_first_chunk::<4>()?;
                bytes = rest;
                Field::Four(*field)
            }
            _ => return None,
        };
        found.push((tag >> 3, field));
    }
    Some(found)
}

/// A number of seven bits a byte, the lowest first.
fn number(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// RFC 4648's base 64, as `tokenizer.json` has compiled rules.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits = (0..3).fold(0, |bits, at| (bits << 8) | u32::from(chunk.get(at).copied().unwrap_or(0)));
        for at in 0..4 {
            let sextet = ((bits >> (18 - 6 * at)) & 63) as usize;
            out.push(if at <= chunk.len() { char::from(ALPHABET[sextet]) } else { '=' });
        }
    }
    out
}
