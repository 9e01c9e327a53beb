//! A model of any type that exists only in memory, for timing: random weights of a sane size.

use crate::Error;
use rayon::prelude::*;
use sai_decoder::Config;
use sai_formats::{Bytes, Container, DType, Tensor, Tensors};
use std::path::Path;

/// What errors call it.
pub(super) const NAME: &str = "random model";

/// The magnitude that weights have on average: about 1/√hidden_size, so that activations keep theirs.
const MAGNITUDE: f32 = 0.02;

/// Blocks that a task makes.
const CHUNK_BLOCKS: usize = 1 << 14;

/// A model of 42dot LLM's shape (24 layers of 2,048 unless `layers` says otherwise, 32 heads, feed-forward layers of
/// 5,632, an untied vocabulary of 50,304, 4,096 positions) whose matrices are of type `dtype`.
#[derive(Clone, Debug)]
pub struct RandomModel {
    config: Config,
    dtype: DType,
}

impl RandomModel {
    /// # Errors
    /// sai does not run the type, or makes no model of so many layers.
    pub fn new(dtype: DType, layers: usize) -> Result<RandomModel, Error> {
        if !dtype.is_known() {
            return Err(Error::BenchType { dtype });
        }
        let json = format!(
            r#"{{"model_type": "llama", "vocab_size": 50304, "hidden_size": 2048, "intermediate_size": 5632,
                "num_hidden_layers": {layers}, "num_attention_heads": 32, "max_position_embeddings": 4096,
                "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "tie_word_embeddings": false}}"#
        );
        Ok(RandomModel { config: Config::from_json(&json, Path::new(NAME))?, dtype })
    }

    /// What it is.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Bytes of its weights.
    pub fn bytes(&self) -> u64 {
        let elements = self.config.parameters();
        elements.saturating_mul(self.dtype.block_bytes() as u64) / self.dtype.block_len() as u64
    }

    /// Bytes of its weights while a device takes them in: quantised ones are then there a second time, repacked.
    pub(super) fn most_bytes(&self) -> u64 {
        if self.dtype.is_float() { self.bytes() } else { self.bytes().saturating_mul(2) }
    }

    /// Makes the weights, on all cores.
    ///
    /// # Errors
    /// More memory than can be had.
    pub fn make(&self) -> Result<Container, Error> {
        let c = &self.config;
        let (hidden, ffn) = (c.hidden_size, c.intermediate_size);
        let mut tensors = Vec::new();
        let mut add = |name: &str, dtype: DType, shape: &[usize]| {
            let seed = tensors.len() as u64;
            let data = match dtype == DType::F32 && shape.len() == 1 {
                true => 1f32.to_le_bytes().repeat(shape[0]),
                false => blocks(dtype, shape.iter().product(), seed)?,
            };
            tensors.push(Tensor {
                name: format!("{name}.weight"),
                dtype,
                shape: shape.to_vec(),
                data: Bytes::from_vec(data),
                file: Path::new(NAME).into(),
            });
            Ok::<_, Error>(())
        };
        for layer in 0..c.num_layers {
            for norm in ["input_layernorm", "post_attention_layernorm"] {
                add(&format!("model.layers.{layer}.{norm}"), DType::F32, &[hidden])?;
            }
            for (matrix, shape) in [
                ("self_attn.q_proj", [hidden, hidden]),
                ("self_attn.k_proj", [hidden, hidden]),
                ("self_attn.v_proj", [hidden, hidden]),
                ("self_attn.o_proj", [hidden, hidden]),
                ("mlp.gate_proj", [ffn, hidden]),
                ("mlp.up_proj", [ffn, hidden]),
                ("mlp.down_proj", [hidden, ffn]),
            ] {
                add(&format!("model.layers.{layer}.{matrix}"), self.dtype, &shape)?;
            }
        }
        add("model.norm", DType::F32, &[hidden])?;
        add("model.embed_tokens", self.dtype, &[c.vocab_size, hidden])?;
        add("lm_head", self.dtype, &[c.vocab_size, hidden])?;
        let tensors = Tensors::new(Path::new(NAME), tensors).map_err(sai_decoder::Error::from)?;
        Ok(Container::Safetensors(tensors))
    }
}

