//! A run's folder: whose it is, and which recipe it follows.

use crate::checkpoint::{CHECKPOINTS, Checkpoints, LatestCheckpoint, State};
use crate::recipe::differences;
use crate::{Error, Event};
use std::fs::File;
use std::path::{Path, PathBuf};

const RECIPE: &str = "recipe.toml";

/// Makes the run's folder and keeps other processes out of it until the file is closed. A folder of something else is
/// refused, and stays as it is.
pub(crate) fn claim(out: &Path) -> Result<File, Error> {
    if !out.join(CHECKPOINTS).is_dir() && out.is_dir() {
        let wrong = |fact: String| Err(Error::Data { path: out.to_owned(), fact });
        if let Some(other) = other(out)? {
            return wrong(format!("has other things in it, such as {other}; give another --out"));
        }
        if std::fs::read_to_string(out.join(RECIPE)).is_ok_and(|text| text.contains('#')) {
            let fact =
                "has a recipe.toml with comments, which the resolved one would overwrite; give another --out";
            return wrong(fact.to_owned());
        }
    }
    std::fs::create_dir_all(out).map_err(|e| Error::io(out, "make the folder", e))?;
    let path = out.join(".lock");
    let file = File::create(&path).map_err(|e| Error::io(&path, "create the file", e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            let fact = "another process trains in it; wait for it, or give another --out".to_owned();
            Err(Error::Data { path: out.to_owned(), fact })
        }
        Err(std::fs::TryLockError::Error(e)) => Err(Error::io(&path, "lock the file", e)),
    }
}

/// Holds the recipe, resolved, against that of the folder's run, and finds where to go on.
pub(crate) fn begin(
    out: &Path,
    recipe: &str,
    checkpoints: &Checkpoints,
    resume: bool,
    on: &mut dyn FnMut(Event<'_>) -> Result<(), Error>,
) -> Result<Option<(PathBuf, State)>, Error> {
    let wrong = |fact: String| Err(Error::Data { path: out.to_owned(), fact });
    if !resume && checkpoints.any()? {
        return wrong("has a run already; give --resume to go on with it, or another --out".to_owned());
    }
    let path = out.join(RECIPE);
    let LatestCheckpoint { whole: newest, broken } = checkpoints.newest()?;
    for note in broken {
        on(Event::Note(note))?;
    }
    if newest.is_some() && path.exists() {
        let before = std::fs::read_to_string(&path).map_err(|e| Error::io(&path, "read the recipe", e))?;
        let different = differences(recipe, &before);
        if !different.is_empty() {
            return wrong(format!(
                "its run has another `{}`; resume it with its own {}, or give another --out",
                different.join("`, `"),
                path.display()
            ));
        }
    } else if newest.is_none() && checkpoints.any()? {
        return wrong("none of its checkpoints is whole; give another --out to begin anew".to_owned());
    }
    whole(&path, recipe.as_bytes())?;
    if let Some((newest, _)) = &newest {
        // A run that was killed behind its last checkpoint has not pointed at it.
        checkpoints.point_at(newest)?;
    }
    Ok(newest)
}

/// What a run leaves in its folder, besides hidden files.
const OWN: [&str; 8] = [
    RECIPE,
    CHECKPOINTS,
    "metrics.jsonl",
    "tensorboard",
    "samples.jsonl",
    "reference.json",
    "report.html",
    "model",
];

/// Something in the folder that no run leaves there, by its name.
fn other(out: &Path) -> Result<Option<String>, Error> {
    let names = || -> std::io::Result<Vec<String>> {
        std::fs::read_dir(out)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    };
    let mut names = names().map_err(|e| Error::io(out, "read the folder", e))?;
    names.sort();
    Ok(names
        .into_iter()
        .find(|name| !name.starts_with('.') && !name.ends_with(".part") && !OWN.contains(&name.as_str())))
}

/// Writes a small file so that it is there whole or not at all.
pub(crate) fn whole(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let new = path.with_extension("part");
    let write = || {
        let mut file = File::create(&new)?;
        std::io::Write::write_all(&mut file, bytes)?;
        file.sync_all()?;
        std::fs::rename(&new, path)
    };
    write().map_err(|e| Error::io(path, "write the file", e))
}
