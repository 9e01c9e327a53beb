//! Which rules a text is held against, as a recipe writes them.

use serde::{Deserialize, Serialize};

use crate::decontaminate::DecontaminateOptions;
use crate::html::Extract;
use crate::minhash::MinHashOptions;
use crate::normalise::Normalise;
use crate::personal::Personal;
use crate::quality::{
    BoilerplateLines, C4, FineWeb, GopherQuality, GopherRepetition, Korean, MOST_N, Paragraphs, Spam,
    StopWords,
};

/// Languages that are kept.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct LanguageRule {
    /// Codes of the languages, such as `ko`; all where it is empty.
    pub keep: Vec<String>,
    /// Least probability.
    pub min_probability: f64,
    /// Greatest share of the letters in paragraphs of other languages than those kept.
    pub max_other: f64,
}

impl Default for LanguageRule {
    fn default() -> Self {
        Self { keep: vec!["ko".to_owned(), "en".to_owned()], min_probability: 0.5, max_other: 0.5 }
    }
}

/// All rules. What is left out of a recipe is off, but for `extract` and `normalise`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// How the main text of a page is found.
    pub extract: Extract,
    /// How characters are made the same.
    pub normalise: Normalise,
    /// Which lines go.
    pub lines: Option<BoilerplateLines>,
    /// Which languages stay.
    pub language: Option<LanguageRule>,
    /// Gopher's repetition.
    pub gopher_repetition: Option<GopherRepetition>,
    /// Gopher's quality.
    pub gopher_quality: Option<GopherQuality>,
    /// C4's lines and pages.
    pub c4: Option<C4>,
    /// mC4's paragraphs.
    pub paragraphs: Option<Paragraphs>,
    /// FineWeb's lines.
    pub fineweb: Option<FineWeb>,
    /// Korean, for texts that are.
    pub korean: Option<Korean>,
    /// Spam.
    pub spam: Option<Spam>,
    /// Most words of the user's list in 1,000 words.
    pub max_listed_words: Option<f64>,
    /// Least probability of the user's classifier.
    pub min_classifier: Option<f64>,
    /// Greatest perplexity under the user's model.
    pub max_perplexity: Option<f64>,
    /// What is masked.
    pub personal: Option<Personal>,
    /// Signatures for near-duplicates.
    pub minhash: Option<MinHashOptions>,
    /// Evaluations that are looked for.
    pub decontaminate: Option<DecontaminateOptions>,
}

/// Names of the sets of rules that are ready.
pub const PRESETS: [&str; 5] = ["korean", "english", "fineweb2", "gopher", "c4"];

impl Rules {
    /// A set of rules by its name, one of [`PRESETS`].
    pub fn preset(name: &str) -> Option<Self> {
        Some(match name {
            "korean" => Self::korean(),
            "english" => Self::english(),
            "fineweb2" => Self::fineweb2(),
            "gopher" => Self {
                gopher_repetition: Some(GopherRepetition::default()),
                gopher_quality: Some(GopherQuality::default()),
                ..Self::default()
            },
            "c4" => Self { c4: Some(C4::default()), ..Self::default() },
            _ => return None,
        })
    }

    /// For Korean: thresholds chosen on statutes, documentation and reviews, by eojeol (`docs/corpus.md`).
    fn korean() -> Self {
        Self {
            lines: Some(BoilerplateLines::default()),
            language: Some(LanguageRule {
                keep: vec!["ko".to_owned()],
                max_other: 0.8,
                ..LanguageRule::default()
            }),
            gopher_repetition: Some(GopherRepetition {
                dup_line_frac: 0.5,
                dup_para_frac: 0.4,
                dup_line_char_frac: 0.3,
                dup_para_char_frac: 0.25,
                top_n_grams: vec![(2, 0.24), (3, 0.18), (4, 0.2)],
                dup_n_grams: vec![(5, 0.27), (6, 0.25), (7, 0.24), (8, 0.23), (9, 0.22), (10, 0.21)],
            }),
            gopher_quality: Some(GopherQuality {
                min_doc_words: 20,
                min_avg_word_length: 2.0,
                max_avg_word_length: 19.0,
                max_symbol_word_ratio: 0.2,
                max_non_alpha_words_ratio: 0.65,
                min_stop_words: 0,
                stop_words: StopWords::from(Vec::new()),
                ..GopherQuality::default()
            }),
            fineweb: Some(FineWeb {
                line_punct_thr: 0.02,
                short_line_thr: 0.9,
                char_duplicates_ratio: 0.3,
                new_line_ratio: 0.55,
                ..FineWeb::default()
            }),
            korean: Some(Korean::default()),
            spam: Some(Spam::default()),
            personal: Some(Personal::default()),
            minhash: Some(MinHashOptions::default()),
            ..Self::default()
        }
    }

