//! Signals as flags: Ctrl-C stops an answer, SIGTERM and SIGHUP end the chat with everything saved.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator;

/// What has been asked of the process from outside.
pub(crate) struct Signals {
    interrupted: Arc<AtomicBool>,
    ended: Arc<AtomicBool>,
    /// Raised together with `ended`; the line editor takes it back when it has seen it.
    pub(crate) wake: Arc<AtomicBool>,
    /// Whether a line is waited for: nothing is then unsaved.
    pub(crate) idle: Arc<AtomicBool>,
}

/// How long the chat has to end by itself, and how long if it only waits for a line.
const GRACE: Duration = Duration::from_secs(20);
const IDLE_GRACE: Duration = Duration::from_millis(1500);

impl Signals {
    /// From here on the signals no longer end the process by themselves.
    pub(crate) fn listen() -> io::Result<Self> {
        let signals = Self {
            interrupted: Arc::default(),
            ended: Arc::default(),
            wake: Arc::default(),
            idle: Arc::default(),
        };
        signal_hook::flag::register(SIGINT, Arc::clone(&signals.interrupted))?;
        for signal in [SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&signals.ended))?;
            signal_hook::flag::register(signal, Arc::clone(&signals.wake))?;
        }
        // A line editor whose terminal has gone away can read its end for ever and see no flag.
        let mut ends = iterator::Signals::new([SIGTERM, SIGHUP])?;
        let idle = Arc::clone(&signals.idle);
        std::thread::spawn(move || {
            if ends.forever().next().is_some() {
                std::thread::sleep(IDLE_GRACE);
                if !idle.load(Ordering::Relaxed) {
                    std::thread::sleep(GRACE);
                }
                std::process::exit(0);
            }
        });
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
