//! The same text in the same characters: what damage can be taken back is, and what is done is counted.
//!
//! In this order: text read in the wrong encoding ([`Mojibake`]), escapes and entities that were left standing, characters that
//! nobody sees, Hangul in pieces, full-width letters, NFC, laughter and repeated letters, white space. A text that went through
//! is not changed by going through again.

mod jamo;
mod mojibake;
mod repeats;
mod spaces;
mod unescape;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

pub use mojibake::Mojibake;

/// What is done. The default is all.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Normalise {
    /// Repairs UTF-8 that was read as Windows-1252 (once or twice) and CP949 that was read as Latin-1.
    pub mojibake: bool,
    /// Resolves `&amp;nbsp;`, `&#44032;`, `\uac00` and `%EA%B0%80` where a text has many.
    pub unescape: bool,
    /// Takes zero-width, soft-hyphen, private-use and control characters out.
    pub invisible: bool,
    /// Joins loose and half-width letters to syllables where they were one.
    pub jamo: bool,
    /// Makes full-width Latin letters and digits ordinary ones.
    pub full_width: bool,
    /// Shortens ㅋㅋㅋㅋ, ㅠㅠㅠ, !!!!! and 우우우우 to this many; 0 leaves them.
    pub repeats: usize,
    /// Trims lines, makes other spaces ordinary ones, leaves one empty line at most.
    pub spaces: bool,
}

impl Default for Normalise {
    fn default() -> Self {
        Self {
            mojibake: true,
            unescape: true,
            invisible: true,
            jamo: true,
            full_width: true,
            repeats: 2,
            spaces: true,
        }
    }
}

/// How often what was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NormaliseCounts {
    /// Texts that had been read in the wrong encoding, and were repaired.
    pub mojibake: usize,
    /// Escapes and entities resolved.
    pub unescaped: usize,
    /// Characters that nobody sees taken out.
    pub invisible: usize,
    /// Loose letters joined.
    pub jamo: usize,
    /// Half-width letters of Hangul and kana made whole.
    pub half_width: usize,
    /// Full-width Latin letters, digits and marks made ordinary.
    pub full_width: usize,
    /// Texts that were not in NFC.
    pub nfc: usize,
    /// Characters left out of runs of the same.
    pub repeats: usize,
    /// Characters of white space left out or replaced.
    pub spaces: usize,
}

impl NormaliseCounts {
    /// Whether nothing was done.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A text in its normal form, and what was done for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Normalised<'t> {
    /// The text; borrowed where nothing was changed.
    pub text: Cow<'t, str>,
    /// What was done.
    pub counts: NormaliseCounts,
    /// Damage that is left: whether the text is to be dropped.
    pub damage: Mojibake,
}

impl Normalise {
    /// The normal form of `text`.
    pub fn apply<'t>(&self, text: &'t str) -> Normalised<'t> {
        let mut counts = NormaliseCounts::default();
        let mut text = Cow::Borrowed(text);
        // One step may show another what it can do: escapes hide jamo, entities hide spaces. A few rounds end it.
        for _ in 0..4 {
            let before = counts;
            self.round(&mut text, &mut counts);
            if counts == before {
                break;
            }
        }
        let damage = Mojibake::of(&text);
        Normalised { text, counts, damage }
    }

    fn round(&self, text: &mut Cow<'_, str>, counts: &mut NormaliseCounts) {
        let mut seen = Seen::of(text, self.repeats);
        if self.mojibake
            && seen.latin
            && let Some(repaired) = mojibake::repair(text)
        {
            *text = Cow::Owned(repaired);
            counts.mojibake += 1;
            seen = Seen::of(text, self.repeats);
        }
        if self.unescape && replace(text, &mut counts.unescaped, unescape::unescape) {
            seen = Seen::of(text, self.repeats);
        }
        if self.invisible && seen.invisible {
            replace(text, &mut counts.invisible, spaces::without_invisible);
            // What stood apart may stand together now.
            seen = Seen::of(text, self.repeats);
        }
        if self.full_width && seen.full_width {
            replace(text, &mut counts.full_width, jamo::narrow);
            seen = Seen::of(text, self.repeats);
        }
        if self.jamo && seen.half_width {
            replace(text, &mut counts.half_width, jamo::widen);
            seen = Seen::of(text, self.repeats);
        }
        if self.jamo && seen.jamo {
            replace(text, &mut counts.jamo, jamo::join);
        }
        if seen.other && is_nfc_quick(text.chars()) != IsNormalized::Yes {
            let composed: String = text.nfc().collect();
            if composed != **text {
                *text = Cow::Owned(composed);
                counts.nfc += 1;
                seen = Seen::of(text, self.repeats);
            }
        }
        if seen.repeats {
            replace(text, &mut counts.repeats, |text| repeats::shorten(text, self.repeats));
        }
        if self.spaces {
            replace(text, &mut counts.spaces, spaces::spaces);
        }
    }
}

/// Which steps a text gives something to do, by one look at its characters: most texts have nothing for most steps.
#[derive(Default)]
struct Seen {
    invisible: bool,
    full_width: bool,
    half_width: bool,
    jamo: bool,
    latin: bool,
    repeats: bool,
    /// Characters that NFC may change.
    other: bool,
}

