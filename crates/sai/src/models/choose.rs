//! Which files of a repository make up its model.

use std::collections::BTreeSet;

/// The list of shards that a sharded model brings.
pub(super) const INDEX: &str = "model.safetensors.index.json";

/// What stands beside the weights in a Hugging Face folder. A repository has some of them.
const COMPANIONS: &[&str] = &[
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
    "merges.txt",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
];

/// GGUF types from the one a person most likely wants on a small machine to the least.
const PREFERRED: &[&str] = &[
    "q4_k_m", "q4_k_s", "q4_0", "q4_1", "q5_k_m", "q5_k_s", "q5_0", "q5_1", "q6_k", "q8_0", "q3_k_m",
    "q3_k_l", "q3_k_s", "q2_k", "bf16", "f16", "f32",
];

/// What a repository is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WantedFiles {
    /// Weights with what belongs to them.
    Model,
    /// The vocabulary, without weights where it lies in files of its own.
    Vocabulary,
}

/// The files that were chosen.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// One GGUF file.
    Gguf(String),
    /// A Hugging Face folder: these files, and where [`INDEX`] is among them the shards that it names.
    Folder(Vec<String>),
}

/// Why nothing could be chosen, in words that continue "owner/name".
pub(super) type Refusal = String;

/// Chooses from the names of a repository: the `asked` file or GGUF type where one was asked for, else
/// safetensors with what belongs to them, else the best GGUF file.
pub(super) fn choose(names: &[String], asked: Option<&str>, wanted: WantedFiles) -> Result<Choice, Refusal> {
    // Names come from outside; one that climbs out of its folder is none of ours.
    let names: Vec<&String> = names.iter().filter(|name| is_safe(name)).collect();
    let has = |wanted: &str| names.iter().any(|name| *name == wanted);
    let ggufs: Vec<&str> = names
        .iter()
        .map(|name| name.as_str())
        .filter(|name| name.to_ascii_lowercase().ends_with(".gguf") && !name.contains("mmproj"))
        .collect();
    if let Some(asked) = asked {
        return ask(&ggufs, asked).map(|name| Choice::Gguf(name.to_owned()));
    }
    let vocabulary = has("tokenizer.json") || (has("vocab.json") && has("merges.txt"));
    if wanted == WantedFiles::Vocabulary && vocabulary {
        let files = COMPANIONS.iter().copied().filter(|name| has(name));
        return Ok(Choice::Folder(files.map(str::to_owned).collect()));
    }
    let weights = [INDEX, "model.safetensors"].into_iter().find(|name| has(name));
    if let Some(weights) = weights {
        if !has("config.json") {
            return Err(
                "holds safetensors but no config.json; it is not a Hugging Face model folder".to_owned()
            );
        }
        let companions = COMPANIONS.iter().copied().filter(|name| has(name));
        return Ok(Choice::Folder(companions.chain([weights]).map(str::to_owned).collect()));
    }
    if let Some(best) = best(&ggufs) {
        return Ok(Choice::Gguf(best.to_owned()));
    }
    Err(if ggufs.iter().any(|name| is_split(name)) {
        "holds its GGUF in parts only; join them with llama.cpp's gguf-split and give the file".to_owned()
    } else if names.iter().any(|name| name.ends_with(".bin") || name.ends_with(".pt")) {
        "holds PyTorch files only; sai reads safetensors and GGUF, so ask for a repository with these"
            .to_owned()
    } else {
        "holds no model.safetensors and no GGUF file".to_owned()
    })
}

/// The shards that an index names.
pub(super) fn shards(index: &str) -> Result<BTreeSet<String>, Refusal> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: std::collections::BTreeMap<String, String>,
    }
    let index: Index = serde_json::from_str(index).map_err(|e| format!("has a broken {INDEX}: {e}"))?;
    let shards: BTreeSet<String> = index.weight_map.into_values().collect();
    match shards.iter().find(|shard| !is_safe(shard)) {
        Some(bad) => Err(format!("has an {INDEX} that points outside its folder: {bad}")),
        None => Ok(shards),
    }
}

fn ask<'n>(ggufs: &[&'n str], asked: &str) -> Result<&'n str, Refusal> {
    if let Some(exact) = ggufs.iter().find(|name| **name == asked) {
        return Ok(exact);
    }
    let wanted = asked.to_ascii_lowercase();
    let mut close = ggufs.iter().filter(|name| kind_of(name).is_some_and(|kind| kind == wanted));
    match (close.next(), close.next()) {
        (Some(only), None) => Ok(only),
        _ if ggufs.is_empty() => Err("holds no GGUF file".to_owned()),
        _ => Err(format!("has no file `{asked}`; it holds {}", ggufs.join(", "))),
    }
}

