//! From a record to a clean document, and from that to what is written: where the plan calls [`sai_cleaning`], of whose
//! rules it knows none.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use sai_cleaning::decontaminate::{DecontaminateOptions, Evaluations};
use sai_cleaning::language::{self, FastText};
use sai_cleaning::minhash::{MinHash, MinHashOptions};
use sai_cleaning::quality::{Bound, Check, Classifier, WordList};
use sai_cleaning::{Cleaned, Cleaner as Rules, Resources, charset, hashes, html, wiki};

use crate::clean_set::CleanSet;
use crate::error::Error;
use crate::evaluations;
use crate::finisher::Finisher;
use crate::hash;
use crate::recipe::{Action, Recipe, Source};
use crate::sources::{Body, Record, WikiPage};
use crate::tally::{Tally, step_of};

/// How surprising a text is to the model of a set of rules, by the set's place in the recipe. What a caller has, who knows
/// models; nothing of a text that the model cannot read.
pub type Perplexity = dyn Fn(usize, &str) -> Option<f32> + Send + Sync;

/// A clean document and its keys.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Clean {
    pub(crate) text: String,
    pub(crate) url: Option<String>,
    pub(crate) lang: String,
    /// Where it comes from, as the file says; empty where it does not.
    pub(crate) source: String,
    /// Empty where nobody says it.
    pub(crate) license: String,
    /// The host of its address.
    pub(crate) host: Option<String>,
    /// Of its text, letter case, white space and punctuation aside.
    pub(crate) hash: u64,
    /// Of each band of its signature.
    pub(crate) bands: Vec<u64>,
    /// Of each of its lines, once.
    pub(crate) lines: Vec<u64>,
}

/// What all threads share.
pub(crate) struct Kit {
    sets: Vec<(CleanSet, Resources)>,
    fasttext: Option<Arc<FastText>>,
    perplexity: Option<Arc<Perplexity>>,
    minhash: Option<MinHashOptions>,
    lines: bool,
    shortest_line: usize,
    seed: u64,
    evaluations: Option<Arc<Evaluations>>,
    action: Action,
}

/// What a thread keeps between documents of the first step.
pub(crate) struct Cleaner {
    sets: Vec<(Option<String>, Rules)>,
    fasttext: Option<Arc<FastText>>,
    perplexity: Option<Arc<Perplexity>>,
    minhash: Option<MinHash>,
    lines: bool,
    shortest_line: usize,
    seed: u64,
}

/// What became of the text of a record, step by step.
#[derive(Default)]
pub(crate) struct Steps {
    /// What was taken, and how.
    pub(crate) taken: Vec<(String, String)>,
    /// The text that was taken.
    pub(crate) text: String,
    /// The language that it seemed to be in, by which the rules were chosen.
    pub(crate) lang: String,
    /// The set of rules, by its place in the recipe.
    pub(crate) set: Option<usize>,
    pub(crate) cleaned: Option<Cleaned>,
    /// Why it is no document, with the fact; nothing where it is one.
    pub(crate) dropped: Option<(String, String)>,
}

impl Kit {
    /// Reads what the rules need.
    pub(crate) fn open(
        recipe: &Recipe,
        near: &Path,
        perplexity: Option<Arc<Perplexity>>,
    ) -> Result<Kit, Error> {
        let open = |set: &CleanSet| {
            let mut resources = Resources::default();
            if let Some(name) = &set.words {
                let path = near.join(name);
                let lines = std::fs::read_to_string(&path).map_err(|source| Error::read(&path, source))?;
                let words = WordList::read(&lines);
                resources.words =
                    Some(Arc::new(words.ok_or_else(|| Error::file(&path, "a list of words without one"))?));
            }
            if let Some(name) = &set.classifier {
                resources.classifier = Some(Arc::new(Classifier::read(&near.join(name))?));
            }
            Ok((set.clone(), resources))
        };
        let fasttext = match &recipe.fasttext {
            Some(name) => Some(Arc::new(FastText::open(&near.join(name))?)),
            None => None,
        };
        let mut sets = recipe.clean.iter().map(open).collect::<Result<Vec<_>, Error>>()?;
        sets.iter_mut().for_each(|(_, resources)| resources.fasttext.clone_from(&fasttext));
        Ok(Kit {
            sets,
            fasttext,
            perplexity,
            minhash: recipe.duplicates.minhash,
            lines: recipe.duplicates.lines.documents > 0,
            shortest_line: recipe.duplicates.lines.shortest as usize,
            seed: recipe.seed,
            evaluations: None,
            action: recipe.decontamination.action,
        })
    }

