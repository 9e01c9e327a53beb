//! Answers that must be texts of a grammar: which tokens may come next, by the crate `llguidance`.

use crate::{Error, Tokenizer};
use llguidance::api::TopLevelGrammar;
use llguidance::toktrie::{ApproximateTokEnv, InferenceCapabilities, TokEnv, TokRxInfo, TokTrie};
use llguidance::{Matcher, ParserFactory};
use serde_json::{Value, json};
use std::sync::Arc;

/// Blanks between the parts of a JSON text at most: a model that likes them would write nothing else.
const JSON_BLANKS: &str = "[ \\n\\t]{1,16}";
/// A special token is no text, and is marked so in the trie.
const SPECIAL: u8 = TokTrie::SPECIAL_TOKEN_MARKER;

/// What an answer must be a text of.
#[derive(Clone, Debug, PartialEq)]
pub enum Grammar {
    /// Any JSON object.
    JsonObject,
    /// JSON that a schema allows (draft 2020-12; a keyword that cannot be enforced is refused).
    JsonSchema(Value),
    /// A regular expression, which the whole answer matches.
    Regex(String),
    /// A grammar in llguidance's form of Lark's.
    Lark(String),
}

/// Makes constraints for the tokens of one vocabulary.
pub struct GrammarCompiler {
    factory: ParserFactory,
    ends: Arc<[u32]>,
}

impl GrammarCompiler {
    /// Reads the tokens of `tokenizer`.
    ///
    /// # Errors
    /// The vocabulary has no token that ends an answer.
    pub fn new(tokenizer: &Tokenizer) -> Result<GrammarCompiler, Error> {
        let refused = |fact: &str| Error::Grammar { fact: fact.to_owned() };
        let ends = tokenizer.eos();
        let &end = ends.first().ok_or_else(|| refused("the model has no token that ends an answer"))?;
        let words: Vec<Vec<u8>> = (0..tokenizer.vocab_size() as u32)
            .map(|id| {
                let bytes = tokenizer.token_bytes(id).unwrap_or_default();
                match tokenizer.is_special(id) || ends.contains(&id) {
                    true => [&[SPECIAL], &*bytes].concat(),
                    false => bytes.into_owned(),
                }
            })
            .collect();
        let trie = TokTrie::from(&TokRxInfo::new(words.len() as u32, end), &words);
        let environment: TokEnv = Arc::new(ApproximateTokEnv::new(trie));
        let mut factory = ParserFactory::new(
            &environment,
            InferenceCapabilities::default(),
            &llguidance::earley::SlicedBiasComputer::general_slices(),
        )
        .map_err(|e| refused(&first_line(&e.to_string())))?;
        factory.quiet();
        factory.limits_mut().verbose_errors = false;
        Ok(GrammarCompiler { factory, ends: ends.into() })
    }

    /// What an answer by `grammar` may begin with.
    ///
    /// # Errors
    /// [`Error::Grammar`]: it cannot be read or enforced, with what and where, or no text is one of it.
    pub fn compile(&self, grammar: &Grammar) -> Result<Constraint, Error> {
        let grammar = match grammar {
            Grammar::JsonObject => TopLevelGrammar::from_json_schema(schema(&json!({"type": "object"}))),
            Grammar::JsonSchema(value) => TopLevelGrammar::from_json_schema(schema(value)),
            Grammar::Regex(regex) => TopLevelGrammar::from_regex(regex),
            Grammar::Lark(lark) => TopLevelGrammar::from_lark(lark.clone()),
        };
        let refused = |fact: String| Error::Grammar { fact: first_line(&fact) };
        let parser = self.factory.create_parser(grammar).map_err(|e| refused(e.to_string()))?;
        let matcher = Box::new(Matcher::new(Ok(parser)));
        if let Some(fact) = matcher.get_error() {
            return Err(refused(fact));
        }
        Ok(Constraint { matcher, ends: Arc::clone(&self.ends) })
    }
}

/// A schema with the number of blanks bounded.
fn schema(schema: &Value) -> Value {
    let mut schema = match schema {
        Value::Object(_) => schema.clone(),
        // `true` allows everything.
        other => json!({ "allOf": [other] }),
    };
    schema["x-guidance"] = json!({ "whitespace_pattern": JSON_BLANKS });
    schema
}

fn first_line(text: &str) -> String {
    text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("it cannot be read").to_owned()
}

/// Which tokens may come next in an answer that is to follow a [`Grammar`].
#[derive(Clone)]
pub struct Constraint {
    /// Large, and most requests have none.
    matcher: Box<Matcher>,
    ends: Arc<[u32]>,
}

impl std::fmt::Debug for Constraint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Constraint").finish_non_exhaustive()
    }
}

impl Constraint {
    /// Sets the scores of tokens that may not come next to negative infinity; `None` where finding them out takes more work
    /// than it may, or none is left.
    pub(crate) fn mask(&mut self, scores: &mut [f32]) -> Option<()> {
        let allowed = self.matcher.compute_mask_or_eos().ok()?;
        let ended = self.ends.iter().any(|&end| allowed.get(end as usize));
        let mut any = false;
        for (id, score) in scores.iter_mut().enumerate() {
            let end = ended && self.ends.contains(&(id as u32));
            if end || (id < allowed.len() && allowed.get(id)) {
                any |= *score > f32::NEG_INFINITY;
            } else {
                *score = f32::NEG_INFINITY;
            }
        }
        any.then_some(())
    }

    /// Goes on with a token that was allowed.
    pub(crate) fn take(&mut self, token: u32) -> Option<()> {
        self.matcher.consume_token(token).ok()
    }

    /// Whether nothing can follow.
    pub(crate) fn is_complete(&self) -> bool {
        self.matcher.is_stopped()
    }
}
