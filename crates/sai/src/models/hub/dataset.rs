//! Datasets of the Hub: what files one has at a revision, and their local paths.
//!
//! The list of a commit's files never changes, so that it is kept: a dataset that is pinned by its commit is asked for once, and
//! without a network it is known whether a split is whole.

use std::path::PathBuf;

use anyhow::{Context, anyhow, bail};

use super::client::{Client, Listing};
use super::download::Download;
use super::id::{HubId, Settings};
use super::refusal::{describe, is_unreachable, refused, unreachable};
use super::{check_commit, is_commit};
use crate::ui::Ui;

/// A dataset at one commit.
pub(crate) struct Dataset {
    id: HubId,
    settings: Settings,
    listing: Listing,
}

impl Dataset {
    /// Looks a dataset up, `owner/name` or `owner/name@revision`. A commit that was looked up before is not asked for again;
    /// a branch is, and where the Hub cannot be reached, or is not to be, what the cache knows of it is taken.
    ///
    /// # Errors
    /// It is no id, the Hub has no such dataset or refuses it, or it cannot be reached and the cache does not know it.
    pub(crate) fn open(asked: &str, ui: &Ui) -> anyhow::Result<Self> {
        let id = HubId::parse_dataset(asked)
            .with_context(|| format!("{asked}: it is no dataset of the Hub; give owner/name"))?;
        let settings = Settings::from_env()?;
        let kept = match kept(&id, &settings) {
            Some(listing) if is_commit(&id.revision) || settings.offline => {
                return Ok(Self { id, settings, listing });
            }
            kept => kept,
        };
        if settings.offline {
            bail!(
                "{id}: HF_HUB_OFFLINE is set and {} does not know this dataset; unset it, or give a folder of its files",
                settings.cache.folder.display()
            );
        }
        let found = Client::new(&settings).listing(&id);
        let listing = match (found, kept) {
            (Ok(listing), _) => listing,
            (Err(error), Some(kept)) if is_unreachable(&error) => {
                let why = describe(&error);
                ui.note(format_args!("{id}: the Hub cannot be reached ({why}); taking what the cache has"));
                kept
            }
            (Err(error), None) if is_unreachable(&error) => {
                return Err(unreachable(&id, &settings, &error));
            }
            (Err(error), _) => return Err(refused(&id, &settings, None, &error)),
        };
        check_commit(&id, &settings, &listing.sha)?;
        let found = Self { id, settings, listing };
        found.keep()?;
        Ok(found)
    }

    /// The commit that the revision is.
    pub(crate) fn commit(&self) -> &str {
        &self.listing.sha
    }

    /// The files and their bytes, where the Hub says them; names have folders with slashes.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, Option<u64>)> {
        self.listing.siblings.iter().map(|file| (file.rfilename.as_str(), file.size))
    }

    /// The local paths of files that [`files`](Self::files) names, each fetched where the cache lacks it: a cut download goes
    /// on where it stopped, and what arrives is held to its size and checksum.
    ///
    /// # Errors
    /// The dataset has no such file, the Hub refuses it, or it cannot be had without a network.
    pub(crate) fn fetch(&self, names: &[String], ui: &Ui) -> anyhow::Result<Vec<PathBuf>> {
        let (id, settings, listing) = (&self.id, &self.settings, &self.listing);
        if let Some(name) = names.iter().find(|&name| !self.files().any(|(known, _)| known == name)) {
            bail!("{id}: the dataset has no file {name}");
        }
        // Names come from elsewhere and become paths.
        if let Some(name) =
            names.iter().find(|name| name.split('/').any(|part| matches!(part, "" | "." | "..")))
        {
            bail!("{id}: the Hub names a file `{name}`, which is no path in a repository");
        }
        let client = Client::new(settings);
        let download = Download { id, settings, client: &client, listing, ui };
        if settings.offline
            && let Some(name) = names.iter().find(|name| !download.path(name).exists())
        {
            return Err(anyhow!(
                "{id}: HF_HUB_OFFLINE is set and {} lacks {name}; unset it, or give a folder of its files",
                settings.cache.folder.display()
            ));
        }
        download.all(names)?;
        Ok(names.iter().map(|name| download.path(name)).collect())
    }

    /// Keeps the list of files, and then what commit the revision is.
    fn keep(&self) -> anyhow::Result<()> {
        let repository = self.settings.cache.repository(self.id.repo_type, &self.id.repo);
        let path = repository.listing(self.commit());
        let broken = || format!("{}: cannot be written", path.display());
        std::fs::create_dir_all(path.parent().unwrap_or(&self.settings.cache.folder)).with_context(broken)?;
        let text = serde_json::to_string(&self.listing).with_context(broken)?;
        crate::output::write_whole(&path, text.as_bytes())?;
        if !is_commit(&self.id.revision) {
            repository.set_commit(&self.id.revision, self.commit()).with_context(broken)?;
        }
        Ok(())
    }
}

/// The list of files that the cache keeps of a revision.
fn kept(id: &HubId, settings: &Settings) -> Option<Listing> {
    let repository = settings.cache.repository(id.repo_type, &id.repo);
    let commit = match is_commit(&id.revision) {
        true => id.revision.clone(),
        false => repository.commit(&id.revision).filter(|commit| is_commit(commit))?,
    };
    let text = std::fs::read_to_string(repository.listing(&commit)).ok()?;
    serde_json::from_str(&text).ok().filter(|listing: &Listing| listing.sha == commit)
}
