//! A model's vocabulary alone, without its weights.

use std::path::Path;

use sai_formats::Container;
use sai_tokenizer::Tokenizer;

use crate::{Error, model::Parts};

/// The tokenizer of a GGUF file, of a Hugging Face folder (weights need not be there), or of a `tokenizer.json`,
/// for whose roles a `tokenizer_config.json` beside it is read.
///
/// # Errors
/// There is no vocabulary at `path`, or it is damaged or of a kind that sai does not run.
pub fn open_tokenizer(path: &Path) -> Result<Tokenizer, Error> {
    if path.is_dir() {
        return Ok(Tokenizer::from_folder(path)?.with_ends(&crate::convert::ends(path)?));
    }
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json")) {
        return Ok(Tokenizer::from_file(path)?);
    }
    let container: Container = sai_formats::open(path).map_err(sai_decoder::Error::from)?;
    Ok(Parts::of(&container, path)?.tokenizer)
}
