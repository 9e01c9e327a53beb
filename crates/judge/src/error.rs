//! What can go wrong between a prompt and a report.

use std::path::{Path, PathBuf};

/// Why answers could not be collected, graded or shown. Displays as one line: the file or the model, the fact, the way out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file that is not what it should be: prompts, answers, prices, grades, the run itself.
    #[error("{place}: {fact}")]
    Data {
        /// The file, and the line where there is one.
        place: String,
        /// What was found, and the way out.
        fact: String,
    },
    /// A template that cannot be used as it is written.
    #[error("template {origin}: {fact}")]
    Template {
        /// Its name or file.
        origin: String,
        /// What was found.
        fact: String,
    },
    /// A model that cannot be asked at all: the run ends.
    #[error("{name}: {fact}")]
    Model {
        /// The contestant or judge.
        name: String,
        /// What it said, and the way out.
        fact: String,
    },
    /// The next request could cost more than was allowed.
    #[error(
        "${spent:.4} are spent and the next request could pass --max-cost ${limit}; what was answered is kept: raise --max-cost and run the same command again"
    )]
    MaxCost {
        /// Dollars of this run so far.
        spent: f64,
        /// Dollars that it may cost.
        limit: f64,
    },
    /// A report was asked of a run of which a part was never asked.
    #[error(
        "{}: {unasked} of {all} {what} were never asked or failed; run the same command again to ask them, or give --partial for a report of the part",
        folder.display()
    )]
    Partial {
        /// The run.
        folder: PathBuf,
        /// How many have no reply.
        unasked: usize,
        /// Of how many.
        all: usize,
        /// Answers or grades.
        what: &'static str,
    },
    /// A model could not be run.
    #[error(transparent)]
    Generation(#[from] sai_generation::Error),
}

impl Error {
    pub(crate) fn file(path: &Path, source: std::io::Error) -> Error {
        Error::File { path: path.to_owned(), source }
    }

    pub(crate) fn data(place: impl std::fmt::Display, fact: impl Into<String>) -> Error {
        Error::Data { place: place.to_string(), fact: fact.into() }
    }
}
