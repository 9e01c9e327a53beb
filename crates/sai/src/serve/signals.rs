//! SIGTERM and Ctrl-C: the first drains, a second leaves.

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

use crate::interrupt::EXIT_INTERRUPTED;

/// Ends at the first signal, and leaves at the second. Both are heard from now on, whoever waits.
pub(super) fn stop() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be listened for")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("Ctrl-C cannot be listened for")?;
    let (first, heard) = tokio::sync::oneshot::channel::<()>();
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        next().await;
        let _ = first.send(());
        next().await;
        std::process::exit(EXIT_INTERRUPTED);
    });
    Ok(async move { drop(heard.await) })
}
