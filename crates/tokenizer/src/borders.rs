//! Where the words of a block begin: the expressions of [`crate::split`] as arithmetic on bits.
//!
//! A block begins where a word does. What a rule gives is true of every byte below its limit; the rest is for the
//! block that begins at the last word found, or for the expression taken one character after another.

use crate::blocks::{Block, WIDTH};
use crate::split::{contraction, contraction_any_case};

/// How far a rule looks beyond a byte: two letters of a contraction, and what they stand before.
const AHEAD: usize = 3;

/// Beginnings of words as [`crate::split::GPT2`] cuts them, but for the first.
#[inline(always)]
pub(crate) fn gpt2(block: &Block, bytes: &[u8; WIDTH]) -> u64 {
    let Block { letter, number, other, white, space, .. } = *block;
    // A run begins with the space before it, and a run of white leaves its last to what follows.
    let runs = first(letter) | first(number) | first(other);
    let mut starts = (runs & !(space << 1)) | first(white) | last(white);
    let mut quotes = block.quote & starts & below(WIDTH - AHEAD);
    while quotes != 0 {
        let at = quotes.trailing_zeros() as usize;
        quotes &= quotes - 1;
        if let Some(length) = contraction(&bytes[at + 1..]) {
            starts = (starts & !(1 << (at + 1))) | 1 << (at + 1 + length);
        }
    }
    starts & below(block.known.saturating_sub(AHEAD)) & !1
}

/// Beginnings of words as [`crate::split::LLAMA3`] cuts them (`digits` = 3), or [`crate::split::QWEN2`] (1), but for
/// the first.
#[inline(always)]
pub(crate) fn llama3(block: &Block, bytes: &[u8; WIDTH], digits: usize) -> u64 {
    let Block { letter, number, other, white, space, breaks, follows, .. } = *block;
    let mut limit = block.known.saturating_sub(AHEAD);
    // Symbols take the line breaks after them, so that white begins beyond those.
    let absorbed = breaks & !breaks.wrapping_add((other << 1) & breaks);
    let free = white & !absorbed;
    let plain = white & !breaks;
    // White that line breaks end in is one word up to the last of them. Where others stand among them, or reach
    // so far that they may, which the last is cannot be told from one side.
    let torn = plain & ((breaks >> 1) | (plain << 1 & plain << 2 & 1 << 63));
    if torn != 0 {
        let upto = first(free) & below(torn.trailing_zeros() as usize + 1);
        limit = limit.min(WIDTH - upto.leading_zeros() as usize);
    }
    // The last of a run goes with letters that follow, and a space with symbols; its own word else.
    let white_starts = first(free) | (plain & breaks << 1) | (plain & !(white >> 1));
    let symbols = first(other) & !(space << 1);
    // One symbol alone goes with letters that follow.
    let after_one = (follows.wrapping_add(symbols << 1)) & !follows;
    let words = first(letter) & !(plain << 1) & !after_one;
    let mut starts = white_starts | symbols | words;
    starts |= match digits {
        1 => number & !follows,
        _ => thirds(number),
    };
    let mut quotes = block.quote & symbols & below(WIDTH - AHEAD);
    while quotes != 0 {
        let at = quotes.trailing_zeros() as usize;
        quotes &= quotes - 1;
        if let Some(length) = contraction_any_case(&bytes[at + 1..]) {
            starts |= 1 << (at + 1 + length);
        }
    }
    starts & below(limit) & !1
}

/// The first of each run, and every third after it.
#[inline(always)]
fn thirds(runs: u64) -> u64 {
    let mut starts = first(runs);
    // Those with three of their run before them.
    let fourth = runs & runs << 1 & runs << 2 & runs << 3;
    if fourth != 0 {
        for _ in 0..WIDTH / 3 {
            starts |= starts << 3 & fourth;
        }
    }
    starts
}

/// The first of each run of ones.
#[inline(always)]
fn first(runs: u64) -> u64 {
    runs & !(runs << 1)
}

/// The last of each run of ones.
#[inline(always)]
fn last(runs: u64) -> u64 {
    runs & !(runs >> 1)
}

/// As many ones, from the lowest up; all from 64.
#[inline(always)]
fn below(count: usize) -> u64 {
    if count >= WIDTH { u64::MAX } else { (1 << count) - 1 }
}
