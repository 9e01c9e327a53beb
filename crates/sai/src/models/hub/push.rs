//! A model to the Hub: one commit, whose large files go to the storage first.
//!
//! A repository shows nothing of a push until its commit, which is whole or not there. What a run that was ended leaves is a
//! repository without files, at most, and bytes in the storage that the next run does not send again.

mod api;
mod transfer;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use anyhow::{Context, anyhow, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use sha1::{Digest, Sha1};

use super::client::{Client, RequestError};
use super::id::{HubId, Pasted, Settings};
use super::refusal::not_pushed;
use crate::ui::{Size, Ui};
use api::{Asked, Preupload, UploadMode};
use transfer::{Failure, Transfer, hex, sha256};

/// Files that are asked about in one request.
const FILES_A_REQUEST: usize = 256;
/// Large files that are asked about in one request.
const OBJECTS_A_REQUEST: usize = 100;
/// Bytes of a file's beginning by which the Hub tells what it is.
const SAMPLE: u64 = 512;
/// The card of a model.
pub(crate) const CARD: &str = "README.md";

/// A file that goes to the Hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outgoing {
    pub(crate) path: PathBuf,
    /// Its name in the repository, with slashes.
    pub(crate) name: String,
    pub(crate) bytes: u64,
}

/// Where a push goes, and what is there.
pub(crate) struct Push {
    settings: Settings,
    repo: String,
    revision: String,
    there: Option<api::Repository>,
}

/// What was made of a push.
pub(crate) struct Pushed {
    /// Where a person sees it.
    pub(crate) page: String,
    /// The commit; none where the repository has all of it already.
    pub(crate) commit: Option<String>,
    /// Files that the repository has already, with the same contents.
    pub(crate) unchanged: usize,
    /// Large files whose bytes the storage had already.
    pub(crate) stored: usize,
}

impl Push {
    /// Asks the Hub what it has of `asked`, which is `owner/name[@revision]` or an address of it.
    ///
    /// # Errors
    /// It is no repository, there is no token, or the Hub cannot be asked.
    pub(crate) fn open(asked: &str, revision: Option<&str>) -> anyhow::Result<Self> {
        let id = match Pasted::parse(asked) {
            Some(Pasted::Model(id)) => id,
            Some(Pasted::Other(why)) => bail!("{asked}: {why}"),
            None => HubId::parse(asked)
                .with_context(|| format!("{asked}: this names no repository of the Hub; give owner/name"))?,
        };
        if let Some(file) = &id.file {
            bail!("{asked}: a repository is sent to as owner/name, without `:{file}`");
        }
        let revision = revision.map_or(id.revision, str::to_owned);
        let good = HubId::parse(&format!("{}@{revision}", id.repo)).is_some_and(|id| id.file.is_none());
        if !good {
            bail!("--revision {revision}: this names no branch; give one such as main or v1");
        }
        let settings = Settings::from_env()?;
        if settings.offline {
            bail!("{}: HF_HUB_OFFLINE is set; unset it to push", id.repo);
        }
        if settings.token.is_none() {
            bail!(
                "{}: a push needs a token that may write; make one at {}/settings/tokens and set HF_TOKEN",
                id.repo,
                settings.endpoint
            );
        }
        let mut push = Self { settings, repo: id.repo, revision, there: None };
        push.there = push.look(None).map_err(|error| push.refused("asking for it", &error))?;
        // A branch that is not there will begin with what main has.
        if push.revision != "main"
            && let (Some(there), Ok(Some(branch))) = (&push.there, push.look(Some(&push.revision)))
        {
            push.there = Some(api::Repository { private: there.private, ..branch });
        }
        Ok(push)
    }

    /// The repository, and where that is not `main` the branch.
    pub(crate) fn name(&self) -> String {
        match self.revision.as_str() {
            "main" => self.repo.clone(),
            revision => format!("{}@{revision}", self.repo),
        }
    }

    /// Where the Hub is.
    pub(crate) fn endpoint(&self) -> &str {
        &self.settings.endpoint
    }

    /// Whether the repository is private; `None` where there is none yet.
    pub(crate) fn is_private(&self) -> Option<bool> {
        self.there.as_ref().map(|there| there.private)
    }

