//! Which tensor gets which type: llama.cpp's mixes.
//!
//! A file named `Q4_K_M` is not all `Q4_K`. Tensors that models are touchy about (values, the last feed-forward
//! matrix, the head) get more bits, in some layers or in all, by the rules that llama.cpp has settled on. They are kept
//! here as they are there, so that a name means the same size and quality.

use sai_formats::DType;

/// What a file's weights are to be: a type, or a mix of several under llama.cpp's name for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(non_camel_case_types, missing_docs)] // the names that everyone knows these mixes by
pub enum Mix {
    F32,
    F16,
    BF16,
    Q8_0,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q2_K,
    Q3_K_S,
    Q3_K_M,
    Q3_K_L,
    Q4_K_S,
    Q4_K_M,
    Q5_K_S,
    Q5_K_M,
    Q6_K,
}

impl Mix {
    /// All of them, largest first within floats, simple types and K types.
    pub const ALL: [Mix; 17] = [
        Mix::F32,
        Mix::F16,
        Mix::BF16,
        Mix::Q8_0,
        Mix::Q5_1,
        Mix::Q5_0,
        Mix::Q4_1,
        Mix::Q4_0,
        Mix::Q6_K,
        Mix::Q5_K_M,
        Mix::Q5_K_S,
        Mix::Q4_K_M,
        Mix::Q4_K_S,
        Mix::Q3_K_L,
        Mix::Q3_K_M,
        Mix::Q3_K_S,
        Mix::Q2_K,
    ];

    /// Its name, `general.file_type`, and the type of most of its weights.
    const fn facts(self) -> (&'static str, u32, DType) {
        match self {
            Mix::F32 => ("f32", 0, DType::F32),
            Mix::F16 => ("f16", 1, DType::F16),
            Mix::BF16 => ("bf16", 32, DType::BF16),
            Mix::Q8_0 => ("q8_0", 7, DType::Q8_0),
            Mix::Q4_0 => ("q4_0", 2, DType::Q4_0),
            Mix::Q4_1 => ("q4_1", 3, DType::Q4_1),
            Mix::Q5_0 => ("q5_0", 8, DType::Q5_0),
            Mix::Q5_1 => ("q5_1", 9, DType::Q5_1),
            Mix::Q2_K => ("q2_k", 10, DType::Q2_K),
            Mix::Q3_K_S => ("q3_k_s", 11, DType::Q3_K),
            Mix::Q3_K_M => ("q3_k_m", 12, DType::Q3_K),
            Mix::Q3_K_L => ("q3_k_l", 13, DType::Q3_K),
            Mix::Q4_K_S => ("q4_k_s", 14, DType::Q4_K),
            Mix::Q4_K_M => ("q4_k_m", 15, DType::Q4_K),
            Mix::Q5_K_S => ("q5_k_s", 16, DType::Q5_K),
            Mix::Q5_K_M => ("q5_k_m", 17, DType::Q5_K),
            Mix::Q6_K => ("q6_k", 18, DType::Q6_K),
        }
    }

    /// The name that people give it: `q4_k_m`.
    pub const fn name(self) -> &'static str {
        self.facts().0
    }

    /// The mix of this name, in any case; `q3_k`, `q4_k` and `q5_k` mean their `_m`, as in llama.cpp.
    pub fn from_name(name: &str) -> Option<Mix> {
        let name = name.to_ascii_lowercase();
        let whole = match name.as_str() {
            "q3_k" | "q4_k" | "q5_k" => name + "_m",
            _ => name,
        };
        Mix::ALL.into_iter().find(|mix| mix.name() == whole)
    }

    /// `general.file_type` of such a file.
    pub const fn file_type(self) -> u32 {
        self.facts().1
    }

    /// The type of most of its weights.
    pub const fn dtype(self) -> DType {
        self.facts().2
    }
}

/// What the rules ask of a model.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    pub(super) layers: usize,
    /// Query heads that share a key and value head.
    pub(super) group: usize,
    /// Whether the embedding is the head too.
    pub(super) tied: bool,
    /// Whether importances are known.
    pub(super) weighed: bool,
}

impl Facts {
    /// llama.cpp knows the 70B models of LLaMA 2 and their like by their 80 layers of grouped heads.
    fn is_70b(self) -> bool {
        self.layers == 80 && self.group > 1
    }

