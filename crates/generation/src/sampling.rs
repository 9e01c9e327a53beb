//! How the next token is chosen.

pub mod processors;

use crate::{Constraint, Error};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::collections::BTreeMap;

/// Settings of the choice, with the defaults of 42dot's example.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// Divides the logits; 0 takes the likeliest token always.
    pub temperature: f32,
    /// Makes tokens of the prompt and the answer less likely, over 1; 1 is off. Keskar et al. 2019.
    pub repetition_penalty: f32,
    /// The likeliest tokens that have this share of the probability; 1 is off. Holtzman et al. 2019.
    pub top_p: f32,
    /// This many of the likeliest tokens; 0 is off.
    pub top_k: usize,
    /// Tokens of at least this share of the likeliest one's probability; 0 is off. Nguyen et al. 2024.
    pub min_p: f32,
    /// Taken from the logits of tokens that the answer has; OpenAI's API.
    pub presence_penalty: f32,
    /// Taken from the logits of tokens that the answer has, as often as it has them; OpenAI's API.
    pub frequency_penalty: f32,
    /// Added to the logits of some tokens.
    pub logit_bias: Vec<(u32, f32)>,
    /// Of the random numbers.
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Sampling {
        Sampling {
            temperature: 0.5,
            repetition_penalty: 1.2,
            top_p: 0.95,
            top_k: 20,
            min_p: 0.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            logit_bias: Vec::new(),
            seed: 0,
        }
    }
}

impl Sampling {
    /// The likeliest token always, with nothing else in the way.
    pub fn greedy() -> Sampling {
        Sampling { temperature: 0.0, repetition_penalty: 1.0, top_p: 1.0, top_k: 0, ..Sampling::default() }
    }

    /// Holds each setting to its range.
    ///
    /// # Errors
    /// The first that is out of it.
    pub fn check(&self) -> Result<(), Error> {
        let within = |name, value: f32, good: bool, range| {
            if good && value.is_finite() { Ok(()) } else { Err(Error::Sampling { name, value, range }) }
        };
        within("temperature", self.temperature, self.temperature >= 0.0, "0 or more")?;
        within("repetition penalty", self.repetition_penalty, self.repetition_penalty > 0.0, "more than 0")?;
        within("top-p", self.top_p, (0.0..=1.0).contains(&self.top_p), "from 0 to 1")?;
        within("min-p", self.min_p, (0.0..=1.0).contains(&self.min_p), "from 0 to 1")?;
        within("presence penalty", self.presence_penalty, true, "a number")?;
        within("frequency penalty", self.frequency_penalty, true, "a number")
    }

    /// Turns logits into the scores that a token is drawn by: bias, temperature, repetition penalty, top-p,
    /// top-k, min-p, in this order. Masked tokens become negative infinity.
    pub fn process(&self, scores: &mut [f32], history: &[u32]) {
        processors::logit_bias(scores, &self.logit_bias);
        if self.temperature > 0.0 {
            processors::temperature(scores, self.temperature);
        }
        processors::repetition_penalty(scores, history, self.repetition_penalty);
        if self.temperature > 0.0 {
            processors::top_p(scores, self.top_p);
            processors::top_k(scores, self.top_k);
            processors::min_p(scores, self.min_p);
        }
    }
}

/// A token and how likely it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// Its id.
    pub token: u32,
    /// Its share of the distribution that it is listed in.
    pub probability: f32,
    /// Natural log of that.
    pub logprob: f32,
}

/// A choice.
#[derive(Clone, Debug, PartialEq)]
pub struct SampledToken {
    /// The token.
    pub token: u32,
    /// Its log-probability under the model itself, before any processing.
    pub logprob: f32,
    /// The likeliest tokens under the model itself.
    pub raw: Vec<Candidate>,
    /// The likeliest tokens that were left to choose from.
    pub processed: Vec<Candidate>,
}

/// Chooses tokens by [`Sampling`] settings; the same seed and logits give the same tokens.
pub struct Sampler {
    sampling: Sampling,
    random: ChaCha8Rng,
    scores: Vec<f32>,
    /// How often each token was chosen, where that matters.
    chosen: BTreeMap<u32, u32>,
}

