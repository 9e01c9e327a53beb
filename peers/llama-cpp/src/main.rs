//! llama.cpp on a GGUF file: the figures that sai is held against.
//!
//! `perplexity` follows the `llama-perplexity` program step by step, `greedy` prints token ids and text, `bench` times
//! a prompt and the tokens after it, `quantize` makes files of other types. Each prints one JSON object on standard output.

mod quantize;

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Parser, Subcommand, ValueEnum};
use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::{KvCacheType, LlamaContextParams};
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;
use llama_cpp_2::token::LlamaToken;

#[derive(Parser)]
#[command(about, version)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Perplexity of a text, as `llama-perplexity` computes it.
    Perplexity {
        #[command(flatten)]
        common: Common,
        /// The text; one newline at its end is left out, as llama.cpp's `-f` does.
        #[arg(short, long)]
        file: PathBuf,
    },
    /// The likeliest continuation of a prompt, with the ids of both.
    Greedy {
        #[command(flatten)]
        common: Common,
        /// Special tokens in it become their ids.
        #[arg(short, long)]
        prompt: String,
        #[arg(short, long, default_value_t = 64)]
        n_predict: usize,
    },
    /// Tokens a second of reading and of writing, as `sai bench` times them: the median of several repeats.
    Bench {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        work: Work,
    },
    /// A file of another type, as `llama-quantize` makes it, and how long that took.
    Quantize(quantize::Quantize),
}

/// What is timed.
#[derive(Args)]
struct Work {
    /// Tokens of the prompt; 0 leaves reading out.
    #[arg(short = 'p', long, default_value_t = 512)]
    n_prompt: usize,
    /// Tokens computed one at a time; 0 leaves writing out.
    #[arg(short, long, default_value_t = 128)]
    n_gen: usize,
    /// Tokens of context before both.
    #[arg(short, long, default_value_t = 0)]
    depth: usize,
    #[arg(short, long, default_value_t = 5)]
    repeats: usize,
}

#[derive(Args)]
struct Common {
    #[arg(short, long)]
    model: PathBuf,
    /// Tokens in a window.
    #[arg(short, long, default_value_t = 512)]
    ctx: u32,
    #[arg(short, long, default_value_t = 2)]
    threads: i32,
    /// Type of the cache of keys and values.
    #[arg(long, value_enum, default_value_t = Cache::F16)]
    cache: Cache,
    /// Flash attention; `auto` is llama.cpp's default.
    #[arg(long, value_enum, default_value_t = Flash::Auto)]
    flash: Flash,
}

#[derive(Clone, Copy, ValueEnum)]
enum Cache {
    F16,
    F32,
}

#[derive(Clone, Copy, ValueEnum)]
enum Flash {
    Auto,
    Off,
    On,
}

struct Peer {
    backend: LlamaBackend,
    model: LlamaModel,
    common: Common,
}

impl Peer {
    fn load(common: Common) -> Result<Self> {
        let mut backend = LlamaBackend::init()?;
        backend.void_logs();
        let path = &common.model;
        let model = LlamaModel::load_from_file(&backend, path, &LlamaModelParams::default())
            .with_context(|| path.display().to_string())?;
        Ok(Self { backend, model, common })
    }

    fn context(&self, tokens: u32) -> Result<LlamaContext<'_>> {
        let cache = match self.common.cache {
            Cache::F16 => KvCacheType::F16,
            Cache::F32 => KvCacheType::F32,
        };
        // LLAMA_FLASH_ATTN_TYPE_AUTO, _DISABLED, _ENABLED of llama.h.
        let flash = match self.common.flash {
            Flash::Auto => -1,
            Flash::Off => 0,
            Flash::On => 1,
        };
        let params = LlamaContextParams::default()
            .with_n_ctx(NonZeroU32::new(tokens))
            .with_n_batch(tokens.max(512))
            .with_n_ubatch(512)
            .with_n_threads(self.common.threads)
            .with_n_threads_batch(self.common.threads)
            .with_type_k(cache)
            .with_type_v(cache)
            .with_flash_attention_policy(flash);
        Ok(self.model.new_context(&self.backend, params)?)
    }
}

fn ids(tokens: &[LlamaToken]) -> String {
    let list: Vec<String> = tokens.iter().map(|token| token.0.to_string()).collect();
    format!("[{}]", list.join(", "))
}

/// A JSON string.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out + "\""
}

