//! `sai serve`: models behind an API that OpenAI's clients speak.

mod adapter;
mod log;
mod models;
mod signals;

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use sai_server::{ApiKeys, Limits, Server, ServerOptions};

use crate::cli::{CacheKind, MOST, default_model, whole};
use crate::interrupt::EXIT_INTERRUPTED;
use crate::texts::texts;
use crate::ui::Ui;

const EXAMPLES: &str = "\
Examples:
  sai serve                                        the built-in model at http://127.0.0.1:8042
  sai serve -m 42dot-sft -m qwen3-0.6b --memory 8  two models by name, in 8 GiB together
  sai serve -m base/ --lora tone=adapter/          an adapter as a model of its own
  sai serve --host 0.0.0.0 --api-key-file keys     for a network: each client with a key

Ctrl-C or SIGTERM finishes what is asked and takes no more; a second one leaves at once.";

/// Serve models to OpenAI's clients over HTTP.
///
/// /v1/chat/completions, /v1/completions, /v1/responses, /v1/embeddings, /v1/models, /tokenize, /detokenize, /tokenizer_info,
/// /health, /ready, /metrics; /openapi.json describes them. docs/serving.md has the rest.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Serve {
    /// A model as of `sai chat`, or NAME=MODEL to give it a name; may be given again. The first is opened at once, others
    /// when they are asked for [SAI_MODEL, else mini]
    #[arg(short, long, default_values_t = [default_model()], hide_default_value = true, value_name = "[NAME=]MODEL")]
    model: Vec<String>,

    /// A LoRA adapter as a model of its own: a folder of `sai finetune` or peft, of the first model, or of the model named
    /// after @; it is merged when it is opened. May be given again
    #[arg(long, value_name = "NAME=FOLDER[@MODEL]")]
    lora: Vec<String>,

    /// Address to listen at. Another than this machine's own wants --api-key-file or --no-keys
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,

    /// Port to listen at; 0 takes a free one and says which
    #[arg(long, default_value_t = 8042)]
    port: u16,

    /// File of keys, a name and a key a line, that clients give as `Authorization: Bearer KEY`
    #[arg(long, value_name = "FILE")]
    api_key_file: Option<PathBuf>,

    /// Serve everybody who reaches an address that is not this machine's own
    #[arg(long, conflicts_with = "api_key_file")]
    no_keys: bool,

    /// Another name that clients may know this machine by; may be given again
    #[arg(long, value_name = "NAME")]
    allow_host: Vec<String>,

    /// Origin whose pages may ask, such as https://example.org; may be given again
    #[arg(long, value_name = "ORIGIN")]
    allow_origin: Vec<String>,

    /// GiB that open models may take together; models that nobody uses are closed for others. What is free where not given
    #[arg(long, value_name = "GIB")]
    memory: Option<f64>,

    /// Answers that are made at once
    #[arg(long, default_value_t = 16, value_name = "N", value_parser = whole(1..=256))]
    parallel: usize,

    /// Answers that wait besides; what is beyond is refused with 429 [as many as --parallel]
    #[arg(long, value_name = "N", value_parser = whole(0..=100_000))]
    queue: Option<usize>,

    /// Positions of a model's cache, of all its texts together [four contexts]
    #[arg(long, default_value_t = 0, hide_default_value = true, value_name = "N", value_parser = whole(0..=MOST))]
    cache_tokens: usize,

    /// Megabytes of a request at most
    #[arg(long, default_value_t = 16, value_name = "MB", value_parser = whole(1..=1024))]
    max_body: usize,

    /// Connections that are open at once
    #[arg(long, default_value_t = 1024, value_name = "N", value_parser = whole(1..=65_536))]
    max_connections: usize,

    /// Seconds that a request's head may take to arrive, and a connection be idle
    #[arg(long, default_value_t = 30, value_name = "S", value_parser = whole(1..=3600))]
    header_time: usize,

    /// How texts become vectors in /v1/embeddings where a request does not say
    #[arg(long, value_enum, default_value_t = PoolingKind::Mean)]
    pooling: PoolingKind,

    /// How requests are written down on standard error; never their texts
    #[arg(long, value_enum, default_value_t = log::Format::Text)]
    log: log::Format,

    /// Threads to compute with; 0 takes every core
    #[arg(short, long, default_value_t = 0, value_name = "N", value_parser = crate::cli::thread_count())]
    threads: usize,

    /// Context length in tokens; the model's own, but at most 8192, where not given
    #[arg(short, long, value_name = "N", value_parser = whole(1..=MOST), aliases = ["ctx-size", "ctx"])]
    context: Option<usize>,

    /// Chat template of all models: `42dot`, a file, or the name of one of the models' own
    #[arg(long, value_name = "42dot|FILE|NAME")]
    chat_template: Option<String>,

    /// Type of the KV cache: q8_0 takes half the memory of f16, and f16 half of f32's
    #[arg(long, value_enum, default_value_t = CacheKind::F16)]
    cache_type: CacheKind,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum PoolingKind {
    Mean,
    Last,
}

