//! A folder that `sai corpus build` made: its manifest says which files are its documents, and how long they are.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::Error;

/// The name of a corpus's manifest, which is written last.
pub const MANIFEST: &str = "manifest.json";
/// What a manifest's `format` says.
pub const MANIFEST_FORMAT: &str = "sai corpus 1";

#[derive(Deserialize)]
struct Manifest {
    format: String,
    shards: Vec<Shard>,
}

#[derive(Deserialize)]
struct Shard {
    file: String,
    bytes: u64,
}

/// The files of documents of a corpus, in its order; `None` of a folder that is none.
///
/// # Errors
/// A corpus that is not whole: one that is being built, or whose files were changed.
pub(crate) fn shards(folder: &Path) -> Result<Option<Vec<PathBuf>>, Error> {
    let path = folder.join(MANIFEST);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(_) if folder.join(".build/plan.json").is_file() => {
            let fact = "a corpus that is not whole yet; run `sai corpus build` again, which goes on";
            return Err(Error::file(folder, fact));
        }
        Err(_) => return Ok(None),
    };
    let Ok(manifest) = serde_json::from_slice::<Manifest>(&bytes) else { return Ok(None) };
    if manifest.format != MANIFEST_FORMAT {
        return Ok(None);
    }
    let check = |Shard { file, bytes }: Shard| {
        let path = folder.join(&file);
        let is_name = Path::new(&file).file_name().is_some_and(|name| name == file.as_str());
        match path.metadata() {
            Ok(found) if is_name && found.len() == bytes => Ok(path),
            Ok(found) if is_name => {
                let fact = format!(
                    "it has {} bytes, and {bytes} by its corpus's manifest; build the corpus again",
                    found.len()
                );
                Err(Error::file(&path, fact))
            }
            _ => Err(Error::file(
                &path,
                "it is missing, though its corpus's manifest names it; build the corpus again",
            )),
        }
    };
    manifest.shards.into_iter().map(check).collect::<Result<_, _>>().map(Some)
}
