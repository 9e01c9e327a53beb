//! How much of what, and in which order: decided from counts and keys, before any text is read again.
//!
//! The parts of the first step are what is mixed. A part whose documents are written up to n times is there n times, each
//! with the documents that are written so often; these pieces are put in order by the seed, and a shard is a run of them, so
//! that it has text from anywhere, a text that is written twice stands far from itself, and a shard can be made from its
//! own pieces alone.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::clusters::{Fate, Sorted};
use crate::error::Error;
use crate::hash;
use crate::map::{Part, first_of};
use crate::plan::{Plan, read_json, write_json};
use crate::recipe::{Order, Share};
use crate::tally::Count;

/// A part, to be written the n-th time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Piece {
    pub(crate) unit: usize,
    pub(crate) part: u32,
    /// 0 for what is written once, 1 for what is written a second time, and so on.
    pub(crate) copy: u32,
}

/// What a share came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MixedShare {
    /// Of this source; of all where not given.
    pub source: Option<String>,
    /// Of this language; of all where not given.
    pub lang: Option<String>,
    /// What it should be of the whole.
    pub wanted: f64,
    /// Text that there is.
    pub available: Count,
    /// Bytes of text that are taken, about.
    pub taken: u64,
    /// How often a document of it is written, on average.
    pub epochs: f64,
    /// Whether there was not enough of it.
    pub short: bool,
}

/// How much of what goes into which shard.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Mixed {
    print: String,
    /// The shares.
    pub shares: Vec<MixedShare>,
    /// Documents that no share takes, or that were not drawn.
    pub left_out: Count,
    /// The pieces of each shard.
    pub(crate) shards: Vec<Vec<Piece>>,
}

/// How often documents are written.
pub(crate) struct Weights<'p> {
    plan: &'p Plan,
    shares: &'p [MixedShare],
}

impl Weights<'_> {
    /// How often a document of a source is written, by its number in the whole.
    pub(crate) fn copies(&self, source: &str, sorted: &Sorted, document: u64) -> u32 {
        if sorted.fate != Fate::Stays {
            return 0;
        }
        let rehydrated = self.plan.recipe.copies(sorted.size);
        if self.plan.recipe.mixture.shares.is_empty() {
            return rehydrated;
        }
        let Some(share) = place_of(&self.plan.recipe.mixture.shares, source, &sorted.lang) else { return 0 };
        let wanted = self.shares[share].epochs * f64::from(rehydrated);
        // The part of one more is drawn, so that on average it is as often.
        let drawn = hash::share(hash::mix(self.plan.recipe.seed, hash::mix(document, 1)));
        wanted.floor() as u32 + u32::from(drawn < wanted.fract())
    }
}

/// The first share that takes documents of a source and a language.
fn place_of(shares: &[Share], source: &str, lang: &str) -> Option<usize> {
    let is = |wanted: &Option<String>, value: &str| wanted.as_deref().is_none_or(|wanted| wanted == value);
    shares.iter().position(|share| is(&share.source, source) && is(&share.lang, lang))
}

impl Plan {
    fn mix_file(&self) -> std::path::PathBuf {
        self.work().join("mix.json")
    }

    /// The mixture, where it is decided.
    pub(crate) fn mixed(&self, print: &str) -> Option<Mixed> {
        let done: Mixed = read_json(&self.mix_file())?;
        (done.print == print).then_some(done)
    }

    pub(crate) fn weights<'p>(&'p self, mixed: &'p Mixed) -> Weights<'p> {
        Weights { plan: self, shares: &mixed.shares }
    }