fn best<'n>(ggufs: &[&'n str]) -> Option<&'n str> {
    ggufs.iter().copied().filter(|name| !is_split(name)).min_by_key(|name| {
        let rank = kind_of(name).and_then(|kind| PREFERRED.iter().position(|p| *p == kind));
        (rank.unwrap_or(PREFERRED.len()), *name)
    })
}

/// The type that a file name promises: `q4_k_m` of `Model-1B.Q4_K_M.gguf`.
fn kind_of(name: &str) -> Option<String> {
    let stem = name.to_ascii_lowercase();
    let stem = stem.strip_suffix(".gguf")?;
    stem.rsplit(['.', '-', '/']).next().map(str::to_owned).map(|last| {
        // `ggml-model_q4_0`: the type is the longest known tail.
        let known = PREFERRED.iter().filter(|p| last.ends_with(**p)).max_by_key(|p| p.len());
        known.map_or(last, |p| (*p).to_owned())
    })
}

fn is_split(name: &str) -> bool {
    name.contains("-of-0")
}

fn is_safe(name: &str) -> bool {
    let path = std::path::Path::new(name);
    !name.is_empty()
        && !name.contains('\\')
        && path.components().all(|part| matches!(part, std::path::Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_folder_is_its_weights_and_what_belongs_to_them() {
        let all = names(&[
            "README.md",
            "config.json",
            "model.safetensors",
            "pytorch_model.bin",
            "merges.txt",
            "vocab.json",
        ]);
        let Ok(Choice::Folder(files)) = choose(&all, None, WantedFiles::Model) else { panic!() };
        assert_eq!(files, ["config.json", "vocab.json", "merges.txt", "model.safetensors"]);
        let Ok(Choice::Folder(files)) = choose(&all, None, WantedFiles::Vocabulary) else { panic!() };
        assert_eq!(files, ["config.json", "vocab.json", "merges.txt"]);
        let alone = names(&["m-Q8_0.gguf"]);
        assert_eq!(choose(&alone, None, WantedFiles::Vocabulary), Ok(Choice::Gguf("m-Q8_0.gguf".into())));
    }

    #[test]
    fn the_best_gguf_is_the_one_for_a_small_machine() {
        let all = names(&[
            "m-F16.gguf",
            "m-Q8_0.gguf",
            "m-Q4_K_M.gguf",
            "mmproj-m.gguf",
            "m-Q2_K-00001-of-00002.gguf",
        ]);
        assert_eq!(choose(&all, None, WantedFiles::Model), Ok(Choice::Gguf("m-Q4_K_M.gguf".into())));
        assert_eq!(choose(&all, Some("q8_0"), WantedFiles::Model), Ok(Choice::Gguf("m-Q8_0.gguf".into())));
        assert_eq!(
            choose(&all, Some("m-F16.gguf"), WantedFiles::Model),
            Ok(Choice::Gguf("m-F16.gguf".into()))
        );
        assert!(
            choose(&all, Some("q3_k_m"), WantedFiles::Model).is_err_and(|why| why.contains("m-Q8_0.gguf"))
        );
        let one = names(&["ggml-model_q4_0.gguf"]);
        assert_eq!(
            choose(&one, Some("Q4_0"), WantedFiles::Model),
            Ok(Choice::Gguf("ggml-model_q4_0.gguf".into()))
        );
    }

    #[test]
    fn what_cannot_be_used_is_said() {
        assert!(
            choose(&names(&["pytorch_model.bin", "config.json"]), None, WantedFiles::Model)
                .is_err_and(|w| w.contains("PyTorch"))
        );
        assert!(
            choose(&names(&["README.md"]), None, WantedFiles::Model).is_err_and(|w| w.contains("no GGUF"))
        );
        assert!(
            choose(&names(&["model.safetensors"]), None, WantedFiles::Model)
                .is_err_and(|w| w.contains("config.json"))
        );
        assert!(choose(&names(&["../../x.gguf", "/etc/x.gguf"]), None, WantedFiles::Model).is_err());
        assert!(
            choose(&names(&["m-00001-of-00002.gguf"]), None, WantedFiles::Model)
                .is_err_and(|w| w.contains("parts"))
        );
    }

    #[test]
    fn an_index_names_its_shards_once() {
        let index = r#"{"metadata":{},"weight_map":{"a":"m-1.safetensors","b":"m-1.safetensors","c":"m-2.safetensors"}}"#;
        let shards = shards(index).expect("a good index");
        assert_eq!(shards.into_iter().collect::<Vec<_>>(), ["m-1.safetensors", "m-2.safetensors"]);
        assert!(super::shards(r#"{"weight_map":{"a":"../x"}}"#).is_err());
        assert!(super::shards("{}").is_err());
    }
}
