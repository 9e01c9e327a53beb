//! An adapter's folder as the `peft` library writes it, held to what sai can merge.

use super::PREFIX;
use crate::Error;
use fancy_regex::Regex;
use sai_formats::{Tensor, Tensors, safetensors};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";

/// Keys that say nothing about the merged weights, or are read here.
const KNOWN: [&str; 29] = [
    "alpha_pattern",
    "auto_mapping",
    "base_model_name_or_path",
    "bias",
    "corda_config",
    "ensure_weight_tying",
    "eva_config",
    "exclude_modules",
    "inference_mode",
    "init_lora_weights",
    "layers_pattern",
    "layers_to_transform",
    "loftq_config",
    "lora_alpha",
    "lora_dropout",
    "lora_ga_config",
    "megatron_config",
    "megatron_core",
    "peft_type",
    "peft_version",
    "qalora_group_size",
    "r",
    "rank_pattern",
    "revision",
    "runtime_config",
    "target_modules",
    "task_type",
    "use_rslora",
    "velora_config",
];

/// Beginnings that PEFT gives to `a` and `b` without touching the model. Others take something out of the model's own
/// weights first, and belong to what is left.
const PLAIN_BEGINNINGS: [&str; 3] = ["gaussian", "orthogonal", "eva"];

/// An adapter at rest.
#[derive(Clone, Debug)]
pub struct PeftAdapter {
    /// Its folder.
    pub path: PathBuf,
    /// The model that it was made for, as its maker called it.
    pub base: Option<String>,
    /// The matrices that it changes, by name.
    pub changes: Vec<WeightDelta>,
}

/// What is added to a matrix: `scale · b · a`.
#[derive(Clone, Debug)]
pub struct WeightDelta {
    /// The matrix: `model.layers.0.self_attn.q_proj.weight`.
    pub weight: String,
    /// (rank, inputs)
    pub a: Tensor,
    /// (outputs, rank)
    pub b: Tensor,
    /// What their product is multiplied by.
    pub scale: f32,
}

impl PeftAdapter {
    /// Opens an adapter's folder.
    ///
    /// # Errors
    /// A file is missing or damaged; the adapter is of another kind than LoRA on matrices, or has parts that sai does not
    /// merge, which are named; a matrix lacks one of its factors, or their shapes contradict the description.
    pub fn open(folder: &Path) -> Result<PeftAdapter, Error> {
        let path = folder.join(CONFIG);
        let text =
            std::fs::read_to_string(&path).map_err(|source| Error::Read { path: path.clone(), source })?;
        let settings = Settings::of(&text, &path)?;
        let weights = folder.join(WEIGHTS);
        if !weights.is_file() && folder.join("adapter_model.bin").is_file() {
            let fact = format!("has its weights in a pickle; save them as {WEIGHTS} with peft");
            return Err(Error::Adapter { path: folder.to_owned(), fact });
        }
        let changes = changes(&safetensors::open(&weights)?, &settings)?;
        Ok(PeftAdapter { path: folder.to_owned(), base: settings.base, changes })
    }
}

/// What `adapter_config.json` says of every matrix.
struct Settings {
    base: Option<String>,
    rank: usize,
    alpha: f64,
    ranks: Vec<(Regex, f64)>,
    alphas: Vec<(Regex, f64)>,
    /// Divides by the root of the rank. Kalajdzievski 2023.
    by_root: bool,
}

