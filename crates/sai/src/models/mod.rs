//! From what a person calls a model to the file or folder that holds it, or to the model in the program itself.
//!
//! `mini` is always the built-in model ([`built_in`]); a folder of that name is `./mini`. Else a path that exists
//! wins. Then come the other short names ([`catalogue`]), files in the models folders, and Hub ids ([`hub`]).
//! What is none of these is one clear line with what was tried and the nearest short name; nothing is downloaded
//! that was not named.

pub(crate) mod built_in;
pub(crate) mod catalogue;
mod choose;
mod here;
pub(crate) mod hub;
pub(crate) mod memory;
mod open;
mod remove;
mod verb;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use sai_generation::{Override, Source, Tokenizer};

use crate::texts::texts;
use crate::ui::Ui;
use choose::WantedFiles;
use hub::{HubId, Pasted};

pub(crate) use open::{open, open_within};
pub(crate) use verb::Models;

/// Where the model called `asked` is: in the program, in a file or a folder, fetched from the Hub where that is its home.
///
/// # Errors
/// One line that says what was tried and what to do.
pub(crate) fn locate(asked: &str, ui: &Ui) -> anyhow::Result<Source> {
    find(asked, WantedFiles::Model, ui)
}

/// The tokenizer of the model called `asked`, without its weights; of a repository of the Hub only the
/// vocabulary's files are fetched. A `tokenizer.json` is taken by its path.
///
/// # Errors
/// One line that says what was tried, or what is wrong with the vocabulary.
pub(crate) fn tokenizer(asked: &str, overrides: &[Override], ui: &Ui) -> anyhow::Result<Tokenizer> {
    let source = find(asked, WantedFiles::Vocabulary, ui)?;
    let tokenizer = sai_generation::open_tokenizer_with(source, overrides)?;
    tokenizer.notes().iter().for_each(|note| ui.warn(format_args!("{asked}: {note}")));
    Ok(tokenizer)
}

fn find(asked: &str, wanted: WantedFiles, ui: &Ui) -> anyhow::Result<Source> {
    if asked.trim().is_empty() {
        bail!((texts().model_empty)(&catalogue::names()));
    }
    let path = Path::new(asked);
    let there = path.try_exists().with_context(|| format!("{asked}: cannot be looked at"))?;
    let named = catalogue::find(asked);
    match named {
        Some(entry) if entry.repository.is_none() => {
            if there {
                ui.note((texts().built_in_wins)(&asked));
            }
            return Ok(built_in::source());
        }
        _ if there => return Ok(Source::Path(of_run(path, wanted, ui)?)),
        _ => {}
    }
    if let Some(file) = named.and_then(|entry| entry.file)
        && let Some(found) = in_folders(file)
    {
        return Ok(Source::Path(found));
    }
    if let Some(repository) = named.and_then(|entry| entry.repository) {
        let id = HubId::parse(repository).context("a short name of the table is no Hub id")?;
        return hub::fetch(&id, wanted, ui).map(Source::Path);
    }
    match Pasted::parse(asked) {
        Some(Pasted::Model(id)) => return hub::fetch(&id, wanted, ui).map(Source::Path),
        Some(Pasted::Other(why)) => bail!("{asked}: {why}"),
        None => {}
    }
    if path.components().count() == 1
        && let Some(found) = in_folders(asked)
    {
        return Ok(Source::Path(found));
    }
    if let Some(id) = HubId::parse(asked).filter(|_| !is_plainly_a_path(path)) {
        return hub::fetch(&id, wanted, ui).map(Source::Path);
    }
    if is_plainly_a_path(path) {
        bail!((texts().no_such_file)(&asked));
    }
    bail!((texts().no_such_model)(asked, &catalogue::names(), catalogue::nearest(asked)))
}

