//! The keys of a recipe, and where each was said, so that a wrong one is named with its line.

use crate::Error;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Every key that a kind of recipe may have, by section; those of `data` are of each of its entries. None at all where the
/// type that it is read as refuses keys by itself.
pub type Keys = &'static [(&'static str, &'static [&'static str])];

/// Sections that every recipe has.
pub(super) const OPTIMIZER: (&str, &[&str]) =
    ("optimizer", &["learning_rate", "beta1", "beta2", "eps", "weight_decay", "clip"]);
pub(super) const SCHEDULE: (&str, &[&str]) =
    ("schedule", &["kind", "warmup_steps", "warmup_share", "min_share", "decay_share"]);
pub(super) const LOSS: (&str, &[&str]) = ("loss", &["z_loss", "on_nan", "on_leap", "leap"]);

/// The place of every key that was said, by its dotted name.
#[derive(Clone, Debug)]
pub struct KeyPositions {
    keys: Keys,
    places: BTreeMap<String, String>,
}

impl KeyPositions {
    pub(super) fn new(keys: Keys) -> KeyPositions {
        KeyPositions { keys, places: BTreeMap::new() }
    }

    pub(super) fn keys(&self) -> Keys {
        self.keys
    }

    /// Notes the keys of a recipe's text, with their lines.
    pub(super) fn note_text(&mut self, text: &str, table: &DeTable<'_>, path: &Path) -> Result<(), Error> {
        self.note("", table, path, &|span| format!("line {}", line(text, &span)))
    }

    /// Notes the keys of an override.
    pub(super) fn note_override(
        &mut self,
        said: &str,
        table: &DeTable<'_>,
        path: &Path,
    ) -> Result<(), Error> {
        self.note("", table, path, &|_| format!("--set {said}"))
    }

    /// An error about a key, with the place where it was said.
    pub fn wrong(&self, path: &Path, key: &str, fact: impl Into<String>) -> Error {
        let place = self.places.get(key).cloned().unwrap_or_default();
        Error::Recipe { path: path.to_owned(), place, fact: fact.into() }
    }

    fn note(
        &mut self,
        section: &str,
        table: &DeTable<'_>,
        path: &Path,
        place: &dyn Fn(Range<usize>) -> String,
    ) -> Result<(), Error> {
        for (key, value) in table {
            let dotted = match section {
                "" => key.get_ref().to_string(),
                section => format!("{section}.{}", key.get_ref()),
            };
            let place_of_key = place(key.span());
            if !self.keys.is_empty() && !known(self.keys, section, key.get_ref()) {
                let said = dotted.escape_debug();
                let fact = match (flag(key.get_ref()), nearest(self.keys, &dotted)) {
                    (Some(flag), _) => format!("`{said}` is no key of a recipe; the flag {flag} is"),
                    (None, Some(near)) => format!("`{said}` is no key of a recipe; `{near}` is"),
                    (None, None) => format!("`{said}` is no key of a recipe"),
                };
                return Err(Error::Recipe { path: path.to_owned(), place: place_of_key, fact });
            }
            self.places.insert(dotted.clone(), place_of_key);
            for table in tables(value) {
                self.note(&dotted, table, path, place)?;
            }
        }
        Ok(())
    }
}

/// The tables in a value: itself, or those of an array.
fn tables<'v, 'i>(value: &'v Spanned<DeValue<'i>>) -> Vec<&'v DeTable<'i>> {
    match value.get_ref() {
        DeValue::Table(table) => vec![table],
        DeValue::Array(array) => array.iter().filter_map(|value| value.get_ref().as_table()).collect(),
        _ => Vec::new(),
    }
}

fn known(keys: Keys, section: &str, key: &str) -> bool {
    keys.iter().any(|(name, keys)| *name == section && keys.contains(&key))
}

