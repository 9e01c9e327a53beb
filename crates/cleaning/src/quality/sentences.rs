//! Sentences counted as spaCy's rule-based English sentencizer does, which is what datatrove's C4 rule asks.
//!
//! A sentence begins at a token that is no punctuation after one that ends a sentence. What matters of the tokens is thus
//! which characters stand alone: a full stop after two capitals or a small letter does, that of an abbreviation does not.

use crate::unicode::{is_letter, is_space, is_terminal};

/// Abbreviations of spaCy's English rules that end in a full stop, single letters aside.
const ABBREVIATIONS: &[&str] = &[
    "Adm.", "Ak.", "Ala.", "Apr.", "Ariz.", "Ark.", "Aug.", "Bros.", "Calif.", "Co.", "Colo.", "Conn.",
    "Corp.", "D.C.", "Dec.", "Del.", "Dr.", "E.G.", "E.g.", "Feb.", "Fla.", "Ga.", "Gen.", "Gov.", "I.E.",
    "I.e.", "Ia.", "Id.", "Ill.", "Inc.", "Ind.", "Jan.", "Jr.", "Jul.", "Jun.", "Kan.", "Kans.", "Ky.",
    "La.", "Ltd.", "Mar.", "Mass.", "Md.", "Messrs.", "Mich.", "Minn.", "Miss.", "Mo.", "Mont.", "Mr.",
    "Mrs.", "Ms.", "Mt.", "N.C.", "N.D.", "N.H.", "N.J.", "N.M.", "N.Y.", "Neb.", "Nebr.", "Nev.", "Nov.",
    "Oct.", "Okla.", "Ore.", "Pa.", "Ph.D.", "Prof.", "Rep.", "Rev.", "S.C.", "Sen.", "Sep.", "Sept.", "St.",
    "Tenn.", "Va.", "Wash.", "Wis.", "a.m.", "co.", "e.g.", "i.e.", "p.m.", "v.s.", "vs.",
];

#[derive(Clone, Copy, PartialEq)]
enum Token {
    /// One character that ends a sentence.
    End,
    /// Punctuation of another kind.
    Punctuation,
    Other,
}

/// The number of sentences in `text`.
pub fn sentences(text: &str) -> usize {
    let mut counter = Counter::default();
    for chunk in text.split(is_space).filter(|chunk| !chunk.is_empty()) {
        counter.chunk(chunk);
    }
    counter.sentences
}

#[derive(Default)]
struct Counter {
    sentences: usize,
    ended: bool,
}

impl Counter {
    fn token(&mut self, token: Token) {
        if self.sentences == 0 {
            self.sentences = 1;
        }
        match token {
            Token::End => self.ended = true,
            Token::Other if self.ended => {
                self.sentences += 1;
                self.ended = false;
            }
            _ => {}
        }
    }

    /// Tokens of what stands between white space: prefixes and suffixes are taken off, then the middle is cut.
    fn chunk(&mut self, chunk: &str) {
        let mut middle = chunk;
        // Suffixes come off from the end, a handful at most matter: the first that ends a sentence, and any other token.
        let mut suffixes: [Token; 16] = [Token::Punctuation; 16];
        let mut count = 0;
        while !middle.is_empty() && !is_special(middle) {
            let prefix = prefix(middle);
            if prefix > 0 {
                self.token(kind(&middle[..prefix]));
                middle = &middle[prefix..];
                if is_special(middle) {
                    break;
                }
            }
            let suffix = suffix(middle);
            if suffix > 0 {
                let at = middle.len() - suffix;
                if count < suffixes.len() {
                    suffixes[count] = kind(&middle[at..]);
                    count += 1;
                }
                middle = &middle[..at];
            }
            if prefix == 0 && suffix == 0 {
                break;
            }
        }
        if !middle.is_empty() {
            self.middle(middle);
        }
        for &token in suffixes[..count].iter().rev() {
            self.token(token);
        }
    }

    fn middle(&mut self, middle: &str) {
        if is_special(middle) || is_host(middle) {
            return self.token(Token::Other);
        }
        let mut from = 0;
        let mut before: Option<char> = None;
        for (at, c) in middle.char_indices() {
            let after = middle[at + c.len_utf8()..].chars().next();
            // "end.Next", and in scripts without case any letters around it.
            if c == '.'
                && before.is_some_and(|c| is_lower(c) || is_quote(c))
                && after.is_some_and(|c| is_upper(c) || is_quote(c))
            {
                if at > from {
                    self.token(kind(&middle[from..at]));
                }
                self.token(Token::End);
                from = at + 1;
            }
            before = Some(c);
        }
        if from < middle.len() {
            self.token(kind(&middle[from..]));
        }
    }
}

fn kind(token: &str) -> Token {
    let mut chars = token.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) if is_terminal(c) => Token::End,
        _ if token.chars().all(is_p) => Token::Punctuation,
        _ => Token::Other,
    }
}

