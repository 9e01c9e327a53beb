//! How positions turn.

use super::keys::Keys;
use crate::family::Family;
use crate::rope::{long_attention_factor, yarn_attention_factor};
use crate::{Error, Rope, RopeScaling};
use sai_kernels::RopeStyle;

/// The ropes, and which of them is that of layers with a window, where that is another than the first.
pub(super) fn read(
    keys: &Keys<'_>,
    family: &Family,
    head_dim: usize,
    context_length: usize,
) -> Result<(Vec<Rope>, Option<usize>), Error> {
    // `rope_parameters` since transformers 5, with the base inside, and with one for each kind of layer where they differ.
    let new = keys.optional_within("rope_parameters")?;
    let nested = new.names_any(&["full_attention", "sliding_attention"]);
    let whole = if nested { new.optional_within("full_attention")? } else { new };
    let old = keys.optional_within("rope_scaling")?;
    let theta = whole.float(&["rope_theta"])?.or(keys.float(&["rope_theta", "rotary_emb_base"])?);
    let share = whole.float(&["partial_rotary_factor"])?;
    let share = share.or(keys.float(&["partial_rotary_factor", "rotary_pct"])?).unwrap_or(family.rotary);
    let said = if whole.names_any(&["rope_type", "type"]) { &whole } else { &old };
    let main = Rope {
        theta: theta.unwrap_or(family.theta),
        dim: (head_dim as f64 * share) as usize,
        style: RopeStyle::Halves,
        scaling: scaling(said, keys, context_length)?,
    };
    let Some(local_theta) = family.local_theta else { return Ok((vec![main], None)) };
    let keys_of_local = keys.optional_within("rope_parameters")?.optional_within("sliding_attention")?;
    let theta = keys_of_local.float(&["rope_theta"])?.or(keys.float(&["rope_local_base_freq"])?);
    let local = Rope {
        theta: theta.unwrap_or(local_theta),
        scaling: scaling(&keys_of_local, keys, context_length)?,
        ..main.clone()
    };
    Ok((vec![main, local], Some(1)))
}

fn scaling(said: &Keys<'_>, keys: &Keys<'_>, context_length: usize) -> Result<RopeScaling, Error> {
    let kind = said.text(&["rope_type", "type"])?.unwrap_or_else(|| "default".to_owned());
    let need = |name: &str| {
        said.float(&[name])?.ok_or_else(|| said.wrong(format!("rotary scaling `{kind}` lacks its `{name}`")))
    };
    let original = said.float(&["original_max_position_embeddings"])?;
    Ok(match kind.as_str() {
        "default" => RopeScaling::None,
        "linear" => RopeScaling::Linear { factor: need("factor")? },
        "llama3" => RopeScaling::Llama3 {
            factor: need("factor")?,
            low_freq_factor: need("low_freq_factor")?,
            high_freq_factor: need("high_freq_factor")?,
            original_context: need("original_max_position_embeddings")?,
        },
        // Phi-3's word for LongRoPE was once `su`, and with lists of factors `yarn`.
        "yarn" if !said.names_any(&["short_factor"]) => {
            let original_context = original.unwrap_or(context_length as f64);
            let factor = match said.float(&["factor"])? {
                Some(factor) => factor,
                None => context_length as f64 / original_context,
            };
            let (mscale, all) = (said.float(&["mscale"])?, said.float(&["mscale_all_dim"])?);
            RopeScaling::Yarn {
                factor,
                original_context,
                beta_fast: said.float(&["beta_fast"])?.unwrap_or(32.0),
                beta_slow: said.float(&["beta_slow"])?.unwrap_or(1.0),
                truncate: said.flag(&["truncate"])?.unwrap_or(true),
                attention_factor: match said.float(&["attention_factor"])? {
                    Some(factor) => factor,
                    None => yarn_attention_factor(factor, mscale, all),
                },
            }
        }
        "longrope" | "su" | "yarn" => {
            let list = |name: &str| {
                said.floats(name)?
                    .ok_or_else(|| said.wrong(format!("rotary scaling `{kind}` lacks its `{name}`")))
            };
            let original = match original {
                Some(original) => original as usize,
                None => keys.number(&["original_max_position_embeddings"])?.unwrap_or(context_length),
            };
            let factor = said.float(&["factor"])?.unwrap_or(context_length as f64 / original as f64);
            RopeScaling::Long {
                short: list("short_factor")?,
                long: list("long_factor")?,
                original_context: original,
                attention_factor: match said.float(&["attention_factor"])? {
                    Some(factor) => factor,
                    None => long_attention_factor(factor, original),
                },
            }
        }
        other => {
            return Err(said.wrong(format!(
                "rotary scaling `{}` is not one that sai knows (default, linear, llama3, yarn, longrope)",
                other.escape_debug()
            )));
        }
    })
}
