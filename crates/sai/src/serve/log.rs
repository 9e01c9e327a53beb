//! What the server tells of itself, on standard error.

use anyhow::anyhow;
use tracing_subscriber::filter::LevelFilter;

/// How it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// A line for people
    Text,
    /// An object of JSON a line
    Json,
}

/// Writes from now on.
pub(super) fn install(format: Format) -> anyhow::Result<()> {
    let base = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false)
        .with_max_level(LevelFilter::INFO);
    let installed = match format {
        Format::Text => base.try_init(),
        Format::Json => base.json().flatten_event(true).try_init(),
    };
    installed.map_err(|error| anyhow!("the log cannot be written: {error}"))
}
