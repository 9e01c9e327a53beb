//! Where training begins: small random matrices. Radford et al. 2019.

use super::layout::ParameterInfo;
use crate::lora::Factor;

/// Standard deviation of a matrix's values.
const DEVIATION: f64 = 0.02;

/// The values that a tensor starts with. Gains are 1, biases 0, matrices normal; those that write into the residual
/// stream are smaller by the root of how many do, two a layer. The same for a seed and a name, whatever the rest of the
/// model.
pub(super) fn values(tensor: &ParameterInfo, layers: usize, seed: u64) -> Vec<f32> {
    let n = tensor.shape.iter().product();
    if tensor.shape.len() == 1 {
        return vec![if tensor.name.ends_with(".bias") { 0.0 } else { 1.0 }; n];
    }
    let writes = ["self_attn.o_proj.weight", "mlp.down_proj.weight"];
    let residual = writes.iter().any(|name| tensor.name.ends_with(name));
    let deviation = if residual { DEVIATION / (2.0 * layers as f64).sqrt() } else { DEVIATION };
    let mut random = SplitMix::of(&tensor.name, seed);
    let mut values = Vec::with_capacity(n + 1);
    while values.len() < n {
        // Box & Muller 1958.
        let (radius, angle) = ((-2.0 * random.unit().ln()).sqrt(), std::f64::consts::TAU * random.unit());
        values.push((deviation * radius * angle.cos()) as f32);
        values.push((deviation * radius * angle.sin()) as f32);
    }
    values.truncate(n);
    values
}

/// The values that an adapter's tensor starts with: uniform within 1 / √inputs going in, 0 coming out, so that the model
/// begins as it was. As PEFT has it.
pub(super) fn adapter_values(tensor: &ParameterInfo, factor: Factor, seed: u64) -> Vec<f32> {
    let n = tensor.shape.iter().product();
    let bound = match factor {
        Factor::A => 1.0 / (tensor.view.columns as f64).sqrt(),
        Factor::B => return vec![0.0; n],
    };
    let mut random = SplitMix::of(&tensor.name, seed);
    (0..n).map(|_| (bound * (2.0 * random.unit() - 1.0)) as f32).collect()
}

/// Steele et al. 2014.
struct SplitMix(u64);

impl SplitMix {
    /// Of a seed, other numbers for each name.
    fn of(name: &str, seed: u64) -> SplitMix {
        // FNV-1a.
        let named = name.bytes().fold(0xCBF2_9CE4_8422_2325u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
        });
        SplitMix(seed ^ named)
    }

    /// Uniform in (0, 1].
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        ((z >> 11) + 1) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sai_kernels::View;

    #[test]
    fn values_are_normal_and_seeded() {
        let tensor = |name: &str, rows, columns| ParameterInfo {
            name: name.to_owned(),
            shape: vec![rows, columns],
            view: View { start: 0, rows, columns },
        };
        let plain = tensor("model.layers.0.mlp.up_proj.weight", 100, 201);
        let a = values(&plain, 8, 1);
        assert_eq!(a, values(&plain, 8, 1));
        assert_ne!(a, values(&plain, 8, 2));
        let deviation = |x: &[f32]| (x.iter().map(|x| x * x).sum::<f32>() / x.len() as f32).sqrt();
        assert!((deviation(&a) - 0.02).abs() < 4e-4);
        let residual = values(&tensor("model.layers.0.mlp.down_proj.weight", 100, 201), 8, 1);
        assert!((deviation(&residual) - 0.005).abs() < 1e-4);
    }
}
