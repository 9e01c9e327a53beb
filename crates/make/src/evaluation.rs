//! What models know of texts, and what the last of them says: the work of `sai evaluate`.

use crate::Error;
use sai_documents::{Options, Reader};
use sai_formats::Source;
use sai_generation::{LoadOptions, Model, Turn, chat_replies, cross_entropy};
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// Tokens of a window, as `sai perplexity` has them.
const WINDOW: usize = 512;

/// What is to be found out.
#[derive(Clone, Debug)]
pub struct EvaluationOptions {
    /// Models, with what they are to be called. The last one is asked.
    pub models: Vec<(String, Source)>,
    /// Files of documents, with what they are to be called: their language.
    pub texts: Vec<(String, Vec<PathBuf>)>,
    /// How they are read.
    pub reading: Options,
    /// Bytes of each that are read, at most, but for the last document.
    pub bytes: usize,
    /// Conversations: what is said turn by turn.
    pub ask: Vec<Vec<String>>,
    /// Tokens of an answer at most.
    pub answer_tokens: usize,
    /// Threads to compute with; 0 means one a core.
    pub threads: usize,
}

/// What was found out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Of each model.
    pub models: Vec<ModelFigures>,
    /// Conversations with the last one.
    pub conversations: Vec<Vec<RecordedTurn>>,
    /// Tables of tasks, where any were asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<sai_evals::Table>,
    /// Of each model: its results of tasks as lm-evaluation-harness lays them out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<serde_json::Value>,
}

/// What a model knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelFigures {
    /// What it is called.
    pub name: String,
    /// Its file's bytes, or those of its folder's weights.
    pub bytes: u64,
    /// Of each language.
    pub languages: Vec<LanguageFigures>,
}

/// How well texts of a language are predicted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LanguageFigures {
    /// Which.
    pub language: String,
    /// Documents that were read.
    pub documents: u64,
    /// Documents that were passed over: broken ones, where that is asked for, and those whose text is null.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub passed_over: u64,
    /// Their bytes.
    pub text_bytes: u64,
    /// Their tokens.
    pub tokens: u64,
    /// Bits that a byte costs. Does not depend on the vocabulary.
    pub bits_per_byte: f64,
    /// The exponential of the mean surprise of a token. Depends on the vocabulary.
    pub perplexity: f64,
}

// serde hands it on as it lies.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedTurn {
    /// What was said to the model.
    pub said: String,
    /// What it answered: the likeliest tokens.
    pub answer: String,
    /// The same as ids, without the one that ended it.
    #[serde(default)]
    pub tokens: Vec<u32>,
    /// Whether it ended its answer.
    pub ended: bool,
}

/// Finds it out. `progress` hears of the part that is done and of what goes on, and may end the work.
///
/// # Errors
/// A model or a text cannot be read; files of a language have no text.
pub fn evaluate(
    what: &EvaluationOptions,
    progress: &mut dyn FnMut(f64, &str) -> ControlFlow<()>,
) -> Result<ControlFlow<(), Evaluation>, Error> {
    let mut texts = Vec::new();
    for (language, files) in &what.texts {
        let (found, passed_over) = read(files, &what.reading, what.bytes)?;
        // Of no text every model would be a perfect one.
        if found.is_empty() {
            let file = files.first().cloned().unwrap_or_default();
            let fact = format!("there is no text to read for {language}; give another file, or more bytes");
            return Err(Error::data(&file, fact));
        }
        texts.push((language, found, passed_over));
    }
    let all = texts.iter().map(|(_, texts, _)| texts.iter().map(String::len).sum::<usize>()).sum::<usize>();
    // An answer takes about as long as a kilobyte.
    let total = (all * what.models.len() + 1000 * what.ask.len()).max(1) as f64;
    let mut done = 0.0;
    let mut found =
        Evaluation { models: Vec::new(), conversations: Vec::new(), tables: Vec::new(), tasks: Vec::new() };
    for (place, (name, source)) in what.models.iter().enumerate() {
        let model = Model::open(source, &LoadOptions { threads: what.threads, ..LoadOptions::default() })?;
        let window = WINDOW.min(model.context);
        let mut languages = Vec::new();
        for (language, texts, passed_over) in &texts {
            let now = format!("{language}, {name}");
            let mut so_far =
                |f: &sai_generation::CrossEntropy| progress((done + f.bytes as f64) / total, &now);
            let ControlFlow::Continue(cross_entropy) =
                cross_entropy(&model, texts.iter().map(String::as_str), window, &mut so_far)?
            else {
                return Ok(ControlFlow::Break(()));
            };
            if cross_entropy.tokens == 0 {
                let fact = format!(
                    "its vocabulary has no token that opens a text, and texts of {language} have one each"
                );
                return Err(Error::data(Path::new(name), fact));
            }
            done += cross_entropy.bytes as f64;
            languages.push(LanguageFigures {
                language: (*language).clone(),
                documents: cross_entropy.documents,
                passed_over: *passed_over,
                text_bytes: cross_entropy.bytes,
                tokens: cross_entropy.tokens,
                bits_per_byte: cross_entropy.bits_per_byte(),
                perplexity: cross_entropy.perplexity(),
            });
        }
        found.models.push(ModelFigures { name: name.clone(), bytes: bytes_of(source), languages });
        if place + 1 < what.models.len() {
            continue;
        }
        for ask in &what.ask {
            if progress(done / total, "conversations").is_break() {
                return Ok(ControlFlow::Break(()));
            }
            done += 1000.0;
            let turns = chat_replies(&model, ask, what.answer_tokens.min(model.context / 2))?;
            let said =
                |t: Turn| RecordedTurn { said: t.said, answer: t.answer, tokens: t.tokens, ended: t.ended };
            found.conversations.push(turns.into_iter().map(said).collect());
        }
    }
    Ok(ControlFlow::Continue(found))
}

/// The bytes of a model's file, or of its folder's weights.
fn bytes_of(source: &Source) -> u64 {
    let weights = match source {
        Source::Memory { bytes, .. } => return bytes.len() as u64,
        Source::Path(path) if path.is_dir() => path.join("model.safetensors"),
        Source::Path(path) => path.clone(),
    };
    std::fs::metadata(weights).map_or(0, |file| file.len())
}

/// The first documents of some files, of about so many bytes, and how many were passed over among them.
fn read(files: &[PathBuf], reading: &Options, most: usize) -> Result<(Vec<String>, u64), Error> {
    let (mut texts, mut bytes, mut passed_over) = (Vec::new(), 0, 0);
    for batch in Reader::open(files.to_vec(), reading.clone())? {
        let batch = batch?;
        passed_over += batch.broken().len() as u64;
        for document in batch.documents().filter(|document| !document.text.is_empty()) {
            if bytes >= most {
                return Ok((texts, passed_over));
            }
            bytes += document.text.len();
            texts.push(document.text.to_owned());
        }
    }
    Ok((texts, passed_over))
}
