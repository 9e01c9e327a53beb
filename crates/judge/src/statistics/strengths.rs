//! Strengths of more than two contestants from their games (Bradley & Terry 1952).

use super::length::sigmoid;

/// Keeps strengths finite where one has won every game.
const PENALTY: f64 = 0.01;

/// Strengths as log-odds, their mean 0: the first of two wins with the odds `exp(a − b)`. `games` are two places, and the result
/// of the first: 1, 0.5 or 0. None where games do not connect all contestants.
pub fn bradley_terry(contestants: usize, games: &[(usize, usize, f64)]) -> Option<Vec<f64>> {
    if !connected(contestants, games) {
        return None;
    }
    let mut strengths = vec![0.0f64; contestants];
    // Newton's method; the penalty makes the top unique, and so the mean 0.
    for _ in 0..200 {
        let mut gradient: Vec<f64> = strengths.iter().map(|s| -PENALTY * s).collect();
        let mut hessian = vec![vec![0.0; contestants]; contestants];
        for (i, row) in hessian.iter_mut().enumerate() {
            row[i] = PENALTY;
        }
        for &(a, b, result) in games {
            let p = sigmoid(strengths[a] - strengths[b]);
            let weight = p * (1.0 - p);
            gradient[a] += result - p;
            gradient[b] -= result - p;
            hessian[a][a] += weight;
            hessian[b][b] += weight;
            hessian[a][b] -= weight;
            hessian[b][a] -= weight;
        }
        let step = solve(hessian, gradient);
        let longest = step.iter().fold(0.0f64, |longest, s| longest.max(s.abs()));
        let scale = (2.0 / longest).min(1.0);
        strengths.iter_mut().zip(&step).for_each(|(strength, step)| *strength += scale * step);
        if longest < 1e-10 {
            break;
        }
    }
    let mean = strengths.iter().sum::<f64>() / contestants as f64;
    strengths.iter_mut().for_each(|strength| *strength -= mean);
    Some(strengths)
}

fn connected(contestants: usize, games: &[(usize, usize, f64)]) -> bool {
    let (mut reached, mut open) = (vec![false; contestants], vec![0]);
    while let Some(at) = open.pop() {
        if contestants == 0 || std::mem::replace(&mut reached[at], true) {
            continue;
        }
        for &(a, b, _) in games {
            if a == at {
                open.push(b);
            } else if b == at {
                open.push(a);
            }
        }
    }
    contestants > 0 && reached.into_iter().all(|reached| reached)
}

/// Gauss's elimination, the largest of a column first.
fn solve(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Vec<f64> {
    let n = right.len();
    for column in 0..n {
        let pivot = (column..n).max_by(|a, b| matrix[*a][column].abs().total_cmp(&matrix[*b][column].abs()));
        let pivot = pivot.unwrap_or(column);
        matrix.swap(column, pivot);
        right.swap(column, pivot);
        let (above, below) = matrix.split_at_mut(column + 1);
        for (i, row) in below.iter_mut().enumerate() {
            let factor = row[column] / above[column][column];
            row.iter_mut().zip(&above[column]).skip(column).for_each(|(of, from)| *of -= factor * from);
            right[column + 1 + i] -= factor * right[column];
        }
    }
    for column in (0..n).rev() {
        let known: f64 = (column + 1..n).map(|k| matrix[column][k] * right[k]).sum();
        right[column] = (right[column] - known) / matrix[column][column];
    }
    right
}