impl Seen {
    fn of(text: &str, most: usize) -> Self {
        let mut seen = Self::default();
        let (mut before, mut run) = ('\0', 0);
        for c in text.chars() {
            run = if c == before { run + 1 } else { 1 };
            before = c;
            if run > most && most > 0 && repeats::least(c, most).is_some_and(|least| run >= least) {
                seen.repeats = true;
            }
            match c {
                '\n'
                | ' '..='~'
                | '\u{AC00}'..='\u{D7A3}'
                | '\u{4E00}'..='\u{9FFF}'
                | '\u{3041}'..='\u{3096}'
                | '\u{3001}'..='\u{3029}' => {}
                '\u{3131}'..='\u{3163}' => seen.jamo = true,
                '\u{FF01}'..='\u{FF5E}' => seen.full_width = true,
                _ => {
                    seen.invisible |= spaces::is_invisible(c) || spaces::is_joiner(c);
                    seen.half_width |= matches!(c, '\u{FFA1}'..='\u{FFDC}');
                    seen.latin |= !c.is_ascii();
                    seen.other |= c >= '\u{300}';
                }
            }
        }
        seen
    }
}

/// Replaces `text` by what `step` makes of it, where it makes anything else, and adds what it counts. Whether it did.
fn replace(
    text: &mut Cow<'_, str>,
    count: &mut usize,
    step: impl Fn(&str) -> Option<(String, usize)>,
) -> bool {
    let Some((changed, by)) = step(text) else { return false };
    *text = Cow::Owned(changed);
    *count += by;
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn normal(text: &str) -> String {
        Normalise::default().apply(text).text.into_owned()
    }

    #[test]
    fn damage_that_can_be_taken_back_is() {
        for (dirty, clean) in [
            ("ë°”ë‹¤ëŠ” ë„“ë‹¤", "바다는 넓다"),
            ("\u{1100}\u{1161}\u{11a8} \u{1102}\u{1161}", "각 나"),
            ("ﾷￚﾩ ﾤ", "을 ㄴ"),
            ("ＡＢＣ １２３", "ABC 123"),
            ("바\u{200b}다\u{feff}는\u{ad}", "바다는"),
            ("바다는\u{a0}넓\u{0}다\u{3000}참", "바다는 넓다 참"),
            ("바다&amp;nbsp;는&amp;#46;", "바다 는."),
            ("&#48148;&#45796;&#45716; &#45331;&#45796;", "바다는 넓다"),
            (r"\ubc14\ub2e4\ub294 \ub113\ub2e4", "바다는 넓다"),
            ("%EB%B0%94%EB%8B%A4%EB%8A%94 %EB%84%93%EB%8B%A4", "바다는 넓다"),
            ("ㅂㅏㄷㅏㄴㅡㄴ ㄴㅓㄼㄷㅏ", "바다는 넓다"),
            ("웃겨ㅋㅋㅋㅋㅋㅋ 슬퍼ㅠㅠㅠㅠ ㅎㅎㅎ!!!!!", "웃겨ㅋㅋ 슬퍼ㅠㅠ ㅎㅎ!!"),
            ("  가 \t 나  \r\n\n\n\n다 ", "가 나\n\n다"),
        ] {
            assert_eq!(normal(dirty), clean, "{dirty}");
        }
    }

    #[test]
    fn what_only_looks_like_damage_stays() {
        for text in [
            "Café à la crème, naïve, Ångström, 30 °C, £5, “quoted” – dash…",
            "ㄱ부터 ㅎ까지 자음은 모두 열넷이다.",
            r"C:\users\u1234 and %20 in a URL: https://a.b/%ED%95%9C",
            "x = a[i] + b[j]; // ----------\nwhile (!!y) { z = 1000000; }",
            "R&amp;D는 연구 개발이다.",
            "ㅇㅋ ㄱㄱ",
        ] {
            assert_eq!(normal(text), text);
            assert!(Normalise::default().apply(text).counts.is_empty(), "{text}");
        }
    }

    #[test]
    fn what_is_lost_is_marked() {
        let lost = Normalise::default().apply("��� ��� ��, �� ���� ����.").damage;
        assert!(lost.is_lost());
        let read_as_cp949 =
            Normalise::default().apply("寃곌뎅 ����쓽 �꽦�뙣�뒗 由щ뜑媛� 梨낆엫�졇�빞 �빀�땲�떎.").damage;
        assert!(read_as_cp949.is_lost());
        assert!(!Normalise::default().apply("한글은 1443년에 만들어졌다. �").damage.is_lost());
    }

    proptest! {
        #[test]
        fn a_second_time_changes_nothing(text in "([가-힣ㄱ-ㅣㅋㅠ\u{1100}-\u{1112}\u{1161}-\u{1175}ﾡ-ￜＡ-Ｚ&#;0-9a-zë°”Ãì \n\u{200b}\\\\%]|\\\\u[0-9a-f]{4}|&amp;|&nbsp;|&#4[0-9]{4};|%E[ABC]%[89AB][0-9A-F]%[89AB][0-9A-F]){0,60}") {
            let once = normal(&text);
            prop_assert_eq!(normal(&once), once);
        }

        #[test]
        fn any_text_goes_through(text in any::<String>()) {
            let once = normal(&text);
            prop_assert_eq!(normal(&once), once);
        }
    }
}
