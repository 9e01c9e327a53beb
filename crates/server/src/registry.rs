//! Models by name: opened when they are first asked for, closed when another needs their memory.

use crate::error::ApiError;
use crate::options::{Limits, ModelEntry, OpenError};
use crate::reply::ToolFormat;
use axum::http::StatusCode;
use sai_generation::{EngineHandle, EngineOptions, Grammar, GrammarCompiler, Model};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Contexts that a cache has room for where its size is not said.
const CONTEXTS: usize = 4;

/// A model that is open, and its engine.
pub(crate) struct Loaded {
    pub(crate) name: String,
    pub(crate) model: Arc<Model>,
    pub(crate) engine: EngineHandle,
    /// How its template has calls of tools written.
    pub(crate) tools: Option<ToolFormat>,
    /// Bytes that it takes.
    pub(crate) bytes: u64,
    grammars: OnceLock<Result<GrammarCompiler, String>>,
}

impl Loaded {
    fn start(name: &str, model: Model, limits: &Limits) -> Result<Loaded, OpenError> {
        let model = Arc::new(model);
        let cache_tokens = match limits.cache_tokens {
            0 => CONTEXTS * model.context,
            tokens => tokens,
        };
        let options =
            EngineOptions { cache_tokens, max_sequences: limits.parallel, ..EngineOptions::default() };
        let refused = |e: sai_generation::Error| OpenError { fact: e.to_string(), need: None };
        let engine = EngineHandle::start(Arc::clone(&model), options).map_err(refused)?;
        let memory = &model.memory;
        let bytes = memory.weights
            + memory.activations
            + (u128::from(memory.kv_cache) * cache_tokens as u128 / model.context.max(1) as u128) as u64;
        let source = model.template.as_ref().and_then(|template| template.source());
        let tools = source.and_then(ToolFormat::of);
        Ok(Loaded { name: name.to_owned(), tools, model, engine, bytes, grammars: OnceLock::new() })
    }

    /// What an answer by `grammar` may be. Compiling may take long; call it where waiting is allowed.
    pub(crate) fn constraint(&self, grammar: &Grammar) -> Result<sai_generation::Constraint, ApiError> {
        let compiler = self
            .grammars
            .get_or_init(|| GrammarCompiler::new(&self.model.tokenizer).map_err(|e| e.to_string()))
            .as_ref()
            .map_err(|fact| ApiError::bad_request(fact.clone()))?;
        Ok(compiler.compile(grammar)?)
    }
}

struct Slot {
    entry: Arc<ModelEntry>,
    loaded: Option<Arc<Loaded>>,
    used: Instant,
}

/// What is said of a model without opening it.
pub(crate) struct About {
    pub(crate) name: String,
    pub(crate) parent: Option<String>,
    pub(crate) context: Option<usize>,
}

/// The models.
pub(crate) struct Registry {
    slots: Mutex<Vec<Slot>>,
    /// Held while a model is opened: one at a time, and without holding up requests for those that are open.
    opening: tokio::sync::Mutex<()>,
    /// Names and aliases with the place of what they name.
    names: Vec<(String, usize)>,
    memory: Option<u64>,
    limits: Limits,
    /// When the server was started, in seconds of Unix time.
    pub(crate) created: u64,
}