/// Random blocks of `elements` elements, which fill whole ones.
fn blocks(dtype: DType, elements: usize, seed: u64) -> Result<Vec<u8>, Error> {
    let size = dtype.bytes_for(elements).unwrap_or(0);
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(size).map_err(|_| Error::BenchMemory { bytes: size as u64 })?;
    bytes.resize(size, 0);
    let block = dtype.block_bytes();
    bytes.par_chunks_mut(CHUNK_BLOCKS * block).enumerate().for_each(|(chunk, bytes)| {
        fill(bytes, seed << 32 | chunk as u64);
        for block in bytes.chunks_exact_mut(block) {
            tame(dtype, block);
        }
    });
    Ok(bytes)
}

/// Random bytes. Steele, Lea & Flood 2014 (SplitMix64).
fn fill(bytes: &mut [u8], seed: u64) {
    let mut state = seed.wrapping_mul(0xD134_2543_DE82_EF95);
    for word in bytes.chunks_mut(8) {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let z = (z ^ (z >> 31)).to_le_bytes();
        word.copy_from_slice(&z[..word.len()]);
    }
}

/// Turns a block of random bits into one of weights about [`MAGNITUDE`]: floats keep their sign and fraction, and
/// quantised blocks get scales that suit their integers, and minima that centre them.
fn tame(dtype: DType, block: &mut [u8]) {
    let mut half = |at: usize, value: f32| {
        block[at..at + 2].copy_from_slice(&half::f16::from_f32(value).to_le_bytes());
    };
    match dtype {
        // An exponent of -6: from 1/64 to 1/32.
        DType::F32 => {
            block[3] = block[3] & 0x80 | 0x3c;
            block[2] = block[2] & 0x7f | 0x80;
        }
        DType::BF16 => {
            block[1] = block[1] & 0x80 | 0x3c;
            block[0] = block[0] & 0x7f | 0x80;
        }
        DType::F16 => block[1] = block[1] & 0x83 | 0x24,
        // The root mean square of b random bits about their middle is 2ᵇ/√12.
        DType::Q8_0 => half(0, MAGNITUDE / 74.0),
        DType::Q4_0 => half(0, MAGNITUDE / 4.6),
        DType::Q4_1 => {
            half(0, MAGNITUDE / 4.6);
            half(2, MAGNITUDE / 4.6 * -7.5);
        }
        DType::Q5_0 => half(0, MAGNITUDE / 9.2),
        DType::Q5_1 => {
            half(0, MAGNITUDE / 9.2);
            half(2, MAGNITUDE / 9.2 * -15.5);
        }
        // In the K types the integers of a group are themselves scaled by random integers.
        DType::Q2_K => {
            half(80, MAGNITUDE / 12.0);
            half(82, MAGNITUDE / 12.0 * 1.5);
        }
        DType::Q3_K => half(108, MAGNITUDE / 42.0),
        DType::Q4_K => {
            half(0, MAGNITUDE / 210.0);
            half(2, MAGNITUDE / 210.0 * 7.5);
        }
        DType::Q5_K => {
            half(0, MAGNITUDE / 430.0);
            half(2, MAGNITUDE / 430.0 * 15.5);
        }
        DType::Q6_K => half(208, MAGNITUDE / 1370.0),
        DType::Other(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sai_formats::dequantize;

    #[test]
    fn weights_of_every_type_are_of_one_size() {
        for dtype in DType::KNOWN {
            let elements = 64 * 256;
            let bytes = blocks(dtype, elements, 3).unwrap();
            let mut values = vec![0.0; elements];
            dequantize(dtype, &bytes, &mut values).unwrap();
            let rms = (values.iter().map(|x| x * x).sum::<f32>() / elements as f32).sqrt();
            let mean = values.iter().sum::<f32>() / elements as f32;
            assert!((0.7..1.4).contains(&(rms / MAGNITUDE)), "{dtype}: {rms}");
            assert!(mean.abs() < 0.15 * rms, "{dtype}: {mean}");
            assert_ne!(bytes, blocks(dtype, elements, 4).unwrap(), "{dtype}");
        }
    }

    #[test]
    fn its_size_is_known_before_it_is_made() {
        let model = RandomModel::new(DType::Q2_K, 1).unwrap();
        let made = model.make().unwrap().tensors().total_bytes();
        // Norms stay floats.
        assert!((made as f64 / model.bytes() as f64 - 1.0).abs() < 1e-3, "{made} {}", model.bytes());
        assert!(RandomModel::new(DType::from_name("I64").unwrap(), 1).is_err());
        assert!(RandomModel::new(DType::F32, 0).is_err());
    }
}
