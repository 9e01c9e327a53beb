//! The families that sai knows, each a row: the facts that its files leave unsaid, what its tensors are called, and how they
//! lie. Nothing else of the room asks which family a model is of.

use crate::{NormPlace, QkNorm};
use sai_kernels::{Activation, NormKind, RopeStyle};

/// A row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Family {
    /// `model_type` in `config.json`.
    pub(crate) model_type: &'static str,
    /// The class of `transformers` that it names.
    pub(crate) class: &'static str,
    /// `general.architecture`, where llama.cpp has the family, and how heads that turn lie there.
    pub(crate) gguf: Option<(&'static str, RopeStyle)>,
    /// What tensors are called in a folder; the first of these whose embedding is there.
    pub(crate) folder: &'static [&'static Naming],
    /// How they lie there.
    pub(crate) form: Form,
    pub(crate) norm: NormKind,
    pub(crate) norm_bias: bool,
    pub(crate) eps: f32,
    pub(crate) place: NormPlace,
    pub(crate) qk_norm: Option<QkNorm>,
    pub(crate) parallel: bool,
    /// Where `config.json` does not name one.
    pub(crate) activation: Activation,
    pub(crate) gated: bool,
    /// Of queries, keys and values, of attention's output, of the feed-forward layer.
    pub(crate) biases: [bool; 3],
    pub(crate) positions: PositionKind,
    /// Rotary base, and the share of a head that turns.
    pub(crate) theta: f64,
    pub(crate) rotary: f64,
    /// The base in layers with a window, where that is another.
    pub(crate) local_theta: Option<f64>,
    pub(crate) window: Windows,
    /// Which layers turn positions.
    pub(crate) turning: Turning,
    pub(crate) tied: bool,
    /// Whether embeddings are multiplied by the root of their width.
    pub(crate) embedding_by_root: bool,
}

/// How a folder's tensors lie, where not as the pass wants them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Form {
    /// Matrices of layers are (inputs, outputs).
    pub(crate) transposed: bool,
    /// Query, key and value of a head lie together.
    pub(crate) interleaved: bool,
    /// A norm's gain is 1 more than what is stored.
    pub(crate) gain_plus_one: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PositionKind {
    Rotary,
    /// With so many rows before the first position's.
    Learned(usize),
    /// The first position's number being this.
    Sinusoidal(usize),
    /// ALiBi, or learned where that is off.
    Alibi,
}

/// Which layers have a window, where `layer_types` does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Windows {
    None,
    /// All, where `sliding_window` is given; this is the width that its absence means.
    All(Option<usize>),
    /// All but the last of so many.
    AllBut(usize),
    /// Those from `max_window_layers` on, where `use_sliding_window` is on.
    From,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turning {
    All,
    /// Those with a window; all, where none has.
    Windowed,
    /// All but the last of every so many.
    AllBut(usize),
}

/// What a folder calls its tensors.
#[derive(Debug)]
pub(crate) struct Naming {
    /// What names begin with.
    pub(crate) prefix: &'static str,
    /// What a layer's begin with, after that.
    pub(crate) layers: &'static str,
    /// The head, with its prefix.
    pub(crate) head: &'static str,
    /// GGUF's name, and this one, of what is there once.
    pub(crate) top: &'static [(&'static str, &'static str)],
    /// The same of a layer's.
    pub(crate) layer: &'static [(&'static str, &'static str)],
}

const LLAMA_TOP: &[(&str, &str)] = &[("token_embd", "embed_tokens"), ("output_norm", "norm")];

/// Those of LLaMA. A norm that a family has not is not looked for.
const LLAMA_NAMES: Naming = Naming {
    prefix: "model.",
    layers: "layers.",
    head: "lm_head",
    top: LLAMA_TOP,
    layer: &[
        ("attn_norm", "input_layernorm"),
        ("attn_q", "self_attn.q_proj"),
        ("attn_k", "self_attn.k_proj"),
        ("attn_v", "self_attn.v_proj"),
        ("attn_q_norm", "self_attn.q_norm"),
        ("attn_k_norm", "self_attn.k_norm"),
        ("attn_output", "self_attn.o_proj"),
        ("post_attention_norm", "post_norm1"),
        ("ffn_norm", "post_attention_layernorm"),
        ("ffn_gate", "mlp.gate_proj"),
        ("ffn_up", "mlp.up_proj"),
        ("ffn_down", "mlp.down_proj"),
        ("post_ffw_norm", "post_norm2"),
    ],
};

