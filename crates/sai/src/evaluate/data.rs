//! The files of tasks' data: from a folder, or fetched from the Hub.

use std::path::Path;

use anyhow::Context;
use sai_evals::{DataPaths, Task, in_repository};

use crate::models::hub::Dataset;
use crate::ui::Ui;

/// Where the data of tasks is looked for.
pub(super) enum Data<'a> {
    /// In a folder.
    Folder(&'a Path),
    /// On the Hub; the datasets that were looked up already, since tasks share them.
    Hub(Vec<(String, Dataset)>),
}

impl Data<'_> {
    /// The files of a task.
    ///
    /// # Errors
    /// They are not there, or cannot be fetched.
    pub(super) fn paths(&mut self, task: &Task, with_examples: bool, ui: &Ui) -> anyhow::Result<DataPaths> {
        let known = match self {
            Data::Folder(folder) => return Ok(DataPaths::in_folder(folder, &task.file, with_examples)?),
            Data::Hub(known) => known,
        };
        let of = task.file.dataset.as_ref().with_context(|| {
            format!(
                "{}: the task has no dataset on the Hub; say where its data lies with --data FOLDER",
                task.name()
            )
        })?;
        let id = format!("{}@{}", of.repository, of.revision);
        let at = match known.iter().position(|(known, _)| *known == id) {
            Some(at) => at,
            None => {
                known.push((id.clone(), crate::models::dataset(&id, ui)?));
                known.len() - 1
            }
        };
        let dataset = &known[at].1;
        let names: Vec<String> = dataset.files().map(|(name, _)| name.to_owned()).collect();
        let fetch = |split: &str| dataset.fetch(&in_repository(&names, of, split)?, ui);
        let documents = fetch(of.split.as_deref().unwrap_or(&task.file.split))?;
        let examples = match task.file.other_examples().filter(|_| with_examples) {
            Some(split) => fetch(of.examples.as_deref().unwrap_or(split))?,
            None => Vec::new(),
        };
        Ok(DataPaths { documents, examples })
    }
}
