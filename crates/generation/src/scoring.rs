//! The likelihood of a given text.

use crate::{Engine, EngineOptions, Error, Model, Output};
use std::ops::ControlFlow;

/// Natural log of the probability of each token after the first, given those before it.
///
/// # Errors
/// The text is longer than the context, or holds a token that the model does not have.
pub fn score(model: &Model, tokens: &[u32]) -> Result<Vec<f32>, Error> {
    if tokens.len() > model.context {
        return Err(Error::PromptTooLong { tokens: tokens.len(), context: model.context });
    }
    Scorer::new(model, tokens.len())?.score(tokens, 1)
}

/// How well a model predicts a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Perplexity {
    /// `exp` of the mean negative log-probability of the scored tokens.
    pub perplexity: f64,
    /// Its standard error.
    pub uncertainty: f64,
    /// Tokens that were scored.
    pub scored_tokens: usize,
    /// Windows that they lie in.
    pub windows: usize,
}

/// Perplexity over windows as `llama-perplexity` computes it: windows of `window` tokens one after another, an
/// incomplete last one left out; the first token of each replaced by BOS where the model wants one; and the
/// tokens after the middle scored, so that each has at least half a window before it.
///
/// `on` hears the figure so far after each window, and how many there are, and may break off.
///
/// # Errors
/// The text has no whole window, or the window is not one that the context holds.
pub fn perplexity(
    model: &Model,
    tokens: &[u32],
    window: usize,
    on: &mut dyn FnMut(&Perplexity, usize) -> ControlFlow<()>,
) -> Result<Perplexity, Error> {
    if window < 4 || window > model.context {
        return Err(Error::Window { window, context: model.context });
    }
    let windows = tokens.len() / window;
    if windows == 0 {
        return Err(Error::TextTooShort { tokens: tokens.len(), window });
    }
    let bos = model.tokenizer.bos().filter(|_| model.tokenizer.add_bos());
    let mut scorer = Scorer::new(model, window)?;
    let mut sums = Sums::default();
    for (i, text) in tokens.chunks_exact(window).enumerate() {
        let mut text = text.to_vec();
        if let Some(bos) = bos {
            text[0] = bos;
        }
        sums.add(&scorer.score(&text, window / 2 + 1)?);
        let so_far = sums.perplexity(i + 1);
        if on(&so_far, windows).is_break() {
            return Ok(so_far);
        }
    }
    Ok(sums.perplexity(windows))
}

/// How well a model predicts documents, whatever its vocabulary.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CrossEntropy {
    /// Documents.
    pub documents: u64,
    /// Bytes of their texts.
    pub bytes: u64,
    /// Tokens that are scored: all of their texts, but the first of each where the vocabulary has none to open it.
    pub tokens: u64,
    /// Sum of their negative log-probabilities, in nats.
    pub nats: f64,
}

impl CrossEntropy {
    /// Bits that a byte costs: the fewer, the better it is predicted.
    pub fn bits_per_byte(&self) -> f64 {
        self.nats / std::f64::consts::LN_2 / self.bytes.max(1) as f64
    }

    /// The exponential of the mean surprise of a token.
    pub fn perplexity(&self) -> f64 {
        (self.nats / self.tokens.max(1) as f64).exp()
    }
}

/// Scores every token of each text, opened as documents are in training, by the token that ends one. A text of more than
/// `window` tokens is read in windows that overlap by half, so that each token has at least half a window before it.
///
/// `on` hears of what is found so far after each text, and may break off.
///
/// # Errors
/// The window is not one that the context holds.
pub fn cross_entropy<'t>(
    model: &Model,
    texts: impl Iterator<Item = &'t str>,
    window: usize,
    on: &mut dyn FnMut(&CrossEntropy) -> ControlFlow<()>,
) -> Result<ControlFlow<(), CrossEntropy>, Error> {
    if window < 4 || window > model.context {
        return Err(Error::Window { window, context: model.context });
    }
    let opening = model.tokenizer.eos().first().or(model.tokenizer.bos().as_ref()).copied();
    let mut scorer = Scorer::new(model, window)?;
    let mut found = CrossEntropy::default();
    for text in texts {
        let ids: Vec<u32> = opening.into_iter().chain(model.tokenizer.encode_plain(text)).collect();
        let mut scored = 1;
        while scored < ids.len() {
            let start = if scored == 1 { 0 } else { scored.saturating_sub(window / 2) };
            let end = ids.len().min(start + window);
            let logprobs = scorer.score(&ids[start..end], scored - start)?;
            found.nats -= logprobs.iter().map(|&logprob| f64::from(logprob)).sum::<f64>();
            scored = end;
        }
        found.documents += 1;
        found.bytes += text.len() as u64;
        found.tokens += ids.len().saturating_sub(1) as u64;
        if on(&found).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(found))
}

/// Sums of the negative log-probabilities and their squares.
#[derive(Default)]
struct Sums {
    count: usize,
    sum: f64,
    squares: f64,
}

impl Sums {
    fn add(&mut self, logprobs: &[f32]) {
        for &logprob in logprobs {
            let nll = -f64::from(logprob);
            self.count += 1;
            self.sum += nll;
            self.squares += nll * nll;
        }
    }

    fn perplexity(&self, windows: usize) -> Perplexity {
        let n = self.count as f64;
        let mean = self.sum / n;
        let variance = (self.squares / n - mean * mean).max(0.0);
        let perplexity = mean.exp();
        let uncertainty = if self.count > 1 { perplexity * (variance / (n - 1.0)).sqrt() } else { 0.0 };
        Perplexity { perplexity, uncertainty, scored_tokens: self.count, windows }
    }
}

/// An engine for texts of a certain length, one after another, which have no beginning in common.
struct Scorer<'m>(Engine<'m>);

impl<'m> Scorer<'m> {
    fn new(model: &'m Model, length: usize) -> Result<Scorer<'m>, Error> {
        let options =
            EngineOptions { cache_tokens: length.max(1), share_prefixes: false, ..EngineOptions::default() };
        Ok(Scorer(Engine::new(model, options)?))
    }

    /// Log-probabilities of the tokens from `first` on, which is at least 1.
    fn score(&mut self, tokens: &[u32], first: usize) -> Result<Vec<f32>, Error> {
        let id = self.0.score(tokens.to_vec(), first)?;
        match self.0.run_until(id, &mut |_, _| ControlFlow::Continue(()))? {
            Output::Scores(scores) => Ok(scores.logprobs),
            _ => unreachable!("a text that was to be scored"),
        }
    }
}