/// With norms before and after, as Gemma 2, or after alone, as OLMo 2.
const GEMMA_NAMES: Naming = Naming {
    layer: &[
        ("attn_norm", "input_layernorm"),
        ("attn_q", "self_attn.q_proj"),
        ("attn_k", "self_attn.k_proj"),
        ("attn_v", "self_attn.v_proj"),
        ("attn_q_norm", "self_attn.q_norm"),
        ("attn_k_norm", "self_attn.k_norm"),
        ("attn_output", "self_attn.o_proj"),
        ("post_attention_norm", "post_attention_layernorm"),
        ("ffn_norm", "pre_feedforward_layernorm"),
        ("ffn_gate", "mlp.gate_proj"),
        ("ffn_up", "mlp.up_proj"),
        ("ffn_down", "mlp.down_proj"),
        ("post_ffw_norm", "post_feedforward_layernorm"),
    ],
    ..LLAMA_NAMES
};

/// Gemma 3 with its eyes, which are passed over, as it was published and as `transformers` writes it.
const GEMMA3_NAMES: [&Naming; 3] = [
    &GEMMA_NAMES,
    &Naming { prefix: "language_model.model.", head: "language_model.lm_head", ..GEMMA_NAMES },
    &Naming { prefix: "model.language_model.", ..GEMMA_NAMES },
];

const PHI3_NAMES: Naming = Naming {
    layer: &[
        ("attn_norm", "input_layernorm"),
        ("attn_qkv", "self_attn.qkv_proj"),
        ("attn_output", "self_attn.o_proj"),
        ("ffn_norm", "post_attention_layernorm"),
        ("ffn_up", "mlp.gate_up_proj"),
        ("ffn_down", "mlp.down_proj"),
    ],
    ..LLAMA_NAMES
};

const EXAONE_NAMES: Naming = Naming {
    prefix: "transformer.",
    layers: "h.",
    top: &[("token_embd", "wte"), ("output_norm", "ln_f")],
    layer: &[
        ("attn_norm", "ln_1"),
        ("attn_q", "attn.attention.q_proj"),
        ("attn_k", "attn.attention.k_proj"),
        ("attn_v", "attn.attention.v_proj"),
        ("attn_output", "attn.attention.out_proj"),
        ("ffn_norm", "ln_2"),
        ("ffn_gate", "mlp.c_fc_0"),
        ("ffn_up", "mlp.c_fc_1"),
        ("ffn_down", "mlp.c_proj"),
    ],
    ..LLAMA_NAMES
};

const GPT2_NAMES: Naming = Naming {
    prefix: "transformer.",
    layers: "h.",
    head: "lm_head",
    top: &[("token_embd", "wte"), ("position_embd", "wpe"), ("output_norm", "ln_f")],
    layer: &[
        ("attn_norm", "ln_1"),
        ("attn_qkv", "attn.c_attn"),
        ("attn_output", "attn.c_proj"),
        ("ffn_norm", "ln_2"),
        ("ffn_up", "mlp.c_fc"),
        ("ffn_down", "mlp.c_proj"),
    ],
};

const NEOX_NAMES: Naming = Naming {
    prefix: "gpt_neox.",
    layers: "layers.",
    head: "embed_out",
    top: &[("token_embd", "embed_in"), ("output_norm", "final_layer_norm")],
    layer: &[
        ("attn_norm", "input_layernorm"),
        ("attn_qkv", "attention.query_key_value"),
        ("attn_output", "attention.dense"),
        ("ffn_norm", "post_attention_layernorm"),
        ("ffn_up", "mlp.dense_h_to_4h"),
        ("ffn_down", "mlp.dense_4h_to_h"),
    ],
};

/// The head is called otherwise since transformers 5.
const NEOX_FOLDERS: [&Naming; 2] = [&NEOX_NAMES, &Naming { head: "lm_head", ..NEOX_NAMES }];

const OPT_NAMES: Naming = Naming {
    prefix: "model.decoder.",
    layers: "layers.",
    head: "lm_head",
    top: &[
        ("token_embd", "embed_tokens"),
        ("position_embd", "embed_positions"),
        ("project_in", "project_in"),
        ("project_out", "project_out"),
        ("output_norm", "final_layer_norm"),
    ],
    layer: &[
        ("attn_norm", "self_attn_layer_norm"),
        ("attn_q", "self_attn.q_proj"),
        ("attn_k", "self_attn.k_proj"),
        ("attn_v", "self_attn.v_proj"),
        ("attn_output", "self_attn.out_proj"),
        ("ffn_norm", "final_layer_norm"),
        ("ffn_up", "fc1"),
        ("ffn_down", "fc2"),
    ],
};

const XGLM_NAMES: Naming = Naming {
    prefix: "model.",
    top: &[("token_embd", "embed_tokens"), ("output_norm", "layer_norm")],
    ..OPT_NAMES
};

