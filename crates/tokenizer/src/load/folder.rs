//! A folder as Hugging Face publishes it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::config::{Config, NamedTokens, templates};
use super::entries::{Entries, Named, settings, utf8, vocabulary};
use super::tokenizer_json::{self, Beside};
use super::{sentence_piece, vocab_merges};
use crate::error::Error;
use crate::template::{ChatTemplate, TemplateError, TemplateSources};
use crate::tokenizer::Tokenizer;

/// A vocabulary file longer than this is refused unread; the largest published ones are under 64 MB.
const MAX_FILE: u64 = 1 << 30;

/// A file that may be absent.
struct Found {
    path: PathBuf,
    bytes: Option<Vec<u8>>,
}

impl Found {
    fn read(folder: &Path, name: &str) -> Result<Found, Error> {
        let path = folder.join(name);
        match std::fs::metadata(&path) {
            Ok(facts) if facts.len() > MAX_FILE => {
                return Err(Error::malformed(&path, format!("it is {} bytes long", facts.len())));
            }
            _ => {}
        }
        match std::fs::read(&path) {
            Ok(bytes) => Ok(Found { path, bytes: Some(bytes) }),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(Found { path, bytes: None }),
            Err(source) => Err(Error::Read { path, source }),
        }
    }

    fn get(&self) -> Option<(&[u8], &Path)> {
        self.bytes.as_deref().map(|bytes| (bytes, self.path.as_path()))
    }
}

fn config_of(folder: &Path) -> Result<(Config, PathBuf), Error> {
    let file = Found::read(folder, "tokenizer_config.json")?;
    let mut config = match file.get() {
        Some((bytes, path)) => Config::parse(bytes, path)?,
        None => Config::default(),
    };
    let map = Found::read(folder, "special_tokens_map.json")?;
    if let Some((bytes, path)) = map.get() {
        config.hear(settings::<NamedTokens>(bytes, path)?);
    }
    Ok((config, file.path))
}

/// What `added_tokens.json` lists, in the order of the file.
fn listed_in(folder: &Path) -> Result<Vec<(String, u64)>, Error> {
    let file = Found::read(folder, "added_tokens.json")?;
    file.get().map_or(Ok(Vec::new()), |(bytes, path)| Ok(vocabulary::<Entries>(bytes, path)?.0))
}

impl Tokenizer {
    /// The tokenizer of a Hugging Face folder: `tokenizer.json`, or else `vocab.json` with `merges.txt`, or else
    /// SentencePiece's `tokenizer.model`, with what `tokenizer_config.json`, `special_tokens_map.json` and
    /// `added_tokens.json` say of roles of tokens, of more added tokens and of how they are found.
    ///
    /// # Errors
    /// Where a file is missing, cannot be read, is damaged, or contradicts itself or another.
    pub fn from_folder(folder: &Path) -> Result<Tokenizer, Error> {
        Tokenizer::of_folder(folder, None)
    }

    /// [`Tokenizer::from_folder`] for a model whose embedding has so many rows: a token that the files beside
    /// `tokenizer.json` would add beyond them is left text, and [`Tokenizer::notes`] tells of it.
    ///
    /// # Errors
    /// As [`Tokenizer::from_folder`].
    pub fn from_folder_with_rows(folder: &Path, rows: usize) -> Result<Tokenizer, Error> {
        Tokenizer::of_folder(folder, Some(rows))
    }

    fn of_folder(folder: &Path, rows: Option<usize>) -> Result<Tokenizer, Error> {
        let (mut config, config_path) = config_of(folder)?;
        let whole = Found::read(folder, "tokenizer.json")?;
        if let Some((bytes, path)) = whole.get() {
            let listed = listed_in(folder)?;
            return tokenizer_json::read(bytes, path, &Beside { config: &config, listed: &listed, rows });
        }
        let vocab = Found::read(folder, "vocab.json")?;
        let merges = Found::read(folder, "merges.txt")?;
        let added = Found::read(folder, "added_tokens.json")?;
        let (Some(vocab), Some(merges)) = (vocab.get(), merges.get()) else {
            let own = Found::read(folder, "tokenizer.model")?;
            let Some((bytes, path)) = own.get() else {
                return Err(Error::Missing { folder: folder.to_owned() });
            };
            let (file, end) = sentence_piece::to_tokenizer_json(bytes, path)?;
            if config.role(|t| &t.eos_token).is_none() {
                config.special.eos_token = end.map(Named::Text);
            }
            let beside = Beside { config: &config, listed: &listed_in(folder)?, rows };
            return tokenizer_json::read(file.to_string().as_bytes(), path, &beside);
        };
        let files =
            vocab_merges::Files { vocab, merges, added_tokens: added.get(), config_path: &config_path, rows };
        vocab_merges::read(&files, &mut config)
    }