    /// The first and last eighth of the layers, and every third between.
    fn more_bits(self, layer: usize) -> bool {
        let eighth = self.layers / 8;
        layer < eighth || layer >= 7 * self.layers / 8 || (layer - eighth) % 3 == 2
    }
}

/// The type that a matrix is to have, and where its rows do not divide into blocks of that, the one that it gets.
pub(super) fn choose(mix: Mix, name: &str, columns: usize, facts: Facts) -> (DType, DType) {
    let wanted = wanted(mix, name, columns, facts);
    (wanted, fitting(wanted, columns))
}

/// llama.cpp's `llama_tensor_get_type`, for the families that sai runs.
fn wanted(mix: Mix, name: &str, columns: usize, facts: Facts) -> DType {
    let most = mix.dtype();
    if most.is_float() {
        return most;
    }
    let is_head = name == "output.weight" || (facts.tied && name == "token_embd.weight");
    if is_head {
        let whole = columns.is_multiple_of(most.block_len());
        return if whole && most != DType::Q8_0 { DType::Q6_K } else { DType::Q8_0 };
    }
    let Some((layer, role)) = role(name) else { return most };
    let eighth = facts.layers / 8;
    match (role, mix) {
        ("attn_v", _) => {
            let dtype = match mix {
                Mix::Q2_K if facts.group >= 4 => DType::Q4_K,
                Mix::Q2_K => DType::Q3_K,
                Mix::Q3_K_M if layer < 2 => DType::Q5_K,
                Mix::Q3_K_M => DType::Q4_K,
                Mix::Q3_K_L => DType::Q5_K,
                Mix::Q4_K_M | Mix::Q5_K_M if facts.more_bits(layer) => DType::Q6_K,
                Mix::Q4_K_S if layer < 4 => DType::Q5_K,
                _ => most,
            };
            match dtype {
                DType::Q3_K | DType::Q4_K if facts.is_70b() => DType::Q5_K,
                dtype => dtype,
            }
        }
        ("attn_qkv", Mix::Q3_K_M | Mix::Q3_K_L) => DType::Q4_K,
        ("attn_qkv", Mix::Q4_K_M) => DType::Q5_K,
        ("attn_qkv", Mix::Q5_K_M) => DType::Q6_K,
        ("ffn_down", Mix::Q2_K) => DType::Q3_K,
        ("ffn_down", Mix::Q3_K_M) if layer < facts.layers / 16 => DType::Q5_K,
        ("ffn_down", Mix::Q3_K_M) => DType::Q4_K,
        ("ffn_down", Mix::Q3_K_L) => DType::Q5_K,
        ("ffn_down", Mix::Q4_K_M | Mix::Q5_K_M) if facts.more_bits(layer) => DType::Q6_K,
        ("ffn_down", Mix::Q4_K_S) if layer < eighth => DType::Q5_K,
        ("ffn_down", Mix::Q4_0) if facts.weighed && layer < eighth => DType::Q4_1,
        ("ffn_down", Mix::Q5_0) if facts.weighed && layer < eighth => DType::Q5_1,
        ("attn_output", Mix::Q2_K) => DType::Q3_K,
        ("attn_output", Mix::Q3_K_M) => DType::Q4_K,
        ("attn_output", Mix::Q3_K_L) => DType::Q5_K,
        _ => most,
    }
}

/// Layer and role in a name such as `blk.3.attn_v.weight`.
fn role(name: &str) -> Option<(usize, &str)> {
    let (layer, role) = name.strip_prefix("blk.")?.strip_suffix(".weight")?.split_once('.')?;
    Some((layer.parse().ok()?, role))
}

