//! # terminal: answers on a screen
//!
//! In: text as a model says it, piece by piece. Out: rows on a terminal, laid out as the Markdown that models
//! write, wrapped to the window and right for wide characters.
//!
//! What is finished is printed once and scrolls away; only the block that is still being said is drawn again
//! in place ([`live::Live`]). Text from a model never reaches the terminal raw: characters that could steer
//! it are shown as pictures of themselves ([`clean`]).
//!
//! This part knows nothing of models and never reads what a person types.

pub(crate) mod clean;
pub(crate) mod live;
pub(crate) mod markdown;
pub(crate) mod style;
pub(crate) mod table;
pub(crate) mod wrap;

/// Columns and rows of the terminal; 80 by 24 where nobody can say.
pub(crate) fn size() -> (usize, usize) {
    match crossterm::terminal::size() {
        Ok((columns, rows)) if columns > 0 && rows > 0 => (usize::from(columns), usize::from(rows)),
        _ => (80, 24),
    }
}
