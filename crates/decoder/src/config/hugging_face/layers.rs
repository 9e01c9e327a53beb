//! What differs from layer to layer: windows, ropes and scales.

use super::keys::Keys;
use super::rope;
use crate::family::{Family, PositionKind, Turning, Windows};
use crate::{Config, Error, LayerConfig, Rope};
use serde_json::Value;

pub(super) fn read(
    keys: &Keys<'_>,
    family: &Family,
    attention: &Keys<'_>,
    num_layers: usize,
    head_dim: usize,
    context_length: usize,
) -> Result<(Vec<Rope>, Vec<LayerConfig>), Error> {
    // More layers than that are damage, which is said elsewhere.
    let num_layers = num_layers.min(1 << 16);
    let windows = windows(keys, family, num_layers, context_length)?;
    let (ropes, local) = match family.positions {
        PositionKind::Rotary => rope::read(keys, family, head_dim, context_length)?,
        _ => (Vec::new(), None),
    };
    let turning = turning(keys, family, &windows, num_layers)?;
    let scale = match keys
        .float(&["attention_multiplier", "softmax_scale"])?
        .or(attention.float(&["softmax_scale"])?)
    {
        Some(scale) => scale as f32,
        None => match keys.float(&["query_pre_attn_scalar"])? {
            Some(scalar) => scalar.powf(-0.5) as f32,
            // Granite's scores are as they are, unless it says otherwise; Gemma's heads are 256 long.
            None if family.model_type == "granite" => 1.0,
            None if family.form.gain_plus_one => 256f32.powf(-0.5),
            None if keys.flag(&["scale_attn_weights"])? == Some(false) => 1.0,
            None => Config::plain_scale(head_dim),
        },
    };
    let by_layer = keys.flag(&["scale_attn_by_inverse_layer_idx"])? == Some(true);
    let layer = |i: usize| LayerConfig {
        rope: turning[i].then_some(match local {
            Some(local) if windows[i].is_some() => local,
            _ => 0,
        }),
        // A window that a text of the trained length cannot leave is none.
        window: windows[i],
        attention_scale: if by_layer { scale / (i + 1) as f32 } else { scale },
    };
    Ok((ropes, (0..num_layers).map(layer).collect()))
}

/// Which layers turn what they attend by.
fn turning(
    keys: &Keys<'_>,
    family: &Family,
    windows: &[Option<usize>],
    num_layers: usize,
) -> Result<Vec<bool>, Error> {
    if family.positions != PositionKind::Rotary {
        return Ok(vec![false; num_layers]);
    }
    Ok(match family.turning {
        Turning::All => vec![true; num_layers],
        Turning::Windowed => {
            let none = keys.number(&["sliding_window"])?.is_none();
            windows.iter().map(|window| none || window.is_some()).collect()
        }
        Turning::AllBut(every) => match keys.numbers("no_rope_layers")? {
            Some(turns) if turns.len() == num_layers => turns.into_iter().map(|turns| turns != 0).collect(),
            Some(turns) => {
                return Err(
                    keys.wrong(format!("`no_rope_layers` is of {} layers, not {num_layers}", turns.len()))
                );
            }
            None => {
                let every = keys.number(&["no_rope_layer_interval"])?.unwrap_or(every).max(1);
                (1..=num_layers).map(|i| !i.is_multiple_of(every)).collect()
            }
        },
    })
}

/// The window of each layer.
fn windows(
    keys: &Keys<'_>,
    family: &Family,
    num_layers: usize,
    context_length: usize,
) -> Result<Vec<Option<usize>>, Error> {
    let named = keys.names_any(&["sliding_window"]);
    let width = match (keys.number(&["sliding_window"])?, family.window) {
        // A family of whose file the key is missing has the first model's width.
        (None, Windows::All(absent)) if !named => absent,
        (None, Windows::AllBut(2 | 6)) if !named => Some(4096),
        (None, Windows::AllBut(4)) if !named => Some(4096),
        (width, _) => width,
    };
    let on = match family.window {
        Windows::From => keys.flag(&["use_sliding_window"])?.unwrap_or(false),
        Windows::None => {
            keys.flag(&["use_sliding_window"])?.unwrap_or(true) && family.positions == PositionKind::Rotary
        }
        _ => keys.flag(&["use_sliding_window"])?.unwrap_or(true),
    };
    let types = keys.texts("layer_types")?;
    if let Some(other) =
        types.iter().flatten().find(|kind| !matches!(kind.as_str(), "full_attention" | "sliding_attention"))
    {
        return Err(keys.wrong(format!(
            "a layer is of type `{}`, which sai does not run (full_attention, sliding_attention)",
            other.escape_debug()
        )));
    }
    let Some(width) = width.filter(|_| on) else { return Ok(vec![None; num_layers]) };
    let local: Vec<bool> = match (types, family.window) {
        (Some(types), Windows::AllBut(_) | Windows::From) if types.len() == num_layers => {
            types.iter().map(|kind| kind == "sliding_attention").collect()
        }
        (Some(types), Windows::AllBut(_) | Windows::From) => {
            return Err(keys.wrong(format!("`layer_types` is of {} layers, not {num_layers}", types.len())));
        }
        (_, Windows::AllBut(every)) => pattern(keys, every, num_layers)?,
        (_, Windows::From) => {
            let from = keys.number(&["max_window_layers"])?.unwrap_or(28);
            (0..num_layers).map(|i| i >= from).collect()
        }
        (_, Windows::All(_) | Windows::None) => vec![true; num_layers],
    };
    // A window as wide as the context hides nothing; but one says which layers are local where that has other ends.
    let told = matches!(family.window, Windows::AllBut(_)) || width < context_length;
    Ok(local.into_iter().map(|local| (local && told).then_some(width)).collect())
}

/// Local layers by a pattern that repeats: letters, or how often one is not.
fn pattern(keys: &Keys<'_>, every: usize, num_layers: usize) -> Result<Vec<bool>, Error> {
    let name = if keys.names_any(&["_sliding_window_pattern"]) {
        "_sliding_window_pattern"
    } else {
        "sliding_window_pattern"
    };
    let all_but = |every: usize| (1..=num_layers).map(|i| !i.is_multiple_of(every)).collect();
    Ok(match keys.value(name) {
        Some(Value::String(letters))
            if !letters.is_empty() && letters.chars().all(|c| matches!(c, 'L' | 'G')) =>
        {
            let letters: Vec<bool> = letters.chars().map(|c| c == 'L').collect();
            // The last layer is global whatever the pattern says.
            (0..num_layers).map(|i| letters[i % letters.len()] && i + 1 < num_layers).collect()
        }
        Some(Value::Number(n)) if n.as_u64().is_some_and(|n| n > 0) => {
            all_but(n.as_u64().map_or(1, |n| usize::try_from(n).unwrap_or(usize::MAX)))
        }
        None => all_but(every),
        Some(other) => {
            return Err(
                keys.wrong(format!("`{name}` is {other}; it is to be letters L and G, or a number above 0"))
            );
        }
    })
}
