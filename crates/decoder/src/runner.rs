//! A decoder at work: its weights, a cache and the activations of a pass, on a device that its users need not know.

use crate::{Batch, Config, Decoder, Error, KvCache, Pages, RunState};
use sai_formats::Container;
use sai_kernels::{CacheType, Cpu, Device};

/// A decoder on whichever device it was loaded to.
pub trait LoadedDecoder: Send + Sync {
    /// What it is.
    fn config(&self) -> &Config;
    /// The device, for people: `CPU, 2 threads, AVX2`.
    fn device(&self) -> String;
    /// A cache of `positions` tokens, and what passes need.
    ///
    /// # Errors
    /// More memory than can be addressed or had.
    fn runner(&self, positions: usize, dtype: CacheType) -> Result<Box<dyn Runner + '_>, Error>;
}

impl<D: Device> LoadedDecoder for Decoder<D> {
    fn config(&self) -> &Config {
        &self.config
    }

    fn device(&self) -> String {
        self.device.describe()
    }

    fn runner(&self, positions: usize, dtype: CacheType) -> Result<Box<dyn Runner + '_>, Error> {
        Ok(Box::new(DecoderRunner::new(self, positions, dtype)?))
    }
}

/// Loads a model to the device that runs it: today the processor, with `threads` threads, 0 for one per core.
///
/// # Errors
/// A tensor is missing, or of a shape or type that contradicts the description.
pub fn load(threads: usize, config: Config, container: &Container) -> Result<Box<dyn LoadedDecoder>, Error> {
    Ok(Box::new(Decoder::load(Cpu::new(threads), config, container)?))
}

/// What computes passes over one cache.
pub trait Runner: Send {
    /// Rows that a pass computes best with; a longer prompt is given in pieces.
    fn best_rows(&self) -> usize;

    /// Columns of the logits.
    fn vocab_size(&self) -> usize;

    /// Tokens above which all positions of a text turn otherwise, so that what is computed of shorter ones is of no use to
    /// it; as [`Config::rope_switch`].
    fn rope_switch(&self) -> Option<usize> {
        None
    }

    /// Who uses the cache's pages.
    fn pages(&self) -> &Pages;

    /// The same, to begin and end sequences.
    fn pages_mut(&mut self) -> &mut Pages;

    /// One pass over the rows of `batch`, which join their sequences. Returns the wanted rows' logits,
    /// (wanted rows, vocab_size), in the order of the rows.
    ///
    /// # Errors
    /// A token that is no row of the embedding, or no room in the cache; the cache is then as it was.
    fn forward(&mut self, batch: &Batch) -> Result<&[f32], Error>;

    /// The last hidden states of the last pass that wanted some, (rows of [`Batch::push_hidden`], hidden_size), in the order of the rows.
    fn hidden_states(&mut self) -> &[f32];

    /// Columns of the hidden states.
    fn hidden_size(&self) -> usize;

    /// Bytes of a page in all layers.
    fn page_bytes(&self) -> usize;

    /// Replaces `bytes` by what a page holds, in the device's layout.
    fn read_page(&self, page: u32, bytes: &mut Vec<u8>);

    /// Sets a page to what [`Runner::read_page`] gave.
    fn write_page(&mut self, page: u32, bytes: &[u8]);
}

/// A [`Decoder`], a [`KvCache`] and a [`RunState`].
pub struct DecoderRunner<'d, D: Device> {
    decoder: &'d Decoder<D>,
    cache: KvCache<D>,
    state: RunState<D>,
    /// Logits of a device that does not compute in this memory.
    logits: Vec<f32>,
}

impl<'d, D: Device> DecoderRunner<'d, D> {
    /// A cache of `positions` tokens for `decoder`.
    ///
    /// # Errors
    /// More memory than can be addressed or had.
    pub fn new(decoder: &'d Decoder<D>, positions: usize, dtype: CacheType) -> Result<Self, Error> {
        let cache = KvCache::new(&decoder.device, &decoder.config, positions, dtype)?;
        Ok(DecoderRunner { decoder, cache, state: RunState::new(decoder), logits: Vec::new() })
    }
}

impl<D: Device> Runner for DecoderRunner<'_, D> {
    fn best_rows(&self) -> usize {
        RunState::<D>::ROWS
    }

    fn vocab_size(&self) -> usize {
        self.decoder.config.vocab_size
    }

    fn rope_switch(&self) -> Option<usize> {
        self.decoder.config.rope_switch()
    }

    fn pages(&self) -> &Pages {
        &self.cache.pages
    }

    fn pages_mut(&mut self) -> &mut Pages {
        &mut self.cache.pages
    }

    fn forward(&mut self, batch: &Batch) -> Result<&[f32], Error> {
        let logits = self.decoder.forward(&mut self.cache, batch, &mut self.state)?;
        Ok(self.decoder.device.values(logits, &mut self.logits))
    }

    fn hidden_states(&mut self) -> &[f32] {
        self.decoder.device.values(self.state.hidden_states(), &mut self.logits)
    }

    fn hidden_size(&self) -> usize {
        self.decoder.config.hidden_size
    }

    fn page_bytes(&self) -> usize {
        self.decoder.device.page_bytes(&self.cache.storage)
    }

    fn read_page(&self, page: u32, bytes: &mut Vec<u8>) {
        self.decoder.device.read_page(&self.cache.storage, page, bytes);
    }

    fn write_page(&mut self, page: u32, bytes: &[u8]) {
        self.decoder.device.write_page(&mut self.cache.storage, page, bytes);
    }
}