    /// For English: what FineWeb (Penedo et al. 2024) took, C4's mark at the ends of lines aside.
    fn english() -> Self {
        Self {
            lines: Some(BoilerplateLines::default()),
            language: Some(LanguageRule {
                keep: vec!["en".to_owned()],
                min_probability: 0.65,
                ..LanguageRule::default()
            }),
            gopher_repetition: Some(GopherRepetition::default()),
            gopher_quality: Some(GopherQuality::default()),
            c4: Some(C4 { filter_no_terminal_punct: false, filter_curly_bracket: false, ..C4::default() }),
            fineweb: Some(FineWeb::default()),
            spam: Some(Spam::default()),
            personal: Some(Personal::default()),
            minhash: Some(MinHashOptions::default()),
            ..Self::default()
        }
    }

    /// FineWeb2's rules and thresholds for Korean. They were made for morphemes: of words between spaces they leave little.
    fn fineweb2() -> Self {
        let stop_words = [
            "의", "다", "이", "는", "에", "을", "한", "년", "하", "은", "를", "했", "고", "에서", "가", "있",
            "으로", "인", "월", "로", "되",
        ];
        Self {
            language: Some(LanguageRule {
                keep: vec!["ko".to_owned()],
                min_probability: 0.842,
                max_other: 1.0,
            }),
            gopher_repetition: Some(GopherRepetition {
                dup_line_frac: 0.374,
                dup_para_frac: 0.0,
                dup_line_char_frac: 0.0,
                dup_para_char_frac: 0.0,
                top_n_grams: vec![(2, 0.282), (3, 0.228), (4, 0.185)],
                dup_n_grams: vec![(5, 0.201), (6, 0.184), (7, 0.168), (8, 0.154), (9, 0.14), (10, 0.127)],
            }),
            fineweb: Some(FineWeb {
                line_punct_thr: 0.062,
                short_line_thr: 999.0,
                char_duplicates_ratio: 0.1,
                new_line_ratio: 0.196,
                ..FineWeb::default()
            }),
            gopher_quality: Some(GopherQuality {
                min_avg_word_length: 1.0,
                max_avg_word_length: 6.0,
                max_non_alpha_words_ratio: 0.791,
                min_stop_words: 2,
                stop_words: stop_words.as_slice().into(),
                ..GopherQuality::default()
            }),
            minhash: Some(MinHashOptions::default()),
            ..Self::default()
        }
    }

    /// Says which rule is out of its range, with its key.
    pub fn check(&self) -> Result<(), String> {
        if let Some(rule) = &self.gopher_repetition {
            for (key, grams) in [("top_n_grams", &rule.top_n_grams), ("dup_n_grams", &rule.dup_n_grams)] {
                if let Some((n, _)) = grams.iter().find(|(n, _)| !(1..=MOST_N).contains(n)) {
                    return Err(format!(
                        "gopher_repetition.{key} has n-grams of {n} words; give 1 to {MOST_N}"
                    ));
                }
            }
        }
        if let Some(rule) = &self.language
            && !(0.0..=1.0).contains(&rule.min_probability)
        {
            return Err(format!("language.min_probability is {}; give 0 to 1", rule.min_probability));
        }
        if self.min_classifier.is_some_and(|least| !(0.0..=1.0).contains(&least)) {
            return Err("min_classifier is a probability; give 0 to 1".to_owned());
        }
        self.minhash.as_ref().map_or(Ok(()), MinHashOptions::check)?;
        self.decontaminate.as_ref().map_or(Ok(()), DecontaminateOptions::check)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_read_back_from_its_own_toml() {
        for name in PRESETS {
            let rules = Rules::preset(name).unwrap();
            rules.check().unwrap();
            let written = toml::to_string(&rules).unwrap();
            assert_eq!(toml::from_str::<Rules>(&written).unwrap(), rules, "{name}");
        }
        assert_eq!(Rules::preset("none"), None);
    }

    #[test]
    fn an_unknown_key_and_a_wrong_number_are_named() {
        let error = toml::from_str::<Rules>("[fineweb]\nline_punct = 0.1").unwrap_err().to_string();
        assert!(error.contains("line_punct"), "{error}");
        let rules: Rules = toml::from_str("[gopher_repetition]\ndup_n_grams = [[50, 0.1]]").unwrap();
        assert!(rules.check().unwrap_err().contains("gopher_repetition.dup_n_grams"));
    }
}
