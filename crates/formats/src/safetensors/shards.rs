//! A folder of shards and the index that says which tensor is in which.

use std::collections::{BTreeMap, HashSet};
use std::path::{Component, Path};

use serde::Deserialize;

use super::header::Pairs;
use crate::{Error, Tensors, json, recognise};

#[derive(Deserialize)]
struct Index {
    weight_map: Pairs,
}

/// Opens every shard that the index names. A tensor that a shard holds and the index does not name is kept: it
/// harms nothing, and the index of a model is often edited by hand.
pub(super) fn open(folder: &Path, index: &Path) -> Result<Tensors, Error> {
    let wrong = |problem: String| Error::Index { path: index.to_owned(), problem };
    let bytes = recognise::map(index)?;
    let Index { weight_map: Pairs(pairs) } =
        json::read_large(&bytes).map_err(|e| wrong(format!("is wrong: {e}")))?;
    let mut shards: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (tensor, shard) in &pairs {
        if !is_plain_name(shard) {
            return Err(wrong(format!(
                "puts tensor `{tensor}` in `{shard}`, which is not a file of its folder"
            )));
        }
        shards.entry(shard).or_default().push(tensor);
    }
    if shards.is_empty() {
        return Err(wrong("names no tensors".to_owned()));
    }
    // All shards are looked for before any is opened: fetching takes long, and one more is soon told.
    for (shard, tensors) in &shards {
        if !folder.join(shard).exists() {
            return Err(Error::MissingShard {
                path: index.to_owned(),
                shard: (*shard).to_owned(),
                tensor: tensors.first().copied().unwrap_or_default().to_owned(),
                tensors: tensors.len(),
            });
        }
    }
    let mut all = Vec::new();
    for (shard, named) in shards {
        let path = folder.join(shard);
        let tensors = super::file(recognise::map(&path)?, &path)?;
        let held: HashSet<&str> = tensors.iter().map(|t| t.name.as_str()).collect();
        if let Some(tensor) = named.iter().find(|name| !held.contains(*name)) {
            return Err(Error::NotInShard { path, tensor: (*tensor).to_owned(), index: index.to_owned() });
        }
        all.extend(tensors);
    }
    Tensors::new(folder, all)
}

/// Whether a shard's name is that of a file beside the index; one that leads elsewhere is not followed.
fn is_plain_name(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    matches!((parts.next(), parts.next()), (Some(Component::Normal(part)), None) if part == name)
}

#[cfg(test)]
mod tests {
    use super::is_plain_name;

    #[test]
    fn shards_stay_in_their_folder() {
        assert!(is_plain_name("model-00001-of-00002.safetensors"));
        for name in ["", ".", "..", "../x", "/etc/passwd", "a/b", "a/", "./a"] {
            assert!(!is_plain_name(name), "{name}");
        }
    }
}
