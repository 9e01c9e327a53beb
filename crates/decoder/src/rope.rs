//! How positions turn: the frequencies of rotary embedding and the ways to stretch them.
//!
//! The definitions are those of `transformers`' `modeling_rope_utils`, which the checkpoints were trained with.

use sai_kernels::RopeStyle;
use std::f64::consts::PI;

/// Rotary position embedding of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Rope {
    /// Base of the frequencies, `rope_theta`.
    pub theta: f64,
    /// Leading components of a head that turn; even, at most `head_dim`.
    pub dim: usize,
    /// Which components turn together.
    pub style: RopeStyle,
    /// How a context longer than the trained one is reached.
    pub scaling: RopeScaling,
}

/// Ways to stretch rotary embedding over a longer context.
#[derive(Clone, Debug, PartialEq)]
pub enum RopeScaling {
    /// As trained.
    None,
    /// All positions divided by a factor. Chen et al. 2023.
    Linear {
        /// By how much.
        factor: f64,
    },
    /// LLaMA 3.1: low frequencies divided by the factor, high ones kept, a ramp between.
    Llama3 {
        /// By how much low frequencies slow down.
        factor: f64,
        /// Wavelengths over `original_context / low_freq_factor` are divided.
        low_freq_factor: f64,
        /// Wavelengths under `original_context / high_freq_factor` are kept.
        high_freq_factor: f64,
        /// The context of training.
        original_context: f64,
    },
    /// YaRN: a ramp over dimensions and a temperature on attention. Peng et al. 2023.
    Yarn {
        /// By how much the context grows.
        factor: f64,
        /// The context of training.
        original_context: f64,
        /// Turns over the original context above which a dimension is kept.
        beta_fast: f64,
        /// Turns below which a dimension is divided by the factor.
        beta_slow: f64,
        /// Whether the ramp starts and ends at whole dimensions.
        truncate: bool,
        /// What sines and cosines are multiplied by.
        attention_factor: f64,
    },
    /// LongRoPE: a divisor for each frequency, and another for each in texts beyond the context of training. Ding et al. 2024.
    Long {
        /// Divisors up to that context.
        short: Vec<f32>,
        /// Divisors beyond it, of all positions.
        long: Vec<f32>,
        /// The context of training.
        original_context: usize,
        /// What sines and cosines are multiplied by.
        attention_factor: f64,
    },
    /// A divisor for each frequency, as GGUF files carry LLaMA 3's scaling.
    Divisors(Vec<f32>),
}

impl RopeScaling {
    /// A word for people: `llama3 × 8`.
    pub fn describe(&self) -> String {
        match self {
            RopeScaling::None => "none".to_owned(),
            RopeScaling::Linear { factor } => format!("linear × {factor}"),
            RopeScaling::Llama3 { factor, .. } => format!("llama3 × {factor}"),
            RopeScaling::Yarn { factor, .. } => format!("yarn × {factor}"),
            RopeScaling::Long { long, original_context, .. } => {
                let most = long.iter().copied().fold(1.0, f32::max);
                format!("a divisor a frequency, up to {most} beyond {original_context} tokens")
            }
            RopeScaling::Divisors(divisors) => {
                let most = divisors.iter().copied().fold(1.0, f32::max);
                format!("a divisor a frequency, up to {most}")
            }
        }
    }
}

/// YaRN's attention factor where the model does not give its own.
pub(crate) fn yarn_attention_factor(factor: f64, mscale: Option<f64>, mscale_all_dim: Option<f64>) -> f64 {
    let grow = |mscale: f64| if factor <= 1.0 { 1.0 } else { 0.1 * mscale * factor.ln() + 1.0 };
    match (mscale, mscale_all_dim) {
        (Some(mscale), Some(all)) if mscale != 0.0 && all != 0.0 => grow(mscale) / grow(all),
        _ => grow(1.0),
    }
}

/// LongRoPE's attention factor where the model does not give its own.
pub(crate) fn long_attention_factor(factor: f64, original_context: usize) -> f64 {
    if factor <= 1.0 { 1.0 } else { (1.0 + factor.ln() / (original_context as f64).ln()).sqrt() }
}

impl Rope {
    /// The length above which a sequence turns otherwise, from its first position on.
    pub fn switch(&self) -> Option<usize> {
        match self.scaling {
            RopeScaling::Long { original_context, .. } => Some(original_context),
            _ => None,
        }
    }

    /// Radians a position for each pair, in sequences above [`Rope::switch`]; else as [`Rope::inv_freq`].
    pub fn long_inv_freq(&self) -> Vec<f32> {
        match &self.scaling {
            RopeScaling::Long { long, .. } => self.divided(long),
            _ => self.inv_freq(),
        }
    }

    fn divided(&self, divisors: &[f32]) -> Vec<f32> {
        let plain = (0..self.dim / 2).map(|i| self.theta.powf(-2.0 * i as f64 / self.dim as f64));
        plain.zip(divisors).map(|(f, &divisor)| f as f32 / divisor).collect()
    }