/// The type itself where rows of `columns` divide into its blocks, and else the one that llama.cpp falls back to.
fn fitting(dtype: DType, columns: usize) -> DType {
    let fits = |dtype: DType| columns.is_multiple_of(dtype.block_len());
    let smaller = match dtype {
        dtype if fits(dtype) => return dtype,
        DType::Q2_K | DType::Q3_K => DType::Q4_0,
        DType::Q4_K => DType::Q5_0,
        DType::Q5_K => DType::Q5_1,
        DType::Q6_K => DType::Q8_0,
        _ => DType::F16,
    };
    if fits(smaller) { smaller } else { DType::F16 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Facts = Facts { layers: 30, group: 3, tied: true, weighed: false };

    fn types(mix: Mix, role: &str, columns: usize, facts: Facts) -> Vec<DType> {
        (0..facts.layers).map(|i| choose(mix, &format!("blk.{i}.{role}.weight"), columns, facts).1).collect()
    }

    #[test]
    fn names_lead_back() {
        for mix in Mix::ALL {
            assert_eq!(Mix::from_name(mix.name()), Some(mix));
            assert_eq!(Mix::from_name(&mix.name().to_ascii_uppercase()), Some(mix));
        }
        assert_eq!(Mix::from_name("q4_K"), Some(Mix::Q4_K_M));
        assert_eq!(Mix::from_name("iq4_xs"), None);
    }

    #[test]
    fn the_middle_mixes_give_more_bits_to_some_layers() {
        // As llama-quantize prints for a model of 30 layers.
        let more = [0, 1, 2, 5, 8, 11, 14, 17, 20, 23, 26, 27, 28, 29];
        for (mix, most) in [(Mix::Q4_K_M, DType::Q4_K), (Mix::Q5_K_M, DType::Q5_K)] {
            for role in ["attn_v", "ffn_down"] {
                for (i, dtype) in types(mix, role, 1536, SMALL).into_iter().enumerate() {
                    assert_eq!(dtype, if more.contains(&i) { DType::Q6_K } else { most }, "{role} {i}");
                }
            }
            assert!(types(mix, "ffn_up", 1536, SMALL).iter().all(|t| *t == most));
        }
        let small = types(Mix::Q4_K_S, "ffn_down", 1536, SMALL);
        assert_eq!(small.iter().filter(|t| **t == DType::Q5_K).count(), 3);
    }

    #[test]
    fn rows_that_do_not_fit_fall_back() {
        let of = |mix, columns| choose(mix, "blk.0.ffn_up.weight", columns, SMALL).1;
        assert_eq!(of(Mix::Q2_K, 576), DType::Q4_0);
        assert_eq!(of(Mix::Q3_K_S, 576), DType::Q4_0);
        assert_eq!(of(Mix::Q4_K_S, 576), DType::Q5_0);
        assert_eq!(of(Mix::Q5_K_S, 576), DType::Q5_1);
        assert_eq!(of(Mix::Q6_K, 576), DType::Q8_0);
        for mix in Mix::ALL.into_iter().filter(|mix| !mix.dtype().is_float()) {
            assert_eq!(of(mix, 40), DType::F16, "{mix:?}");
        }
        assert_eq!(of(Mix::BF16, 40), DType::BF16);
    }

    #[test]
    fn the_head_and_what_is_tied_to_it() {
        let embedding = |mix, columns, facts| choose(mix, "token_embd.weight", columns, facts).1;
        let untied = Facts { tied: false, ..SMALL };
        assert_eq!(embedding(Mix::Q4_0, 2048, SMALL), DType::Q6_K);
        assert_eq!(embedding(Mix::Q4_0, 576, SMALL), DType::Q8_0);
        assert_eq!(embedding(Mix::Q8_0, 2048, SMALL), DType::Q8_0);
        assert_eq!(embedding(Mix::Q4_0, 2048, untied), DType::Q4_0);
        assert_eq!(choose(Mix::Q2_K, "output.weight", 2048, untied).1, DType::Q6_K);
        assert_eq!(choose(Mix::F16, "output.weight", 2048, untied).1, DType::F16);
    }

    #[test]
    fn large_models_with_grouped_heads() {
        let large = Facts { layers: 80, group: 8, tied: false, weighed: true };
        assert!(types(Mix::Q3_K_S, "attn_v", 8192, large).iter().all(|t| *t == DType::Q5_K));
        assert!(
            types(Mix::Q2_K, "attn_v", 8192, Facts { layers: 32, ..large }).iter().all(|t| *t == DType::Q4_K)
        );
        let guarded = types(Mix::Q4_0, "ffn_down", 8192, large);
        assert!(guarded[..10].iter().all(|t| *t == DType::Q4_1));
        assert!(guarded[10..].iter().all(|t| *t == DType::Q4_0));
    }
}
