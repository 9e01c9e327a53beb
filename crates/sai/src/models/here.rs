//! Which models are on this machine.

use std::fs;
use std::path::{Path, PathBuf};

use sai_formats::gguf::{Gguf, Value};

use super::catalogue::{self, Entry};
use super::hub::LocalRepository;
use super::remove::bytes_of;
use super::{built_in, folders};

/// A model that is here.
pub(super) struct Here {
    /// What `--model` takes.
    pub(super) name: String,
    /// The row of the catalogue that it is.
    pub(super) entry: Option<&'static Entry>,
    pub(super) place: Place,
    pub(super) bytes: u64,
    /// The licence, as far as the catalogue or its own files say.
    pub(super) licence: Option<String>,
}

/// Where a model lies.
pub(super) enum Place {
    /// In the program.
    BuiltIn,
    /// A file or a folder of a models folder.
    Models(PathBuf),
    /// The Hub cache.
    Hub(LocalRepository),
}

/// All of them: the built-in one, those of the models folders, those of the Hub cache.
///
/// # Errors
/// The environment does not say where the Hub cache is.
pub(super) fn all() -> anyhow::Result<Vec<Here>> {
    let mut found = vec![Here {
        name: built_in::NAME.to_owned(),
        entry: catalogue::find(built_in::NAME),
        place: Place::BuiltIn,
        bytes: built_in::bytes(),
        licence: None,
    }];
    for folder in folders() {
        found.extend(in_folder(&folder));
    }
    for repository in LocalRepository::all()? {
        let entry = catalogue::of_repository(&repository.repo);
        let snapshot = repository.revisions.first().map(|revision| revision.folder.clone());
        found.push(Here {
            name: entry.map_or_else(|| repository.repo.clone(), |entry| entry.name.to_owned()),
            entry,
            bytes: repository.bytes,
            licence: snapshot.and_then(|folder| licence(&folder)),
            place: Place::Hub(repository),
        });
    }
    for here in &mut found {
        if let Some(entry) = here.entry {
            here.licence = Some(entry.licence.to_owned());
        }
    }
    Ok(found)
}

/// The models of a models folder, by name.
fn in_folder(folder: &Path) -> Vec<Here> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| is_model(path)).collect();
    paths.sort();
    let here = |path: PathBuf| {
        let file = path.file_name()?.to_str()?.to_owned();
        let entry = catalogue::of_file(&file);
        // A link takes no room; what it leads to is somebody's.
        let name = entry.map_or(file, |entry| entry.name.to_owned());
        Some(Here {
            name,
            entry,
            bytes: bytes_of(&path),
            licence: licence(&path),
            place: Place::Models(path),
        })
    };
    paths.into_iter().filter_map(here).collect()
}

/// Whether this is a GGUF file or a Hugging Face folder. Others' folders may be called `models` too.
pub(super) fn is_model(path: &Path) -> bool {
    let is_gguf = |path: &Path| path.extension().is_some_and(|end| end.eq_ignore_ascii_case("gguf"));
    if !path.is_dir() {
        return path.is_file() && is_gguf(path);
    }
    let is_weights = |path: PathBuf| {
        is_gguf(&path) || path.extension().is_some_and(|end| end.eq_ignore_ascii_case("safetensors"))
    };
    fs::read_dir(path).into_iter().flatten().flatten().any(|entry| is_weights(entry.path()))
}

/// The licence that a model's own files give it: the metadata of a GGUF, or the front matter of a card.
fn licence(path: &Path) -> Option<String> {
    if path.is_dir() {
        return card_licence(&fs::read_to_string(path.join("README.md")).ok()?);
    }
    let gguf = Gguf::open(path).ok()?;
    let text = |key| match gguf.metadata.get(key) {
        Some(Value::String(text)) if !text.trim().is_empty() => Some(text.clone()),
        _ => None,
    };
    text("general.license.name").or_else(|| text("general.license"))
}

/// `license` of a card's front matter; where that is `other`, `license_name`.
fn card_licence(card: &str) -> Option<String> {
    let card = card.trim_start_matches('\u{feff}').replace("\r\n", "\n");
    let (front, _) = card.strip_prefix("---\n")?.split_once("\n---")?;
    let field = |name: &str| {
        let value = front.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        let value = value.trim().trim_matches(['"', '\'']);
        (!value.is_empty()).then(|| value.to_owned())
    };
    match field("license") {
        Some(licence) if licence == "other" => field("license_name").or(Some(licence)),
        licence => licence,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_says_its_licence() {
        let licence = |card: &str| card_licence(card);
        assert_eq!(licence("---\nlicense: cc-by-nc-4.0\n---\n# m").as_deref(), Some("cc-by-nc-4.0"));
        let other = "---\r\nlicense: other\r\nlicense_name: \"exaone\"\r\n---\r\n";
        assert_eq!(licence(other).as_deref(), Some("exaone"));
        assert_eq!(licence("---\nlicense: other\n---\n").as_deref(), Some("other"));
        assert_eq!(licence("license: mit"), None);
        assert_eq!(licence("---\nlicense:\n---\n"), None);
    }
}
