//! The tokenizer's files, which go beside the weights so that other programs can use them.

use crate::{Error, Recipe};
use sai_shards::Shards;
use sai_tokenizer::Tokenizer;
use std::path::Path;

/// The file of a chat template.
pub(crate) const TEMPLATE: &str = "chat_template.jinja";

/// The files that a tokenizer may have in a Hugging Face folder.
const NAMES: [&str; 7] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    TEMPLATE,
];

/// Named files.
pub(crate) type Files = Vec<(String, Vec<u8>)>;

/// The files of the tokenizer that made the shards: that of the recipe, or where it lay when they were packed. Where
/// it is there no more, a note that says so.
///
/// # Errors
/// The recipe's tokenizer cannot be read, or the one that is there did not make the shards.
pub(crate) fn files(recipe: &Recipe, shards: &Shards) -> Result<(Files, Option<String>), Error> {
    let said = recipe.tokenizer.clone();
    let path = crate::newest(said.as_deref().unwrap_or(Path::new(shards.tokenizer())), NAMES[0]);
    if said.is_none() && !path.exists() {
        let note = format!(
            "{}: the tokenizer is not there any more; checkpoints will hold weights only, unless `tokenizer` is given",
            path.display()
        );
        return Ok((Vec::new(), Some(note)));
    }
    let tokenizer = if path.is_dir() { Tokenizer::from_folder(&path)? } else { Tokenizer::from_file(&path)? };
    if tokenizer.fingerprint()? != shards.fingerprint() {
        let fact =
            "is not the tokenizer that the shards were packed with; give that one as `tokenizer`".to_owned();
        return Err(Error::Data { path, fact });
    }
    if path.is_dir() {
        return Ok((beside(&path)?, None));
    }
    let bytes = std::fs::read(&path).map_err(|e| Error::io(&path, "read the file", e))?;
    if serde_json::from_slice::<serde::de::IgnoredAny>(&bytes).is_err() {
        let note = format!(
            "{}: is no tokenizer.json; checkpoints will hold weights only, unless `tokenizer` is a folder with one",
            path.display()
        );
        return Ok((Vec::new(), Some(note)));
    }
    // What lies beside a file of that name belongs to it; a file of another name stands for itself.
    let folder = path.parent().filter(|_| path.file_name().is_some_and(|name| name == NAMES[0]));
    Ok((folder.map_or_else(|| Ok(vec![(NAMES[0].to_owned(), bytes)]), beside)?, None))
}

/// The files of the tokenizer in a folder.
pub(crate) fn beside(folder: &Path) -> Result<Files, Error> {
    let mut files = Vec::new();
    for name in NAMES {
        let file = folder.join(name);
        if file.is_file() {
            let bytes = std::fs::read(&file).map_err(|e| Error::io(&file, "read the file", e))?;
            files.push((name.to_owned(), bytes));
        }
    }
    Ok(files)
}
