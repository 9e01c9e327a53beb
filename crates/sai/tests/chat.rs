//! `sai chat` as a person and as a pipe meet it: the real command with the real small model.

#![allow(missing_docs)]

#[path = "chat/locale.rs"]
mod locale;
#[path = "chat/piped.rs"]
mod piped;
#[path = "chat/pty.rs"]
mod pty;
#[path = "chat/typed.rs"]
mod typed;

#[path = "../../../tests/real_model.rs"]
mod real_model;

use std::path::PathBuf;

/// A home folder of its own, so that no test sees a person's conversations or another test's.
struct Home {
    folder: tempfile::TempDir,
    /// Where the small real model is; the built-in one is talked to where there is none.
    models: Option<PathBuf>,
    /// `LANG`, by which the language is chosen.
    locale: &'static str,
}

impl Home {
    fn new() -> Option<Self> {
        let models = real_model::smollm2()?.parent()?.to_owned();
        Some(Self { models: Some(models), ..Self::bare() })
    }

    /// A home without any model.
    fn bare() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder"), models: None, locale: "C.UTF-8" }
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join(inside)
    }

    /// What the command sees of the world, and nothing else of the machine's.
    fn environment(&self) -> Vec<(&'static str, String)> {
        let mut all = vec![
            ("HOME", self.folder.path().display().to_string()),
            ("PATH", std::env::var("PATH").unwrap_or_default()),
            ("TERM", "xterm-256color".to_owned()),
            ("LANG", self.locale.to_owned()),
        ];
        if let Some(models) = &self.models {
            all.push(("SAI_MODEL", "smollm2-135m".to_owned()));
            all.push(("SAI_MODELS", models.display().to_string()));
        }
        all
    }

    /// The saved conversations, each a list of JSON lines, the oldest first.
    fn conversations(&self) -> Vec<Vec<serde_json::Value>> {
        let folder = self.path(".local/share/sai/conversations");
        let mut paths: Vec<PathBuf> =
            std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        paths.sort();
        paths
            .iter()
            .map(|path| {
                let text = std::fs::read_to_string(path).expect("a conversation is text");
                text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
            })
            .collect()
    }
}
