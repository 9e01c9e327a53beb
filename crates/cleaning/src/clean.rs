//! One text through all rules.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Serialize;

use crate::decontaminate::{Evaluations, Match};
use crate::language::{self, DocumentLanguage, FastText};
use crate::normalise::NormaliseCounts;
use crate::personal::PersonalCounts;
use crate::quality::{
    C4Lines, CharCounts, Check, Classifier, Measure, RemovedLines, WordList, first_failure,
};
use crate::rules::Rules;

/// What rules need that no recipe holds: read by the caller, once.
#[derive(Clone, Debug, Default)]
pub struct Resources {
    /// The user's words.
    pub words: Option<Arc<WordList>>,
    /// The user's classifier.
    pub classifier: Option<Arc<Classifier>>,
    /// The user's model of languages.
    pub fasttext: Option<Arc<FastText>>,
    /// Evaluations that are not to be in the corpus.
    pub evaluations: Option<Arc<Evaluations>>,
}

/// Cleans text after text. Has room of its own: one a thread.
pub struct Cleaner {
    rules: Rules,
    resources: Resources,
    measure: Measure,
}

/// A text that went through, with all that was seen on the way.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cleaned {
    /// The text as it is kept.
    pub text: String,
    /// Its language.
    pub language: DocumentLanguage,
    /// Every signal against its threshold, in the order of the rules.
    pub checks: Vec<Check>,
    /// Its characters, by kind.
    pub chars: CharCounts,
    /// Its words, eojeol in Korean.
    pub words: usize,
    /// What was done.
    pub counts: Counts,
    /// Spans of [`Cleaned::text`] that evaluations have.
    #[serde(skip)]
    pub contaminated: Vec<Match>,
}

/// What was done to a text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// To its characters.
    pub normalise: NormaliseCounts,
    /// Lines of the page's frame that went.
    pub lines: RemovedLines,
    /// Lines that C4's rules dropped; their texts are not here.
    pub c4: C4Lines,
    /// Personal data that was masked.
    #[serde(skip)]
    pub personal: PersonalCounts,
}

impl Cleaned {
    /// The check for which the text is to be dropped, `None` where it is kept.
    pub fn dropped_for(&self) -> Option<&Check> {
        first_failure(&self.checks)
    }

    /// Whether the text is kept.
    pub fn is_kept(&self) -> bool {
        self.dropped_for().is_none()
    }
}

impl Cleaner {
    /// A cleaner by `rules`, which [`Rules::check`] has found good.
    pub fn new(rules: Rules, resources: Resources) -> Self {
        Self { rules, resources, measure: Measure::new() }
    }

