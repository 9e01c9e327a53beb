//! The facts of a model, from what its files say, without loading it and without knowing its family.

use std::collections::BTreeMap;
use std::path::Path;

use sai_formats::gguf::{Array, Gguf, Metadata, Override, Value as Meta};
use sai_formats::{Container, Source, Tensors};
use sai_generation::Config;
use sai_tokenizer::TemplateSources;
use serde_json::{Value, json};

use super::verdict::{self, Verdict};

/// What a file holds, ready to be shown.
pub(super) struct Report {
    /// The path, as it was found.
    pub(super) path: String,
    /// `GGUF v3` or `safetensors`.
    pub(super) container: String,
    /// The model: name of the fact and value, in the order of showing.
    pub(super) model: Vec<(&'static str, Value)>,
    /// The tokenizer, likewise.
    pub(super) tokenizer: Vec<(&'static str, Value)>,
    /// Number of elements of all tensors.
    pub(super) parameters: u64,
    /// Bytes of all tensors.
    pub(super) bytes: u64,
    /// Tensors of each type, the type with the most bytes first.
    pub(super) types: Vec<TypeSum>,
    /// The chat template, where there is one.
    pub(super) template: Option<String>,
    /// What a person should know of how its files were read.
    pub(super) notes: Vec<String>,
    /// Whether sai can run it.
    pub(super) verdict: Verdict,
}

/// The tensors of one type, added up.
pub(super) struct TypeSum {
    pub(super) name: &'static str,
    pub(super) tensors: u64,
    pub(super) parameters: u64,
    pub(super) bytes: u64,
}

impl Report {
    pub(super) fn new(
        source: &Source,
        container: &Container,
        config: &Value,
        overrides: &[Override],
    ) -> anyhow::Result<Self> {
        let (verdict, notes) = verdict::judge(source, container, overrides);
        let path = source.path();
        let tensors = container.tensors();
        let types = types(tensors);
        let parameters = types.iter().map(|t| t.parameters).sum();
        let bytes = types.iter().map(|t| t.bytes).sum();
        let (name, model, tokenizer, template) = match container {
            Container::Gguf(gguf) => {
                let m = &gguf.metadata;
                let template = text(m, "tokenizer.chat_template");
                (format!("GGUF v{}", gguf.version), gguf_model(gguf), gguf_tokenizer(m), template)
            }
            Container::Safetensors(_) if path.is_dir() => {
                let template = TemplateSources::from_folder(path).ok().and_then(|sources| sources.default);
                (
                    "safetensors".to_owned(),
                    folder_model(config, tensors),
                    folder_tokenizer(path, config),
                    template,
                )
            }
            Container::Safetensors(_) => ("safetensors".to_owned(), Vec::new(), Vec::new(), None),
        };
        // What the pass follows; the verdict says why where there is no such description.
        let model = match Config::of(container, path) {
            Ok(config) => described(model, &config),
            Err(_) => model,
        };
        Ok(Self {
            path: path.display().to_string(),
            container: name,
            model,
            tokenizer,
            parameters,
            bytes,
            types,
            template,
            notes,
            verdict,
        })
    }

    /// Bits that a parameter takes on average.
    pub(super) fn bits(&self) -> Option<f64> {
        (self.parameters > 0).then(|| self.bytes as f64 * 8.0 / self.parameters as f64)
    }
}

/// The facts as sai reads them, in place of those of the same name that were copied from the file, whose keys are each
/// family's own.
fn described(mut model: Vec<(&'static str, Value)>, config: &Config) -> Vec<(&'static str, Value)> {
    let sizes = [
        ("layers", json!(config.num_layers)),
        ("hidden size", json!(config.hidden_size)),
        ("feed-forward size", json!(config.intermediate_size)),
        ("heads", json!(config.num_heads)),
        ("key-value heads", json!(config.num_kv_heads)),
        ("head size", json!(config.head_dim)),
        ("context", json!(config.context_length)),
        ("vocabulary", json!(config.vocab_size)),
        ("tied embeddings", json!(config.tie_word_embeddings)),
    ];
    let is_title = |name: &str| matches!(name, "architecture" | "name" | "licence");
    let mut next = model.iter().take_while(|(name, _)| is_title(name)).count();
    for (name, value) in sizes {
        match model.iter().position(|(known, _)| *known == name) {
            Some(place) => {
                model[place].1 = value;
                next = place + 1;
            }
            None => {
                model.insert(next, (name, value));
                next += 1;
            }
        }
    }
    model.extend(config.facts().into_iter().map(|(name, words)| (name, json!(words))));
    model
}

fn types(tensors: &Tensors) -> Vec<TypeSum> {
    let mut sums: BTreeMap<&'static str, TypeSum> = BTreeMap::new();
    for tensor in tensors.iter() {
        let name = tensor.dtype.name();
        let sum = sums.entry(name).or_insert(TypeSum { name, tensors: 0, parameters: 0, bytes: 0 });
        sum.tensors += 1;
        sum.parameters += tensor.elements() as u64;
        sum.bytes += tensor.data.len() as u64;
    }
    let mut sums: Vec<TypeSum> = sums.into_values().collect();
    sums.sort_by_key(|sum| std::cmp::Reverse(sum.bytes));
    sums
}

/// Keeps the facts that are there.
fn present(facts: Vec<(&'static str, Option<Value>)>) -> Vec<(&'static str, Value)> {
    facts.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

// A file may hold any type under a key; what is not what it should be is left out here, and said by the verdict.
fn text(m: &Metadata, key: &str) -> Option<String> {
    m.str(key).ok().flatten().map(str::to_owned)
}

fn array<'m>(m: &'m Metadata, key: &str) -> Option<&'m Array> {
    m.array(key).ok().flatten()
}

/// A number, a text or a truth of the metadata as JSON; an array as its length or, where short and of numbers,
/// whole.
pub(super) fn meta_json(value: &Meta) -> Value {
    match value {
        Meta::Bool(x) => json!(x),
        Meta::String(x) => json!(x),
        Meta::Array(x) => Value::Array(x.iter().map(|x| meta_json(&x)).collect()),
        number => number
            .as_integer()
            .and_then(|x| {
                i64::try_from(x).map(Value::from).or_else(|_| u64::try_from(x).map(Value::from)).ok()
            })
            .or_else(|| number.as_float().map(short_float))
            .unwrap_or(Value::Null),
    }
}

/// An f32 that went through f64 shows digits that nobody wrote; its shortest f32 form is what was meant.
fn short_float(x: f64) -> Value {
    let shortest = (x as f32).to_string().parse::<f64>().unwrap_or(x);
    json!(if f64::from(x as f32) == x { shortest } else { x })
}

fn gguf_model(gguf: &Gguf) -> Vec<(&'static str, Value)> {
    let m = &gguf.metadata;
    let family = text(m, "general.architecture").unwrap_or_default();
    let fact = |key: &str| m.get(&format!("{family}.{key}")).map(meta_json);
    let number = |key: &str| fact(key).and_then(|v| v.as_u64());
    let (hidden, heads) = (number("embedding_length"), number("attention.head_count"));
    let head_size = number("attention.key_length").or_else(|| hidden?.checked_div(heads?));
    let vocabulary = array(m, "tokenizer.ggml.tokens").map(|t| json!(t.len())).or_else(|| fact("vocab_size"));
    present(vec![
        ("architecture", m.get("general.architecture").map(meta_json)),
        ("name", m.get("general.name").map(meta_json)),
        ("licence", m.get("general.license").map(meta_json)),
        ("layers", fact("block_count")),
        ("hidden size", fact("embedding_length")),
        ("feed-forward size", fact("feed_forward_length")),
        ("heads", fact("attention.head_count")),
        ("key-value heads", fact("attention.head_count_kv").or_else(|| fact("attention.head_count"))),
        ("head size", head_size.map(Value::from)),
        ("experts", fact("expert_count")),
        (
            "norm epsilon",
            fact("attention.layer_norm_rms_epsilon").or_else(|| fact("attention.layer_norm_epsilon")),
        ),
        ("rope base", fact("rope.freq_base")),
        ("rope dimensions", fact("rope.dimension_count")),
        ("rope scaling", fact("rope.scaling.type")),
        ("rope scaling factor", fact("rope.scaling.factor")),
        ("context", fact("context_length")),
        ("vocabulary", vocabulary),
        ("tied embeddings", Some(json!(gguf.tensors.get("output.weight").is_none()))),
    ])
}

fn gguf_tokenizer(m: &Metadata) -> Vec<(&'static str, Value)> {
    let tokens = array(m, "tokenizer.ggml.tokens");
    // `<|im_end|> (2)`
    let token = |key: &str| {
        let id = usize::try_from(m.get(&format!("tokenizer.ggml.{key}_token_id"))?.as_integer()?).ok()?;
        let piece = tokens?.strings()?.nth(id).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        Some(json!({ "id": id, "text": piece }))
    };
    present(vec![
        ("model", m.get("tokenizer.ggml.model").map(meta_json)),
        ("pre-tokenizer", m.get("tokenizer.ggml.pre").map(meta_json)),
        ("tokens", tokens.map(|t| json!(t.len()))),
        ("merges", array(m, "tokenizer.ggml.merges").map(|t| json!(t.len()))),
        ("begin of text", token("bos")),
        ("end of text", token("eos")),
        ("end of turn", token("eot")),
        ("padding", token("padding")),
        ("unknown", token("unknown")),
        ("adds begin of text", m.get("tokenizer.ggml.add_bos_token").map(meta_json)),
        ("adds end of text", m.get("tokenizer.ggml.add_eos_token").map(meta_json)),
    ])
}

fn folder_model(config: &Value, tensors: &Tensors) -> Vec<(&'static str, Value)> {
    let fact = |key: &str| config.get(key).filter(|v| !v.is_null()).cloned();
    let number = |key: &str| config.get(key).and_then(Value::as_u64);
    let heads = number("num_attention_heads");
    let head_size = number("head_dim").or_else(|| number("hidden_size")?.checked_div(heads?));
    let scaling =
        config.get("rope_scaling").or_else(|| config.get("rope_parameters")).filter(|v| v.is_object());
    let scaling = |key: &str| scaling.and_then(|s| s.get(key)).filter(|v| !v.is_null()).cloned();
    let architecture =
        config.get("architectures").and_then(|a| a.get(0)).cloned().or_else(|| fact("model_type"));
    let tied = fact("tie_word_embeddings").unwrap_or_else(|| json!(tensors.get("lm_head.weight").is_none()));
    present(vec![
        ("architecture", architecture),
        ("name", fact("_name_or_path")),
        ("layers", fact("num_hidden_layers")),
        ("hidden size", fact("hidden_size")),
        ("feed-forward size", fact("intermediate_size")),
        ("heads", fact("num_attention_heads")),
        ("key-value heads", fact("num_key_value_heads").or_else(|| fact("num_attention_heads"))),
        ("head size", head_size.map(Value::from)),
        ("experts", fact("num_local_experts").or_else(|| fact("num_experts"))),
        ("norm epsilon", fact("rms_norm_eps").or_else(|| fact("layer_norm_eps"))),
        ("rope base", fact("rope_theta").or_else(|| scaling("rope_theta"))),
        ("rope scaling", scaling("rope_type").or_else(|| scaling("type"))),
        ("rope scaling factor", scaling("factor")),
        ("context", fact("max_position_embeddings")),
        ("vocabulary", fact("vocab_size")),
        ("tied embeddings", Some(tied)),
    ])
}

fn folder_tokenizer(folder: &Path, config: &Value) -> Vec<(&'static str, Value)> {
    let files: Vec<&str> = ["tokenizer.json", "vocab.json", "merges.txt", "tokenizer_config.json"]
        .into_iter()
        .filter(|name| folder.join(name).is_file())
        .collect();
    let id = |key: &str| config.get(key).filter(|v| !v.is_null()).cloned();
    let mut facts = present(vec![
        ("files", (!files.is_empty()).then(|| json!(files.join(", ")))),
        ("begin of text", id("bos_token_id").map(|id| json!({ "id": id }))),
        ("end of text", id("eos_token_id").map(|id| json!({ "id": id }))),
    ]);
    if let Ok(tokenizer) = sai_tokenizer::Tokenizer::from_folder(folder) {
        for (_, value) in &mut facts {
            let piece = value.get("id").and_then(Value::as_u64).and_then(|id| u32::try_from(id).ok());
            if let Some(piece) = piece.map(|id| tokenizer.decode_with_special(&[id])) {
                value["text"] = json!(piece);
            }
        }
        facts.insert(1.min(facts.len()), ("tokens", json!(tokenizer.vocab_size())));
        facts.push(("adds begin of text", json!(tokenizer.add_bos())));
    }
    facts
}
