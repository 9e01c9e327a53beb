//! Hangul in pieces: letters that stand loose, and half-width forms of old terminals.

use crate::unicode::is_jamo;

/// Initial consonants in Unicode's order, as letters that stand by themselves.
const INITIALS: &str = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ";
/// Final consonants, from 1 on.
const FINALS: &str = "ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ";

fn place(list: &str, c: char) -> Option<u32> {
    list.chars().position(|each| each == c).map(|place| place as u32)
}

fn is_vowel(c: char) -> bool {
    matches!(c, 'ㅏ'..='ㅣ')
}

fn is_consonant(c: char) -> bool {
    matches!(c, 'ㄱ'..='ㅎ')
}

/// Two letters written as one: ㅗㅏ is ㅘ, ㄹㄱ is ㄺ.
fn pair(a: char, b: char) -> Option<char> {
    Some(match (a, b) {
        ('ㅗ', 'ㅏ') => 'ㅘ',
        ('ㅗ', 'ㅐ') => 'ㅙ',
        ('ㅗ', 'ㅣ') => 'ㅚ',
        ('ㅜ', 'ㅓ') => 'ㅝ',
        ('ㅜ', 'ㅔ') => 'ㅞ',
        ('ㅜ', 'ㅣ') => 'ㅟ',
        ('ㅡ', 'ㅣ') => 'ㅢ',
        _ => return None,
    })
}

/// Joins runs of loose letters that make whole syllables throughout, which ㅋㅋ, ㅗㅏ and ㄱㄱ do not. `None` where there are none.
pub(super) fn join(text: &str) -> Option<(String, usize)> {
    if !text.chars().any(is_jamo) {
        return None;
    }
    let mut result = String::with_capacity(text.len());
    let mut joined = 0;
    let mut rest = text;
    while let Some(start) = rest.find(is_jamo) {
        result.push_str(&rest[..start]);
        rest = &rest[start..];
        let end = rest.find(|c| !is_jamo(c)).unwrap_or(rest.len());
        let run: Vec<char> = rest[..end].chars().collect();
        match syllables(&run) {
            Some(syllables) => {
                joined += run.len();
                result.push_str(&syllables);
            }
            None => result.push_str(&rest[..end]),
        }
        rest = &rest[end..];
    }
    result.push_str(rest);
    (joined > 0).then_some((result, joined))
}

/// The syllables that a run of letters spells, `None` where one is left over.
fn syllables(run: &[char]) -> Option<String> {
    let mut result = String::new();
    let mut at = 0;
    while at < run.len() {
        let initial = place(INITIALS, run[at])?;
        let mut vowel = *run.get(at + 1).filter(|&&c| is_vowel(c))?;
        at += 2;
        if let Some(both) = run.get(at).and_then(|&next| pair(vowel, next)) {
            vowel = both;
            at += 1;
        }
        // A consonant belongs to this syllable unless a vowel follows it.
        let mut last = 0;
        if let Some(&c) = run.get(at)
            && is_consonant(c)
            && !run.get(at + 1).is_some_and(|&next| is_vowel(next))
        {
            last = place(FINALS, c)? + 1;
            at += 1;
        }
        result.push(char::from_u32(0xAC00 + (initial * 21 + (vowel as u32 - 'ㅏ' as u32)) * 28 + last)?);
    }
    Some(result)
}

/// Makes half-width Hangul letters and katakana those of ordinary width. `None` where there are none.
pub(super) fn widen(text: &str) -> Option<(String, usize)> {
    if !text.chars().any(|c| matches!(c, '\u{FFA1}'..='\u{FFDC}')) {
        return None;
    }
    let mut count = 0;
    let result: String = text
        .chars()
        .map(|c| {
            let wide = wide(c);
            count += usize::from(wide != c);
            wide
        })
        .collect();
    (count > 0).then_some((result, count))
}

fn wide(c: char) -> char {
    let code = c as u32;
    let wide = match code {
        0xFFA1..=0xFFBE => 0x3131 + (code - 0xFFA1),
        0xFFC2..=0xFFC7 => 0x314F + (code - 0xFFC2),
        0xFFCA..=0xFFCF => 0x3155 + (code - 0xFFCA),
        0xFFD2..=0xFFD7 => 0x315B + (code - 0xFFD2),
        0xFFDA..=0xFFDC => 0x3161 + (code - 0xFFDA),
        _ => return c,
    };
    char::from_u32(wide).unwrap_or(c)
}

/// Makes full-width ASCII ordinary where a text is not otherwise Chinese or Japanese. `None` where nothing changes.
pub(super) fn narrow(text: &str) -> Option<(String, usize)> {
    let is_full = |c: char| matches!(c, '\u{FF01}'..='\u{FF5E}');
    if !text.chars().any(is_full) {
        return None;
    }
    // Letters and digits always; marks such as ，and ？ belong to Chinese and Japanese.
    let marks = !text.chars().any(|c| matches!(c, '\u{3040}'..='\u{30FF}')) && {
        let (mut hangul, mut han) = (0, 0);
        for c in text.chars() {
            hangul += usize::from(crate::unicode::is_hangul(c));
            han += usize::from(matches!(c, '\u{4E00}'..='\u{9FFF}'));
        }
        hangul > han
    };
    let mut count = 0;
    let result: String = text
        .chars()
        .map(|c| {
            let narrow = char::from_u32((c as u32).wrapping_sub(0xFEE0)).unwrap_or(c);
            if is_full(c) && (marks || narrow.is_ascii_alphanumeric()) {
                count += 1;
                narrow
            } else {
                c
            }
        })
        .collect();
    (count > 0).then_some((result, count))
}