const MPT_NAMES: Naming = Naming {
    prefix: "transformer.",
    layers: "blocks.",
    head: "lm_head",
    top: &[("token_embd", "wte"), ("position_embd", "wpe"), ("output_norm", "norm_f")],
    layer: &[
        ("attn_norm", "norm_1"),
        ("attn_qkv", "attn.Wqkv"),
        ("attn_q_norm", "attn.q_ln"),
        ("attn_k_norm", "attn.k_ln"),
        ("attn_output", "attn.out_proj"),
        ("ffn_norm", "norm_2"),
        ("ffn_up", "ffn.up_proj"),
        ("ffn_down", "ffn.down_proj"),
    ],
};

const MOSAIC_NAMES: Naming = Naming {
    top: &[("token_embd", "wte"), ("position_embd", "wpe"), ("output_norm", "ln_f")],
    layer: &[
        ("attn_norm", "ln_1"),
        ("attn_qkv", "attn.Wqkv"),
        ("attn_q_norm", "attn.q_ln"),
        ("attn_k_norm", "attn.k_ln"),
        ("attn_output", "attn.out_proj"),
        ("ffn_norm", "ln_2"),
        ("ffn_up", "mlp.mlp_up"),
        ("ffn_down", "mlp.mlp_down"),
    ],
    ..MPT_NAMES
};

/// Touvron et al. 2023; what other rows differ from.
const LLAMA: Family = Family {
    model_type: "llama",
    class: "LlamaForCausalLM",
    gguf: Some(("llama", RopeStyle::Pairs)),
    folder: &[&LLAMA_NAMES],
    form: Form { transposed: false, interleaved: false, gain_plus_one: false },
    norm: NormKind::Rms,
    norm_bias: false,
    eps: 1e-6,
    place: NormPlace::Before,
    qk_norm: None,
    parallel: false,
    activation: Activation::Silu,
    gated: true,
    biases: [false; 3],
    positions: PositionKind::Rotary,
    theta: 10_000.0,
    rotary: 1.0,
    local_theta: None,
    window: Windows::None,
    turning: Turning::All,
    tied: false,
    embedding_by_root: false,
};

/// Radford et al. 2019; what rows with LayerNorm and biases differ from.
const GPT2: Family = Family {
    model_type: "gpt2",
    class: "GPT2LMHeadModel",
    gguf: Some(("gpt2", RopeStyle::Halves)),
    folder: &[&GPT2_NAMES, &Naming { prefix: "", ..GPT2_NAMES }],
    form: Form { transposed: true, interleaved: false, gain_plus_one: false },
    norm: NormKind::Layer,
    norm_bias: true,
    eps: 1e-5,
    activation: Activation::GeluTanh,
    gated: false,
    biases: [true; 3],
    positions: PositionKind::Learned(0),
    tied: true,
    ..LLAMA
};

const MPT: Family = Family {
    model_type: "mpt",
    class: "MptForCausalLM",
    gguf: Some(("mpt", RopeStyle::Halves)),
    folder: &[&MPT_NAMES],
    form: Form { transposed: false, interleaved: false, gain_plus_one: false },
    norm_bias: false,
    activation: Activation::Gelu,
    biases: [false; 3],
    positions: PositionKind::Alibi,
    ..GPT2
};

const GEMMA2: Family = Family {
    model_type: "gemma2",
    class: "Gemma2ForCausalLM",
    gguf: Some(("gemma2", RopeStyle::Halves)),
    folder: &[&GEMMA_NAMES],
    form: Form { gain_plus_one: true, transposed: false, interleaved: false },
    place: NormPlace::Both,
    activation: Activation::GeluTanh,
    window: Windows::AllBut(2),
    tied: true,
    embedding_by_root: true,
    ..LLAMA
};

const GEMMA3: Family = Family {
    model_type: "gemma3_text",
    class: "Gemma3ForCausalLM",
    gguf: Some(("gemma3", RopeStyle::Halves)),
    folder: &GEMMA3_NAMES,
    qk_norm: Some(QkNorm::Heads),
    theta: 1_000_000.0,
    local_theta: Some(10_000.0),
    window: Windows::AllBut(6),
    ..GEMMA2
};

const OLMO2: Family = Family {
    model_type: "olmo2",
    class: "Olmo2ForCausalLM",
    gguf: Some(("olmo2", RopeStyle::Halves)),
    folder: &[&GEMMA_NAMES],
    eps: 1e-5,
    place: NormPlace::After,
    qk_norm: Some(QkNorm::Rows),
    ..LLAMA
};

