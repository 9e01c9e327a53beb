//! `sai corpus teach`: a classifier of quality from two sets of documents.

use std::path::{Path, PathBuf};

use clap::Args;
use sai_cleaning::quality::{Classifier, TeachOptions};
use sai_documents::Reader;

use crate::tokenizer::documents::{ReadingArgs, advise, find};
use crate::ui::{Thousands, Ui};

const EXAMPLES: &str = "\
Examples:
  sai corpus teach --good books.jsonl.zst --bad raw.jsonl.zst -o quality.bin
  sai corpus teach --good good/ --bad pages/ -o quality.bin --seed 7";

/// One in so many documents of each set is kept back, to say how well it is told.
const KEPT_BACK: usize = 10;

/// Teach a classifier to tell good documents from others, for `min_classifier` of a recipe.
///
/// Logistic regression over hashed n-grams of words and of Hangul. The same documents and seed give the same file. One in ten documents
/// of each set is kept back, and how many of them are told right is said.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Teach {
    /// Documents as they should be: files, folders or globs of JSONL, Parquet or text
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    good: Vec<String>,

    /// Documents as they come
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    bad: Vec<String>,

    /// Where the classifier is written
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,

    /// Replace what is there
    #[arg(long)]
    force: bool,

    /// Places for features: 2 to the power of it
    #[arg(long, default_value_t = TeachOptions::default().bits, value_name = "N", value_parser = crate::cli::whole_of::<u32>(8..=24))]
    bits: u32,

    /// Passes over the documents
    #[arg(long, default_value_t = TeachOptions::default().epochs, value_name = "N", value_parser = crate::cli::whole_of::<u32>(1..=1000))]
    epochs: u32,

    /// Decides the order of the documents
    #[arg(long, default_value_t = TeachOptions::default().seed, value_name = "N")]
    seed: u64,

    #[command(flatten)]
    reading: ReadingArgs,
}

impl Teach {
    pub(crate) fn run(self, ui: &Ui) -> anyhow::Result<()> {
        let (good, bad) = (find(ui, &self.good)?, find(ui, &self.bad)?);
        let reads: Vec<&Path> = good.iter().chain(&bad).map(PathBuf::as_path).collect();
        crate::output::check_file(&self.output, self.force, &reads)?;
        let (good, bad) = (self.texts(good).map_err(advise)?, self.texts(bad).map_err(advise)?);
        let options =
            TeachOptions { bits: self.bits, epochs: self.epochs, seed: self.seed, ..TeachOptions::default() };
        let (good, good_back) = split(&good);
        let (bad, bad_back) = split(&bad);
        let classifier = Classifier::teach(&good, &bad, &options)?;
        classifier.write(&self.output)?;
        let right_of = |texts: &[&str], good: bool| {
            texts.iter().filter(|text| (classifier.probability(text) >= 0.5) == good).count()
        };
        let (right_good, right_bad) = (right_of(&good_back, true), right_of(&bad_back, false));
        let all = Thousands((good.len() + bad.len()) as u64);
        let output = self.output.display();
        ui.note(format_args!(
            "{output}: learnt from {all} documents; of those kept back it tells {right_good} of {} good and {right_bad} of {} other ones",
            good_back.len(),
            bad_back.len()
        ));
        Ok(())
    }

    fn texts(&self, files: Vec<PathBuf>) -> anyhow::Result<Vec<String>> {
        let mut texts = Vec::new();
        for batch in Reader::open(files, self.reading.options())? {
            texts.extend(batch?.documents().map(|document| document.text.to_owned()));
        }
        Ok(texts)
    }
}

/// The documents to learn from, and those kept back. Of a few none is.
fn split(texts: &[String]) -> (Vec<&str>, Vec<&str>) {
    let (mut learnt, mut back) = (Vec::new(), Vec::new());
    for (i, text) in texts.iter().enumerate() {
        if i % KEPT_BACK == KEPT_BACK - 1 { back.push(text.as_str()) } else { learnt.push(text.as_str()) }
    }
    (learnt, back)
}