    /// Reads the evaluation sets, which the fourth step needs.
    pub(crate) fn read_evaluations(&mut self, recipe: &Recipe, near: &Path) -> Result<(), Error> {
        let files = recipe.evaluation_sets(near)?;
        if !files.is_empty() {
            let (n, short) = (recipe.decontamination.n, recipe.decontamination.short);
            self.evaluations = Some(Arc::new(evaluations::read(&files, DecontaminateOptions { n, short })?));
        }
        Ok(())
    }

    pub(crate) fn cleaner(&self) -> Cleaner {
        let rules = |(set, resources): &(CleanSet, Resources)| {
            (set.lang.clone(), Rules::new(set.rules.clone(), resources.clone()))
        };
        Cleaner {
            sets: self.sets.iter().map(rules).collect(),
            fasttext: self.fasttext.clone(),
            perplexity: self.perplexity.clone(),
            minhash: self.minhash.map(MinHash::new),
            lines: self.lines,
            shortest_line: self.shortest_line,
            seed: self.seed,
        }
    }

    pub(crate) fn finisher(&self) -> Finisher {
        Finisher::new(self.evaluations.clone(), self.action)
    }
}

impl Cleaner {
    /// Takes a record through all rules. `lang` is the language that all documents of its source are in, where somebody says it.
    pub(crate) fn steps(&mut self, record: &Record, lang: Option<&str>) -> Steps {
        let mut steps = Steps::default();
        match self.text(&record.body, &mut steps) {
            Ok(text) => steps.text = text,
            Err((reason, fact)) => {
                steps.dropped = Some((reason.to_owned(), fact));
                return steps;
            }
        }
        let found = match lang {
            Some(lang) => lang.to_owned(),
            None => language::detect_with(&steps.text, self.fasttext.as_deref()).code.into_owned(),
        };
        let of_lang = self.sets.iter().position(|(lang, _)| lang.as_deref() == Some(found.as_str()));
        let set = of_lang.or_else(|| self.sets.iter().position(|(lang, _)| lang.is_none()));
        (steps.set, steps.lang) = (set, found);
        let Some(at) = set else {
            let fact = format!("`{}`, for which no rules are", steps.lang);
            steps.dropped = Some(("other language".to_owned(), fact));
            return steps;
        };
        let (_, rules) = &mut self.sets[at];
        let asked = rules.rules().max_perplexity.is_some();
        let perplexity = self.perplexity.as_ref().filter(|_| asked).and_then(|model| model(at, &steps.text));
        let cleaned = rules.clean(&steps.text, perplexity);
        steps.dropped = match cleaned.dropped_for() {
            Some(check) => Some((check.rule.to_owned(), said(check))),
            None if cleaned.text.trim().is_empty() => {
                Some(("no text".to_owned(), "nothing is left".to_owned()))
            }
            None => None,
        };
        steps.cleaned = Some(cleaned);
        steps
    }