impl Sampler {
    /// A sampler at the beginning of its seed's random numbers.
    ///
    /// # Errors
    /// A setting out of its range.
    pub fn new(sampling: &Sampling) -> Result<Sampler, Error> {
        sampling.check()?;
        let random = ChaCha8Rng::seed_from_u64(sampling.seed);
        Ok(Sampler { sampling: sampling.clone(), random, scores: Vec::new(), chosen: BTreeMap::new() })
    }

    /// Chooses the token that follows `history`, and lists the `candidates` likeliest before and after
    /// processing.
    pub fn pick(&mut self, logits: &[f32], history: &[u32], candidates: usize) -> SampledToken {
        self.scores.clear();
        self.scores.extend_from_slice(logits);
        self.choose(logits, history, candidates)
    }

    /// As [`Sampler::pick`], among the tokens that `constraint` allows; `None` where it cannot say which.
    pub(crate) fn pick_allowed(
        &mut self,
        logits: &[f32],
        history: &[u32],
        candidates: usize,
        constraint: &mut Constraint,
    ) -> Option<SampledToken> {
        self.scores.clear();
        self.scores.extend_from_slice(logits);
        constraint.mask(&mut self.scores)?;
        Some(self.choose(logits, history, candidates))
    }

    fn choose(&mut self, logits: &[f32], history: &[u32], candidates: usize) -> SampledToken {
        let Sampling { presence_penalty, frequency_penalty, .. } = self.sampling;
        let penalised = presence_penalty != 0.0 || frequency_penalty != 0.0;
        processors::presence_and_frequency(
            &mut self.scores,
            &self.chosen,
            presence_penalty,
            frequency_penalty,
        );
        self.sampling.process(&mut self.scores, history);
        let token = if self.sampling.temperature > 0.0 {
            let uniform = self.uniform();
            draw(&self.scores, uniform)
        } else {
            likeliest(&self.scores)
        };
        if penalised {
            *self.chosen.entry(token).or_insert(0) += 1;
        }
        SampledToken {
            token,
            logprob: logits.get(token as usize).map_or(f32::NEG_INFINITY, |l| l - log_sum_exp(logits)),
            raw: top(logits, candidates),
            processed: top(&self.scores, candidates),
        }
    }

