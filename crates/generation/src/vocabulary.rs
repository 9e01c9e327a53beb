//! A model's vocabulary alone, without its weights.

use sai_formats::{Container, Source};
use sai_tokenizer::Tokenizer;

use crate::{Error, model::Parts};

/// The tokenizer of a GGUF file, on the disk or in memory, of a Hugging Face folder (weights need not be there), or of a `tokenizer.json`,
/// for whose roles a `tokenizer_config.json` beside it is read.
///
/// # Errors
/// There is no vocabulary there, or it is damaged or of a kind that sai does not run.
pub fn open_tokenizer(source: impl Into<Source>) -> Result<Tokenizer, Error> {
    let source = source.into();
    let path = source.path();
    let on_disk = matches!(source, Source::Path(_));
    if on_disk && path.is_dir() {
        return Ok(Tokenizer::from_folder(path)?.with_ends(&crate::convert::ends(path)?));
    }
    if on_disk && path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json")) {
        return Ok(Tokenizer::from_file(path)?);
    }
    let container: Container = sai_formats::open(&source).map_err(sai_decoder::Error::from)?;
    Ok(Parts::of(&container, path)?.tokenizer)
}