/// -log p of `token`, with the sum of exponentials in f64 as llama.cpp has it.
fn surprise(logits: &[f32], token: LlamaToken) -> f64 {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|logit| f64::from((logit - max).exp())).sum();
    sum.ln() - f64::from(logits[token.0 as usize] - max)
}

/// Windows of `ctx` tokens, one after another and each on its own. The second half of a window is scored, given all of
/// it that came before. Where the vocabulary asks for a BOS token, it stands in for each window's first token.
fn perplexity(common: Common, file: &PathBuf) -> Result<()> {
    let mut text = std::fs::read(file).with_context(|| file.display().to_string())?;
    if text.last() == Some(&b'\n') {
        text.pop();
    }
    let peer = Peer::load(common)?;
    let vocab = peer.model.vocab();
    let tokens = vocab.tokenize(&text, true, false);
    let window = peer.common.ctx as usize;
    let scored_from = window / 2;
    ensure!(tokens.len() >= 2 * window, "{} tokens; two windows of {window} are the least", tokens.len());
    ensure!(!vocab.should_add_eos(), "llama-perplexity refuses a vocabulary that adds an EOS token");

    let mut context = peer.context(peer.common.ctx)?;
    let mut batch = LlamaBatch::new(window, 1);
    let (mut nll, mut squares, mut count) = (0.0, 0.0, 0_u32);
    for (done, chunk) in tokens.chunks_exact(window).enumerate() {
        context.clear_kv_cache();
        batch.clear();
        for (i, &token) in chunk.iter().enumerate() {
            let token = if i == 0 && vocab.should_add_bos() { vocab.bos() } else { token };
            batch.add(token, i as i32, &[0], i >= scored_from)?;
        }
        context.decode(&mut batch)?;
        for i in scored_from..window - 1 {
            let value = surprise(context.get_logits_ith(i as i32), chunk[i + 1]);
            nll += value;
            squares += value * value;
            count += 1;
        }
        eprintln!("[{}] {:.4}", done + 1, (nll / f64::from(count)).exp());
    }
    let mean = nll / f64::from(count);
    let variance = squares / f64::from(count) - mean * mean;
    let error = if variance > 0.0 { (variance / f64::from(count - 1)).sqrt() } else { 0.0 };
    println!(
        "{{\"tokens\": {}, \"window\": {window}, \"windows\": {}, \"scored\": {count}, \"add_bos\": {}, \
         \"perplexity\": {:.6}, \"uncertainty\": {:.6}, \"first_ids\": {}}}",
        tokens.len(),
        tokens.len() / window,
        vocab.should_add_bos(),
        mean.exp(),
        error * mean.exp(),
        ids(&tokens[..16.min(tokens.len())])
    );
    Ok(())
}

fn likeliest(logits: &[f32]) -> LlamaToken {
    let mut best = 0;
    for (i, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = i;
        }
    }
    LlamaToken(best as i32)
}

fn feed(
    context: &mut LlamaContext<'_>,
    batch: &mut LlamaBatch,
    tokens: &[LlamaToken],
    at: usize,
) -> Result<()> {
    batch.clear();
    for (i, &token) in tokens.iter().enumerate() {
        batch.add(token, (at + i) as i32, &[0], i + 1 == tokens.len())?;
    }
    Ok(context.decode(batch)?)
}

fn greedy(common: Common, prompt: &str, n_predict: usize) -> Result<()> {
    let peer = Peer::load(common)?;
    let vocab = peer.model.vocab();
    let prompt = vocab.tokenize(prompt.as_bytes(), true, true);
    ensure!(!prompt.is_empty(), "the prompt has no tokens");
    let size = prompt.len() + n_predict;
    let mut context = peer.context(u32::try_from(size)?)?;
    let mut batch = LlamaBatch::new(size, 1);
    feed(&mut context, &mut batch, &prompt, 0)?;
    let mut said = Vec::new();
    while said.len() < n_predict {
        let token = likeliest(context.get_logits_ith(batch.n_tokens() - 1));
        said.push(token);
        if vocab.is_eog(token) {
            break;
        }
        feed(&mut context, &mut batch, &[token], prompt.len() + said.len() - 1)?;
    }
    let text = vocab.detokenize(&said, false, true);
    println!(
        "{{\"prompt\": {}, \"greedy\": {}, \"text\": {}}}",
        ids(&prompt),
        ids(&said),
        quoted(&String::from_utf8_lossy(&text))
    );
    Ok(())
}

