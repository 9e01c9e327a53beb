//! From what a person calls a model to the file or folder that holds it, or to the model in the program itself.
//!
//! `mini` is always the built-in model ([`built_in`]); a folder of that name is `./mini`. Else a path that exists
//! wins. Then come the other short names of [`SHORT_NAMES`], files in the models folders, and Hub ids ([`hub`]).
//! What is none of these is one clear line with what was tried and the nearest short name; nothing is downloaded
//! that was not named.

pub(crate) mod built_in;
mod choose;
mod hub;
pub(crate) mod memory;
mod open;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use sai_generation::{Override, Source, Tokenizer};

use crate::ui::Ui;
use choose::WantedFiles;
use hub::{HubId, Pasted};

pub(crate) use open::open;

/// Names worth having by heart.
const SHORT_NAMES: &[(&str, Home)] = &[
    (built_in::NAME, Home::BuiltIn),
    ("smollm2-135m", Home::Folder("SmolLM2-135M-Instruct.Q4_1.gguf")),
    ("42dot-sft", Home::Hub("42dot/42dot_LLM-SFT-1.3B")),
    ("42dot-plm", Home::Hub("42dot/42dot_LLM-PLM-1.3B")),
];

/// Where the model behind a short name lives.
#[derive(Clone, Copy)]
enum Home {
    /// The program.
    BuiltIn,
    /// A file of one of the models folders.
    Folder(&'static str),
    /// A repository of the Hub.
    Hub(&'static str),
}

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
        bail!(
            "--model is empty; give a GGUF file, a Hugging Face folder, a Hub id or one of {}",
            short_names()
        );
    }
    let path = Path::new(asked);
    let there = path.try_exists().with_context(|| format!("{asked}: cannot be looked at"))?;
    let home = SHORT_NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(asked)).map(|(_, home)| *home);
    match home {
        Some(Home::BuiltIn) => {
            if there {
                ui.note(format_args!(
                    "{asked} is the built-in model; what is here of that name is ./{asked}"
                ));
            }
            return Ok(built_in::source());
        }
        _ if there => return Ok(Source::Path(of_run(path, wanted, ui)?)),
        Some(Home::Folder(file)) => {
            return in_folders(file).map(Source::Path).map_err(|tried| {
                anyhow::anyhow!(
                    "{asked}: {file} is not in {}; run scripts/fetch-model, or set SAI_MODELS to the folder that \
                     holds it",
                    list(&tried)
                )
            });
        }
        Some(Home::Hub(id)) => {
            let id = HubId::parse(id).context("a short name of the table is no Hub id")?;
            return hub::fetch(&id, wanted, ui).map(Source::Path);
        }
        None => {}
    }
    match Pasted::parse(asked) {
        Some(Pasted::Model(id)) => return hub::fetch(&id, wanted, ui).map(Source::Path),
        Some(Pasted::Other(why)) => bail!("{asked}: {why}"),
        None => {}
    }
    if path.components().count() == 1
        && let Ok(found) = in_folders(asked)
    {
        return Ok(Source::Path(found));
    }
    if let Some(id) = HubId::parse(asked).filter(|_| !is_plainly_a_path(path)) {
        return hub::fetch(&id, wanted, ui).map(Source::Path);
    }
    if is_plainly_a_path(path) {
        bail!("{asked}: no such file or folder; give the path of a GGUF file or a Hugging Face folder");
    }
    let near = nearest(asked).map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
    bail!("{asked}: no file or folder, no short name ({}), and no Hub id (owner/name){near}", short_names())
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

/// The models folders, in the order in which they are looked through.
pub(crate) fn folders() -> Vec<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    if let Some(folder) = set("SAI_MODELS") {
        return vec![folder];
    }
    let cache = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    [Some(PathBuf::from("./models")), cache.map(|cache| cache.join("sai").join("models"))]
        .into_iter()
        .flatten()
        .collect()
}

/// The path of `file` in the first models folder that has it, else the folders that were tried.
fn in_folders(file: &str) -> Result<PathBuf, Vec<PathBuf>> {
    let folders = folders();
    folders.iter().map(|folder| folder.join(file)).find(|path| path.exists()).ok_or(folders)
}

fn list(folders: &[PathBuf]) -> String {
    folders.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(" or ")
}

fn short_names() -> String {
    SHORT_NAMES.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// The short name that `asked` most likely meant, if one is close.
fn nearest(asked: &str) -> Option<&'static str> {
    let asked = asked.to_lowercase();
    SHORT_NAMES
        .iter()
        .map(|(name, _)| (distance(&asked, name), *name))
        .min()
        .filter(|&(distance, name)| distance * 2 <= name.len() || name.contains(&asked))
        .map(|(_, name)| name)
}

/// Edits between two words (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, &y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_keyboard_finds_its_short_name() {
        assert_eq!(nearest("smolm2-135"), Some("smollm2-135m"));
        assert_eq!(nearest("42dot-stf"), Some("42dot-sft"));
        assert_eq!(nearest("42dot"), Some("42dot-plm"));
        assert_eq!(nearest("llama-3.1-405b-instruct"), None);
    }

    #[test]
    fn edits_are_counted() {
        for (a, b, edits) in [("", "", 0), ("", "abc", 3), ("kitten", "sitting", 3), ("사이", "사람", 1)]
        {
            assert_eq!(distance(a, b), edits);
        }
    }

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
