//! Which language a text is in.
//!
//! Scripts first: a text of which a tenth of the letters is Hangul is Korean, kana is Japanese, Han alone is Chinese, and so on for scripts
//! that one language has. Latin letters are asked for what is no language (code), for Korean in Latin letters, then for
//! the commonest words of some twenty languages and [`whichlang`]; where they do not agree the answer is unknown (`und`). A
//! [`FastText`] model of the user's may answer in their place. Codes are those of BCP 47: `ko`, `en`, `zh`, `ko-Latn`, `zxx` for no language.

mod code;
mod fasttext;
mod latin;
mod romanised;
mod scripts;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

pub use fasttext::{FastText, FastTextError};
pub use scripts::Scripts;

/// Unknown.
pub const UNKNOWN: &str = "und";
/// No language: code, numbers.
pub const NONE: &str = "zxx";

/// What a text is besides its language.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// Nothing else.
    #[default]
    Plain,
    /// Korean with much Latin in it: at least 30 % of its letters.
    Mixed,
    /// Code of a program.
    Code,
    /// Korean in Latin letters.
    Romanised,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Language {
    /// Code of the language, `und` where nothing is sure.
    pub code: Cow<'static, str>,
    /// How sure it is, 0 to 1.
    pub probability: f32,
    /// What the text is besides.
    pub form: Form,
}

impl Language {
    fn new(code: &'static str, probability: f32) -> Self {
        Self { code: Cow::Borrowed(code), probability, form: Form::Plain }
    }

    fn unknown() -> Self {
        Self::new(UNKNOWN, 0.0)
    }
}

/// A document's language, and those of its paragraphs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DocumentLanguage {
    /// The language of the whole.
    pub language: Language,
    /// Letters of the paragraphs of each language, the most first. Romanised Korean and code are apart.
    pub paragraphs: Vec<(Cow<'static, str>, usize)>,
    /// Letters of the paragraphs that are Korean with much Latin.
    pub mixed: usize,
}

/// The language of `text` as a whole.
pub fn detect(text: &str) -> Language {
    detect_with(text, None)
}

/// As [`detect`]; what scripts do not decide is asked of `model`.
pub fn detect_with(text: &str, model: Option<&FastText>) -> Language {
    detect_by(text, &Scripts::of(text), model)
}

fn detect_by(text: &str, scripts: &Scripts, model: Option<&FastText>) -> Language {
    let letters = scripts.letters();
    if letters == 0 {
        return Language::new(if text.chars().any(|c| !c.is_whitespace()) { NONE } else { UNKNOWN }, 0.0);
    }
    let share = |count: usize| count as f32 / letters as f32;
    if scripts.hangul * 10 >= letters {
        let code_like = scripts.hangul * 2 < letters && scripts.latin > 0 && code::is_code(text);
        let form = match () {
            () if code_like => Form::Code,
            () if scripts.latin * 10 >= letters * 3 => Form::Mixed,
            () => Form::Plain,
        };
        // A tenth is enough; a third is sure.
        let probability = (0.8 + 0.6 * (share(scripts.hangul) - 0.1)).min(1.0);
        return Language { code: Cow::Borrowed("ko"), probability, form };
    }
    if let Some(language) = scripts.decided() {
        return language;
    }
    if scripts.latin * 2 < letters {
        return model.and_then(|model| model.detect(text)).unwrap_or_else(Language::unknown);
    }
    if code::is_code(text) {
        return Language { form: Form::Code, ..Language::new(NONE, 0.9) };
    }
    let language = match model {
        Some(model) => model.detect(text).unwrap_or_else(Language::unknown),
        None => latin::detect(text),
    };
    // What English words say plainly is not looked at again.
    let english = language.code == "en" && language.probability > 0.95;
    match (!english).then(|| romanised::is_korean(text)).flatten() {
        Some(probability) => Language { form: Form::Romanised, ..Language::new("ko-Latn", probability) },
        None => language,
    }
}

