//! A folder's model as a GGUF file in f32 that has no vocabulary, for programs that are asked by token ids:
//!
//!     cargo run -p sai-decoder --example without_vocabulary FOLDER OUT.gguf
//!
//! What llama.cpp cannot say of the model is refused in a line. `peers/families.py` asks llama.cpp what it makes of such
//! files.

use sai_decoder::{Config, to_gguf};
use sai_formats::gguf::{Value, create};
use sai_formats::{DType, TensorSpec};
use std::path::Path;
use std::process::ExitCode;

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn write(folder: &Path, out: &Path) -> Outcome {
    let (container, config) = Config::open(folder)?;
    let mut metadata = config.to_gguf(folder)?;
    metadata.push(("tokenizer.ggml.model".to_owned(), Value::String("none".to_owned())));
    let tensors = to_gguf(&config, container.tensors(), Some(DType::F32))?.tensors;
    let specs: Vec<TensorSpec> = tensors.iter().map(|tensor| tensor.spec.clone()).collect();
    let mut writer = create(out, &metadata, specs)?;
    for tensor in &tensors {
        writer.write(&tensor.tensor()?.data)?;
    }
    writer.finish()?;
    Ok(())
}

#[allow(clippy::print_stderr)] // a program's own last word
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, out] = &arguments[..] else {
        eprintln!("without_vocabulary FOLDER OUT.gguf");
        return ExitCode::FAILURE;
    };
    match write(Path::new(folder), Path::new(out)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
