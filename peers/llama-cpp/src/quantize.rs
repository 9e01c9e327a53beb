//! llama.cpp's quantiser, as its `llama-quantize` program calls it.

use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_sys_2 as sys;

#[derive(Args)]
pub struct Quantize {
    /// A GGUF file.
    source: PathBuf,
    target: PathBuf,
    /// One of `llama-quantize`'s names: Q4_0, Q4_K_M, …
    #[arg(value_name = "TYPE")]
    kind: String,
    #[arg(short, long, default_value_t = 2)]
    threads: i32,
    /// Every tensor in the one type, without the mixture.
    #[arg(long)]
    pure: bool,
}

/// The numbers of `llama_ftype` in llama.h.
const TYPES: [(&str, sys::llama_ftype); 17] = [
    ("F32", 0),
    ("F16", 1),
    ("Q4_0", 2),
    ("Q4_1", 3),
    ("Q8_0", 7),
    ("Q5_0", 8),
    ("Q5_1", 9),
    ("Q2_K", 10),
    ("Q3_K_S", 11),
    ("Q3_K_M", 12),
    ("Q3_K_L", 13),
    ("Q4_K_S", 14),
    ("Q4_K_M", 15),
    ("Q5_K_S", 16),
    ("Q5_K_M", 17),
    ("Q6_K", 18),
    ("BF16", 32),
];

pub fn run(args: &Quantize) -> Result<()> {
    let kind = args.kind.to_ascii_uppercase();
    let Some((_, ftype)) = TYPES.iter().find(|(name, _)| *name == kind) else {
        bail!("{} is not one of {}", args.kind, TYPES.map(|(name, _)| name).join(", "));
    };
    let mut backend = LlamaBackend::init()?;
    backend.void_logs();
    let (source, target) = (c_path(&args.source)?, c_path(&args.target)?);
    // SAFETY: the paths end in zero and outlive the call; the parameters are llama.cpp's own defaults.
    let (status, seconds) = unsafe {
        let mut params = sys::llama_model_quantize_default_params();
        params.nthread = args.threads;
        params.ftype = *ftype;
        params.pure_ = args.pure;
        params.allow_requantize = true;
        let began = Instant::now();
        let status = sys::llama_model_quantize(source.as_ptr(), target.as_ptr(), &params);
        (status, began.elapsed().as_secs_f64())
    };
    if status != 0 {
        bail!("{}: llama.cpp could not quantise it to {kind}", args.source.display());
    }
    let bytes = std::fs::metadata(&args.target).with_context(|| args.target.display().to_string())?.len();
    println!(
        "{{\"type\": \"{kind}\", \"threads\": {}, \"seconds\": {seconds:.3}, \"bytes\": {bytes}}}",
        args.threads
    );
    Ok(())
}

fn c_path(path: &Path) -> Result<CString> {
    let text = path.to_str().with_context(|| format!("{}: the path is not UTF-8", path.display()))?;
    Ok(CString::new(text)?)
}