    /// The rules.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Holds `text` against all rules. Perplexity, where a model has read the text before, is the caller's to give.
    ///
    /// Characters first, then lines, then personal data; the signals are those of the text as it would be kept. All rules are asked, whether one
    /// failed or not.
    pub fn clean(&mut self, text: &str, perplexity: Option<f32>) -> Cleaned {
        let Self { rules, resources, measure } = self;
        let mut counts = Counts::default();
        let mut checks = Vec::with_capacity(48);
        let normalised = rules.normalise.apply(text);
        counts.normalise = normalised.counts;
        let lost = f64::from(u8::from(normalised.damage.is_lost()));
        checks.push(Check::at_most("mojibake", lost, 0.0));
        let mut text = normalised.text;
        if let Some(lines) = &rules.lines {
            let (kept, removed) = lines.remove(&text);
            counts.lines = removed;
            text = Cow::Owned(kept);
        }
        if let Some(personal) = &rules.personal {
            let (masked, found) = personal.mask(&text);
            counts.personal = found;
            if let Cow::Owned(masked) = masked {
                text = Cow::Owned(masked);
            }
        }
        let language = language::document(&text, resources.fasttext.as_deref());
        if let Some(rule) = &rules.language {
            let kept = |code: &str| rule.keep.is_empty() || rule.keep.iter().any(|keep| keep == code);
            let code = language.language.code.as_ref();
            checks.push(Check::at_least("language", f64::from(u8::from(kept(code))), 1.0));
            checks.push(Check::at_least(
                "language_probability",
                f64::from(language.language.probability),
                rule.min_probability,
            ));
            let letters: usize = language.paragraphs.iter().map(|(_, count)| count).sum();
            let other: usize =
                language.paragraphs.iter().filter(|(code, _)| !kept(code)).map(|(_, count)| count).sum();
            checks.push(Check::at_most(
                "language_other",
                other as f64 / letters.max(1) as f64,
                rule.max_other,
            ));
        }
        measure.read(&text);
        if let Some(rule) = &rules.gopher_repetition {
            rule.check(&text, measure, &mut checks);
        }
        if let Some(rule) = &rules.gopher_quality {
            rule.check(&text, measure, &mut checks);
        }
        if let Some(rule) = &rules.c4 {
            let mut kept = rule.check(&text, &mut checks);
            let lines = std::mem::take(&mut kept.text);
            if lines != text {
                text = Cow::Owned(lines);
                measure.read(&text);
            }
            counts.c4 = kept;
        }
        if let Some(rule) = &rules.paragraphs {
            rule.check(&text, &mut checks);
        }
        if let Some(rule) = &rules.fineweb {
            rule.check(&text, measure, &mut checks);
        }
        if let Some(rule) = rules.korean.as_ref().filter(|_| language.language.code == "ko") {
            rule.check(&text, measure, &mut checks);
        }
        if let Some(rule) = &rules.spam {
            rule.check(&text, measure, &mut checks);
        }
        if let (Some(list), Some(most)) = (&resources.words, rules.max_listed_words) {
            list.check(&text, measure.words(), most, &mut checks);
        }
        if let (Some(classifier), Some(least)) = (&resources.classifier, rules.min_classifier) {
            classifier.check(&text, least, &mut checks);
        }
        if let (Some(perplexity), Some(most)) = (perplexity, rules.max_perplexity) {
            checks.push(Check::at_most("perplexity", f64::from(perplexity), most));
        }
        let contaminated = resources.evaluations.as_ref().map(|sets| sets.matches(&text)).unwrap_or_default();
        let (chars, words) = (measure.counts(), measure.words());
        Cleaned { text: text.into_owned(), language, checks, chars, words, counts, contaminated }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_goes_through_all_rules_and_each_says_its_signal() {
        let mut cleaner = Cleaner::new(Rules::preset("korean").unwrap(), Resources::default());
        let text = "강가의 마을에서는 해마다 가을이 되면 큰 잔치를 연다. 사람들은 음식을 나누며 노래를 부르고 춤을 춘다.\n\
            잔치가 끝나면 어른들은 아이들에게 옛이야기를 들려준다. 강이 어떻게 생겼는지, 산은 왜 높은지를 말해 준다.\n\
            밤이 깊으면 모두 집으로 돌아가고 강물 소리만 남는다. 문의는 010-0000-5678로 하면 된다고 한다.\n\
            이튿날 아침에는 배를 타고 바다로 나가는 사람들도 있다. 그들은 물고기를 잡아 시장에 내다 판다ㅋㅋㅋㅋ.\n\
            홍길동 기자 hong@paper.example";
        let cleaned = cleaner.clean(text, None);
        assert_eq!(cleaned.dropped_for(), None, "{:?}", cleaned.checks);
        assert_eq!(cleaned.language.language.code, "ko");
        assert!(cleaned.text.contains("<PHONE_NUMBER>로") && cleaned.text.ends_with("판다ㅋㅋ."));
        assert_eq!(
            (cleaned.counts.lines.news, cleaned.counts.personal.all(), cleaned.counts.normalise.repeats),
            (1, 1, 2)
        );
        for rule in [
            "language",
            "dup_line_frac",
            "duplicated_10_n_grams",
            "gopher_short_doc",
            "list_ratio",
            "korean_endings",
            "spam_words",
        ] {
            assert!(cleaned.checks.iter().any(|check| check.rule == rule), "{rule}");
        }
    }

    #[test]
    fn perplexity_comes_from_outside() {
        let rules = Rules { max_perplexity: Some(100.0), ..Rules::default() };
        let mut cleaner = Cleaner::new(rules, Resources::default());
        assert_eq!(
            cleaner.clean("글", Some(250.0)).dropped_for().map(|check| check.rule),
            Some("perplexity")
        );
        assert!(cleaner.clean("글", Some(50.0)).is_kept() && cleaner.clean("글", None).is_kept());
    }

    #[test]
    fn no_text_and_one_long_word_do_no_harm() {
        let mut cleaner = Cleaner::new(Rules::preset("english").unwrap(), Resources::default());
        assert!(!cleaner.clean("", None).is_kept());
        assert!(!cleaner.clean(&"x".repeat(1_000_000), None).is_kept());
    }
}