/// What other programs call keys, above all `transformers`, `peft` and `trl`, and what they are called here.
const ELSEWHERE: [(&[&str], &[&str]); 30] = [
    (&["lr", "learning_rate", "peak_lr", "max_lr"], &["optimizer.learning_rate"]),
    (&["adam_beta1", "beta_1"], &["optimizer.beta1"]),
    (&["adam_beta2", "beta_2"], &["optimizer.beta2"]),
    (&["adam_epsilon", "adam_eps", "epsilon"], &["optimizer.eps"]),
    (&["wd", "decay"], &["optimizer.weight_decay"]),
    (
        &["max_grad_norm", "grad_clip", "gradient_clip_val", "clip_grad", "clip_grad_norm"],
        &["optimizer.clip"],
    ),
    (&["lr_scheduler_type", "lr_scheduler", "scheduler", "scheduler_type"], &["schedule.kind"]),
    (&["warmup_ratio", "warmup_fraction"], &["schedule.warmup_share"]),
    (&["warmup", "num_warmup_steps", "warmup_iters"], &["schedule.warmup_steps"]),
    (&["min_lr", "min_lr_rate", "min_lr_ratio", "lr_min"], &["schedule.min_share"]),
    (&["num_train_epochs", "num_epochs", "n_epochs", "epoch", "max_epochs"], &["epochs", "steps"]),
    (&["max_steps", "num_steps", "train_steps", "max_iters", "total_steps"], &["steps"]),
    (
        &[
            "max_seq_length",
            "max_seq_len",
            "max_length",
            "model_max_length",
            "cutoff_len",
            "block_size",
            "seq_length",
            "seq_len",
            "sequence_len",
            "sequence_length",
            "context_length",
            "max_position_embeddings",
            "n_ctx",
        ],
        &["context"],
    ),
    (&["per_device_train_batch_size", "micro_batch_size", "device_batch_size"], &["micro_batch"]),
    (
        &[
            "batch_size",
            "train_batch_size",
            "global_batch_size",
            "total_batch_size",
            "gradient_accumulation_steps",
        ],
        &["batch_conversations", "batch_tokens"],
    ),
    (&["gradient_checkpointing", "activation_checkpointing"], &["recompute"]),
    (&["save_steps", "save_interval", "save_every"], &["checkpoint_every"]),
    (&["save_total_limit"], &["keep_last"]),
    (&["eval_steps", "eval_interval", "eval_every"], &["validate_every"]),
    (&["val_set_size", "val_size", "test_size", "eval_split_ratio"], &["validation_share"]),
    (&["data_seed", "random_seed"], &["seed"]),
    (&["dataset", "datasets", "dataset_name", "dataset_path", "train_file", "train_data"], &["data"]),
    (
        &["model_name_or_path", "base_model", "base_model_name_or_path", "pretrained", "init_from"],
        &["model.from"],
    ),
    (&["chat_template"], &["template"]),
    (&["lora_r", "r", "lora_rank"], &["lora.rank"]),
    (&["lora_alpha"], &["lora.alpha"]),
    (&["target_modules", "lora_target", "lora_target_modules"], &["lora.targets"]),
    (&["n_layer", "n_layers", "num_hidden_layers", "layers"], &["model.num_layers"]),
    (&["n_embd", "d_model", "dim", "n_embed"], &["model.hidden_size"]),
    (&["n_head", "n_heads", "num_attention_heads"], &["model.num_heads"]),
];

/// The flag that another program's key is here.
fn flag(key: &str) -> Option<&'static str> {
    match key {
        "output_dir" | "out_dir" | "output" => Some("--out"),
        "resume_from_checkpoint" | "resume" => Some("--resume"),
        "num_threads" | "threads" | "num_proc" | "num_workers" | "dataloader_num_workers" => {
            Some("--threads")
        }
        _ => None,
    }
}

/// The key that was probably meant: what another program's key of that name is here, else the most alike by whole dotted
/// name, or by its last part.
pub fn nearest(keys: Keys, dotted: &str) -> Option<String> {
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let is_key = |name: &&&str| {
        let (section, key) = name.rsplit_once('.').unwrap_or(("", name));
        known(keys, section, key)
    };
    let name = last(dotted).to_lowercase().replace('-', "_");
    let elsewhere = ELSEWHERE.iter().find(|(names, _)| names.contains(&name.as_str()));
    if let Some(own) = elsewhere.and_then(|(_, own)| own.iter().find(is_key)) {
        return Some((*own).to_owned());
    }
    let names = keys.iter().flat_map(|(section, keys)| {
        keys.iter()
            .map(move |key| if section.is_empty() { (*key).to_owned() } else { format!("{section}.{key}") })
    });
    let likeness = |name: &str| {
        let whole = strsim::jaro_winkler(dotted, name);
        whole.max(strsim::jaro_winkler(&last(dotted), &last(name)))
    };
    names
        .map(|name| (likeness(&name), name))
        .filter(|(likeness, _)| *likeness > 0.7)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, name)| name)
}

/// The number of the line on which a span begins, from 1.
pub(super) fn line(text: &str, span: &Range<usize>) -> usize {
    1 + text.as_bytes().iter().take(span.start).filter(|&&byte| byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_key_finds_its_neighbour() {
        for (said, meant) in [
            ("stepz", "steps"),
            ("optimizer.lerning_rate", "optimizer.learning_rate"),
            ("learning_rate", "optimizer.learning_rate"),
            ("model.layers", "model.num_layers"),
            ("checkpoint_evry", "checkpoint_every"),
            ("optimizer.lr", "optimizer.learning_rate"),
            ("num_hidden_layers", "model.num_layers"),
            ("max_seq_length", "context"),
            ("num_train_epochs", "steps"),
        ] {
            assert_eq!(nearest(super::super::pretrain::KEYS, said).as_deref(), Some(meant));
        }
        assert_eq!(nearest(super::super::pretrain::KEYS, "zzz"), None);
        let tuning = crate::recipe::finetune::resolve::KEYS;
        for (said, meant) in [
            ("num_train_epochs", "epochs"),
            ("per_device_train_batch_size", "micro_batch"),
            ("batch_size", "batch_conversations"),
            ("optimizer.max_grad_norm", "optimizer.clip"),
            ("lora.r", "lora.rank"),
            ("lora.lora_alpha", "lora.alpha"),
            ("model.model_name_or_path", "model.from"),
            ("warmup_ratio", "schedule.warmup_share"),
            ("save-steps", "checkpoint_every"),
        ] {
            assert_eq!(nearest(tuning, said).as_deref(), Some(meant));
        }
    }
}
