//! What is done to scores before a token is drawn, each with the definition of `transformers`' processor of
//! the same name. A token that is masked gets negative infinity; at least one is always left.

use std::collections::BTreeMap;

/// Takes `presence` from the score of each token that was chosen, and `frequency` as often as it was: OpenAI's API.
pub fn presence_and_frequency(
    scores: &mut [f32],
    chosen: &BTreeMap<u32, u32>,
    presence: f32,
    frequency: f32,
) {
    for (&token, &times) in chosen {
        if let Some(score) = scores.get_mut(token as usize) {
            *score -= presence + frequency * times as f32;
        }
    }
}

/// Adds to the scores of some tokens; ids that the model does not have are passed over.
pub fn logit_bias(scores: &mut [f32], bias: &[(u32, f32)]) {
    for &(token, bias) in bias {
        if let Some(score) = scores.get_mut(token as usize) {
            *score += bias;
        }
    }
}

/// Divides all scores; `temperature` is more than 0.
pub fn temperature(scores: &mut [f32], temperature: f32) {
    if temperature != 1.0 {
        scores.iter_mut().for_each(|score| *score /= temperature);
    }
}

/// Divides positive scores of tokens in `history`, and multiplies negative ones, once for each token.
pub fn repetition_penalty(scores: &mut [f32], history: &[u32], penalty: f32) {
    if penalty == 1.0 {
        return;
    }
    // A mark a token: cheaper at every step than sorting a long history.
    let mut seen = vec![false; scores.len()];
    for &token in history {
        let id = token as usize;
        if id < scores.len() && !std::mem::replace(&mut seen[id], true) {
            let score = &mut scores[id];
            *score = if *score < 0.0 { *score * penalty } else { *score / penalty };
        }
    }
}

/// Keeps tokens, likeliest first, as long as those before have less than `top_p` of the probability.
pub fn top_p(scores: &mut [f32], top_p: f32) {
    /// Tokens sorted at first; rarely are more needed.
    const FIRST: usize = 256;
    if top_p >= 1.0 {
        return;
    }
    let highest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut weights: Vec<(f32, u32)> =
        scores.iter().zip(0u32..).map(|(&score, id)| ((score - highest).exp(), id)).collect();
    let needed = weights.iter().map(|(weight, _)| f64::from(*weight)).sum::<f64>() * f64::from(top_p);

    // Sort no more of the head than is needed.
    let likelier = |a: &(f32, u32), b: &(f32, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
    let (mut kept, mut sorted, mut mass) = (0, 0, 0.0);
    while kept < weights.len() && (kept == 0 || mass < needed) {
        if kept == sorted {
            let unsorted = &mut weights[sorted..];
            let more = (FIRST.max(sorted)).min(unsorted.len());
            if more < unsorted.len() {
                unsorted.select_nth_unstable_by(more, likelier);
            }
            unsorted[..more].sort_unstable_by(likelier);
            sorted += more;
        }
        mass += f64::from(weights[kept].0);
        kept += 1;
    }
    for &(_, id) in &weights[kept..] {
        scores[id as usize] = f32::NEG_INFINITY;
    }
}

/// Keeps the `top_k` highest scores, and those equal to the last of them; 0 keeps all.
pub fn top_k(scores: &mut [f32], top_k: usize) {
    if top_k == 0 || top_k >= scores.len() {
        return;
    }
    let mut open: Vec<f32> = scores.iter().copied().filter(|score| *score > f32::NEG_INFINITY).collect();
    if open.len() <= top_k {
        return;
    }
    let (_, &mut last, _) = open.select_nth_unstable_by(top_k - 1, |a, b| b.total_cmp(a));
    scores.iter_mut().filter(|score| **score < last).for_each(|score| *score = f32::NEG_INFINITY);
}

/// Keeps tokens that are at least `min_p` times as likely as the likeliest; 0 keeps all.
pub fn min_p(scores: &mut [f32], min_p: f32) {
    if min_p <= 0.0 {
        return;
    }
    let highest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for score in scores {
        if (*score - highest).exp() < min_p {
            *score = f32::NEG_INFINITY;
        }
    }
}
