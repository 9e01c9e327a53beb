//! A model's vocabulary alone, without its weights.

use sai_formats::{Source, gguf::Override};
use sai_tokenizer::Tokenizer;

use crate::Error;
use crate::model::{Parts, open};

/// The tokenizer of a GGUF file, on the disk or in memory, of a Hugging Face folder (weights need not be there), or of a `tokenizer.json`,
/// for whose roles a `tokenizer_config.json` beside it is read.
///
/// # Errors
/// There is no vocabulary there, or it is damaged or of a kind that sai does not run.
pub fn open_tokenizer(source: impl Into<Source>) -> Result<Tokenizer, Error> {
    open_tokenizer_with(source, &[])
}

/// [`open_tokenizer`] with entries of a GGUF's metadata said otherwise than the file does.
///
/// # Errors
/// As [`open_tokenizer`], and where there are such entries and no GGUF.
pub fn open_tokenizer_with(source: impl Into<Source>, overrides: &[Override]) -> Result<Tokenizer, Error> {
    let source = source.into();
    let path = source.path();
    let on_disk = matches!(source, Source::Path(_)) && overrides.is_empty();
    if on_disk && path.is_dir() {
        return Ok(Tokenizer::from_folder(path)?.with_ends(&crate::convert::ends(path)?));
    }
    if on_disk && path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json")) {
        return Ok(Tokenizer::from_file(path)?);
    }
    let container = open(&source, overrides)?;
    Ok(Parts::of(&container, path)?.tokenizer)
}
