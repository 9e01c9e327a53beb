//! A run's folder: prompts, answers, grades, and what they were asked with.
//!
//! `run.json` says who answered and who judged, with which settings and templates; `prompts.jsonl` is the set as it was read;
//! `answers.jsonl` and `verdicts.jsonl` are [journals](crate::Journal) of raw replies; `human/` has grades given by hand. All
//! figures are computed from these, so that a report can be made again without asking.

use crate::{Contestant, Error, Grading, Prompt, PromptSet};
use serde::{Deserialize, Serialize};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

const FORMAT: &str = "sai-judge/2";

/// What a run was asked with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunFacts {
    format: String,
    /// The name of the file of prompts.
    pub prompts: String,
    /// SHA-256 of that file.
    pub prompts_sha256: String,
    /// How many prompts are asked.
    pub prompts_count: usize,
    /// How many the file has.
    pub prompts_available: usize,
    /// Who answers.
    #[serde(default)]
    pub contestants: Vec<Contestant>,
    /// Who judges, and how.
    #[serde(default)]
    pub gradings: Vec<Grading>,
}

/// A run's folder.
pub struct Run {
    folder: PathBuf,
    /// What it was asked with.
    pub facts: RunFacts,
    /// Its prompts.
    pub prompts: Vec<Prompt>,
    /// Keeps other processes out while this one writes.
    _lock: Option<File>,
}

impl Run {
    /// Begins a run of the first `limit` prompts of a set, or goes on with one of the same.
    ///
    /// # Errors
    /// The folder has files of something else, or a run of other prompts; another process writes in it.
    pub fn create(folder: &Path, set: &PromptSet, limit: Option<usize>) -> Result<Run, Error> {
        let count = limit.unwrap_or(usize::MAX).min(set.prompts.len());
        if folder.join("run.json").is_file() {
            let run = Run::open(folder)?;
            if run.facts.prompts_sha256 != set.sha256 || run.facts.prompts_count != count {
                let (facts, name) = (&run.facts, &set.name);
                let fact = format!(
                    "it is a run of {} prompts of {} (SHA-256 {}…) and not of {count} of {name} ({}…); name another folder with -o",
                    facts.prompts_count,
                    facts.prompts,
                    start(&facts.prompts_sha256),
                    start(&set.sha256)
                );
                return Err(Error::data(folder.display(), fact));
            }
            return Ok(run);
        }
        let prompts = set.prompts[..count].to_vec();
        let mut text = String::new();
        for prompt in &prompts {
            text += &json(prompt, folder)?;
            text.push('\n');
        }
        // What a run that was killed before its run.json has left; of another set, it may be anybody's.
        let left = |name: &str| {
            name == "prompts.jsonl"
                && std::fs::read(folder.join(name)).is_ok_and(|there| there == text.as_bytes())
        };
        let mut names = folder.read_dir().into_iter().flatten().flatten().map(|entry| entry.file_name());
        if names.any(|name| !name.to_string_lossy().starts_with('.') && !left(&name.to_string_lossy())) {
            let fact = "it has files, and none is a run of `sai judge`; name another folder with -o";
            return Err(Error::data(folder.display(), fact));
        }
        std::fs::create_dir_all(folder).map_err(|e| Error::file(folder, e))?;
        let lock = claim(folder)?;
        let facts = RunFacts {
            format: FORMAT.to_owned(),
            prompts: set.name.clone(),
            prompts_sha256: set.sha256.clone(),
            prompts_count: count,
            prompts_available: set.prompts.len(),
            contestants: Vec::new(),
            gradings: Vec::new(),
        };
        let run = Run { folder: folder.to_owned(), facts, prompts, _lock: Some(lock) };
        // run.json is last: a folder that has one has its prompts.
        write(&run.folder.join("prompts.jsonl"), text.as_bytes())?;
        run.save()?;
        Ok(run)
    }

    /// Opens a run to go on with it.
    ///
    /// # Errors
    /// It is no run, or another process writes in it.
    pub fn open(folder: &Path) -> Result<Run, Error> {
        let mut run = Run::read(folder)?;
        run._lock = Some(claim(folder)?);
        Ok(run)
    }

