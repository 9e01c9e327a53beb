//! How a server works: what it serves, whom, and how much.

use crate::keys::ApiKeys;
use sai_generation::{Model, Pooling};
use std::time::Duration;

/// How a server works.
#[derive(Default)]
pub struct ServerOptions {
    /// The models, at least one; a request without a name is for the first.
    pub models: Vec<ModelEntry>,
    /// Bytes that loaded models may take together; `None` for all that is free when one is loaded.
    pub memory: Option<u64>,
    /// Who may ask; empty for everybody that reaches the port.
    pub keys: ApiKeys,
    /// Names besides those of this machine that `Host` may have. Empty with `any_host` false: `localhost` and loopback addresses alone.
    pub hosts: Vec<String>,
    /// Whether `Host` may be anything, as where a server is reached over a network.
    pub any_host: bool,
    /// Origins whose pages may ask, besides the server's own.
    pub origins: Vec<String>,
    /// How texts become vectors where a request does not say.
    pub pooling: Pooling,
    /// How much.
    pub limits: Limits,
}

/// A model by its name.
pub struct ModelEntry {
    /// The name in requests.
    pub name: String,
    /// Other names that are taken for it.
    pub aliases: Vec<String>,
    /// The model that it is an adapter of.
    pub parent: Option<String>,
    /// Opens it within so many bytes.
    pub open: Box<Opener>,
}

/// Opens a model that may take so many bytes.
pub type Opener = dyn Fn(Option<u64>) -> Result<Model, OpenError> + Send + Sync;

/// Why a model could not be opened.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{fact}")]
pub struct OpenError {
    /// One line.
    pub fact: String,
    /// The bytes that it needs, where it needs more than it may have.
    pub need: Option<u64>,
}

/// How much a server takes on.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Answers that are made at once.
    pub parallel: usize,
    /// Answers that wait besides; what is beyond is refused with 429.
    pub queue: usize,
    /// Positions of a model's cache, of all its texts together; 0 for four contexts.
    pub cache_tokens: usize,
    /// Bytes of a request's body.
    pub body_bytes: usize,
    /// How long a request's head may take to arrive, and a connection be idle.
    pub header_time: Duration,
    /// How long a request's body may take to arrive.
    pub body_time: Duration,
    /// How long a reader may take nothing of an answer.
    pub write_time: Duration,
    /// Connections that are open at once; others wait for one to close.
    pub connections: usize,
    /// How often an idle stream is sent a comment.
    pub keep_alive: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            parallel: 16,
            queue: 16,
            cache_tokens: 0,
            body_bytes: 16 << 20,
            header_time: Duration::from_secs(30),
            body_time: Duration::from_secs(60),
            write_time: Duration::from_secs(60),
            connections: 1024,
            keep_alive: Duration::from_secs(15),
        }
    }
}