/// A sequence of tokens that are all different enough: what they are does not change the work.
struct Timer<'a> {
    context: LlamaContext<'a>,
    batch: LlamaBatch<'a>,
    words: usize,
    drawn: usize,
    length: usize,
}

impl Timer<'_> {
    /// Computes tokens in passes of `piece`, of which the last token's logits are wanted; returns seconds.
    fn pieces(&mut self, tokens: usize, piece: usize) -> Result<f64> {
        let (mut left, mut seconds) = (tokens, 0.0);
        while left > 0 {
            let rows = piece.min(left);
            let tokens: Vec<_> =
                (0..rows).map(|i| LlamaToken(((self.drawn + i) * 7919 % self.words) as i32)).collect();
            let began = Instant::now();
            feed(&mut self.context, &mut self.batch, &tokens, self.length)?;
            // The pass has ended when its logits can be read.
            std::hint::black_box(self.context.get_logits_ith(rows as i32 - 1)[0]);
            seconds += began.elapsed().as_secs_f64();
            self.drawn += rows;
            self.length += rows;
            left -= rows;
        }
        Ok(seconds)
    }

    fn back_to(&mut self, length: usize) -> Result<()> {
        let cleared = self.context.clear_kv_cache_seq(Some(0), Some(u32::try_from(length)?), None)?;
        ensure!(cleared, "the cache cannot be shortened");
        self.length = length;
        Ok(())
    }
}

/// Median and ends as JSON, `null` of nothing.
fn spread(name: &str, mut rates: Vec<f64>) -> String {
    rates.sort_by(f64::total_cmp);
    let Some((lowest, highest)) = rates.first().zip(rates.last()) else {
        return format!("\"{name}_tok_s\": null, \"{name}_tok_s_range\": null");
    };
    let median = (rates[(rates.len() - 1) / 2] + rates[rates.len() / 2]) / 2.0;
    format!("\"{name}_tok_s\": {median:.3}, \"{name}_tok_s_range\": [{lowest:.3}, {highest:.3}]")
}

/// The steps of `sai bench`: warm up, fill the sequence to its depth, then time a prompt and single tokens in turns,
/// each taken back afterwards.
fn bench(common: Common, work: &Work) -> Result<()> {
    const PIECE: usize = 512;
    const WARM_UP: usize = 4;
    let &Work { n_prompt, n_gen, depth, repeats } = work;
    if n_prompt + n_gen == 0 || repeats == 0 {
        bail!("nothing to time");
    }
    let began = Instant::now();
    let peer = Peer::load(common)?;
    let size = depth + n_prompt.max(n_gen).max(WARM_UP);
    let context = peer.context(u32::try_from(size)?)?;
    let load = began.elapsed().as_secs_f64();
    let words = peer.model.n_vocab() as usize;
    let mut timer = Timer { context, batch: LlamaBatch::new(PIECE, 1), words, drawn: 17, length: 0 };
    timer.pieces(1, 1)?;
    let first_token = began.elapsed().as_secs_f64();

    for (tokens, piece) in [(n_prompt.min(PIECE), PIECE), (WARM_UP, 1), (depth, PIECE)] {
        timer.back_to(0)?;
        timer.pieces(tokens, piece)?;
    }
    let (mut prefill, mut decode) = (Vec::new(), Vec::new());
    for _ in 0..repeats {
        for (tokens, piece, rates) in [(n_prompt, PIECE, &mut prefill), (n_gen, 1, &mut decode)] {
            timer.back_to(depth)?;
            if tokens > 0 {
                rates.push(tokens as f64 / timer.pieces(tokens, piece)?);
            }
        }
    }
    println!(
        "{{\"model\": {}, \"threads\": {}, \"prompt\": {n_prompt}, \"generate\": {n_gen}, \"depth\": {depth}, \
         \"repeats\": {repeats}, {}, {}, \"load_s\": {load:.3}, \"first_token_s\": {first_token:.3}}}",
        quoted(&peer.common.model.display().to_string()),
        peer.common.threads,
        spread("prefill", prefill),
        spread("decode", decode)
    );
    Ok(())
}

fn main() -> Result<()> {
    match Cli::parse().verb {
        Verb::Perplexity { common, file } => perplexity(common, &file),
        Verb::Greedy { common, prompt, n_predict } => greedy(common, &prompt, n_predict),
        Verb::Bench { common, work } => bench(common, &work),
        Verb::Quantize(args) => quantize::run(&args),
    }
}
