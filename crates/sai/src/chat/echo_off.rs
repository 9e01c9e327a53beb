//! A terminal that does not show what is typed while an answer is drawn. What was typed is not lost: the
//! next prompt reads it.

use rustix::termios::{InputModes, LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// While it lives, keys are not echoed; Ctrl-C still interrupts.
pub(crate) struct EchoOff {
    before: Option<Termios>,
}

impl EchoOff {
    /// Does nothing where standard input is no terminal.
    pub(crate) fn new() -> Self {
        let before = tcgetattr(std::io::stdin()).ok();
        if let Some(mut modes) = before.clone() {
            // Keys wait as they were pressed: an Enter must not reach the next prompt as a new line.
            modes.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON);
            modes.input_modes.remove(InputModes::ICRNL);
            // A terminal that refuses only echoes.
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &modes);
        }
        Self { before }
    }
}

impl Drop for EchoOff {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, before);
        }
    }
}
