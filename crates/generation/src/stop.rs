//! Stop strings, wherever the borders of tokens lie.

/// Finds the first stop string in a text that comes in pieces, and holds back what may become one.
pub(crate) struct Stops {
    strings: Vec<String>,
    held: String,
}

/// What a piece of text led to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum StopCheck {
    /// This much is certain not to begin a stop string.
    Text(String),
    /// A stop string is complete; this came before it.
    Stopped(String),
}

impl Stops {
    pub(crate) fn new(strings: &[String]) -> Stops {
        Stops { strings: strings.iter().filter(|s| !s.is_empty()).cloned().collect(), held: String::new() }
    }

    pub(crate) fn push(&mut self, piece: &str) -> StopCheck {
        self.held.push_str(piece);
        if let Some(at) = self.strings.iter().filter_map(|stop| self.held.find(stop.as_str())).min() {
            self.held.truncate(at);
            return StopCheck::Stopped(std::mem::take(&mut self.held));
        }
        // The longest tail that begins a stop string stays.
        let tail = self.strings.iter().map(|stop| overlap(&self.held, stop)).max().unwrap_or(0);
        let rest = self.held.split_off(self.held.len() - tail);
        StopCheck::Text(std::mem::replace(&mut self.held, rest))
    }

    /// What was held back, when no more comes.
    pub(crate) fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

/// Bytes at the end of `text` that `stop` begins with.
fn overlap(text: &str, stop: &str) -> usize {
    let longest = text.len().min(stop.len() - 1);
    (1..=longest).rev().find(|&n| text.as_bytes().ends_with(&stop.as_bytes()[..n])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(pieces: &[&str], stops: &[&str]) -> (String, bool) {
        let stops: Vec<String> = stops.iter().map(|s| (*s).to_owned()).collect();
        let mut stops = Stops::new(&stops);
        let mut out = String::new();
        for piece in pieces {
            match stops.push(piece) {
                StopCheck::Text(text) => out.push_str(&text),
                StopCheck::Stopped(text) => return (out + &text, true),
            }
        }
        (out + &stops.finish(), false)
    }

    #[test]
    fn a_stop_split_over_pieces_is_found() {
        assert_eq!(run(&["말했다", " <hu", "man", ">: 다음"], &["<human>"]), ("말했다 ".to_owned(), true));
        assert_eq!(run(&["a<hu", "ge>"], &["<human>"]), ("a<huge>".to_owned(), false));
        assert_eq!(run(&["끝<hum"], &["<human>"]), ("끝<hum".to_owned(), false));
    }

    #[test]
    fn the_first_of_several_counts() {
        assert_eq!(run(&["abcdef"], &["ef", "cd"]), ("ab".to_owned(), true));
        assert_eq!(run(&["aab"], &["ab", ""]), ("a".to_owned(), true));
        assert_eq!(run(&["안", "녕"], &[]), ("안녕".to_owned(), false));
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(text in "[ab가]{0,24}", stop in "[ab가]{1,4}", cuts in prop::collection::vec(0usize..24, 0..6)) {
            let mut borders: Vec<usize> = cuts.into_iter().filter(|&c| text.is_char_boundary(c)).collect();
            borders.extend([0, text.len()]);
            borders.sort_unstable();
            let pieces: Vec<&str> = borders.windows(2).map(|w| &text[w[0]..w[1]]).collect();
            let want = match text.find(&stop) {
                Some(at) => (text[..at].to_owned(), true),
                None => (text.clone(), false),
            };
            prop_assert_eq!(run(&pieces, &[&stop]), want);
        }
    }
}
