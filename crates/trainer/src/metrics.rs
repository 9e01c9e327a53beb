//! `metrics.jsonl`: a line for each step.

use crate::Error;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

/// What a step came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// The step, from 1.
    pub step: u64,
    /// Mean of −ln p over the step's tokens that are trained on, in nats; of preferences the mean loss of its pairs.
    pub loss: f64,
    /// The gradient's norm before clipping.
    pub grad_norm: f64,
    /// The learning rate.
    pub learning_rate: f64,
    /// Tokens read since the run began.
    pub tokens: u64,
    /// Tokens of the step that are trained on.
    pub trained: u64,
    /// Tokens a second in this step.
    pub tokens_per_second: f64,
    /// Share of the machine's arithmetic peak, once that is measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_share: Option<f64>,
    /// Of preferences, what the step's pairs came to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rewards: Option<Rewards>,
    /// Where this step was followed by a validation, what that found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub validation: Vec<Validation>,
}

/// How well held-out text of a language is predicted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Validation {
    /// The language.
    pub language: String,
    /// Mean of −ln p over its tokens, in nats; of preferences the mean loss of its pairs.
    pub loss: f64,
    /// Bits for each byte of its text: does not depend on the tokenizer. Of pairs the text of chosen answers.
    pub bits_per_byte: f64,
    /// Of preferences, what its pairs came to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rewards: Option<Rewards>,
}

/// By how much answers became likelier than to the reference, times `beta`: means over pairs. Rafailov et al. 2023.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rewards {
    /// Of chosen answers.
    pub chosen: f64,
    /// Of rejected ones.
    pub rejected: f64,
    /// The difference.
    pub margin: f64,
    /// Share of the pairs with a difference above 0.
    pub accuracy: f64,
}

/// How fast a run was.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Throughput {
    /// Median of its steps' tokens a second.
    pub tokens_per_second: f64,
    /// Median of their shares of the machine's peak.
    pub peak_share: f64,
}

/// How fast the run in folder `run` was, by the steps after the machine's peak was measured.
///
/// # Errors
/// It has no metrics, or ended before the peak was measured.
pub fn measured(run: &Path) -> Result<Throughput, Error> {
    let (mut speeds, mut shares): (Vec<f64>, Vec<f64>) =
        metrics(run)?.into_iter().filter_map(|line| Some((line.tokens_per_second, line.peak_share?))).unzip();
    let median = |values: &mut Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    };
    match (median(&mut speeds), median(&mut shares)) {
        (Some(tokens_per_second), Some(peak_share)) => Ok(Throughput { tokens_per_second, peak_share }),
        _ => {
            let path = run.join("metrics.jsonl");
            let fact = "no step says its share of the peak; a run measures that after 20 s".to_owned();
            Err(Error::Data { path, fact })
        }
    }
}

/// The steps of the run in folder `run`.
///
/// # Errors
/// It has no metrics.
pub fn metrics(run: &Path) -> Result<Vec<Metrics>, Error> {
    let path = run.join("metrics.jsonl");
    let text = std::fs::read_to_string(&path).map_err(|e| Error::io(&path, "read the file", e))?;
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

/// The file, open for more lines.
pub(crate) struct MetricsFile {
    path: PathBuf,
    file: File,
}

impl MetricsFile {
    /// Opens the file of a run that goes on after `step`, and returns the lines up to there; later and broken ones go.
    pub(crate) fn open(path: &Path, step: u64) -> Result<(MetricsFile, Vec<Metrics>), Error> {
        let mut lines = Vec::new();
        let mut length = 0;
        match File::open(path) {
            Ok(file) => {
                let mut reader = BufReader::new(file);
                let mut line = String::new();
                while reader.read_line(&mut line).map_err(|e| Error::io(path, "read the file", e))? > 0 {
                    match serde_json::from_str::<Metrics>(&line) {
                        Ok(metrics) if metrics.step <= step && line.ends_with('\n') => lines.push(metrics),
                        _ => break,
                    }
                    length += line.len() as u64;
                    line.clear();
                }
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(Error::io(path, "open the file", e)),
        }
        // Without the file the run goes on, and its lines begin here.
        if let Some(last) = lines.last().filter(|last| last.step != step) {
            let fact = format!(
                "ends after step {}, before the checkpoint of step {step}; put back the whole file, or remove it to go on \
                 without what was",
                last.step
            );
            return Err(Error::Data { path: path.to_owned(), fact });
        }
        let file = File::options().create(true).append(true).open(path);
        let file = file.map_err(|e| Error::io(path, "open the file", e))?;
        file.set_len(length).map_err(|e| Error::io(path, "shorten the file", e))?;
        Ok((MetricsFile { path: path.to_owned(), file }, lines))
    }

    /// Adds a line, in one write.
    pub(crate) fn push(&mut self, metrics: &Metrics) -> Result<(), Error> {
        let mut line =
            serde_json::to_vec(metrics).map_err(|e| Error::io(&self.path, "write the file", e.into()))?;
        line.push(b'\n');
        self.file.write_all(&line).map_err(|e| Error::io(&self.path, "write the file", e))
    }

    /// Brings all lines to the disk.
    pub(crate) fn sync(&self) -> Result<(), Error> {
        self.file.sync_data().map_err(|e| Error::io(&self.path, "write the file", e))
    }
}