impl Serve {
    pub(crate) fn run(self, ui: &Ui) -> anyhow::Result<()> {
        let keys = self.keys()?;
        if !self.host.is_loopback() && keys.is_empty() && !self.no_keys {
            bail!((texts().host_without_keys)(&self.host));
        }
        let address = SocketAddr::new(self.host, self.port);
        let listener = TcpListener::bind(address).with_context(|| (texts().port_taken)(&address))?;
        let address = listener.local_addr().context("the port that is listened at is not known")?;
        log::install(self.log)?;
        let options = ServerOptions {
            models: self.entries(ui)?,
            memory: self.bytes()?,
            keys,
            hosts: self.allow_host.clone(),
            any_host: !self.host.is_loopback() && self.allow_host.is_empty(),
            origins: self.allow_origin.clone(),
            pooling: match self.pooling {
                PoolingKind::Mean => sai_generation::Pooling::Mean,
                PoolingKind::Last => sai_generation::Pooling::Last,
            },
            limits: self.limits(),
        };
        let server = Server::new(options).map_err(|fact| anyhow!(fact))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("sai-http")
            .enable_all()
            .build()
            .context("no threads can be started for the server")?;
        runtime.block_on(async {
            let stop = signals::stop()?;
            tokio::pin!(stop);
            tokio::select! {
                opened = server.open() => opened.map_err(|fact| anyhow!(fact))?,
                () = &mut stop => std::process::exit(EXIT_INTERRUPTED),
            }
            ui.note((texts().serving)(&self.names().join(", "), &address));
            ui.note(texts().serving_a_page);
            server.run(listener, stop).await.context("the server cannot listen")
        })
    }

    fn keys(&self) -> anyhow::Result<ApiKeys> {
        let Some(path) = &self.api_key_file else { return Ok(ApiKeys::default()) };
        let keys = ApiKeys::parse(&crate::text_file::read(path)?);
        let keys = keys.map_err(|fact| anyhow!("{}: {fact}", path.display()))?;
        if keys.is_empty() {
            bail!("{}: there is no key in it; write a name, a blank and a key a line", path.display());
        }
        Ok(keys)
    }

    fn bytes(&self) -> anyhow::Result<Option<u64>> {
        match self.memory {
            None => Ok(crate::models::memory::available()),
            Some(gib) if gib > 0.0 && gib.is_finite() => Ok(Some((gib * (1u64 << 30) as f64) as u64)),
            Some(gib) => bail!("--memory {gib}: give GiB, more than 0"),
        }
    }

    fn limits(&self) -> Limits {
        Limits {
            parallel: self.parallel,
            queue: self.queue.unwrap_or(self.parallel),
            cache_tokens: self.cache_tokens,
            body_bytes: self.max_body * 1_000_000,
            connections: self.max_connections,
            header_time: Duration::from_secs(self.header_time as u64),
            ..Limits::default()
        }
    }
}