    /// Whether the repository has a file of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.there.as_ref().is_some_and(|there| there.siblings.iter().any(|file| file.rfilename == name))
    }

    /// Sends the files as one commit. A repository that is not there is made, `private` or not. `None` where `stop` said so
    /// first; the next run goes on where this one was.
    ///
    /// # Errors
    /// The Hub or its storage refuses, or cannot be reached; a file cannot be read.
    pub(crate) fn send(
        &self,
        files: &[Outgoing],
        private: bool,
        message: &str,
        ui: &Ui,
        stop: &dyn Fn() -> bool,
    ) -> anyhow::Result<Option<Pushed>> {
        let client = Client::new(&self.settings);
        let kept = crate::models::own_cache().map(|folder| folder.join("uploads"));
        let transfer = Transfer { client: &client, repo: &self.repo, ui, stop, kept };
        let mut step = "asking the Hub";
        match self.sent(&transfer, files, private, message, &mut step) {
            Ok(pushed) => Ok(Some(pushed)),
            Err(Failure::Stopped) => Ok(None),
            Err(Failure::Other(error)) => Err(error),
            Err(Failure::Hub(error)) => Err(self.refused(step, &error)),
        }
    }

    /// As [`send`](Self::send). `step` says what is being done, for the words of a refusal.
    fn sent(
        &self,
        transfer: &Transfer<'_>,
        files: &[Outgoing],
        private: bool,
        message: &str,
        step: &mut &'static str,
    ) -> Result<Pushed, Failure> {
        *step = "checking the card";
        check_card(transfer, files)?;
        *step = "making the repository";
        self.make(transfer.client, private)?;
        *step = "asking how files are wanted";
        let wanted = self.wanted(transfer, files)?;
        let changes = self.changes(transfer, files, &wanted)?;
        if !changes.ignored.is_empty() {
            let ignored = changes.ignored.join(", ");
            transfer.ui.warn(format_args!("left out by the repository's .gitignore: {ignored}"));
        }
        let page = match self.revision.as_str() {
            "main" => format!("{}/{}", self.settings.endpoint, self.repo),
            revision => format!("{}/{}/tree/{revision}", self.settings.endpoint, self.repo),
        };
        let unchanged = changes.unchanged;
        if changes.regular.is_empty() && changes.large.is_empty() {
            return Ok(Pushed { page, commit: None, unchanged, stored: 0 });
        }
        *step = "sending large files";
        let stored = self.store(transfer, &changes.large)?;
        if (transfer.stop)() {
            return Err(Failure::Stopped);
        }
        *step = "making the commit";
        let commit = transfer.client.commit(&self.repo, &self.revision, &changes.lines(message))?;
        Ok(Pushed { page, commit: Some(commit.commit_oid), unchanged, stored })
    }

    /// Which files the repository has not, or has otherwise.
    fn changes<'f>(
        &self,
        transfer: &Transfer<'_>,
        files: &'f [Outgoing],
        wanted: &BTreeMap<String, Preupload>,
    ) -> Result<Changes<'f>, Failure> {
        let mut changes = Changes::default();
        for file in files {
            let Some(asked) = wanted.get(&file.name) else {
                return Err(anyhow!("{}: the Hub did not say how it wants {}", self.repo, file.name).into());
            };
            if asked.should_ignore {
                changes.ignored.push(&file.name);
                continue;
            }
            // The storage of large files takes no empty one.
            let is_regular = asked.upload_mode == UploadMode::Regular || file.bytes == 0;
            let content = if is_regular { read(file)? } else { Vec::new() };
            let oid = match is_regular {
                true => git_hash(&content),
                false => sha256(file, transfer.ui, transfer.stop)?,
            };
            match asked.oid.as_ref() == Some(&oid) {
                true => changes.unchanged += 1,
                false if is_regular => changes.regular.push((file, content)),
                false => changes.large.push((file, oid)),
            }
        }
        Ok(changes)
    }

    /// Makes the repository and the branch, where they are not there.
    fn make(&self, client: &Client<'_>, private: bool) -> Result<(), Failure> {
        let is_there = |error: RequestError| match error {
            RequestError::Status { status: 409, .. } => Ok(()),
            error => Err(error),
        };
        if self.there.is_none() {
            let (owner, name) = self.repo.split_once('/').unwrap_or(("", &self.repo));
            if let Err(error) = client.create(owner, name, private) {
                is_there(error)?;
                // Somebody made it meanwhile; nothing private goes into a public one.
                let there = client.repository(&self.repo, None)?;
                if private && !there.is_some_and(|there| there.private) {
                    return Err(anyhow!(
                        "{}: it was made meanwhile and is not private; nothing was sent; choose another name",
                        self.repo
                    )
                    .into());
                }
            }
        }
        // Requests for changes have branches of their own, which are there.
        if self.revision != "main" && !self.revision.starts_with("refs/") {
            client.branch(&self.repo, &self.revision).or_else(is_there)?;
        }
        Ok(())
    }

    /// How the Hub wants each file, by name.
    fn wanted(
        &self,
        transfer: &Transfer<'_>,
        files: &[Outgoing],
    ) -> Result<BTreeMap<String, Preupload>, Failure> {
        let mut wanted = BTreeMap::new();
        for files in files.chunks(FILES_A_REQUEST) {
            let mut asked = Vec::new();
            for file in files {
                let mut sample = Vec::new();
                let open = File::open(&file.path).with_context(|| file.path.display().to_string())?;
                open.take(SAMPLE)
                    .read_to_end(&mut sample)
                    .with_context(|| file.path.display().to_string())?;
                asked.push(Asked { path: &file.name, sample: STANDARD.encode(sample), size: file.bytes });
            }
            let answer = transfer
                .tried(&self.repo, || transfer.client.preupload(&self.repo, &self.revision, &asked))?;
            wanted.extend(answer.into_iter().map(|file| (file.path.clone(), file)));
        }
        Ok(wanted)
    }

    /// Sends those of the large files that the storage lacks. How many it had.
    fn store(&self, transfer: &Transfer<'_>, large: &[(&Outgoing, String)]) -> Result<usize, Failure> {
        let mut stored = 0;
        for files in large.chunks(OBJECTS_A_REQUEST) {
            let objects: Vec<_> = files.iter().map(|(file, oid)| (oid.clone(), file.bytes)).collect();
            let answer = transfer
                .tried(&self.repo, || transfer.client.lfs_batch(&self.repo, &self.revision, &objects))?;
            for (i, (file, oid)) in files.iter().enumerate() {
                // Two files of the same contents are one object, which is sent once.
                if files[..i].iter().any(|(_, earlier)| earlier == oid) {
                    continue;
                }
                let object = answer.iter().find(|object| object.oid == *oid).ok_or_else(|| {
                    anyhow!("{}: the storage of the Hub did not say where {} goes", self.repo, file.name)
                })?;
                match (&object.error, &object.actions) {
                    (Some(error), _) => {
                        return Err(anyhow!(
                            "{}: the storage of the Hub refuses {}: {}",
                            self.repo,
                            file.name,
                            error.message
                        )
                        .into());
                    }
                    (None, None) => stored += 1,
                    (None, Some(actions)) => {
                        transfer.ui.note(format_args!("sending {} ({})", file.name, Size(file.bytes)));
                        transfer.send(file, oid, actions)?;
                    }
                }
            }
        }
        Ok(stored)
    }

    fn look(&self, revision: Option<&str>) -> Result<Option<api::Repository>, RequestError> {
        Client::new(&self.settings).repository(&self.repo, revision)
    }

    fn refused(&self, step: &str, error: &RequestError) -> anyhow::Error {
        not_pushed(&self.repo, &self.settings, step, error)
    }
}

