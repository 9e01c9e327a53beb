//! Signals as flags: Ctrl-C stops an answer, SIGTERM and SIGHUP end the chat with everything saved.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// What has been asked of the process from outside.
pub(crate) struct Signals {
    interrupted: Arc<AtomicBool>,
    ended: Arc<AtomicBool>,
    /// Raised together with `ended`; the line editor takes it back when it has seen it.
    pub(crate) wake: Arc<AtomicBool>,
}

impl Signals {
    /// From here on the signals no longer end the process by themselves.
    pub(crate) fn listen() -> io::Result<Self> {
        let signals = Self { interrupted: Arc::default(), ended: Arc::default(), wake: Arc::default() };
        signal_hook::flag::register(SIGINT, Arc::clone(&signals.interrupted))?;
        for signal in [SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&signals.ended))?;
            signal_hook::flag::register(signal, Arc::clone(&signals.wake))?;
        }
        Ok(signals)
    }

    /// Whether the answer should stop.
    pub(crate) fn stop(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed) || self.ended()
    }

    /// Whether the chat should end.
    pub(crate) fn ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// Whether Ctrl-C came since the last call.
    pub(crate) fn take_interrupt(&self) -> bool {
        self.interrupted.swap(false, Ordering::Relaxed)
    }
}
