//! How fast a model runs: tokens a second of reading and of writing, with what each token takes.
//!
//! As llama.cpp's `llama-bench` has it, reading and writing are timed apart, both at the same depth: a sequence is
//! filled to the depth untimed, a prompt is computed after it and taken back, then tokens are computed one at a time
//! and taken back. Tokens are random and nothing is sampled, so that the time is that of the model alone.

mod random_model;

use crate::Error;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use sai_decoder::{
    Batch, CacheType, Config, LoadedDecoder, LogitRows, Memory, Runner, Sequence, TokenCost, load,
};
use sai_formats::{Container, DType, Source};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

pub use random_model::RandomModel;

/// Tokens that are computed one at a time before anything is timed.
const WARM_UP: usize = 4;

/// What to time.
#[derive(Clone, Debug)]
pub struct Bench {
    /// Threads that compute; 0 means one per core.
    pub threads: usize,
    /// Tokens of the prompt; with 0 reading is not timed.
    pub prompt: usize,
    /// Tokens computed one at a time; with 0 writing is not timed.
    pub generate: usize,
    /// Tokens that are there before.
    pub depth: usize,
    /// How often each is timed.
    pub repeats: usize,
    /// Precision of keys and values.
    pub cache_type: CacheType,
    /// Bytes that the model may take; a larger one is refused before it is loaded or made.
    pub memory_limit: Option<u64>,
}

impl Default for Bench {
    fn default() -> Bench {
        Bench {
            threads: 0,
            prompt: 512,
            generate: 128,
            depth: 0,
            repeats: 5,
            cache_type: CacheType::default(),
            memory_limit: None,
        }
    }
}

/// What to time it on.
#[derive(Clone, Copy, Debug)]
pub enum BenchModel<'a> {
    /// A GGUF file or a Hugging Face folder. A tokenizer is not needed.
    File(&'a Source),
    /// A model that is made for the occasion.
    Random(&'a RandomModel),
}

/// The middle and the ends of several measurements.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The one in the middle, or the mean of the two there.
    pub median: f64,
    /// The lowest.
    pub lowest: f64,
    /// The highest.
    pub highest: f64,
}

impl Spread {
    /// `None` of nothing.
    fn of(mut figures: Vec<f64>) -> Option<Spread> {
        figures.sort_by(f64::total_cmp);
        let (&lowest, &highest) = figures.first().zip(figures.last())?;
        let n = figures.len();
        Some(Spread { median: (figures[(n - 1) / 2] + figures[n / 2]) / 2.0, lowest, highest })
    }
}

/// What was measured.
#[derive(Clone, Debug)]
pub struct BenchReport {
    /// What it ran on.
    pub device: String,
    /// What the model is.
    pub config: Config,
    /// The type of most of its weights.
    pub dtype: DType,
    /// What a token takes.
    pub work: TokenCost,
    /// Bytes of all weights.
    pub weights: u64,
    /// Opening the files and making the model ready.
    pub load: Duration,
    /// From the beginning of loading to the logits of a prompt of one token.
    pub first_token: Duration,
    /// Tokens a second of a prompt.
    pub prefill: Option<Spread>,
    /// Operations of one of its tokens.
    pub prefill_operations: f64,
    /// Tokens a second, one at a time.
    pub decode: Option<Spread>,
    /// Bytes that one of them reads.
    pub decode_bytes: f64,
    /// Operations of one of them.
    pub decode_operations: f64,
}

impl Bench {
    /// Loads a model and times it. `on` hears how many of the tokens are done, and of how many; where it breaks off
    /// there is no report.
    ///
    /// # Errors
    /// The model cannot be loaded or does not fit, or there is more to compute than its context holds.
    pub fn run(
        &self,
        model: BenchModel<'_>,
        on: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<Option<BenchReport>, Error> {
        let (container, config, started) = self.open(model)?;
        let (work, dtype) = (TokenCost::of(&config, &container, self.cache_type), main_type(&container));
        let weights = container.tensors().total_bytes();
        let decoder = load(self.threads, config, &container)?;
        // What the device needs of the weights it holds itself.
        drop(container);
        let load = started.elapsed();

        let mut timer = Timer::new(&*decoder, self)?;
        timer.compute(1)?;
        let first_token = started.elapsed();
        let Some(Times { prefill, decode }) = timer.run(on)? else { return Ok(None) };
        let (prompt, written) = (self.prompt, self.depth..self.depth + self.generate);
        let mean = |sum: u64, n: usize| if n == 0 { 0.0 } else { sum as f64 / n as f64 };
        Ok(Some(BenchReport {
            device: decoder.device(),
            config: decoder.config().clone(),
            dtype,
            work,
            weights,
            load,
            first_token,
            prefill: Spread::of(prefill.iter().map(|time| prompt as f64 / time.as_secs_f64()).collect()),
            prefill_operations: mean(work.prefill_operations(self.depth, prompt), prompt),
            decode: Spread::of(decode.iter().map(|time| self.generate as f64 / time.as_secs_f64()).collect()),
            decode_bytes: mean(written.clone().map(|p| work.decode_bytes(p)).sum(), self.generate),
            decode_operations: mean(written.map(|p| work.decode_operations(p)).sum(), self.generate),
        }))
    }

    /// The model's tensors, if there is room for it, and when they began to be loaded.
    fn open(&self, model: BenchModel<'_>) -> Result<(Container, Config, Instant), Error> {
        match model {
            BenchModel::File(source) => {
                let started = Instant::now();
                let (container, config) = Config::open(source)?;
                self.check(source.path(), &config, container.tensors().total_bytes())?;
                Ok((container, config, started))
            }
            BenchModel::Random(random) => {
                self.check(Path::new(random_model::NAME), random.config(), random.most_bytes())?;
                let container = random.make()?;
                Ok((container, random.config().clone(), Instant::now()))
            }
        }
    }

    /// Positions that the cache needs.
    fn positions(&self) -> usize {
        // One token is computed for the time to the first.
        self.depth.saturating_add(self.prompt.max(self.generate).max(WARM_UP))
    }

    /// Refuses what the model's context or the memory does not hold.
    fn check(&self, path: &Path, config: &Config, weights: u64) -> Result<(), Error> {
        let (context, trained) = (self.positions(), config.context_length);
        if context > trained {
            return Err(Error::ContextTooLong { path: path.to_path_buf(), asked: context, trained });
        }
        let need = Memory::of(config, weights, context, self.cache_type);
        match self.memory_limit.filter(|&limit| need.total() > limit) {
            Some(available) => Err(Error::Memory { path: path.to_path_buf(), need, available, context }),
            None => Ok(()),
        }
    }
}

/// The type that most bytes of a model are in.
fn main_type(container: &Container) -> DType {
    let mut bytes: Vec<(DType, usize)> = Vec::new();
    for tensor in container.tensors() {
        match bytes.iter_mut().find(|(dtype, _)| *dtype == tensor.dtype) {
            Some((_, sum)) => *sum += tensor.data.len(),
            None => bytes.push((tensor.dtype, tensor.data.len())),
        }
    }
    bytes.into_iter().max_by_key(|(_, sum)| *sum).map_or(DType::F32, |(dtype, _)| dtype)
}

/// What each repeat took.
struct Times {
    prefill: Vec<Duration>,
    decode: Vec<Duration>,
}

/// A sequence of random tokens over a decoder.
struct Timer<'a> {
    bench: &'a Bench,
    runner: Box<dyn Runner + 'a>,
    sequence: Sequence,
    random: ChaCha8Rng,
    /// Tokens computed, for the listener.
    done: usize,
}