    /// The text of a record; or why there is none.
    fn text(&self, body: &Body, steps: &mut Steps) -> Result<String, (&'static str, String)> {
        let decode = |bytes: &[u8], http: Option<&str>, steps: &mut Steps| {
            let decoded = charset::decode(bytes, http).map_err(|e| ("no text", e.to_string()))?;
            let bad = if decoded.bad > 0 { format!(", {} bad bytes", decoded.bad) } else { String::new() };
            steps.taken.push((
                "charset".to_owned(),
                format!("{}, {}{bad}", decoded.encoding, decoded.found.words()),
            ));
            Ok(decoded.text)
        };
        match body {
            Body::Text(text) => Ok(text.clone()),
            Body::Bytes(bytes) => decode(bytes, None, steps),
            Body::Html { bytes, content_type } => {
                let page = decode(bytes, content_type.as_deref(), steps)?;
                // How pages are read is the same for all sets of rules, for the language is only known of the text.
                let options =
                    self.sets.first().map(|(_, rules)| rules.rules().extract.clone()).unwrap_or_default();
                let page = html::text(&page, &options);
                steps.taken.push(("title".to_owned(), page.title.clone()));
                steps.taken.push((
                    "main text".to_owned(),
                    format!("{:?} of a page of the kind {:?}", page.by, page.kind).to_lowercase(),
                ));
                match page.text.trim().is_empty() {
                    true => Err(("no main text", "the page has no text of its own".to_owned())),
                    false => Ok(page.text),
                }
            }
            Body::WikiPage { xml, .. } => {
                let page = WikiPage::parse(xml).map_err(|fact| ("broken page", fact))?;
                steps.taken.push(("title".to_owned(), page.title.clone()));
                if page.namespace != 0 {
                    return Err(("no article", format!("namespace {}", page.namespace)));
                }
                if page.model.as_deref().is_some_and(|model| model != "wikitext") {
                    return Err(("no article", format!("content model {}", page.model.unwrap_or_default())));
                }
                match wiki::kind(&page.text) {
                    wiki::PageKind::Article if !page.redirect => Ok(wiki::text(&page.text)),
                    wiki::PageKind::Disambiguation => {
                        Err(("no article", "a list of pages of the same name".to_owned()))
                    }
                    _ => Err(("no article", "it sends the reader to another page".to_owned())),
                }
            }
        }
    }

    /// The document that a record becomes, if any. What happens to it is counted.
    pub(crate) fn clean(
        &mut self,
        record: Record,
        source: &Source,
        place: &str,
        tally: &mut Tally,
    ) -> Option<Clean> {
        let bytes = record.body.len();
        tally.read.add(bytes);
        add(&mut tally.sources, &source.name, bytes);
        let draw = hash::mix(self.seed, hash::of(place.as_bytes()));
        let stated = record.lang.as_deref().filter(|lang| !lang.is_empty() && *lang != "und");
        let lang = source.lang.as_deref().or(stated.filter(|lang| lang.len() == 2));
        let steps = self.steps(&record, lang);
        if !steps.lang.is_empty() {
            add(&mut tally.languages, &steps.lang, steps.text.len());
        }
        if let (Some(cleaned), Some(set)) = (&steps.cleaned, steps.set) {
            let name = self.sets[set].0.as_deref().unwrap_or("all others");
            count_signals(tally, &cleaned.checks, name);
        }
        if let Some((reason, fact)) = steps.dropped {
            add(&mut tally.dropped, &reason, bytes);
            let of_source = tally.dropped_of.entry(source.name.clone()).or_default();
            *of_source.entry(reason.clone()).or_default() += 1;
            tally.sample(&reason, draw, || (place.to_owned(), fact, steps.text));
            return None;
        }
        let cleaned = steps.cleaned?;
        count_changes(tally, &cleaned);
        tally.sample("kept", draw, || (place.to_owned(), String::new(), cleaned.text.clone()));
        let url = record.address();
        let text = cleaned.text;
        let host = url.as_deref().and_then(host);
        let lines = match self.lines && host.is_some() {
            true => line_hashes(&text, self.shortest_line),
            false => Vec::new(),
        };
        Some(Clean {
            hash: (hashes::exact(&text) >> 64) as u64,
            bands: self.minhash.as_mut().and_then(|minhash| minhash.bands(&text)).unwrap_or_default(),
            lines,
            lang: steps.lang,
            source: record.source.unwrap_or_default(),
            license: record.license.or_else(|| source.license.clone()).unwrap_or_default(),
            url,
            host,
            text,
        })
    }
}

