//! Guessing what comes next from what came before, so that one pass can check several tokens. Saxena 2023 for the
//! lookup in the prompt, Leviathan et al. 2023 for checking guesses without changing what is said.
//!
//! A pass of a few rows costs little more than one of a single row, for both read all weights once. Where a text
//! repeats itself (code that is edited, a text that is corrected, a source that is quoted), the tokens that followed
//! the last occurrence of the newest ones are often those that follow again.
//!
//! Each token is drawn as it would be without guesses, from the logits after the tokens before it; a guess only decides
//! whether those logits are there already. A guess x thus comes true with its probability p(x), and where it does not,
//! the token was drawn from p without x: what is said has the same distribution, and under the same seed it is the same
//! text.

/// How the tokens after the next are guessed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Draft {
    /// Not at all: one token a pass.
    #[default]
    Off,
    /// As those that followed the latest earlier occurrence of the newest tokens, in the prompt or the answer.
    Lookup,
}

/// Tokens that must be the same for an occurrence to count, longest first.
const NEEDLES: [usize; 2] = [3, 2];

/// Guesses of the first pass.
const FIRST: usize = 4;

/// Guesses of a pass at most: more rows than this cost as much as they save.
const MOST: usize = 16;

/// Makes guesses, as many as lately came true.
pub(crate) struct Drafter {
    draft: Draft,
    length: usize,
}

impl Drafter {
    pub(crate) fn new(draft: Draft) -> Drafter {
        Drafter { draft, length: FIRST }
    }

    /// At most `room` tokens that may follow `history`; none where nothing in it says so.
    pub(crate) fn guess(&self, history: &[u32], room: usize) -> Vec<u32> {
        match self.draft {
            Draft::Off => Vec::new(),
            Draft::Lookup => lookup(history, room.min(self.length)),
        }
    }

    /// So many of the guesses of a pass came true.
    pub(crate) fn learn(&mut self, guesses: usize, true_ones: usize) {
        if guesses > 0 {
            self.length = match true_ones == guesses {
                true => (2 * self.length).min(MOST),
                false => (self.length / 2).max(true_ones + 1).min(MOST),
            };
        }
    }
}

/// What followed the latest earlier occurrence of the last tokens of `history`, at most `count` tokens. A text that
/// has begun to repeat itself goes on doing so: past its end the guesses themselves are what is copied.
fn lookup(history: &[u32], count: usize) -> Vec<u32> {
    for needle in NEEDLES {
        let Some(end) = history.len().checked_sub(needle) else { continue };
        let last = &history[end..];
        let Some(start) = (0..end).rev().find(|&start| history[start..].starts_with(last)) else { continue };
        let period = end - start;
        let mut guesses: Vec<u32> = Vec::with_capacity(count);
        for i in 0..count {
            let from = start + needle + i;
            guesses.push(if from < history.len() { history[from] } else { guesses[i - period] });
        }
        return guesses;
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_occurrence_counts_and_the_longest_first() {
        // 1 2 3 stood twice before; after the later one came 7.
        assert_eq!(lookup(&[1, 2, 3, 4, 5, 1, 2, 3, 7, 8, 9, 1, 2, 3], 4), [7, 8, 9, 1]);
        // 5 2 3 is new, 2 3 is not.
        assert_eq!(lookup(&[1, 2, 3, 4, 5, 2, 3], 3), [4, 5, 2]);
        // Three tokens that are the same say more than two that came later.
        assert_eq!(lookup(&[9, 1, 2, 4, 0, 1, 2, 5, 9, 1, 2], 2), [4, 0]);
        let none: Vec<u32> = Vec::new();
        assert_eq!(lookup(&[1, 2, 3, 4], 3), none);
        assert_eq!(lookup(&[1, 2], 3), none);
        assert_eq!(lookup(&[], 3), none);
        assert_eq!(lookup(&[1, 2, 3, 1, 2, 3], 0), none);
    }

    #[test]
    fn what_has_begun_to_repeat_goes_on() {
        assert_eq!(lookup(&[8, 1, 2, 3, 1, 2, 3], 7), [1, 2, 3, 1, 2, 3, 1]);
        assert_eq!(lookup(&[5, 5, 5, 5], 3), [5, 5, 5]);
    }

    #[test]
    fn more_is_guessed_while_guesses_come_true() {
        let mut drafter = Drafter::new(Draft::Lookup);
        let text: Vec<u32> = (0..40).chain(0..3).collect();
        let count = |drafter: &Drafter| drafter.guess(&text, 100).len();
        assert_eq!(count(&drafter), 4);
        drafter.learn(4, 4);
        assert_eq!(count(&drafter), 8);
        drafter.learn(8, 8);
        drafter.learn(16, 16);
        assert_eq!(count(&drafter), 16);
        drafter.learn(16, 2);
        assert_eq!(count(&drafter), 8);
        for _ in 0..5 {
            drafter.learn(2, 0);
        }
        assert_eq!(count(&drafter), 1);
        drafter.learn(0, 0);
        assert_eq!((count(&drafter), drafter.guess(&text, 0).len()), (1, 0));
        assert!(Drafter::new(Draft::Off).guess(&text, 100).is_empty());
    }
}