/// The folder of the model where `path` is the folder of a run: its newest checkpoint.
///
/// # Errors
/// It is a run without one, or a making that is not finished.
fn of_run(path: &Path, wanted: WantedFiles, ui: &Ui) -> anyhow::Result<PathBuf> {
    let (model, file) = (path.join("model"), |folder: &Path, name: &str| folder.join(name).is_file());
    let is_model = |folder: &Path| match wanted {
        WantedFiles::Model => file(folder, "config.json"),
        WantedFiles::Vocabulary => file(folder, "tokenizer.json") || file(folder, "vocab.json"),
    };
    // An adapter is no model by itself, be it named or the newest of a run.
    let adapter = [path, &model].into_iter().find(|folder| file(folder, "adapter_config.json"));
    if let Some(adapter) =
        adapter.filter(|folder| wanted == WantedFiles::Model && !file(folder, "config.json"))
    {
        bail!(
            "{}: it is an adapter; make a model of it with `sai merge BASE {} MERGED`",
            path.display(),
            adapter.display()
        );
    }
    if !path.is_dir() || is_model(path) {
        return Ok(path.to_owned());
    }
    if is_model(&model) {
        ui.note(format_args!("{} is the folder of a run; its model is {}", path.display(), model.display()));
        return Ok(model);
    }
    // The stages of a making, the last first.
    let stages = ["finetune", "pretrain"].map(|stage| path.join("stages").join(stage).join("model"));
    match stages.iter().find(|folder| is_model(folder)) {
        Some(stage) => {
            bail!(
                "{}: it is the folder of a making that is not finished; its newest model is {}",
                path.display(),
                stage.display()
            )
        }
        None if file(path, "recipe.toml") && file(path, "metrics.jsonl") => {
            bail!("{}: it is the folder of a run that has no checkpoint yet", path.display())
        }
        None => Ok(path.to_owned()),
    }
}

/// Whether nobody would write this for a Hub id: it is rooted, dotted, deep, or ends as a weight file does.
fn is_plainly_a_path(path: &Path) -> bool {
    let text = path.to_string_lossy();
    let ends_as_file = |end: &str| text.to_ascii_lowercase().ends_with(end) && !text.contains(':');
    path.is_absolute()
        || text.starts_with(['.', '~'])
        || text.ends_with('/')
        || text.contains('\\')
        || ends_as_file(".gguf")
        || ends_as_file(".safetensors")
        || (text.matches('/').count() > 1 && !text.contains([':', '@']))
}

/// The folder of models of the Hub; it need not be there yet.
pub(crate) fn hub_cache() -> anyhow::Result<PathBuf> {
    hub::cache_folder()
}

/// A dataset of the Hub, `owner/name` or `owner/name@revision`.
///
/// # Errors
/// One line that says why it cannot be had.
pub(crate) fn dataset(asked: &str, ui: &Ui) -> anyhow::Result<hub::Dataset> {
    hub::Dataset::open(asked, ui)
}

/// Whether the person said that the Hub is not to be asked.
pub(crate) fn is_offline() -> bool {
    hub::is_offline()
}

/// The models folders, in the order in which they are looked through.
pub(crate) fn folders() -> Vec<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    if let Some(folder) = set("SAI_MODELS") {
        return vec![folder];
    }
    [Some(PathBuf::from("./models")), own_cache().map(|cache| cache.join("models"))]
        .into_iter()
        .flatten()
        .collect()
}

/// Where sai keeps what it can fetch or make again: `$XDG_CACHE_HOME/sai`, else `~/.cache/sai`.
pub(crate) fn own_cache() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let cache = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    cache.map(|cache| cache.join("sai"))
}

/// The path of `file` in the first models folder that has it.
fn in_folders(file: &str) -> Option<PathBuf> {
    folders().into_iter().map(|folder| folder.join(file)).find(|path| path.exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_hub_ids_are_told_apart() {
        for path in ["./a/b", "/a/b", "~/a", "models/x.gguf", "a/b/c", "a/", "x.gguf", "a\\b"] {
            assert!(is_plainly_a_path(Path::new(path)), "{path}");
        }
        for id in ["42dot/42dot_LLM-SFT-1.3B", "a/b@refs/pr/1", "a/b:c/d.gguf", "Qwen/Qwen2-0.5B"] {
            assert!(!is_plainly_a_path(Path::new(id)), "{id}");
        }
    }
}