/// Every family that sai runs. Where two share GGUF's architecture, the first is what such a file is read as.
pub(crate) const FAMILIES: [Family; 20] = [
    LLAMA,
    Family { model_type: "mistral", class: "MistralForCausalLM", window: Windows::All(Some(4096)), ..LLAMA },
    Family {
        model_type: "qwen2",
        class: "Qwen2ForCausalLM",
        gguf: Some(("qwen2", RopeStyle::Halves)),
        biases: [true, false, false],
        window: Windows::From,
        ..LLAMA
    },
    Family {
        model_type: "qwen3",
        class: "Qwen3ForCausalLM",
        gguf: Some(("qwen3", RopeStyle::Halves)),
        qk_norm: Some(QkNorm::Heads),
        window: Windows::From,
        ..LLAMA
    },
    Family {
        model_type: "granite",
        class: "GraniteForCausalLM",
        gguf: Some(("granite", RopeStyle::Pairs)),
        ..LLAMA
    },
    Family {
        model_type: "hyperclovax",
        class: "HyperCLOVAXForCausalLM",
        gguf: None,
        place: NormPlace::Both,
        ..LLAMA
    },
    Family {
        model_type: "smollm3",
        class: "SmolLM3ForCausalLM",
        gguf: Some(("smollm3", RopeStyle::Pairs)),
        theta: 2_000_000.0,
        window: Windows::From,
        turning: Turning::AllBut(4),
        tied: true,
        ..LLAMA
    },
    Family {
        model_type: "phi3",
        class: "Phi3ForCausalLM",
        gguf: Some(("phi3", RopeStyle::Halves)),
        folder: &[&PHI3_NAMES],
        eps: 1e-5,
        window: Windows::All(None),
        ..LLAMA
    },
    Family {
        model_type: "exaone",
        class: "ExaoneForCausalLM",
        gguf: Some(("exaone", RopeStyle::Halves)),
        folder: &[&EXAONE_NAMES, &LLAMA_NAMES],
        eps: 1e-5,
        ..LLAMA
    },
    OLMO2,
    Family {
        model_type: "exaone4",
        class: "Exaone4ForCausalLM",
        gguf: Some(("exaone4", RopeStyle::Halves)),
        qk_norm: Some(QkNorm::Heads),
        window: Windows::AllBut(4),
        turning: Turning::Windowed,
        ..OLMO2
    },
    GEMMA2,
    GEMMA3,
    Family { model_type: "gemma3", class: "Gemma3ForConditionalGeneration", ..GEMMA3 },
    GPT2,
    Family {
        model_type: "gpt_neox",
        class: "GPTNeoXForCausalLM",
        gguf: Some(("gptneox", RopeStyle::Halves)),
        folder: &NEOX_FOLDERS,
        form: Form { interleaved: true, transposed: false, gain_plus_one: false },
        parallel: true,
        activation: Activation::Gelu,
        positions: PositionKind::Rotary,
        rotary: 0.25,
        tied: false,
        ..GPT2
    },
    Family {
        model_type: "opt",
        class: "OPTForCausalLM",
        gguf: None,
        folder: &[&OPT_NAMES, &Naming { prefix: "decoder.", ..OPT_NAMES }],
        form: Form { transposed: false, interleaved: false, gain_plus_one: false },
        activation: Activation::Relu,
        positions: PositionKind::Learned(2),
        ..GPT2
    },
    Family {
        model_type: "xglm",
        class: "XGLMForCausalLM",
        gguf: None,
        folder: &[&XGLM_NAMES],
        form: Form { transposed: false, interleaved: false, gain_plus_one: false },
        activation: Activation::Gelu,
        positions: PositionKind::Sinusoidal(2),
        embedding_by_root: true,
        ..GPT2
    },
    MPT,
    // MPT's forerunner.
    Family {
        model_type: "mosaic_gpt",
        class: "MosaicGPT",
        gguf: None,
        folder: &[&MOSAIC_NAMES],
        qk_norm: Some(QkNorm::Rows),
        ..MPT
    },
];

impl Family {
    /// The family that a `config.json` names.
    pub(crate) fn of_model_type(name: &str) -> Option<&'static Family> {
        FAMILIES.iter().find(|family| family.model_type == name)
    }

    /// The family that a GGUF file names.
    pub(crate) fn of_architecture(name: &str) -> Option<&'static Family> {
        FAMILIES.iter().find(|family| family.gguf.is_some_and(|(gguf, _)| gguf == name))
    }

    /// The family of a description, by either name.
    pub(crate) fn of(architecture: &str) -> &'static Family {
        let found = Family::of_model_type(architecture).or_else(|| Family::of_architecture(architecture));
        found.unwrap_or(&FAMILIES[0])
    }
}
