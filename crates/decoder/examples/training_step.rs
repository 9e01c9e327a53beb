//! Steps of training on random tokens, for `peers/training.py`: a line on standard input is a number of steps to make,
//! and is answered by a line of JSON with their seconds, the last loss and the process's peak memory.
//!
//!     training_step hidden=384 layers=8 heads=6 inner=1024 vocab=16384 rows=8 context=512 threads=2

#![allow(clippy::print_stdout)]

use sai_decoder::training::{AdamW, Memory, Model, Moments, Packed, Pass, Recompute};
use sai_decoder::{Config, Cpu};
use std::error::Error;
use std::ops::Range;
use std::path::Path;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let fact = |name: &str| -> Result<usize, Box<dyn Error>> {
        let given = arguments.iter().find_map(|a| a.strip_prefix(name)?.strip_prefix('='));
        Ok(given.ok_or_else(|| format!("{name}=NUMBER is missing"))?.parse()?)
    };
    let (rows, context, vocab) = (fact("rows")?, fact("context")?, fact("vocab")?);
    let config = serde_json::json!({
        "model_type": "llama", "vocab_size": vocab, "hidden_size": fact("hidden")?,
        "intermediate_size": fact("inner")?, "num_hidden_layers": fact("layers")?,
        "num_attention_heads": fact("heads")?, "rms_norm_eps": 1e-5, "max_position_embeddings": context,
        "tie_word_embeddings": true,
    });
    let config = Config::from_json(&config.to_string(), Path::new("arguments"))?;
    let total = rows * context;
    let memory = Memory::of(&config, total, Recompute::SwigluAndNorms);
    let mut model = Model::new(Cpu::new(fact("threads")?), config, 1)?;
    let mut moments = Moments::new(&model, 0..model.layout.len())?;
    let at_once = fact("at_once").unwrap_or(rows).clamp(1, rows);
    let mut pass = Pass::new(&model, at_once * context, Recompute::SwigluAndNorms)?;

    let (mut tokens, mut targets) = (Vec::new(), Vec::new());
    let mut random = Random(1);
    for _ in 0..rows {
        let row: Vec<u32> = (0..=context).map(|_| random.below(vocab)).collect();
        tokens.extend_from_slice(&row[..context]);
        targets.extend_from_slice(&row[1..]);
    }
    let documents: Vec<Range<usize>> = (0..rows).map(|i| i * context..(i + 1) * context).collect();
    let weights = vec![1.0; total];
    for line in std::io::stdin().lines() {
        let (mut seconds, mut loss) = (Vec::new(), 0.0);
        for _ in 0..line?.trim().parse::<usize>()? {
            let start = Instant::now();
            let mut sum = 0.0;
            for some in (0..rows).step_by(at_once) {
                let some = some * context..(some + at_once).min(rows) * context;
                let packed = Packed {
                    tokens: &tokens[some.clone()],
                    targets: &targets[some.clone()],
                    weights: &weights[some.clone()],
                    documents: &documents[..some.len() / context],
                };
                sum += model.forward_backward(&mut pass, &packed, 1.0 / total as f32, 0.0)?.loss;
            }
            let clip = (1.0 / (model.gradient_norm() + 1e-6)).min(1.0);
            model.step(&mut moments, &AdamW::default(), 3e-4, clip);
            seconds.push(start.elapsed().as_secs_f64());
            loss = sum / total as f64;
        }
        let answer = serde_json::json!({
            "seconds": seconds, "loss": loss, "peak_bytes": peak_bytes(), "said_bytes": memory.total(),
        });
        println!("{answer}");
    }
    Ok(())
}

/// As in `peers/training.py`.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % n as u64) as u32
    }
}

/// The most memory that the process had; 0 where the system does not say.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).map_or(0, |kb| kb * 1024)
}