impl Registry {
    /// # Errors
    /// There is no model, or two of the same name.
    pub(crate) fn new(
        entries: Vec<ModelEntry>,
        memory: Option<u64>,
        limits: Limits,
    ) -> Result<Registry, String> {
        if entries.is_empty() {
            return Err("there is no model to serve".to_owned());
        }
        let mut names: Vec<(String, usize)> = Vec::new();
        for (place, entry) in entries.iter().enumerate() {
            if let Some((name, _)) = names.iter().find(|(name, _)| *name == entry.name) {
                return Err(format!("two models are called `{name}`; give one another name"));
            }
            names.push((entry.name.clone(), place));
        }
        for (place, entry) in entries.iter().enumerate() {
            for alias in &entry.aliases {
                if !names.iter().any(|(name, _)| name == alias) {
                    names.push((alias.clone(), place));
                }
            }
        }
        let slot = |entry| Slot { entry: Arc::new(entry), loaded: None, used: Instant::now() };
        let created = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let slots = Mutex::new(entries.into_iter().map(slot).collect());
        Ok(Registry { slots, opening: tokio::sync::Mutex::default(), names, memory, limits, created })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The model called `name`, or the first; opened if it is not.
    pub(crate) async fn get(self: &Arc<Self>, name: Option<&str>) -> Result<Arc<Loaded>, ApiError> {
        let place = match name {
            None => 0,
            Some(name) => self.place(name)?,
        };
        if let Some(loaded) = self.opened(place) {
            return Ok(loaded);
        }
        // A client that leaves meanwhile does not stop it: others wait for the same.
        let registry = Arc::clone(self);
        match tokio::spawn(async move { registry.open(place).await }).await {
            Ok(opened) => opened,
            Err(_) => Err(ApiError::internal("the model could not be opened")),
        }
    }

    /// The model at a place, where it is open; it counts as asked for.
    fn opened(&self, place: usize) -> Option<Arc<Loaded>> {
        let mut slots = self.lock();
        slots[place].used = Instant::now();
        slots[place].loaded.clone()
    }

    fn place(&self, name: &str) -> Result<usize, ApiError> {
        self.names.iter().find(|(known, _)| known == name).map(|(_, place)| *place).ok_or_else(|| {
            let names: Vec<&str> = self.names.iter().map(|(name, _)| name.as_str()).collect();
            let message = format!("there is no model `{name}`; there are: {}", names.join(", "));
            ApiError::refused(StatusCode::NOT_FOUND, message).about("model").code("model_not_found")
        })
    }

    async fn open(&self, place: usize) -> Result<Arc<Loaded>, ApiError> {
        let _alone = self.opening.lock().await;
        if let Some(loaded) = self.opened(place) {
            return Ok(loaded);
        }
        loop {
            let (entry, taken) = {
                let slots = self.lock();
                let taken: u64 = slots.iter().filter_map(|slot| Some(slot.loaded.as_ref()?.bytes)).sum();
                (Arc::clone(&slots[place].entry), taken)
            };
            let (room, limits) =
                (self.memory.map(|memory| memory.saturating_sub(taken)), self.limits.clone());
            let name = entry.name.clone();
            let refused = match tokio::task::spawn_blocking(move || start(&entry, room, &limits)).await {
                Ok(Ok(loaded)) => {
                    let loaded = Arc::new(loaded);
                    self.lock()[place].loaded = Some(Arc::clone(&loaded));
                    return Ok(loaded);
                }
                Ok(Err(refused)) => refused,
                Err(_) => OpenError { fact: "it could not be read".to_owned(), need: None },
            };
            if refused.need.is_none() || !self.close_oldest().await {
                let message = format!("the model `{name}` cannot be opened: {}", refused.fact);
                return Err(ApiError::unavailable(message).code("model_unavailable"));
            }
        }
    }

    /// Closes the model that nobody uses and that was asked for the longest time ago; false where there is none.
    async fn close_oldest(&self) -> bool {
        let closed = {
            let mut slots = self.lock();
            let is_idle = |slot: &&mut Slot| slot.loaded.as_ref().is_some_and(|l| Arc::strong_count(l) == 1);
            let oldest = slots.iter_mut().filter(is_idle).min_by_key(|slot| slot.used);
            oldest.and_then(|slot| slot.loaded.take())
        };
        let Some(closed) = closed else { return false };
        tracing::info!(model = closed.name, "model closed for room");
        // Its thread is waited for.
        tokio::task::spawn_blocking(move || drop(closed)).await.is_ok()
    }

    /// All models, in order.
    pub(crate) fn list(&self) -> Vec<About> {
        let about = |slot: &Slot| About {
            name: slot.entry.name.clone(),
            parent: slot.entry.parent.clone(),
            context: slot.loaded.as_ref().map(|loaded| loaded.model.context),
        };
        self.lock().iter().map(about).collect()
    }

    /// Those that are open.
    pub(crate) fn open_models(&self) -> Vec<Arc<Loaded>> {
        self.lock().iter().filter_map(|slot| slot.loaded.clone()).collect()
    }

    /// Forgets an engine that has stopped, so that the next request opens the model again.
    pub(crate) fn forget(&self, stopped: &Arc<Loaded>) {
        let is_it =
            |slot: &&mut Slot| slot.loaded.as_ref().is_some_and(|loaded| Arc::ptr_eq(loaded, stopped));
        self.lock().iter_mut().filter(is_it).for_each(|slot| slot.loaded = None);
    }

    /// Closes all.
    pub(crate) async fn close(&self) {
        let all: Vec<Arc<Loaded>> = self.lock().iter_mut().filter_map(|slot| slot.loaded.take()).collect();
        // An engine's thread is waited for.
        let _ = tokio::task::spawn_blocking(move || drop(all)).await;
    }
}

/// Opens a model and starts its engine, if both take no more than `room` bytes.
fn start(entry: &ModelEntry, room: Option<u64>, limits: &Limits) -> Result<Loaded, OpenError> {
    let began = Instant::now();
    let loaded = Loaded::start(&entry.name, (entry.open)(room)?, limits)?;
    if let Some(room) = room.filter(|&room| loaded.bytes > room) {
        let fact =
            format!("it needs {} bytes with its cache, and {room} are left; see --memory", loaded.bytes);
        return Err(OpenError { fact, need: Some(loaded.bytes) });
    }
    let (seconds, bytes) = (began.elapsed().as_secs_f64(), loaded.bytes);
    tracing::info!(model = entry.name, seconds, bytes, "model opened");
    Ok(loaded)
}
