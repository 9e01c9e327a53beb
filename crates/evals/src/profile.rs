//! Branches of the harness.

use serde::{Deserialize, Serialize};

/// Whose prompts and rules; the branches give other numbers under the same names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// The branch `polyglot` of 2023, by which 42dot judged its model.
    #[default]
    Polyglot,
    /// `main`, as lm-eval 0.4.13 is.
    Main,
}

impl Profile {
    /// The branch's name.
    pub fn name(self) -> &'static str {
        match self {
            Profile::Polyglot => "polyglot",
            Profile::Main => "main",
        }
    }

    /// Which state of the branch.
    pub fn version(self) -> &'static str {
        match self {
            Profile::Polyglot => "polyglot d21107e",
            Profile::Main => "0.4.13",
        }
    }
}
