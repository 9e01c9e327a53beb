//! llama.cpp on a GGUF file: the figures that sai is held against.
//!
//! `perplexity` follows the `llama-perplexity` program step by step, `greedy` prints token ids and text, `bench` times
//! a prompt and the tokens after it. Each prints one JSON object on standard output.

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
    /// Tokens a second of a prompt and of the tokens after it, the median of several runs.
    Bench {
        #[command(flatten)]
        common: Common,
        #[arg(long, default_value_t = 512)]
        n_prompt: usize,
        #[arg(long, default_value_t = 128)]
        n_gen: usize,
        #[arg(long, default_value_t = 5)]
        runs: usize,
    },
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

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn bench(common: Common, n_prompt: usize, n_gen: usize, runs: usize) -> Result<()> {
    if n_prompt == 0 || n_gen == 0 || runs == 0 {
        bail!("nothing to time");
    }
    let peer = Peer::load(common)?;
    let words = peer.model.n_vocab() as usize;
    // What the tokens are does not change the work; they only must not all be one.
    let prompt: Vec<_> = (0..n_prompt).map(|i| LlamaToken(((i * 7919 + 17) % words) as i32)).collect();
    let size = n_prompt + n_gen;
    let mut context = peer.context(u32::try_from(size)?)?;
    let mut batch = LlamaBatch::new(size, 1);
    let (mut prefill, mut decode) = (Vec::new(), Vec::new());
    for run in 0..=runs {
        context.clear_kv_cache();
        let began = Instant::now();
        feed(&mut context, &mut batch, &prompt, 0)?;
        let mut token = likeliest(context.get_logits_ith(batch.n_tokens() - 1));
        let prefilled = began.elapsed().as_secs_f64();
        for i in 0..n_gen {
            feed(&mut context, &mut batch, &[token], n_prompt + i)?;
            token = likeliest(context.get_logits_ith(0));
        }
        // The first run warms the caches and the threads.
        if run > 0 {
            prefill.push(n_prompt as f64 / prefilled);
            decode.push(n_gen as f64 / (began.elapsed().as_secs_f64() - prefilled));
        }
    }
    println!(
        "{{\"threads\": {}, \"n_prompt\": {n_prompt}, \"n_gen\": {n_gen}, \"runs\": {runs}, \
         \"prefill_per_s\": {:.1}, \"decode_per_s\": {:.1}}}",
        peer.common.threads,
        median(prefill),
        median(decode)
    );
    Ok(())
}

fn main() -> Result<()> {
    match Cli::parse().verb {
        Verb::Perplexity { common, file } => perplexity(common, &file),
        Verb::Greedy { common, prompt, n_predict } => greedy(common, &prompt, n_predict),
        Verb::Bench { common, n_prompt, n_gen, runs } => bench(common, n_prompt, n_gen, runs),
    }
}