impl<'a> Timer<'a> {
    fn new(decoder: &'a dyn LoadedDecoder, bench: &'a Bench) -> Result<Timer<'a>, Error> {
        let mut runner = decoder.runner(bench.positions(), bench.cache_type)?;
        let sequence = runner.pages_mut().start();
        Ok(Timer { bench, runner, sequence, random: ChaCha8Rng::seed_from_u64(0), done: 0 })
    }

    /// Warms up, fills the sequence to its depth, and times reading and writing in turns.
    fn run(&mut self, on: &mut dyn FnMut(usize, usize) -> ControlFlow<()>) -> Result<Option<Times>, Error> {
        let &Bench { prompt, generate, depth, repeats, .. } = self.bench;
        let rows = self.runner.best_rows();
        let warm_up = prompt.min(rows);
        let total = warm_up + WARM_UP + depth + repeats * (prompt + generate);
        let mut times = Times { prefill: Vec::new(), decode: Vec::new() };
        let mut on = |done: usize| on(done, total);

        self.runner.pages_mut().truncate(&self.sequence, 0);
        for (tokens, piece) in [(warm_up, warm_up), (WARM_UP, 1), (depth, rows)] {
            self.runner.pages_mut().truncate(&self.sequence, 0);
            if self.pieces(tokens, piece, &mut on)?.is_none() {
                return Ok(None);
            }
        }
        for _ in 0..repeats {
            for (tokens, piece, times) in
                [(prompt, rows, &mut times.prefill), (generate, 1, &mut times.decode)]
            {
                self.runner.pages_mut().truncate(&self.sequence, depth);
                match self.pieces(tokens, piece, &mut on)? {
                    Some(time) if tokens > 0 => times.push(time),
                    Some(_) => {}
                    None => return Ok(None),
                }
            }
        }
        Ok(Some(times))
    }

    /// Computes `tokens` tokens in passes of `piece`; returns the time of the passes, or `None` where `on` breaks off.
    fn pieces(
        &mut self,
        tokens: usize,
        piece: usize,
        on: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<Option<Duration>, Error> {
        let mut time = Duration::ZERO;
        let mut left = tokens;
        while left > 0 {
            let rows = piece.min(left);
            time += self.compute(rows)?;
            left -= rows;
            self.done += rows;
            if on(self.done).is_break() {
                return Ok(None);
            }
        }
        Ok(Some(time))
    }

    /// Computes one pass; returns its time.
    fn compute(&mut self, rows: usize) -> Result<Duration, Error> {
        let vocab_size = self.runner.vocab_size() as u64;
        let tokens: Vec<u32> = (0..rows).map(|_| (self.random.next_u64() % vocab_size) as u32).collect();
        let started = Instant::now();
        let mut batch = Batch::new();
        batch.push(&self.sequence, &tokens, LogitRows::Last);
        self.runner.forward(&batch)?;
        Ok(started.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_the_middle_and_the_ends() {
        let spread = |figures: &[f64]| Spread::of(figures.to_vec()).map(|s| (s.median, s.lowest, s.highest));
        assert_eq!(spread(&[]), None);
        assert_eq!(spread(&[3.0]), Some((3.0, 3.0, 3.0)));
        assert_eq!(spread(&[5.0, 1.0, 2.0]), Some((2.0, 1.0, 5.0)));
        assert_eq!(spread(&[4.0, 1.0, 2.0, 9.0]), Some((3.0, 1.0, 9.0)));
    }
}