/// Of category P, as far as it comes up.
fn is_p(c: char) -> bool {
    match c {
        '$' | '+' | '<' | '=' | '>' | '^' | '`' | '|' | '~' => false,
        c if c.is_ascii() => c.is_ascii_punctuation(),
        '～' | '´' | '￥' => false,
        c => {
            matches!(c, '¡' | '§' | '«' | '¶' | '·' | '»' | '¿' | '‐'..='‧' | '‰'..='⁃' | '⁅'..='⁑' | '⁓'..='⁞' | '⟦'..='⟯'
            | '、'..='〃' | '〈'..='】' | '〔'..='〟' | '！'..='／' | '：'..='；' | '？' | '［' | '］' | '｛' | '｝' | '｡'..='､')
                || is_terminal(c)
        }
    }
}

fn is_special(token: &str) -> bool {
    let mut chars = token.chars();
    match (chars.next(), chars.next(), chars.next()) {
        (Some('a'..='z' | 'ä' | 'ö' | 'ü'), Some('.'), None) => true,
        _ => token.ends_with('.') && ABBREVIATIONS.binary_search(&token).is_ok(),
    }
}

/// Reads like the name of a host, which spaCy leaves whole: 가다.오다 too.
fn is_host(token: &str) -> bool {
    let Some((_, last)) = token.rsplit_once('.') else { return false };
    let part = |c: char| is_lower(c) || c.is_ascii_digit() || c == '-' || c == '.';
    last.chars().count() > 1
        && last.chars().all(is_lower)
        && token.starts_with(|c| part(c) && c != '.')
        && token.chars().all(part)
}

fn is_quote(c: char) -> bool {
    matches!(
        c,
        '\'' | '"'
            | '”'
            | '“'
            | '`'
            | '‘'
            | '´'
            | '’'
            | '‚'
            | ','
            | '„'
            | '»'
            | '«'
            | '「'
            | '」'
            | '『'
            | '』'
            | '（'
            | '）'
            | '〔'
            | '〕'
            | '【'
            | '】'
            | '《'
            | '》'
            | '〈'
            | '〉'
            | '⟦'
            | '⟧'
    )
}

fn is_affix(c: char) -> bool {
    is_quote(c)
        || matches!(
            c,
            '…' | ':'
                | ';'
                | '!'
                | '?'
                | '¿'
                | '؟'
                | '¡'
                | '('
                | ')'
                | '['
                | ']'
                | '{'
                | '}'
                | '<'
                | '>'
                | '_'
                | '#'
                | '*'
                | '&'
                | '。'
                | '？'
                | '！'
                | '，'
                | '、'
                | '；'
                | '：'
                | '～'
                | '·'
                | '।'
                | '،'
                | '۔'
                | '؛'
                | '٪'
                | '—'
                | '–'
        )
}

fn is_uncased(c: char) -> bool {
    is_letter(c) && !c.is_lowercase() && !c.is_uppercase()
}

fn is_lower(c: char) -> bool {
    c.is_lowercase() || is_uncased(c)
}

fn is_upper(c: char) -> bool {
    c.is_uppercase() || is_uncased(c)
}

/// Bytes of the prefix that spaCy takes off, nought where there is none.
fn prefix(text: &str) -> usize {
    let dots = text.bytes().take_while(|&byte| byte == b'.').count();
    if dots > 1 {
        return dots;
    }
    let mut chars = text.chars();
    match chars.next() {
        Some(c @ ('§' | '%' | '=')) => c.len_utf8(),
        Some('+') if !chars.next().is_some_and(|c| c.is_ascii_digit()) => 1,
        Some(c) if is_affix(c) || matches!(c, '$' | '£' | '€' | '¥' | '₩') => c.len_utf8(),
        _ => 0,
    }
}

/// Bytes of the suffix that spaCy takes off, nought where there is none.
fn suffix(text: &str) -> usize {
    let dots = text.bytes().rev().take_while(|&byte| byte == b'.').count();
    if dots > 1 {
        return dots;
    }
    let mut chars = text.chars().rev();
    let last = chars.next();
    let before = chars.next();
    match last {
        Some('.') => {
            let alone = before.is_some_and(|c| {
                c.is_ascii_digit()
                    || is_lower(c)
                    || matches!(c, '%' | '²' | '-' | '+' | '|' | '\\')
                    || (is_affix(c) && !matches!(c, '—' | '–'))
                    || (is_upper(c) && chars.next().is_some_and(is_upper))
            });
            usize::from(alone)
        }
        Some(c) if is_affix(c) => c.len_utf8(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn abbreviations_are_in_order() {
        assert!(ABBREVIATIONS.is_sorted());
    }

    #[test]
    fn sentences_are_counted_as_by_spacy() {
        // Counts of spacy 3.8.18, `spacy.blank("en")` with `sentencizer`.
        for (text, count) in [
            ("One. Two! Three?", 3),
            ("Mr. Kim met Dr. Lee. They spoke.", 2),
            ("버전 1.2.3을 썼다. 끝.", 2),
            ("그는 \"갔다.\" 그리고 왔다.", 2),
            ("a.b.c", 1),
            ("가다.오다.서다.", 1),
            ("wait... what", 1),
            ("The U.S. is big. Yes.", 2),
            ("end.Next one.", 2),
            ("끝났다!! 정말?", 2),
            ("(끝.) 다시", 2),
            ("no stop here", 1),
            ("항목 가. 나. 다.", 3),
        ] {
            assert_eq!(sentences(text), count, "{text}");
        }
    }
}