    /// Decides the mixture, once the third step is done.
    pub(crate) fn mix(&self, print: String, parts: &[Vec<Part>]) -> Result<Mixed, Error> {
        let of_units: Vec<u64> =
            parts.iter().map(|of_unit| of_unit.iter().map(|part| part.documents).sum()).collect();
        let firsts = first_of(&of_units);
        let shares = self.shares(parts.len())?;
        let mut mixed = Mixed { print, shares, ..Mixed::default() };
        let mut pieces: Vec<(Piece, u64)> = Vec::new();
        let mut left_out = Count::default();
        for (unit, of_unit) in parts.iter().enumerate() {
            let source = &self.recipe.sources[self.units[unit].source].name;
            let weights = self.weights(&mixed);
            let mut document = firsts[unit];
            let ends = of_unit.iter().scan(firsts[unit], |end, part| {
                *end += part.documents;
                Some(*end)
            });
            let ends: Vec<u64> = ends.collect();
            let mut bytes: BTreeMap<(u32, u32), u64> = BTreeMap::new();
            self.fates(unit, |rows| {
                for sorted in rows {
                    let part = ends.partition_point(|&end| end <= document) as u32;
                    let copies = weights.copies(source, &sorted, document);
                    if copies == 0 && sorted.fate == Fate::Stays {
                        left_out.add(sorted.length as usize);
                    }
                    for copy in 0..copies {
                        *bytes.entry((part, copy)).or_default() += sorted.length;
                    }
                    document += 1;
                }
                Ok(())
            })?;
            pieces.extend(bytes.into_iter().map(|((part, copy), bytes)| (Piece { unit, part, copy }, bytes)));
        }
        mixed.left_out = left_out;
        if self.recipe.mixture.order == Order::Shuffled {
            let seed = self.recipe.seed;
            pieces.sort_by_key(|(Piece { unit, part, copy }, _)| {
                hash::mix(hash::mix(seed, *unit as u64), u64::from(*part) << 32 | u64::from(*copy))
            });
        } else {
            pieces.sort_by_key(|(piece, _)| (piece.copy, piece.unit, piece.part));
        }
        let mut full = 0;
        for (piece, bytes) in pieces {
            match mixed.shards.last_mut() {
                Some(shard) if full + bytes <= self.recipe.output.shard => {
                    shard.push(piece);
                    full += bytes;
                }
                _ => {
                    mixed.shards.push(vec![piece]);
                    full = bytes;
                }
            }
        }
        write_json(&self.mix_file(), &mixed)?;
        Ok(mixed)
    }

    /// What each share comes to: as much as is wanted, or as there is of it so often as may be.
    fn shares(&self, units: usize) -> Result<Vec<MixedShare>, Error> {
        let mixture = &self.recipe.mixture;
        let shares = &mixture.shares;
        let mut available = vec![Count::default(); shares.len()];
        if shares.is_empty() {
            return Ok(Vec::new());
        }
        for unit in 0..units {
            let source = &self.recipe.sources[self.units[unit].source].name;
            self.fates(unit, |rows| {
                for sorted in rows.iter().filter(|sorted| sorted.fate == Fate::Stays) {
                    if let Some(share) = place_of(shares, source, &sorted.lang) {
                        let copies = self.recipe.copies(sorted.size);
                        available[share].documents += 1;
                        available[share].bytes += sorted.length * u64::from(copies);
                    }
                }
                Ok(())
            })?;
        }
        let all: f64 = shares.iter().map(|share| share.share).sum();
        let most = |at: usize| available[at].bytes as f64 * shares[at].epochs;
        // Without a size the scarcest share decides; one of which there is nothing does not.
        let there = (0..shares.len()).filter(|&at| available[at].bytes > 0);
        let scarcest = there.map(|at| most(at) * all / shares[at].share).fold(f64::INFINITY, f64::min);
        let size = mixture.size.map_or(scarcest, |size| size as f64);
        let mix = |(at, share): (usize, &Share)| {
            let (wanted, there) = (size * share.share / all, available[at].bytes as f64);
            let taken = if there > 0.0 { wanted.min(most(at)) } else { 0.0 };
            MixedShare {
                source: share.source.clone(),
                lang: share.lang.clone(),
                wanted: share.share / all,
                available: available[at],
                taken: taken as u64,
                epochs: if there > 0.0 { taken / there } else { 0.0 },
                // A byte of rounding is none.
                short: taken + 1.0 < wanted || there == 0.0,
            }
        };
        Ok(shares.iter().enumerate().map(mix).collect())
    }

    /// Takes away what an older recipe wrote behind the last shard of this one.
    pub(crate) fn remove_others(&self, shards: usize) -> Result<(), Error> {
        let keep: Vec<String> = (0..shards).map(|shard| self.shard_name(shard)).collect();
        let is_shard = |name: &str| {
            name.strip_prefix("shard-").is_some_and(|rest| {
                rest.split_once('.').is_some_and(|(number, end)| {
                    number.len() >= 5
                        && number.bytes().all(|byte| byte.is_ascii_digit())
                        && ["jsonl.zst", "parquet"].contains(&end)
                })
            })
        };
        let folder: &Path = &self.folder;
        let entries = folder.read_dir().map_err(|source| Error::read(folder, source))?;
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if is_shard(&name) && !keep.contains(&name) {
                std::fs::remove_file(entry.path()).map_err(|source| Error::write(&entry.path(), source))?;
            }
        }
        Ok(())
    }
}