    /// In [0, 1), with all the bits that a double has.
    fn uniform(&mut self) -> f64 {
        (self.random.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// The first token of the highest score.
fn likeliest(scores: &[f32]) -> u32 {
    let mut best = (0, f32::NEG_INFINITY);
    for (id, &score) in scores.iter().enumerate() {
        if score > best.1 {
            best = (id, score);
        }
    }
    best.0 as u32
}

/// The token at `uniform` of the way through the distribution, in the order of ids.
fn draw(scores: &[f32], uniform: f64) -> u32 {
    let highest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weights: Vec<(u32, f64)> = (0u32..)
        .zip(scores)
        .filter(|(_, score)| **score > f32::NEG_INFINITY)
        .map(|(id, &score)| (id, f64::from(score - highest).exp()))
        .collect();
    let mut left = uniform * weights.iter().map(|(_, weight)| weight).sum::<f64>();
    for &(id, weight) in &weights {
        left -= weight;
        if left < 0.0 {
            return id;
        }
    }
    // Rounding left a crumb after the last weight.
    weights.iter().rev().find(|(_, weight)| *weight > 0.0).map_or(likeliest(scores), |(id, _)| *id)
}

/// `ln Σ eˣ`.
pub(crate) fn log_sum_exp(logits: &[f32]) -> f32 {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if !highest.is_finite() {
        return highest;
    }
    let sum: f64 = logits.iter().map(|&logit| f64::from((logit - highest).exp())).sum();
    highest + sum.ln() as f32
}

/// The `count` likeliest tokens, likeliest first, of those that are not masked.
pub(crate) fn top(scores: &[f32], count: usize) -> Vec<Candidate> {
    if count == 0 {
        return Vec::new();
    }
    let sum = log_sum_exp(scores);
    let mut order: Vec<u32> =
        (0u32..).zip(scores).filter(|(_, score)| **score > f32::NEG_INFINITY).map(|(id, _)| id).collect();
    let by_score = |a: &u32, b: &u32| scores[*b as usize].total_cmp(&scores[*a as usize]).then(a.cmp(b));
    if count < order.len() {
        order.select_nth_unstable_by(count, by_score);
        order.truncate(count);
    }
    order.sort_unstable_by(by_score);
    order
        .into_iter()
        .map(|token| {
            let logprob = scores[token as usize] - sum;
            Candidate { token, probability: logprob.exp(), logprob }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_follow_the_distribution() {
        let logits: Vec<f32> = [0.5f32, 0.25, 0.15, 0.1].map(f32::ln).to_vec();
        let sampling = Sampling {
            temperature: 1.0,
            repetition_penalty: 1.0,
            top_p: 1.0,
            top_k: 0,
            ..Sampling::default()
        };
        let mut sampler = Sampler::new(&sampling).unwrap();
        let mut counts = [0; 4];
        for _ in 0..20_000 {
            counts[sampler.pick(&logits, &[], 0).token as usize] += 1;
        }
        for (count, share) in counts.into_iter().zip([0.5, 0.25, 0.15, 0.1]) {
            assert!((f64::from(count) / 20_000.0 - share).abs() < 0.015, "{counts:?}");
        }
    }

    #[test]
    fn a_seed_repeats_itself_and_another_does_not() {
        let logits: Vec<f32> = (0..50).map(|i| (i % 7) as f32).collect();
        let text = |seed| -> Vec<u32> {
            let sampling = Sampling { temperature: 1.0, seed, ..Sampling::default() };
            let mut sampler = Sampler::new(&sampling).unwrap();
            (0..40).map(|_| sampler.pick(&logits, &[], 0).token).collect()
        };
        assert_eq!(text(7), text(7));
        assert_ne!(text(7), text(8));
    }

    #[test]
    fn the_ends_of_the_line_are_tokens_that_may_be_drawn() {
        let scores = [f32::NEG_INFINITY, 0.0, 0.0, f32::NEG_INFINITY];
        assert_eq!(draw(&scores, 0.0), 1);
        assert_eq!(draw(&scores, 1.0 - f64::EPSILON), 2);
        assert_eq!(draw(&scores, 1.0), 2);
    }

    #[test]
    fn candidates_are_probabilities_in_order() {
        let logits: Vec<f32> = [0.1f32, 0.6, 0.3].map(f32::ln).to_vec();
        let mut sampler =
            Sampler::new(&Sampling { top_k: 2, temperature: 1.0, ..Sampling::greedy() }).unwrap();
        let pick = sampler.pick(&logits, &[], 5);
        let near = |got: &[Candidate], want: &[(u32, f32)]| {
            assert_eq!(got.len(), want.len());
            for (got, want) in got.iter().zip(want) {
                assert!(got.token == want.0 && (got.probability - want.1).abs() < 1e-6, "{got:?} {want:?}");
            }
        };
        near(&pick.raw, &[(1, 0.6), (2, 0.3), (0, 0.1)]);
        near(&pick.processed, &[(1, 2.0 / 3.0), (2, 1.0 / 3.0)]);
        assert!((pick.logprob - logits[pick.token as usize]).abs() < 1e-6);
    }

    #[test]
    fn settings_out_of_range_are_named() {
        for (sampling, name) in [
            (Sampling { temperature: -1.0, ..Sampling::default() }, "temperature"),
            (Sampling { temperature: f32::NAN, ..Sampling::default() }, "temperature"),
            (Sampling { repetition_penalty: 0.0, ..Sampling::default() }, "repetition penalty"),
            (Sampling { top_p: 1.5, ..Sampling::default() }, "top-p"),
            (Sampling { min_p: -0.1, ..Sampling::default() }, "min-p"),
        ] {
            assert!(Sampler::new(&sampling).err().unwrap().to_string().starts_with(name));
        }
    }
}