impl Settings {
    fn of(text: &str, path: &Path) -> Result<Settings, Error> {
        let wrong = |fact: String| Error::Adapter { path: path.to_owned(), fact };
        let fields: Map<String, Value> = sai_formats::json::read(text.as_bytes())
            .map_err(|e| wrong(format!("is no description of an adapter ({e})")))?;
        let kind = fields.get("peft_type").and_then(Value::as_str).unwrap_or("of no kind");
        if kind != "LORA" {
            return Err(wrong(format!("the adapter is {kind}; only LORA is merged")));
        }
        for (key, value) in &fields {
            let known = KNOWN.contains(&key.as_str()) && (key != "bias" || value == "none");
            if !known && says_something(value) {
                let mut value = value.to_string();
                value.truncate(value.char_indices().nth(40).map_or(value.len(), |(at, _)| at));
                return Err(wrong(format!(
                    "`{key}` is {value}, which sai does not merge; merge it with peft"
                )));
            }
        }
        if let Some(Value::String(name)) = fields.get("init_lora_weights")
            && !PLAIN_BEGINNINGS.contains(&name.as_str())
        {
            return Err(wrong(format!(
                "`init_lora_weights` is \"{name}\", which changes the base's own weights; merge it with peft"
            )));
        }
        let number = |key: &str| {
            let found = fields.get(key).and_then(Value::as_f64).filter(|x| x.is_finite() && *x >= 0.0);
            found.ok_or_else(|| wrong(format!("`{key}` is missing, or no number")))
        };
        let patterns = |key: &str| -> Result<Vec<(Regex, f64)>, Error> {
            let Some(Value::Object(patterns)) = fields.get(key) else { return Ok(Vec::new()) };
            let one = |(pattern, value): (&String, &Value)| {
                // As PEFT has it: the end of a module's name, from a dot on.
                let regex = Regex::new(&format!(r"^(?:.*\.)?(?:{pattern})$")).ok();
                Some((regex?, value.as_f64().filter(|x| x.is_finite() && *x >= 0.0)?))
            };
            patterns
                .iter()
                .map(|entry| one(entry).ok_or_else(|| wrong(format!("`{key}` has a strange `{}`", entry.0))))
                .collect()
        };
        Ok(Settings {
            base: fields.get("base_model_name_or_path").and_then(Value::as_str).map(str::to_owned),
            rank: number("r")? as usize,
            alpha: number("lora_alpha")?,
            ranks: patterns("rank_pattern")?,
            alphas: patterns("alpha_pattern")?,
            by_root: fields.get("use_rslora") == Some(&Value::Bool(true)),
        })
    }

    /// The rank that a module is said to have, and what its change is multiplied by.
    fn of_module(&self, module: &str) -> (usize, f32) {
        let said = |patterns: &[(Regex, f64)]| {
            patterns
                .iter()
                .find(|(regex, _)| regex.is_match(module).unwrap_or(false))
                .map(|(_, value)| *value)
        };
        let rank = said(&self.ranks).map_or(self.rank, |rank| rank as usize);
        let alpha = said(&self.alphas).unwrap_or(self.alpha);
        let by = if self.by_root { (rank as f64).sqrt() } else { rank as f64 };
        (rank, (alpha / by) as f32)
    }
}

/// Whether a value is not what PEFT writes for something that is not used.
fn says_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(list) => !list.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        _ => true,
    }
}

/// The pairs of matrices in a file.
fn changes(tensors: &Tensors, settings: &Settings) -> Result<Vec<WeightDelta>, Error> {
    let wrong = |fact: String| Error::Adapter { path: tensors.path().to_path_buf(), fact };
    let mut pairs: BTreeMap<&str, [Option<&Tensor>; 2]> = BTreeMap::new();
    for tensor in tensors.iter() {
        let name = tensor.name.strip_prefix(PREFIX).unwrap_or(&tensor.name);
        let (module, factor) =
            match (name.strip_suffix(".lora_A.weight"), name.strip_suffix(".lora_B.weight")) {
                (Some(module), _) => (module, 0),
                (_, Some(module)) => (module, 1),
                _ => {
                    let name = tensor.name.escape_debug();
                    return Err(wrong(format!("`{name}` is no factor of a matrix; merge it with peft")));
                }
            };
        pairs.entry(module).or_default()[factor] = Some(tensor);
    }
    let one = |(module, pair): (&str, [Option<&Tensor>; 2])| {
        let [Some(a), Some(b)] = pair else {
            return Err(wrong(format!("`{}` has one of its two factors only", module.escape_debug())));
        };
        let (rank, scale) = settings.of_module(module);
        let fits = |shape: &[usize], at: usize| shape.len() == 2 && shape[at] == rank;
        if rank == 0 || !fits(&a.shape, 0) || !fits(&b.shape, 1) {
            let (module, a, b) = (module.escape_debug(), &a.shape, &b.shape);
            return Err(wrong(format!(
                "`{module}` has factors of {a:?} and {b:?}, and {CONFIG} says rank {rank}"
            )));
        }
        Ok(WeightDelta { weight: format!("{module}.weight"), a: a.clone(), b: b.clone(), scale })
    };
    let all: Vec<WeightDelta> = pairs.into_iter().map(one).collect::<Result<_, _>>()?;
    match all.is_empty() {
        true => Err(wrong("has no tensors".to_owned())),
        false => Ok(all),
    }
}
