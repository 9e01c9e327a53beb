//! Win rates as they would be, if both answers were of one length (Dubois et al. 2024, arXiv 2404.04475).

use super::deviation;

/// Keeps the fit finite where one side wins always: as much as a hundredth of a prompt.
const PENALTY: f64 = 0.01;

/// The win rate of the first contestant at equal lengths, and how much the log-odds of winning grow with the difference of
/// lengths. `games` are its result (1, 0.5 or 0) and by how many characters its answer is longer. A logistic regression with
/// `tanh` of the difference in standard deviations, as AlpacaEval 2 has it, without its term for the difficulty of each
/// instruction, which takes a table of many models to fit. None of fewer than two games.
pub fn length_controlled(games: &[(f64, f64)]) -> Option<(f64, f64)> {
    let differences: Vec<f64> = games.iter().map(|game| game.1).collect();
    let spread = deviation(&differences)?;
    let features: Vec<f64> =
        differences.iter().map(|d| if spread > 0.0 { (d / spread).tanh() } else { 0.0 }).collect();
    let (mut theta, mut phi) = (0.0f64, 0.0f64);
    // Newton's method on a concave function of two numbers.
    for _ in 0..100 {
        let (mut gradient, mut hessian) = ([-PENALTY * theta, -PENALTY * phi], [PENALTY, 0.0, PENALTY]);
        for ((result, _), x) in games.iter().zip(&features) {
            let p = sigmoid(theta + phi * x);
            let weight = p * (1.0 - p);
            gradient[0] += result - p;
            gradient[1] += (result - p) * x;
            hessian[0] += weight;
            hessian[1] += weight * x;
            hessian[2] += weight * x * x;
        }
        let determinant = hessian[0] * hessian[2] - hessian[1] * hessian[1];
        let step = [
            (hessian[2] * gradient[0] - hessian[1] * gradient[1]) / determinant,
            (hessian[0] * gradient[1] - hessian[1] * gradient[0]) / determinant,
        ];
        // A long step could pass the top of a hill that flattens out.
        let scale = (2.0 / step[0].abs().max(step[1].abs())).min(1.0);
        theta += scale * step[0];
        phi += scale * step[1];
        if step[0].abs().max(step[1].abs()) < 1e-10 {
            break;
        }
    }
    Some((sigmoid(theta), phi))
}

pub(super) fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}