/// The languages of a document: of all of it, and of each paragraph (a line that is not empty).
pub fn document(text: &str, model: Option<&FastText>) -> DocumentLanguage {
    let mut paragraphs: Vec<(Cow<'static, str>, usize)> = Vec::new();
    let mut mixed = 0;
    // Short lines say little by themselves: they are taken with those after them.
    let mut from = 0;
    let mut pieces = Vec::new();
    for at in memchr::memchr_iter(b'\n', text.as_bytes()).chain([text.len()]) {
        if at - from >= PARAGRAPH || at == text.len() {
            pieces.push(&text[from..at]);
            from = at;
        }
    }
    for piece in pieces.into_iter().filter(|piece| !piece.trim().is_empty()) {
        let scripts = Scripts::of(piece);
        let language = detect_by(piece, &scripts, model);
        let count = scripts.letters();
        mixed += if language.form == Form::Mixed { count } else { 0 };
        match paragraphs.iter_mut().find(|(code, _)| *code == language.code) {
            Some((_, all)) => *all += count,
            None => paragraphs.push((language.code, count)),
        }
    }
    paragraphs.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    DocumentLanguage { language: detect_with(head(text), model), paragraphs, mixed }
}

/// Bytes that a piece of a document has at least.
const PARAGRAPH: usize = 120;
/// Bytes that the whole is judged by.
const HEAD: usize = 16 << 10;

fn head(text: &str) -> &str {
    &text[..text.floor_char_boundary(HEAD)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> String {
        detect(text).code.into_owned()
    }

    #[test]
    fn languages_of_sentences_are_told() {
        for (text, expected) in [
            ("강은 산에서 바다로 흐른다.", "ko"),
            ("The river runs from the mountains to the sea.", "en"),
            ("川は山から海へ流れる。", "ja"),
            ("河水从山上流向大海。", "zh"),
            ("Der Fluss fließt von den Bergen zum Meer, und die Menschen folgen ihm.", "de"),
            ("Le fleuve coule des montagnes vers la mer et les gens le suivent.", "fr"),
            ("El río corre desde las montañas hasta el mar y la gente lo sigue.", "es"),
            ("Река течёт с гор к морю.", "ru"),
            ("Ріка тече з гір до моря, і люди йдуть за нею.", "uk"),
            ("แม่น้ำไหลจากภูเขาสู่ทะเล", "th"),
            ("Ο ποταμός κυλά προς τη θάλασσα.", "el"),
        ] {
            assert_eq!(code(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_language_or_not_sure_says_so() {
        for text in ["", "   ", "qxzv wrgl bnkt", "1234 5678"] {
            assert!([UNKNOWN, NONE].contains(&code(text).as_str()), "{text}");
        }
        let language = detect("fn main() { let x: Vec<u8> = vec![0; 10]; println!(\"{x:?}\"); }");
        assert_eq!((language.code.as_ref(), language.form), ("zxx", Form::Code));
    }

    #[test]
    fn mixtures_and_romanised_korean_are_kept_apart() {
        let mixed = detect("이번 release에서는 async runtime의 scheduler를 refactoring 했습니다.");
        assert_eq!((mixed.code.as_ref(), mixed.form), ("ko", Form::Mixed));
        let romanised = detect("gangeun saneseo badaro heureugo saramdeureun baereul tago meolli naganda");
        assert_eq!((romanised.code.as_ref(), romanised.form), ("ko-Latn", Form::Romanised));
    }

    #[test]
    fn a_document_counts_the_languages_of_its_paragraphs() {
        let korean = "강은 산에서 바다로 흐르고 사람들은 배를 타고 멀리 나간다. ".repeat(4);
        let english = "The river runs to the sea and people go far away on their boats. ".repeat(2);
        let found = document(&format!("{korean}\n{english}\n{korean}"), None);
        assert_eq!(found.language.code, "ko");
        assert_eq!(found.paragraphs.iter().map(|(code, _)| code.as_ref()).collect::<Vec<_>>(), ["ko", "en"]);
    }
}
