//! What goes into each matrix of a model while it reads a text.

use crate::model::Parts;
use crate::{Error, LoadOptions};
use sai_decoder::{
    ActivationRecorder, Batch, CacheType, Config, Cpu, Decoder, DecoderRunner, Imatrix, LogitRows, Runner,
};
use sai_formats::Source;
use std::ops::ControlFlow;

/// Reads `texts`, each a name and what it says, in chunks of `chunk` tokens, one after another and each on its own, and
/// keeps the mean squares of what every matrix of the layers was multiplied with. The head is left out, as it is by
/// llama.cpp. Where the model wants a BOS token, it opens each chunk.
///
/// `on` hears how many chunks are read and how many there are, and may break off; what was read until then counts.
///
/// # Errors
/// The model cannot be opened, takes more memory than it may, or has a shorter context than the chunk; or there is no
/// text.
pub fn imatrix(
    source: impl Into<Source>,
    options: &LoadOptions,
    texts: &[(String, String)],
    chunk: usize,
    on: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> Result<Imatrix, Error> {
    let source = source.into();
    let (container, config) = Config::open(&source)?;
    let path = source.path();
    if chunk < 4 || chunk > config.context_length {
        return Err(Error::Window { window: chunk, context: config.context_length });
    }
    let need = Decoder::<Cpu>::memory(&config, &container, chunk, CacheType::F32);
    if let Some(available) = options.memory_limit.filter(|&limit| need.total() > limit) {
        return Err(Error::Memory { path: path.to_path_buf(), need, available, context: chunk });
    }
    let tokenizer = Parts::of(&container, path)?.tokenizer;
    let bos = tokenizer.bos().filter(|_| tokenizer.add_bos());
    let own = chunk - usize::from(bos.is_some());
    let encoded: Vec<Vec<u32>> = texts.iter().map(|(_, text)| tokenizer.encode(text)).collect();
    let total = encoded.iter().map(|tokens| tokens.len().div_ceil(own)).sum();
    if total == 0 {
        return Err(Error::EmptyPrompt);
    }

    let decoder = Decoder::load(ActivationRecorder::new(Cpu::new(options.threads)), config, &container)?;
    // Nothing is made with these keys and values but the sums, so they may as well be exact.
    let mut runner = DecoderRunner::new(&decoder, chunk, CacheType::F32)?;
    let mut batch = Batch::new();
    let mut read = 0;
    for tokens in encoded.iter().flat_map(|tokens| tokens.chunks(own)) {
        let tokens: Vec<u32> = bos.into_iter().chain(tokens.iter().copied()).collect();
        let sequence = runner.pages_mut().start();
        for piece in tokens.chunks(runner.best_rows()) {
            batch.clear();
            batch.push(&sequence, piece, LogitRows::None);
            runner.forward(&batch)?;
        }
        runner.pages_mut().free(sequence);
        read += 1;
        if on(read, total).is_break() {
            break;
        }
    }
    drop(runner);
    let names = texts.iter().map(|(name, _)| name.clone()).collect();
    Ok(decoder.device.imatrix(names, read as u32, chunk as u32))
}
