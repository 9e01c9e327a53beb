//! Letters by script, and the scripts that decide a language.

use std::sync::LazyLock;

use rustc_hash::FxHashSet;

use super::Language;
use crate::unicode::{is_hangul, is_letter};

/// Characters of JIS X 0208, level 1, that neither GB 2312 nor Big5 has: forms that Japan alone uses.
const SHINJITAI: &str = "気働込畑辻峠円広実図対戦総経発県駅関権済検険験拝拠抜毎売読続変歩団圧囲栄桜応価仮絵覚楽帰亀拡勧観顔巻挙暁駆恵渓\
    鶏撃剣圏効鉱黒砕斎剤雑桟児釈収従渋獣縦粛処奨焼浄剰畳縄壌嬢譲醸粋酔穂髄瀬専銭繊捜挿巣荘騒増蔵臓帯滝択沢単弾遅鋳\
    庁聴鉄転稲闘徳悩脳廃髪晩払仏辺満黙訳薬揺様謡頼覧両猟緑塁涙齢歴労録営厳戸姉査亜唖穐悪鯵鮎壱鰯隠欝頴鋭閲焔縁艶薗\
    塩汚鴬鴎穏菓壊廻懐鈎撹殻樫梶渇椛竃噛栢苅寛歓潅諌陥舘巌贋戯犠郷尭倶駈喰粂勲薫啓掲継繋蛍軽頚倹顕鹸袴呉娯碁砿麹狛\
    歳冴堺榊咲笹皐産讃賛歯鴫宍雫舎呪繍衆讐渉粧醤乗穣靭椙斉摂説絶賎曽疎遡惣掻痩窓聡楕駄騨凧竪値徴勅栂壷逓兎妬嶋梼涜\
    栃瀞呑凪弐匂韮廼嚢覇楳蝿硲畠鉢溌醗噺樋姫氷鋲冨塀箆舗峯頬柾桝侭麿麺杢戻籾匁鑓裏竜隣瑠隷霊暦錬篭蝋脇枠鰐椀";

static SHINJITAI_SET: LazyLock<FxHashSet<char>> = LazyLock::new(|| SHINJITAI.chars().collect());

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
    /// ъ, which Bulgarian has for a vowel.
    hard_signs: usize,
    /// Letters of Serbian.
    serbian: usize,
    /// Arabic letters that Arabic itself has not.
    persian: usize,
    /// Chinese characters in the form that Japan alone gave them.
    shinjitai: usize,
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
                    counts.kana += 1;
                }
                '\u{4E00}'..='\u{9FFF}' | '\u{3400}'..='\u{4DBF}' | '\u{20000}'..='\u{323AF}' | '々' => {
                    counts.han += 1;
                    counts.shinjitai += usize::from(SHINJITAI_SET.contains(&c));
                }
                '\u{400}'..='\u{52F}' => {
                    counts.cyrillic += 1;
                    match c {
                        'і' | 'ї' | 'є' | 'ґ' | 'І' | 'Ї' | 'Є' => counts.cyrillic_of[0] += 1,
                        'қ' | 'ғ' | 'ұ' | 'ң' | 'ә' | 'һ' | 'Қ' | 'Ә' | 'Ғ' => {
                            counts.cyrillic_of[1] += 1;
                        }
                        'ө' | 'ү' | 'Ө' | 'Ү' => counts.cyrillic_of[2] += 1,
                        'ы' | 'э' | 'ё' => counts.cyrillic_of[3] += 1,
                        'ъ' => counts.hard_signs += 1,
                        'ј' | 'љ' | 'њ' | 'ћ' | 'ђ' | 'џ' => counts.serbian += 1,
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
            if self.kana == 0 && self.shinjitai * 20 >= self.han {
                return Some(Language::new("ja", 0.7));
            }
            // A word or two of characters that both have may be either.
            let short = if self.han < 6 { 0.6 } else { 1.0 };
            return Some(Language::new("zh", share(self.han) * short));
        }
        if enough(self.cyrillic) {
            let [ukrainian, kazakh, mongolian, russian] = self.cyrillic_of;
            let code = match () {
                () if kazakh * 50 >= self.cyrillic => "kk",
                () if mongolian * 100 >= self.cyrillic => "mn",
                () if self.serbian * 50 >= self.cyrillic => "sr",
                () if ukrainian > russian => "uk",
                () if russian == 0 && self.hard_signs * 80 >= self.cyrillic => "bg",
                () => "ru",
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
