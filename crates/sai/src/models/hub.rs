//! Models and datasets from the Hub, into the cache that all of Hugging Face's tools share.
//!
//! One request asks what the repository holds; a file that the cache has is never fetched again. A download
//! that was cut goes on where it stopped, in this run or the next, and what arrives is held to the size and
//! the checksum that the Hub promised. Without a network the cached copy is taken, and the screen says so.

mod cache;
mod client;
mod dataset;
mod download;
mod id;
mod local;
mod push;
mod refusal;

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};

use super::choose::{self, Choice, WantedFiles};
use crate::texts::texts;
use crate::ui::Ui;
use cache::Cache;
use client::Client;
use download::Download;
use id::Settings;
use refusal::{describe, is_unreachable, refused, unreachable};

pub(crate) use dataset::Dataset;
pub(crate) use id::trusted_certificates;
pub(super) use id::{HubId, Pasted, cache_folder, is_offline};
pub(super) use local::LocalRepository;
pub(crate) use push::{CARD, Outgoing, Push};

/// The local path of the model `id`: a GGUF file or a Hugging Face folder, fetched where the cache lacks it.
/// Where a vocabulary is wanted and lies in files of its own, the folder may hold these alone.
pub(super) fn fetch(id: &HubId, wanted: WantedFiles, ui: &Ui) -> anyhow::Result<PathBuf> {
    let settings = Settings::from_env()?;
    if settings.offline {
        return cached(id, wanted, &settings.cache)?
            .ok_or_else(|| anyhow!((texts().offline)(id, &settings.cache.folder.display())));
    }
    let client = Client::new(&settings);
    let listing = match client.listing(id) {
        Ok(listing) => listing,
        Err(error) if is_unreachable(&error) => {
            let Some(path) = cached(id, wanted, &settings.cache)? else {
                return Err(unreachable(id, &settings, &error));
            };
            ui.note((texts().from_cache)(id, &describe(&error)));
            return Ok(path);
        }
        Err(error) => return Err(refused(id, &settings, None, &error)),
    };
    check_commit(id, &settings, &listing.sha)?;

    let download = Download { id, settings: &settings, client: &client, listing: &listing, ui };
    let names: Vec<String> = listing.siblings.iter().map(|s| s.rfilename.clone()).collect();
    let choice = choose::choose(&names, id.file.as_deref(), wanted)
        .map_err(|why| anyhow!("{id}: the repository {why}"))?;
    let path = match choice {
        Choice::Gguf(name) => {
            download.all(std::slice::from_ref(&name))?;
            download.path(&name)
        }
        Choice::Folder(mut files) => {
            if let Some(at) = files.iter().position(|name| name == choose::INDEX) {
                files.swap_remove(at);
                download.all(&[choose::INDEX.to_owned()])?;
                let index = std::fs::read_to_string(download.path(choose::INDEX))?;
                files.extend(choose::shards(&index).map_err(|why| anyhow!("{id}: the repository {why}"))?);
            }
            download.all(&files)?;
            download.folder()
        }
    };
    // Written last: a revision that the cache knows by name is whole.
    let known = settings.cache.repository(id.repo_type, &id.repo);
    known
        .set_commit(&id.revision, &listing.sha)
        .with_context(|| format!("{}: cannot be written", settings.cache.folder.display()))?;
    Ok(path)
}

/// The copy of `id` in the cache, if a whole one is there.
fn cached(id: &HubId, wanted: WantedFiles, cache: &Cache) -> anyhow::Result<Option<PathBuf>> {
    let repository = cache.repository(id.repo_type, &id.repo);
    let commit = repository.commit(&id.revision).unwrap_or_else(|| id.revision.clone());
    if !is_commit(&commit) {
        return Ok(None);
    }
    let folder = repository.snapshot(&commit);
    let mut names = Vec::new();
    list_into(&folder, "", 0, &mut names);
    match choose::choose(&names, id.file.as_deref(), wanted) {
        Ok(Choice::Gguf(name)) => Ok(Some(folder.join(name))),
        Ok(Choice::Folder(files)) => {
            if files.iter().any(|name| name == choose::INDEX) {
                let index = std::fs::read_to_string(folder.join(choose::INDEX))?;
                let shards = choose::shards(&index).map_err(|why| anyhow!("{id}: the cached copy {why}"))?;
                if !shards.iter().all(|shard| folder.join(shard).is_file()) {
                    return Ok(None);
                }
            }
            Ok(Some(folder))
        }
        Err(_) => Ok(None),
    }
}

/// The names of the files under `folder`, a few folders deep; a link to a blob that is gone does not count.
fn list_into(folder: &Path, prefix: &str, depth: usize, names: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path = entry.path();
        if path.is_file() {
            names.push(format!("{prefix}{name}"));
        } else if path.is_dir() && depth < 3 {
            list_into(&path, &format!("{prefix}{name}/"), depth + 1, names);
        }
    }
}

/// Holds what the Hub calls a commit to being one.
fn check_commit(id: &HubId, settings: &Settings, sha: &str) -> anyhow::Result<()> {
    match is_commit(sha) {
        true => Ok(()),
        false => bail!(
            "{id}: {} answered with `{sha}` where a commit belongs; is HF_ENDPOINT right?",
            settings.endpoint
        ),
    }
}

/// Whether `text` is the name of a commit, and so safe as the name of a folder.
fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.chars().all(|c| c.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_forty_digits() {
        assert!(is_commit(&"0a".repeat(20)));
        assert!(!is_commit("main"));
        assert!(!is_commit(&"..".repeat(20)));
    }
}
