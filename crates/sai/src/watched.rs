//! Long work that somebody watches: a bar beside it, and Ctrl-C ends it.

use std::ops::ControlFlow;

use indicatif::ProgressBar;

use crate::interrupt::{EXIT_INTERRUPTED, Interrupt};
use crate::ui::Ui;

/// Runs `work`, which writes a file. It tells how far it is, and hears whether to stop; stopped, it leaves nothing,
/// and so does the command.
pub(crate) fn run<E: Into<anyhow::Error>>(
    ui: &Ui,
    bar: ProgressBar,
    work: impl FnOnce(&mut (dyn FnMut(u64) -> ControlFlow<()> + Send)) -> Result<ControlFlow<()>, E>,
) -> anyhow::Result<()> {
    let interrupt = Interrupt::install("")?;
    let outcome = work(&mut |done| {
        bar.set_position(done);
        if interrupt.pending() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    bar.finish_and_clear();
    if outcome.map_err(Into::into)?.is_break() {
        ui.note("interrupted; nothing was written");
        std::process::exit(EXIT_INTERRUPTED);
    }
    Ok(())
}
