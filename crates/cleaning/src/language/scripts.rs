//! Letters by script, and the scripts that decide a language.

use super::Language;
use crate::unicode::{is_hangul, is_letter};

/// How many letters of which script a text has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scripts {
    /// Hangul, syllables and loose letters.
    pub hangul: usize,
    /// Hiragana and katakana.
    pub kana: usize,
    /// Chinese characters.
    pub han: usize,
    /// Latin.
    pub latin: usize,
    /// Cyrillic.
    pub cyrillic: usize,
    /// Greek.
    pub greek: usize,
    /// Arabic.
    pub arabic: usize,
    /// Hebrew.
    pub hebrew: usize,
    /// Devanagari.
    pub devanagari: usize,
    /// Thai.
    pub thai: usize,
    /// Any other.
    pub other: usize,
    /// Letters of Ukrainian and no Russian, of Kazakh, of Mongolian: which Cyrillic it is.
    cyrillic_of: [usize; 4],
    /// Arabic letters that Arabic itself has not.
    persian: usize,
}

impl Scripts {
    /// Counts the letters of `text`.
    pub fn of(text: &str) -> Self {
        let mut counts = Self::default();
        for c in text.chars() {
            match c {
                'a'..='z' | 'A'..='Z' => counts.latin += 1,
                c if c.is_ascii() => {}
                '\u{AC00}'..='\u{D7A3}' => counts.hangul += 1,
                'ー' | '\u{3041}'..='\u{3096}' | '\u{30A1}'..='\u{30FA}' | '\u{FF66}'..='\u{FF9D}' => {
                    counts.kana += 1
                }
                '\u{4E00}'..='\u{9FFF}' | '\u{3400}'..='\u{4DBF}' | '\u{20000}'..='\u{323AF}' | '々' => {
                    counts.han += 1
                }
                '\u{400}'..='\u{52F}' => {
                    counts.cyrillic += 1;
                    match c {
                        'і' | 'ї' | 'є' | 'ґ' | 'І' | 'Ї' | 'Є' => counts.cyrillic_of[0] += 1,
                        'қ' | 'ғ' | 'ұ' | 'ң' | 'ә' | 'һ' | 'Қ' | 'Ә' | 'Ғ' => {
                            counts.cyrillic_of[1] += 1
                        }
                        'ө' | 'ү' | 'Ө' | 'Ү' => counts.cyrillic_of[2] += 1,
                        'ы' | 'э' | 'ё' | 'ъ' => counts.cyrillic_of[3] += 1,
                        _ => {}
                    }
                }
                '\u{370}'..='\u{3FF}' | '\u{1F00}'..='\u{1FFF}' if is_letter(c) => counts.greek += 1,
                '\u{600}'..='\u{6FF}'
                | '\u{750}'..='\u{77F}'
                | '\u{FB50}'..='\u{FDFF}'
                | '\u{FE70}'..='\u{FEFC}'
                    if is_letter(c) =>
                {
                    counts.arabic += 1;
                    counts.persian += usize::from(matches!(c, 'پ' | 'چ' | 'ژ' | 'گ' | 'ک' | 'ی' | 'ٹ' | 'ں'));
                }
                '\u{590}'..='\u{5FF}' if is_letter(c) => counts.hebrew += 1,
                '\u{900}'..='\u{97F}' if is_letter(c) => counts.devanagari += 1,
                '\u{E00}'..='\u{E7F}' if is_letter(c) => counts.thai += 1,
                c if is_hangul(c) => counts.hangul += 1,
                '\u{C0}'..='\u{24F}' | '\u{1E00}'..='\u{1EFF}' if is_letter(c) => counts.latin += 1,
                c if is_letter(c) => counts.other += 1,
                _ => {}
            }
        }
        counts
    }

    /// All letters.
    pub fn letters(&self) -> usize {
        self.hangul
            + self.kana
            + self.han
            + self.latin
            + self.cyrillic
            + self.greek
            + self.arabic
            + self.hebrew
            + self.devanagari
            + self.thai
            + self.other
    }

    /// The language that the scripts alone tell, where they do. Names and terms in Latin letters do not count against one.
    pub(super) fn decided(&self) -> Option<Language> {
        let letters = self.letters();
        let share = |count: usize| count as f32 / (letters - self.latin).max(1) as f32;
        let enough = |count: usize| count * 4 >= letters;
        // Kana is what Japanese has beside its Chinese characters; a word of it stands in Chinese too.
        if enough(self.kana + self.han) {
            if self.kana * 20 >= self.kana + self.han {
                return Some(Language::new(
                    "ja",
                    share(self.kana + self.han).min(0.5 + 4.0 * share(self.kana)),
                ));
            }
            return Some(Language::new("zh", share(self.han)));
        }
        if enough(self.cyrillic) {
            let [ukrainian, kazakh, mongolian, russian] = self.cyrillic_of;
            let code = match () {
                () if kazakh * 50 >= self.cyrillic => "kk",
                () if mongolian * 50 >= self.cyrillic => "mn",
                () if ukrainian > russian => "uk",
                () if russian > 0 || self.cyrillic < 20 => "ru",
                () => return Some(Language::new(super::UNKNOWN, 0.3)),
            };
            return Some(Language::new(code, share(self.cyrillic) * 0.95));
        }
        for (count, code) in [
            (self.thai, "th"),
            (self.greek, "el"),
            (self.hebrew, "he"),
            (self.devanagari, "hi"),
            (self.arabic, "ar"),
        ] {
            if enough(count) {
                if code == "ar" && self.persian * 50 > count {
                    return Some(Language::new("fa", 0.6));
                }
                return Some(Language::new(code, share(count)));
            }
        }
        None
    }
}