    /// Radians a position for each of the `dim / 2` turning pairs.
    pub fn inv_freq(&self) -> Vec<f32> {
        let half = self.dim / 2;
        let plain = (0..half).map(|i| self.theta.powf(-2.0 * i as f64 / self.dim as f64));
        match &self.scaling {
            RopeScaling::None => plain.map(|f| f as f32).collect(),
            RopeScaling::Linear { factor } => plain.map(|f| (f / factor) as f32).collect(),
            &RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_context } => plain
                .map(|f| {
                    let turns = original_context * f / (2.0 * PI);
                    let kept = (turns - low_freq_factor) / (high_freq_factor - low_freq_factor);
                    let kept = kept.clamp(0.0, 1.0);
                    (kept * f + (1.0 - kept) * f / factor) as f32
                })
                .collect(),
            &RopeScaling::Yarn { factor, original_context, beta_fast, beta_slow, truncate, .. } => {
                // The dimension that turns `turns` times over the original context.
                let dimension = |turns: f64| {
                    self.dim as f64 * (original_context / (turns * 2.0 * PI)).ln() / (2.0 * self.theta.ln())
                };
                let (mut low, mut high) = (dimension(beta_fast), dimension(beta_slow));
                if truncate {
                    (low, high) = (low.floor(), high.ceil());
                }
                let (low, mut high) = (low.max(0.0), high.min(self.dim as f64 - 1.0));
                if low == high {
                    high += 0.001;
                }
                plain
                    .enumerate()
                    .map(|(i, f)| {
                        let divided = ((i as f64 - low) / (high - low)).clamp(0.0, 1.0);
                        (divided * f / factor + (1.0 - divided) * f) as f32
                    })
                    .collect()
            }
            RopeScaling::Divisors(divisors) | RopeScaling::Long { short: divisors, .. } => {
                self.divided(divisors)
            }
        }
    }

    /// What GGUF divides each frequency by, for the scalings that it carries in this way.
    pub(crate) fn divisors(&self) -> Option<Vec<f32>> {
        match &self.scaling {
            RopeScaling::Divisors(divisors) => Some(divisors.clone()),
            scaling @ RopeScaling::Llama3 { .. } => Some(self.llama3_divisors(scaling)),
            _ => None,
        }
    }

    fn llama3_divisors(&self, scaling: &RopeScaling) -> Vec<f32> {
        let &RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_context } = scaling
        else {
            return vec![1.0; self.dim / 2];
        };
        let plain = (0..self.dim / 2).map(|i| self.theta.powf(-2.0 * i as f64 / self.dim as f64));
        plain
            .map(|f| {
                let turns = original_context * f / (2.0 * PI);
                let kept = ((turns - low_freq_factor) / (high_freq_factor - low_freq_factor)).clamp(0.0, 1.0);
                (1.0 / (kept + (1.0 - kept) / factor)) as f32
            })
            .collect()
    }

    /// The LLaMA 3 scaling that gives these divisors, its frequency factors being 1 and 4 as in every published
    /// model; `None` where none does.
    pub(crate) fn llama3_of(&self, divisors: &[f32]) -> Option<RopeScaling> {
        let factor = f64::from(divisors.iter().copied().fold(1.0, f32::max));
        let contexts = (4..=24).map(|bits| f64::from(1u32 << bits));
        let mut candidates = contexts.map(|original_context| RopeScaling::Llama3 {
            factor,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_context,
        });
        // Converters compute in single precision.
        let close = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-4 * a.abs();
        candidates.find(|scaling| {
            let theirs = self.llama3_divisors(scaling);
            theirs.len() == divisors.len() && theirs.iter().zip(divisors).all(close)
        })
    }

    /// Whether a LLaMA 3 scaling gives exactly these divisors.
    pub(crate) fn is_llama3(&self, scaling: &RopeScaling, divisors: &[f32]) -> bool {
        self.llama3_divisors(scaling) == divisors
    }

    /// What sines and cosines are multiplied by.
    pub fn attention_factor(&self) -> f32 {
        match self.scaling {
            RopeScaling::Yarn { attention_factor, .. } | RopeScaling::Long { attention_factor, .. } => {
                attention_factor as f32
            }
            _ => 1.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rope(scaling: RopeScaling) -> Rope {
        Rope { theta: 10_000.0, dim: 8, style: RopeStyle::Halves, scaling }
    }

    #[test]
    fn frequencies_fall_geometrically() {
        let plain = rope(RopeScaling::None).inv_freq();
        assert_eq!(plain, [1.0, 0.1, 0.01, 0.001]);
        let half = rope(RopeScaling::Linear { factor: 2.0 }).inv_freq();
        assert_eq!(half, [0.5, 0.05, 0.005, 0.0005]);
        let divided = rope(RopeScaling::Divisors(vec![1.0, 2.0, 4.0, 8.0])).inv_freq();
        assert_eq!(divided, [1.0, 0.05, 0.0025, 0.000125]);
    }

    #[test]
    fn llama3_is_found_in_its_divisors() {
        let scaling = RopeScaling::Llama3 {
            factor: 32.0,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_context: 8192.0,
        };
        let rope = Rope { theta: 500_000.0, dim: 64, style: RopeStyle::Halves, scaling: scaling.clone() };
        let divisors = rope.divisors().unwrap();
        assert_eq!((divisors[0], divisors[31]), (1.0, 32.0));
        assert!(rope.is_llama3(&scaling, &divisors));
        assert_eq!(rope.llama3_of(&divisors), Some(scaling));
        let other: Vec<f32> = (0..32).map(|i| 1.0 + i as f32 / 8.0).collect();
        assert_eq!(rope.llama3_of(&other), None);
        assert_eq!(rope.llama3_of(&divisors[..31]), None);
    }

    #[test]
    fn llama3_keeps_the_fast_and_divides_the_slow() {
        let scaled = rope(RopeScaling::Llama3 {
            factor: 8.0,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_context: 64.0,
        })
        .inv_freq();
        assert_eq!(scaled[0], 1.0);
        assert_eq!(scaled[3], 0.001 / 8.0);
    }
}
