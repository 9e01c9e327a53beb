//! `manifest.json`: what each stage was made of, by what, and what came of it.

use crate::{Error, Stage, files};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::path::{Path, PathBuf};

/// The file's name.
pub(crate) const NAME: &str = "manifest.json";
/// Version of its form.
const FORMAT: u32 = 1;

/// What was done in a run's folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    format: u32,
    /// The model's name.
    pub name: String,
    /// The stages that were begun, with what is known of each.
    pub stages: BTreeMap<Stage, StageRecord>,
}

/// A stage that was begun.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageRecord {
    /// Whether it was ended too.
    pub finished: bool,
    /// What did it.
    pub code: CodeVersion,
    /// Settings by dotted name, as JSON or TOML writes them.
    pub settings: BTreeMap<String, String>,
    /// Files that it read. Those in the run's folder are named from there.
    pub inputs: BTreeMap<String, FileFacts>,
    /// Files that it made.
    pub outputs: BTreeMap<String, FileFacts>,
    /// Seconds that it took, all tries together.
    pub seconds: f64,
    /// What came of it, in a line.
    pub summary: String,
    /// What it ran on.
    pub machine: Machine,
}

/// What did a stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeVersion {
    /// [`Stage::code`].
    pub stage: u32,
    /// sai's version.
    pub sai: String,
}

impl CodeVersion {
    /// That of this program.
    pub fn of(stage: Stage) -> CodeVersion {
        CodeVersion { stage: stage.code(), sai: env!("CARGO_PKG_VERSION").to_owned() }
    }
}

/// A machine in words: names of facts, and the facts.
pub type Machine = Vec<(String, String)>;

/// A file as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileFacts {
    /// Its length.
    pub bytes: u64,
    /// When it was written, in nanoseconds since 1970. With the length it says that a file need not be read again.
    pub modified: u64,
    /// Of its contents, which alone decide.
    pub sha256: String,
}

/// Why a stage is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It never was.
    New,
    /// It was begun, and nothing has changed since: it goes on.
    Unfinished,
    /// A setting is another; the values are empty where there is none.
    Setting {
        /// Its dotted name.
        key: String,
        /// Its value then.
        from: String,
        /// Its value now.
        to: String,
    },
    /// Files that it reads are others.
    Inputs(Vec<String>),
    /// Files that it made are gone or were changed.
    Outputs(Vec<String>),
    /// Other code did it.
    Code {
        /// That code.
        from: CodeVersion,
        /// The code now.
        to: CodeVersion,
    },
    /// It was asked for.
    Asked,
}

impl Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let several = |files: &[String]| match files {
            [] => String::new(),
            [one] => one.clone(),
            [one, rest @ ..] => format!("{one} and {} more", rest.len()),
        };
        match self {
            Reason::New => f.write_str("not made yet"),
            Reason::Unfinished => f.write_str("goes on where it stopped"),
            Reason::Setting { key, from, to } if from.is_empty() => {
                write!(f, "settings changed: {key} is {to}")
            }
            Reason::Setting { key, from, to } if to.is_empty() => {
                write!(f, "settings changed: {key} was {from}, and is not said any more")
            }
            Reason::Setting { key, from, to } => write!(f, "settings changed: {key} {from} → {to}"),
            Reason::Inputs(files) => write!(f, "inputs changed: {}", several(files)),
            Reason::Outputs(files) => write!(f, "its files are gone or changed: {}", several(files)),
            Reason::Code { from, to } if from.sai != to.sai => {
                write!(f, "made by sai {}, and this is {}", from.sai, to.sai)
            }
            Reason::Code { from, to } => write!(f, "code changed: version {} → {}", from.stage, to.stage),
            Reason::Asked => f.write_str("asked for"),
        }
    }
}

/// Reasons in a line. That settings changed is said once.
pub fn why(reasons: &[Reason]) -> String {
    const SETTINGS: &str = "settings changed: ";
    let mut said = false;
    let mut words = Vec::new();
    for text in reasons.iter().map(ToString::to_string) {
        match text.strip_prefix(SETTINGS) {
            Some(rest) if said => words.push(rest.to_owned()),
            rest => {
                said |= rest.is_some();
                words.push(text);
            }
        }
    }
    words.join("; ")
}

impl Manifest {
    pub(crate) fn new(name: &str) -> Manifest {
        Manifest { format: FORMAT, name: name.to_owned(), stages: BTreeMap::new() }
    }

    /// That of a run's folder; none where nothing was made in it.
    ///
    /// # Errors
    /// It cannot be read, or is of a later sai.
    pub fn open(folder: &Path) -> Result<Option<Manifest>, Error> {
        let path = folder.join(NAME);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io(&path, "read the file", e)),
        };
        let wrong =
            |e| Error::data(&path, format!("is no manifest of a making: {e}; remove it to make all anew"));
        let found: Manifest = serde_json::from_slice(&text).map_err(wrong)?;
        if found.format != FORMAT {
            let fact = format!("has form {}, and this sai knows {FORMAT}; give another folder", found.format);
            return Err(Error::data(&path, fact));
        }
        Ok(Some(found))
    }

    pub(crate) fn write(&self, folder: &Path) -> Result<(), Error> {
        let path = folder.join(NAME);
        let mut text =
            serde_json::to_vec_pretty(self).map_err(|e| Error::io(&path, "write the file", e.into()))?;
        text.push(b'\n');
        files::write(&path, &text)
    }

    /// Every file that is known, by its name here.
    pub(crate) fn known(&self, name: &str) -> Option<&FileFacts> {
        let made = self.stages.values();
        made.flat_map(|made| [&made.outputs, &made.inputs]).find_map(|files| files.get(name))
    }
}

impl StageRecord {
    /// What differs between what was done and what is to be done now.
    pub(crate) fn reasons(
        &self,
        code: &CodeVersion,
        settings: &BTreeMap<String, String>,
        inputs: &BTreeMap<String, FileFacts>,
    ) -> Vec<Reason> {
        let mut reasons = Vec::new();
        if self.code != *code {
            reasons.push(Reason::Code { from: self.code.clone(), to: code.clone() });
        }
        let keys: std::collections::BTreeSet<&String> = self.settings.keys().chain(settings.keys()).collect();
        for key in keys {
            let [from, to] = [&self.settings, settings].map(|s| s.get(key).cloned().unwrap_or_default());
            if from != to {
                reasons.push(Reason::Setting { key: key.clone(), from, to });
            }
        }
        let names: std::collections::BTreeSet<&String> = self.inputs.keys().chain(inputs.keys()).collect();
        let sum = |of: &BTreeMap<String, FileFacts>, name: &str| of.get(name).map(|file| file.sha256.clone());
        let other: Vec<String> =
            names.into_iter().filter(|name| sum(&self.inputs, name) != sum(inputs, name)).cloned().collect();
        if !other.is_empty() {
            reasons.push(Reason::Inputs(other));
        }
        reasons
    }

    /// The outputs that are not as they were made.
    pub(crate) fn damaged(&self, folder: &Path) -> Result<Vec<String>, Error> {
        let mut damaged = Vec::new();
        for (name, facts) in &self.outputs {
            let path: PathBuf = folder.join(name);
            if !path.is_file() || files::facts(&path, Some(facts))?.sha256 != facts.sha256 {
                damaged.push(name.clone());
            }
        }
        Ok(damaged)
    }
}
