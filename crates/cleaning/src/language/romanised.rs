//! Korean in Latin letters (Revised Romanisation).

/// Initials, vowels and finals of the romanisation, the longer before the shorter.
const INITIALS: [&str; 18] =
    ["kk", "tt", "pp", "ss", "jj", "ch", "g", "n", "d", "r", "m", "b", "s", "j", "k", "t", "p", "h"];
const VOWELS: [&str; 21] = [
    "yeo", "yae", "wae", "eui", "ae", "ya", "eo", "ye", "wa", "oe", "yo", "wo", "we", "wi", "yu", "eu", "ui",
    "a", "e", "o", "u",
];
const FINALS: [&str; 8] = ["ng", "k", "n", "t", "l", "m", "p", "r"];

/// How sure it is that a text of Latin letters is Korean; `None` where it is not.
pub(super) fn is_korean(text: &str) -> Option<f32> {
    // eo and eu are in every other word, and hardly in other languages: most texts end here.
    if (text.matches("eo").count() + text.matches("eu").count()) * 40 < text.len() {
        return None;
    }
    let (mut words, mut spelt, mut telling, mut letters, mut eo) = (0, 0, 0, 0, 0);
    for word in text.split(|c: char| !c.is_alphabetic()).filter(|word| word.len() > 2) {
        let word = word.to_ascii_lowercase();
        words += 1;
        letters += word.len();
        eo += word.matches("eo").count() + word.matches("eu").count();
        if !spells(&word) {
            continue;
        }
        spelt += 1;
        telling += usize::from(
            word.contains("eo")
                || word.contains("eu")
                || word.contains("yeo")
                || ["neun", "reul", "eul", "eseo", "euro", "hago", "nida", "haetda", "ieotda", "deul", "ui"]
                    .iter()
                    .any(|end| word.ends_with(end)),
        );
    }
    // French and English have some words that could be, and hardly eo and eu in every other one.
    let sure = words >= 3 && spelt * 10 >= words * 6 && telling * 10 >= words * 3 && eo * 25 >= letters;
    sure.then_some(spelt as f32 / words as f32)
}

/// Whether a word is syllables of Korean throughout.
fn spells(word: &str) -> bool {
    // Ends that can be reached, letter by letter: a syllable from each.
    let length = word.len();
    if !word.is_ascii() || length > 60 {
        return false;
    }
    let mut reached = vec![false; length + 1];
    reached[0] = true;
    for at in 0..length {
        if !reached[at] {
            continue;
        }
        for initial in INITIALS.into_iter().chain([""]).filter(|initial| word[at..].starts_with(initial)) {
            let after = at + initial.len();
            for vowel in VOWELS.into_iter().chain(["i"]).filter(|vowel| word[after..].starts_with(vowel)) {
                let end = after + vowel.len();
                reached[end] = true;
                for last in FINALS.into_iter().filter(|last| word[end..].starts_with(last)) {
                    reached[end + last.len()] = true;
                }
            }
        }
    }
    reached[length]
}