/// A signal and its threshold, for a person.
pub(crate) fn said(check: &Check) -> String {
    let must = match check.bound {
        Bound::AtLeast => "at least",
        Bound::AtMost => "at most",
    };
    format!("{} is {:.4}, and must be {must} {}", check.rule, check.value, check.threshold)
}

fn add(counts: &mut BTreeMap<String, crate::tally::Count>, name: &str, bytes: usize) {
    match counts.get_mut(name) {
        Some(count) => count.add(bytes),
        None => counts.entry(name.to_owned()).or_default().add(bytes),
    }
}

fn count_signals(tally: &mut Tally, checks: &[Check], set: &str) {
    let failed = checks.iter().filter(|check| !check.passes()).count();
    for check in checks {
        if !tally.signals.contains_key(check.rule) {
            tally.signals.insert(check.rule.to_owned(), Default::default());
        }
        let Some(histogram) = tally.signals.get_mut(check.rule) else { continue };
        *histogram.steps.entry(step_of(check.value)).or_default() += 1;
        if !histogram.thresholds.contains_key(set) {
            histogram.thresholds.insert(set.to_owned(), check.threshold);
        }
        histogram.at_least = check.bound == Bound::AtLeast;
        if !check.passes() {
            histogram.failed += 1;
            histogram.alone += u64::from(failed == 1);
        }
    }
}

pub(crate) fn count_changes(tally: &mut Tally, cleaned: &Cleaned) {
    let mut add = |kind: String, count: u64| *tally.changes.entry(kind).or_default() += count;
    let mut all = |prefix: &str, counts: serde_json::Value| {
        for (kind, count) in counts.as_object().into_iter().flatten() {
            if let Some(count) = count.as_u64().filter(|&count| count > 0) {
                add(format!("{prefix}: {kind}"), count);
            }
        }
    };
    if !cleaned.counts.normalise.is_empty() {
        all("characters", serde_json::to_value(cleaned.counts.normalise).unwrap_or_default());
    }
    if cleaned.counts.lines.all() > 0 {
        all("lines", serde_json::to_value(cleaned.counts.lines).unwrap_or_default());
    }
    if cleaned.counts.personal.all() > 0 {
        for (kind, count) in cleaned.counts.personal.iter().filter(|&(_, count)| count > 0) {
            add(format!("masked: {}", kind.mask()), count as u64);
        }
    }
}

/// The host of an address, without `www.`; nothing of what is none.
pub(crate) fn host(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let name = rest[..end].rsplit('@').next()?;
    let name = name.split(':').next()?.trim_end_matches('.').to_ascii_lowercase();
    let name = name.strip_prefix("www.").unwrap_or(&name);
    (!name.is_empty()).then(|| name.to_owned())
}

/// The numbers of a text's lines, each once; short ones say nothing.
pub(crate) fn line_hashes(text: &str, shortest: usize) -> Vec<u64> {
    let lines = hashes::lines(text).into_iter().filter(|line| line.chars >= shortest);
    let mut hashes: Vec<u64> = lines.map(|line| line.hash).collect();
    hashes.sort_unstable();
    hashes.dedup();
    hashes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_the_name_in_an_address() {
        for (url, name) in [
            ("https://www.News.example:8080/a?b#c", Some("news.example")),
            ("http://user:pass@a.example", Some("a.example")),
            ("https://a.example.", Some("a.example")),
            ("urn:uuid:1", None),
            ("https:///x", None),
        ] {
            assert_eq!(host(url).as_deref(), name, "{url}");
        }
    }
}
