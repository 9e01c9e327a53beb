//! Korean particles, whose form depends on how the word before them ends.

/// How a word ends when it is said aloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Vowel,
    /// ㄹ, which (으)로 treats as a vowel.
    Rieul,
    Consonant,
}

/// The forms of a particle: behind a consonant, behind a vowel.
pub(super) type Particle = (&'static str, &'static str);

const PARTICLES: &[Particle] = &[
    ("은", "는"),
    ("이", "가"),
    ("을", "를"),
    ("과", "와"),
    ("으로", "로"),
    ("이에요", "예요"),
    ("이라고", "라고"),
    ("이라는", "라는"),
    ("이란", "란"),
    ("이랑", "랑"),
    ("이나", "나"),
    ("이야", "야"),
    ("이죠", "죠"),
    ("이고", "고"),
    ("이었어요", "였어요"),
    ("이라", "라"),
    ("아", "야"),
];

/// The particle that a rule calls `은/는`.
pub(super) fn named(name: &str) -> Option<Particle> {
    PARTICLES.iter().copied().find(|(consonant, vowel)| {
        name.split_once('/').is_some_and(|(first, second)| first == *consonant && second == *vowel)
    })
}

/// The form of a particle behind a word that ends so.
pub(super) fn form(particle: Particle, end: End) -> &'static str {
    match (particle, end) {
        (("으로", vowel), End::Rieul) => vowel,
        ((_, vowel), End::Vowel) => vowel,
        ((consonant, _), _) => consonant,
    }
}

/// How a word ends: its last syllable or digit, whatever marks stand behind it. `None` where that is something whose
/// sound is not known, such as a Latin letter.
pub(super) fn end(word: &str) -> Option<End> {
    let last = word.chars().rev().find(|c| c.is_alphanumeric())?;
    match last {
        '가'..='힣' => Some(match (last as u32 - '가' as u32) % 28 {
            0 => End::Vowel,
            8 => End::Rieul,
            _ => End::Consonant,
        }),
        // 일 칠 팔; 이 사 오 구; 삼 육, and 영 십 백 천 만.
        '1' | '7' | '8' => Some(End::Rieul),
        '2' | '4' | '5' | '9' => Some(End::Vowel),
        '0' | '3' | '6' => Some(End::Consonant),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use unicode_normalization::UnicodeNormalization;

    #[test]
    fn particles_agree() {
        for (word, particle, form) in [
            ("물", "은/는", "은"),
            ("나무", "은/는", "는"),
            ("서울", "으로/로", "로"),
            ("부산", "으로/로", "으로"),
            ("제주도", "으로/로", "로"),
            ("고양이", "이에요/예요", "예요"),
            ("하늘", "이에요/예요", "이에요"),
            ("‘사과’", "을/를", "를"),
            ("12", "이에요/예요", "예요"),
            ("11", "이에요/예요", "이에요"),
            ("10", "이/가", "이"),
            ("27", "으로/로", "로"),
            ("100", "과/와", "과"),
        ] {
            let particle = named(particle).unwrap();
            assert_eq!(super::form(particle, end(word).unwrap()), form, "{word}");
        }
        assert_eq!(end("Rust"), None);
        assert_eq!(end("…!"), None);
        assert_eq!(named("는/은"), None);
    }

    /// Unicode's own decomposition says whether there is a final consonant.
    #[test]
    fn the_final_consonant_is_that_of_the_decomposed_syllable() {
        for c in '가'..='힣' {
            let jamo: Vec<char> = std::iter::once(c).nfd().collect();
            let expected = match jamo.get(2) {
                None => End::Vowel,
                Some('\u{11af}') => End::Rieul,
                Some(_) => End::Consonant,
            };
            assert_eq!(end(&c.to_string()), Some(expected), "{c}");
        }
    }
}