    /// Opens a run to look at it.
    ///
    /// # Errors
    /// It is no run.
    pub fn read(folder: &Path) -> Result<Run, Error> {
        let path = folder.join("run.json");
        let bytes = std::fs::read(&path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => Error::data(
                folder.display(),
                "it is no run: it has no run.json; `sai judge answer -o` makes one",
            ),
            _ => Error::file(&path, e),
        })?;
        let facts: RunFacts = serde_json::from_slice(&bytes)
            .map_err(|e| Error::data(path.display(), format!("it is no run: {e}")))?;
        if facts.format != FORMAT {
            let fact = format!("it is of the format {}, and this sai reads {FORMAT}", facts.format);
            return Err(Error::data(path.display(), fact));
        }
        let mut templates = facts.gradings.iter().flat_map(|grading| &grading.templates);
        templates
            .try_for_each(|template| template.form.check())
            .map_err(|fact| Error::data(path.display(), fact))?;
        let path = folder.join("prompts.jsonl");
        let text = std::fs::read_to_string(&path).map_err(|e| Error::file(&path, e))?;
        let mut prompts = Vec::new();
        for (i, line) in text.lines().enumerate() {
            let prompt = serde_json::from_str(line)
                .map_err(|e| Error::data(format!("{}: line {}", path.display(), i + 1), e.to_string()))?;
            prompts.push(prompt);
        }
        if prompts.len() != facts.prompts_count {
            let fact = format!("it has {} prompts and run.json says {}", prompts.len(), facts.prompts_count);
            return Err(Error::data(path.display(), fact));
        }
        Ok(Run { folder: folder.to_owned(), facts, prompts, _lock: None })
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The journal of answers.
    pub fn answers_path(&self) -> PathBuf {
        self.folder.join("answers.jsonl")
    }

    /// The journal of verdicts.
    pub fn verdicts_path(&self) -> PathBuf {
        self.folder.join("verdicts.jsonl")
    }

    /// Grades given by hand.
    pub fn human_folder(&self) -> PathBuf {
        self.folder.join("human")
    }

    /// Where a contestant is in the list.
    pub fn contestant(&self, name: &str) -> Option<usize> {
        self.facts.contestants.iter().position(|contestant| contestant.name == name)
    }

    /// Adds a contestant, or finds the same one.
    ///
    /// # Errors
    /// Another is called so, or the disk refuses.
    pub fn add_contestant(&mut self, new: Contestant) -> Result<usize, Error> {
        if let Some(at) = self.contestant(&new.name) {
            if self.facts.contestants[at] == new {
                return Ok(at);
            }
            let fact = format!(
                "`{}` has answered in this run already, as another model or with other settings; call this one otherwise, as in NAME=…, or name another run",
                new.name
            );
            return Err(Error::data(self.folder.display(), fact));
        }
        self.facts.contestants.push(new);
        self.save()?;
        Ok(self.facts.contestants.len() - 1)
    }

    /// Adds a grading, or finds the same one.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn add_grading(&mut self, new: Grading) -> Result<usize, Error> {
        if let Some(at) = self.facts.gradings.iter().position(|known| *known == new) {
            return Ok(at);
        }
        self.facts.gradings.push(new);
        self.save()?;
        Ok(self.facts.gradings.len() - 1)
    }

    fn save(&self) -> Result<(), Error> {
        let path = self.folder.join("run.json");
        let text = serde_json::to_string_pretty(&self.facts).map_err(|e| Error::file(&path, e.into()))?;
        write(&path, text.as_bytes())
    }
}

pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    sai_formats::write_whole(path, bytes).map_err(|e| Error::file(path, e))
}

fn json(value: &impl Serialize, path: &Path) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|e| Error::file(path, e.into()))
}

fn start(sha: &str) -> &str {
    sha.get(..12).unwrap_or(sha)
}

fn claim(folder: &Path) -> Result<File, Error> {
    let path = folder.join(".lock");
    let file = File::create(&path).map_err(|e| Error::file(&path, e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::data(
            folder.display(),
            "another process writes in it; wait for it, or name another run",
        )),
        Err(TryLockError::Error(e)) => Err(Error::file(&path, e)),
    }
}
