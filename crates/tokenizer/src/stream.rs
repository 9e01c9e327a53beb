//! Decoding as tokens come: text is shown when it is whole, and never taken back.

use crate::tokenizer::Tokenizer;

/// Turns ids into text one at a time. What [`Stream::push`] returned, in order, and [`Stream::finish`] join to
/// what [`Tokenizer::decode`] makes of all the ids.
///
/// A character whose bytes are spread over tokens is held back until its last byte; bytes that no further
/// byte can make a character become U+FFFD at once. Special tokens are passed over.
pub struct Stream<'t> {
    tokenizer: &'t Tokenizer,
    /// The beginning of a character: at most three bytes.
    pending: Vec<u8>,
    /// For vocabularies of the `tokenizers` library: ids whose text depends on their neighbours.
    window: Vec<u32>,
    /// How much of the window's text has been shown.
    shown: String,
}

/// The library's decoders look at neighbours; a window this long always holds a place to cut.
const WINDOW: usize = 64;

impl<'t> Stream<'t> {
    pub(crate) fn new(tokenizer: &'t Tokenizer) -> Stream<'t> {
        Stream { tokenizer, pending: Vec::new(), window: Vec::new(), shown: String::new() }
    }

    /// Takes the next id; returns the text that became whole, often none.
    pub fn push(&mut self, id: u32) -> String {
        if self.tokenizer.is_special(id) {
            return String::new();
        }
        if self.tokenizer.is_byte_level() {
            self.pending.extend_from_slice(self.tokenizer.bytes(id).unwrap_or_default());
            return self.take_whole();
        }
        self.window.push(id);
        let text = self.tokenizer.decode(&self.window);
        // U+FFFD at the end may be a character whose other bytes are to come.
        if text.ends_with('\u{fffd}') && self.window.len() < WINDOW {
            return String::new();
        }
        let new = new_text(&text, &self.shown).to_owned();
        if self.window.len() >= WINDOW / 2 && !new.is_empty() {
            // The last token stays, as the neighbour of the next.
            self.window.drain(..self.window.len() - 1);
            self.shown = self.tokenizer.decode(&self.window);
        } else {
            self.shown = text;
        }
        new
    }

    /// What was held back, when no more ids come: U+FFFD for the beginning of a character.
    pub fn finish(&mut self) -> String {
        if self.tokenizer.is_byte_level() {
            let rest = String::from_utf8_lossy(&self.pending).into_owned();
            self.pending.clear();
            return rest;
        }
        let text = self.tokenizer.decode(&self.window);
        let new = new_text(&text, &self.shown).to_owned();
        self.window.clear();
        self.shown.clear();
        new
    }

    fn take_whole(&mut self) -> String {
        let mut out = String::new();
        let mut rest = self.pending.as_slice();
        loop {
            match std::str::from_utf8(rest) {
                Ok(whole) => {
                    out.push_str(whole);
                    rest = &[];
                    break;
                }
                Err(error) => {
                    let (whole, tail) = rest.split_at(error.valid_up_to());
                    out.extend(whole.utf8_chunks().map(|chunk| chunk.valid()));
                    rest = tail;
                    let Some(bad) = error.error_len() else { break };
                    out.push('\u{fffd}');
                    rest = &rest[bad..];
                }
            }
        }
        let kept = rest.len();
        self.pending.drain(..self.pending.len() - kept);
        out
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
