//! What a corpus holds, and how it came to be: `manifest.json`.

use serde::{Deserialize, Serialize};

use crate::clusters::Duplicated;
use crate::error::Error;
use crate::map::Part;
use crate::mix::{Mixed, MixedShare};
use crate::plan::Plan;
use crate::recipe::Recipe;
use crate::tally::{Count, Group, Tally};
use crate::write::{Gathered, ShardFile, sum};

/// A step of the flow: what is left after it, and what it dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flow {
    /// Its name.
    pub step: String,
    /// What is left.
    pub left: Count,
    /// What it dropped, by reason.
    pub dropped: Vec<(String, Count)>,
}

/// What a corpus holds, and how it came to be.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// What this file is.
    pub format: String,
    /// The version of sai.
    pub sai: String,
    /// The files of the corpus.
    pub shards: Vec<ShardFile>,
    /// Documents that were written, every copy.
    pub written: Count,
    /// Documents and bytes after each step.
    pub flow: Vec<Flow>,
    /// What was written, by source, language and licence.
    pub groups: Vec<(Group, Count)>,
    /// The shares of the mixture.
    pub shares: Vec<MixedShare>,
    /// Duplicates and clusters.
    pub duplicates: Duplicated,
    /// Bytes of the sources' files.
    pub input: u64,
    /// How many of them there are.
    pub files: u64,
    /// Texts of evaluation sets that were found; `contaminated.jsonl` lists them.
    pub contaminated: u64,
    /// The recipe, with everything that was left out in it.
    pub recipe: Recipe,
    /// All that was counted by the rules.
    pub rules: Tally,
    /// All that was counted where documents were dropped after that.
    pub dropped: Tally,
    /// All that was counted of what was written.
    pub made: Tally,
}

impl Manifest {
    pub(crate) fn new(
        plan: &Plan,
        parts: &[Vec<Part>],
        duplicates: Duplicated,
        mixed: Mixed,
        gathered: Gathered,
    ) -> Manifest {
        let Gathered { shards, written: made, dropped, contaminated } = gathered;
        let mut rules = Tally::default();
        parts.iter().flatten().for_each(|part| rules.append(&part.tally));
        let less = |count: Count, dropped: Count| Count {
            documents: count.documents.saturating_sub(dropped.documents),
            bytes: count.bytes.saturating_sub(dropped.bytes),
        };
        let named = |name: &str, count: Count| (name.to_owned(), count);
        let list =
            |tally: &Tally| tally.dropped.iter().map(|(reason, count)| (reason.clone(), *count)).collect();
        let kept = rules.kept;
        let alone = less(less(kept, duplicates.exact), duplicates.near);
        let taken = less(alone, mixed.left_out);
        let last = less(taken, sum(&dropped.dropped));
        let step =
            |step: &str, left, dropped: Vec<(String, Count)>| Flow { step: step.to_owned(), left, dropped };
        let flow = vec![
            step("read", rules.read, Vec::new()),
            step("rules", kept, list(&rules)),
            step(
                "duplicates",
                alone,
                vec![named("exact duplicate", duplicates.exact), named("near duplicate", duplicates.near)],
            ),
            step("mixture", taken, vec![named("left out by the mixture", mixed.left_out)]),
            step("finish", last, list(&dropped)),
        ];
        Manifest {
            format: sai_documents::MANIFEST_FORMAT.to_owned(),
            sai: env!("CARGO_PKG_VERSION").to_owned(),
            shards,
            written: made.kept,
            flow,
            groups: made.groups.iter().map(|(group, count)| (group.clone(), *count)).collect(),
            shares: mixed.shares,
            duplicates,
            input: plan.bytes(),
            files: plan.units.iter().map(|unit| unit.files.len() as u64).sum(),
            contaminated: contaminated.len() as u64,
            recipe: plan.recipe.clone(),
            rules,
            dropped,
            made,
        }
    }

    /// The manifest of a corpus that is whole.
    ///
    /// # Errors
    /// A folder without one.
    pub fn open(folder: &std::path::Path) -> Result<Manifest, Error> {
        let path = folder.join(sai_documents::MANIFEST);
        if !path.is_file() {
            let fact = match folder.join(".build").is_dir() {
                true => "the corpus is not whole yet; run `sai corpus build` again, which goes on",
                false => "no corpus that sai built; `sai corpus build` makes one",
            };
            return Err(Error::file(folder, fact));
        }
        let bytes = std::fs::read(&path).map_err(|source| Error::read(&path, source))?;
        serde_json::from_slice(&bytes)
            .map_err(|e| Error::file(&path, format!("no manifest of this sai ({e}); build the corpus again")))
    }
}
