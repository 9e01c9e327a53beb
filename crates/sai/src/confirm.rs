//! Asking before something is done that cannot be taken back.

use std::io::{self, Write};

use anyhow::bail;

use crate::texts::texts;
use crate::ui::Ui;

/// Whether the person says yes to `question`; `yes` says it for them.
///
/// # Errors
/// There is nobody to ask.
pub(crate) fn confirm(question: &str, yes: bool, ui: &Ui) -> anyhow::Result<bool> {
    if yes {
        return Ok(true);
    }
    if !(ui.in_is_terminal() && ui.err_is_terminal()) {
        bail!((texts().nobody_to_ask)(&question));
    }
    write!(io::stderr(), "{question} {} ", texts().yes_or_no)?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(is_yes(&answer))
}

/// On a Korean keyboard the key of `y` is ㅛ.
fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_lowercase().as_str(), "y" | "yes" | "ㅛ" | "예" | "네")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_is_one() {
        for yes in ["y\n", "Yes\r\n", "ㅛ", " 네 "] {
            assert!(is_yes(yes), "{yes}");
        }
        for no in ["", "\n", "n\n", "yeah no", "아니요"] {
            assert!(!is_yes(no), "{no}");
        }
    }
}