fn read(file: &Outgoing) -> anyhow::Result<Vec<u8>> {
    std::fs::read(&file.path).with_context(|| file.path.display().to_string())
}

/// One line of a commit.
fn line(key: &str, value: serde_json::Value) -> Vec<u8> {
    format!("{}\n", json!({ "key": key, "value": value })).into_bytes()
}

/// What a commit is of.
#[derive(Default)]
struct Changes<'f> {
    /// Files with their contents.
    regular: Vec<(&'f Outgoing, Vec<u8>)>,
    /// Files with their sha256.
    large: Vec<(&'f Outgoing, String)>,
    /// Files that the repository has already, with the same contents.
    unchanged: usize,
    /// Those that its `.gitignore` leaves out.
    ignored: Vec<&'f str>,
}

impl Changes<'_> {
    /// The commit as the Hub takes it.
    fn lines(&self, message: &str) -> Vec<u8> {
        let regular = self.regular.iter().flat_map(|(file, content)| regular(&file.name, content));
        let large = self.large.iter().flat_map(|(file, oid)| {
            let what = json!({ "path": file.name, "algo": "sha256", "oid": oid, "size": file.bytes });
            line("lfsFile", what)
        });
        header(message).into_iter().chain(regular).chain(large).collect()
    }
}

/// Holds the card among the files to what the Hub takes, so that not all is sent before it refuses.
fn check_card(transfer: &Transfer<'_>, files: &[Outgoing]) -> Result<(), Failure> {
    let Some(card) = files.iter().find(|file| file.name == CARD) else { return Ok(()) };
    let text = String::from_utf8_lossy(&read(card)?).into_owned();
    match transfer.tried(CARD, || transfer.client.check_card(&text))? {
        Some(wrong) => {
            Err(anyhow!("{}: the Hub does not take this card: {wrong}", card.path.display()).into())
        }
        None => Ok(()),
    }
}

fn header(message: &str) -> Vec<u8> {
    let (summary, description) = message.split_once('\n').unwrap_or((message, ""));
    line("header", json!({ "summary": summary.trim(), "description": description.trim() }))
}

fn regular(name: &str, content: &[u8]) -> Vec<u8> {
    line("file", json!({ "content": STANDARD.encode(content), "path": name, "encoding": "base64" }))
}

/// What git calls the contents of a file.
fn git_hash(content: &[u8]) -> String {
    let mut digest = Sha1::new();
    digest.update(format!("blob {}\0", content.len()));
    digest.update(content);
    hex(&digest.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_have_the_name_that_git_gives_them() {
        // `printf 'Hello, World!' | git hash-object --stdin`
        assert_eq!(git_hash(b"Hello, World!"), "b45ef6fec89518d314f546fd6c3025367b721684");
        assert_eq!(git_hash(b""), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
    }

    #[test]
    fn a_commit_is_lines_of_json() {
        let text = String::from_utf8([header("Add it\n\nBecause."), regular("a b", b"\0")].concat());
        assert_eq!(
            text.expect("UTF-8"),
            "{\"key\":\"header\",\"value\":{\"summary\":\"Add it\",\"description\":\"Because.\"}}\n\
             {\"key\":\"file\",\"value\":{\"content\":\"AA==\",\"path\":\"a b\",\"encoding\":\"base64\"}}\n"
        );
    }
}