    /// The tokenizer of a `tokenizer.json`. Where the file has that name, the files beside it are heard, as in
    /// [`Tokenizer::from_folder`].
    ///
    /// # Errors
    /// Where a file cannot be read, is damaged, or contradicts itself or another.
    pub fn from_file(path: &Path) -> Result<Tokenizer, Error> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let whole = Found::read(folder, &path.file_name().unwrap_or_default().to_string_lossy())?;
        let Some((bytes, path)) = whole.get() else {
            return Err(Error::Read { path: path.to_owned(), source: ErrorKind::NotFound.into() });
        };
        let named = path.file_name().is_some_and(|name| name == "tokenizer.json");
        let config = if named { config_of(folder)?.0 } else { Config::default() };
        let listed = if named { listed_in(folder)? } else { Vec::new() };
        tokenizer_json::read(bytes, path, &Beside { config: &config, listed: &listed, rows: None })
    }

    /// From the bytes of a `tokenizer.json`, and of a `tokenizer_config.json` where there is one. `path` names
    /// the file in messages.
    ///
    /// # Errors
    /// Where the bytes are damaged or contradict themselves.
    pub fn from_tokenizer_json(bytes: &[u8], config: Option<&[u8]>, path: &Path) -> Result<Tokenizer, Error> {
        let config = config.map_or(Ok(Config::default()), |bytes| Config::parse(bytes, path))?;
        tokenizer_json::read(bytes, path, &Beside { config: &config, listed: &[], rows: None })
    }

    /// From the bytes of a `vocab.json` and a `merges.txt`, and of a `tokenizer_config.json` where there is
    /// one. `path` names their folder in messages.
    ///
    /// # Errors
    /// Where the bytes are damaged or contradict themselves.
    pub fn from_vocab_merges(
        vocab: &[u8],
        merges: &[u8],
        config: Option<&[u8]>,
        path: &Path,
    ) -> Result<Tokenizer, Error> {
        let names = ["vocab.json", "merges.txt", "tokenizer_config.json"].map(|name| path.join(name));
        let mut config = config.map_or(Ok(Config::default()), |bytes| Config::parse(bytes, &names[2]))?;
        let files = vocab_merges::Files {
            vocab: (vocab, &names[0]),
            merges: (merges, &names[1]),
            added_tokens: None,
            config_path: &names[2],
            rows: None,
        };
        vocab_merges::read(&files, &mut config)
    }
}

impl ChatTemplate {
    /// The chat template of a Hugging Face folder for plain conversation, as [`TemplateSources::from_folder`] finds it.
    /// `None` without one.
    ///
    /// # Errors
    /// Where a file cannot be read, the template is not Jinja, or there are several and none is named `default`.
    pub fn from_folder(folder: &Path) -> Result<Option<ChatTemplate>, FolderTemplateError> {
        let (sources, path) = TemplateSources::with_path(folder)?;
        Ok(sources.select(None, &path.display().to_string())?)
    }
}

impl TemplateSources {
    /// All chat templates of a Hugging Face folder: `chat_template.jinja` and those in `additional_chat_templates`, and
    /// what `tokenizer_config.json`, or without it a processor's `chat_template.json`, has beside them. They are not
    /// looked into.
    ///
    /// # Errors
    /// Where a file cannot be read, or is no text.
    pub fn from_folder(folder: &Path) -> Result<TemplateSources, Error> {
        Ok(TemplateSources::with_path(folder)?.0)
    }

    /// The same with the file that names the template for plain conversation, or would.
    pub fn with_path(folder: &Path) -> Result<(TemplateSources, PathBuf), Error> {
        let (config, mut path) = config_of(folder)?;
        let mut sources = config.templates(&path)?;
        let processor = Found::read(folder, "chat_template.json")?;
        if let Some((bytes, found)) = processor.get().filter(|_| sources.is_empty()) {
            let file: serde_json::Value = settings(bytes, found)?;
            sources = templates(&file["chat_template"], found)?;
            found.clone_into(&mut path);
        }
        let file = Found::read(folder, "chat_template.jinja")?;
        if let Some((bytes, found)) = file.get() {
            sources.default = Some(utf8(bytes, found)?.to_owned());
            found.clone_into(&mut path);
        }
        let more = folder.join("additional_chat_templates");
        let Ok(entries) = std::fs::read_dir(&more) else { return Ok((sources, path)) };
        let mut names: Vec<String> =
            entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
        names.sort();
        for name in names {
            let Some(stem) = name.strip_suffix(".jinja") else { continue };
            let file = Found::read(&more, &name)?;
            if let Some((bytes, path)) = file.get() {
                sources.add(stem, utf8(bytes, path)?);
            }
        }
        Ok((sources, path))
    }
}

/// Why a folder's chat template could not be had.
#[derive(Debug, thiserror::Error)]
pub enum FolderTemplateError {
    /// A file of the folder.
    #[error(transparent)]
    File(#[from] Error),
    /// The template in it.
    #[error(transparent)]
    Template(#[from] TemplateError),
}
