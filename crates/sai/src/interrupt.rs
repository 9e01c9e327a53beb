//! Ctrl-C: the first stops what is being said, a second one leaves.
//!
//! [`Interrupt::install`] is called once, by a verb that generates. While something runs,
//! [`Interrupt::pending`] turns true at the first Ctrl-C; the work stops at its next step, and
//! [`Interrupt::clear`] makes ready for the next one. A second Ctrl-C before that leaves at once, with the
//! exit code that shells give to an interrupted command.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// What a shell reports for a command that SIGINT ended.
pub(crate) const EXIT_INTERRUPTED: i32 = 130;

/// Whether Ctrl-C was pressed.
#[derive(Clone)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Starts to listen for Ctrl-C. `last_words` are written to standard output when it makes the command
    /// leave, to give the terminal back as it was.
    pub(crate) fn install(last_words: &'static str) -> anyhow::Result<Self> {
        Self::listen(&[SIGINT], last_words)
    }

    /// As [`install`](Self::install), and for SIGTERM too, as batch systems send it before they kill.
    pub(crate) fn install_with_term(last_words: &'static str) -> anyhow::Result<Self> {
        Self::listen(&[SIGINT, SIGTERM], last_words)
    }

    fn listen(signals: &[i32], last_words: &'static str) -> anyhow::Result<Self> {
        let pressed = Arc::new(AtomicBool::new(false));
        let mut signals = Signals::new(signals).context("Ctrl-C cannot be listened for")?;
        let seen = Arc::clone(&pressed);
        std::thread::Builder::new()
            .name("ctrl-c".to_owned())
            .spawn(move || {
                for _ in signals.forever() {
                    if seen.swap(true, Ordering::SeqCst) {
                        let _ = std::io::stdout().write_all(last_words.as_bytes());
                        let _ = std::io::stdout().flush();
                        std::process::exit(EXIT_INTERRUPTED);
                    }
                }
            })
            .context("no thread can be started")?;
        Ok(Self(pressed))
    }

    /// Whether Ctrl-C was pressed since the last [`clear`](Self::clear).
    pub(crate) fn pending(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Lets the next Ctrl-C leave at once: nothing is being said that it could stop.
    pub(crate) fn arm(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Forgets the Ctrl-C that was dealt with.
    pub(crate) fn clear(&self) {
        self.0.store(false, Ordering::SeqCst);
    }
}
