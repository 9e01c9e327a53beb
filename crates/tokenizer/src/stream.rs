//! Decoding as tokens come: text is shown when it is whole, and never taken back.

use crate::library::Joining;
use crate::tokenizer::Tokenizer;

/// Turns ids into text one at a time. What [`Stream::push`] returned, in order, and [`Stream::finish`] join to
/// what [`Tokenizer::decode`] makes of all the ids, wherever their bytes are UTF-8.
///
/// A character whose bytes are spread over tokens is held back until its last byte; bytes that no further
/// byte can make a character become U+FFFD at once. Special tokens are passed over.
pub struct Stream<'t> {
    tokenizer: &'t Tokenizer,
    state: State,
}

enum State {
    /// The beginning of a character, at most three bytes, and whether a space first of all is left out.
    Bytes { pending: Vec<u8>, strip: bool },
    /// For decoders that look at neighbours: the latest ids, and how much of their text has been shown.
    Window { ids: Vec<u32>, shown: String },
}

/// A window this long always holds a place to cut.
const WINDOW: usize = 64;

impl<'t> Stream<'t> {
    pub(crate) fn new(tokenizer: &'t Tokenizer) -> Stream<'t> {
        let state = match tokenizer.joining() {
            Joining::Bytes { strip } => State::Bytes { pending: Vec::new(), strip },
            Joining::Decoder => State::Window { ids: Vec::new(), shown: String::new() },
        };
        Stream { tokenizer, state }
    }

    /// Takes the next id; returns the text that became whole, often none.
    pub fn push(&mut self, id: u32) -> String {
        if self.tokenizer.is_special(id) {
            return String::new();
        }
        match &mut self.state {
            State::Bytes { pending, strip } => {
                let bytes = self.tokenizer.bytes(id).unwrap_or_default();
                let lead = usize::from(*strip && bytes.first() == Some(&b' '));
                *strip &= bytes.is_empty();
                pending.extend_from_slice(&bytes[lead..]);
                take_whole(pending)
            }
            State::Window { ids, shown } => {
                ids.push(id);
                let text = self.tokenizer.decode(ids);
                // U+FFFD at the end may be a character whose other bytes are to come.
                if text.ends_with('\u{fffd}') && ids.len() < WINDOW {
                    return String::new();
                }
                let new = new_text(&text, shown).to_owned();
                if ids.len() >= WINDOW / 2 && !new.is_empty() {
                    // The last token stays, as the neighbour of the next.
                    ids.drain(..ids.len() - 1);
                    *shown = self.tokenizer.decode(ids);
                } else {
                    *shown = text;
                }
                new
            }
        }
    }

    /// What was held back, when no more ids come: U+FFFD for the beginning of a character.
    pub fn finish(&mut self) -> String {
        match &mut self.state {
            State::Bytes { pending, .. } => String::from_utf8_lossy(&std::mem::take(pending)).into_owned(),
            State::Window { ids, shown } => {
                let text = self.tokenizer.decode(&std::mem::take(ids));
                new_text(&text, &std::mem::take(shown)).to_owned()
            }
        }
    }
}

/// Takes from `pending` all that no further byte can change.
fn take_whole(pending: &mut Vec<u8>) -> String {
    let mut out = String::new();
    let mut rest = pending.as_slice();
    loop {
        match std::str::from_utf8(rest) {
            Ok(whole) => {
                out.push_str(whole);
                pending.clear();
                return out;
            }
            Err(error) => {
                let (whole, tail) = rest.split_at(error.valid_up_to());
                out.extend(whole.utf8_chunks().map(|chunk| chunk.valid()));
                let Some(bad) = error.error_len() else {
                    let kept = tail.len();
                    pending.drain(..pending.len() - kept);
                    return out;
                };
                out.push('\u{fffd}');
                rest = &tail[bad..];
            }
        }
    }
}

/// What `text` has beyond the `shown` part of it.
fn new_text<'a>(text: &'a str, shown: &str) -> &'a str {
    let common = text.bytes().zip(shown.bytes()).take_while(|(a, b)| a == b).count();
    let mut from = shown.len().min(text.len()).max(common);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    &text[from..]
}
