//! SIGTERM and Ctrl-C: the first drains, a second leaves.

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

use crate::interrupt::EXIT_INTERRUPTED;

/// Ends at the first signal, and leaves at the second.
pub(super) fn stop() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be listened for")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("Ctrl-C cannot be listened for")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            std::process::exit(EXIT_INTERRUPTED);
        });
    })
}
