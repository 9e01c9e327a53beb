//! Where the model runs, and why there.

use sai_generation::Model;

use crate::cli::{Device, ModelArgs};
use crate::ui::Size;

/// One line: the device, what it can do, and whether there is room.
pub(crate) fn line(args: &ModelArgs, model: &Model) -> String {
    let why = if args.device == Device::Auto { "the only device of this build" } else { "as asked" };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = if args.threads == 0 { cores } else { args.threads };
    let mut line = format!("cpu ({why}) · {threads} of {cores} cores");
    let sets = instruction_sets();
    if !sets.is_empty() {
        line += &format!(" · {}", sets.join(" "));
    }
    line += &format!(" · model {}", Size(super::turn::model_bytes(model)));
    if let Some(free) = crate::models::memory::available() {
        line += &format!(", {} free", Size(free));
    }
    line
}

/// What the processor offers to multiply with.
fn instruction_sets() -> Vec<&'static str> {
    let mut sets = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        let known = [
            ("AVX2", is_x86_feature_detected!("avx2")),
            ("FMA", is_x86_feature_detected!("fma")),
            ("F16C", is_x86_feature_detected!("f16c")),
            ("AVX-VNNI", is_x86_feature_detected!("avxvnni")),
            ("AVX-512", is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw")),
            ("AVX-512-VNNI", is_x86_feature_detected!("avx512vnni")),
        ];
        sets.extend(known.into_iter().filter(|(_, has)| *has).map(|(name, _)| name));
    }
    #[cfg(target_arch = "aarch64")]
    {
        let known = [
            ("NEON", std::arch::is_aarch64_feature_detected!("neon")),
            ("DOTPROD", std::arch::is_aarch64_feature_detected!("dotprod")),
            ("I8MM", std::arch::is_aarch64_feature_detected!("i8mm")),
        ];
        sets.extend(known.into_iter().filter(|(_, has)| *has).map(|(name, _)| name));
    }
    sets
}
