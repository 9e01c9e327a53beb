//! What was trained, as the files of a Hugging Face folder.

use super::learn::{Learnt, Pair};
use super::{Recipe, TrainError};
use crate::alphabet;
use crate::byte_level::Rules;
use crate::load::gguf::{CONTROL, GgufVocabulary, NORMAL};
use crate::template::TemplateSources;

/// A vocabulary that was trained.
#[derive(Clone, Debug)]
pub struct Trained {
    recipe: Recipe,
    tokens: Vec<Box<[u8]>>,
    merges: Vec<Pair>,
}

/// Which special tokens open a text, end one, and fill up a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoleNames {
    /// Opens a text.
    pub bos: Option<String>,
    /// Ends a text.
    pub eos: Option<String>,
    /// Fills up a batch.
    pub pad: Option<String>,
}

impl Trained {
    pub(super) fn new(recipe: Recipe, learnt: Learnt) -> Trained {
        Trained { recipe, tokens: learnt.tokens, merges: learnt.merges }
    }

    /// How many tokens there are: fewer than were asked for where no more pairs were met often enough.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Never: every byte is a token.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The bytes of each token by id: special tokens as they are written, the 256 bytes, what merges made.
    pub fn tokens(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.tokens.iter().map(|token| &**token)
    }

    /// The pairs of ids that merge, earliest learnt first.
    pub fn merges(&self) -> &[(u32, u32)] {
        &self.merges
    }

    /// The files of a Hugging Face folder: names, and what is in them. Nothing is put around a text that is encoded.
    ///
    /// # Errors
    /// [`TrainError::Recipe`] for a role whose token is none of the recipe's.
    pub fn files(
        &self,
        roles: &RoleNames,
        templates: &TemplateSources,
    ) -> Result<Vec<(&'static str, Vec<u8>)>, TrainError> {
        let specials = &self.recipe.specials;
        let role = |name: &Option<String>| match name {
            None => Ok(None),
            Some(name) => match specials.iter().position(|special| special == name) {
                Some(at) => Ok(Some(at as u32)),
                None => Err(TrainError::Recipe(format!("{name:?} has a role and is no special token"))),
            },
        };
        let spelled = self.tokens.iter().enumerate().map(|(id, bytes)| match specials.get(id) {
            Some(special) => special.clone(),
            None => alphabet::encode(bytes),
        });
        let tokens: Vec<String> = spelled.collect();
        let kind = |id| if id < specials.len() { CONTROL } else { NORMAL };
        let merge = |&(left, right): &Pair| format!("{} {}", tokens[left as usize], tokens[right as usize]);
        let vocabulary = GgufVocabulary {
            model: "gpt2".to_owned(),
            token_types: (0..tokens.len()).map(kind).collect(),
            merges: self.merges.iter().map(merge).collect(),
            bos: role(&roles.bos)?,
            eos: role(&roles.eos)?,
            pad: role(&roles.pad)?,
            add_bos: Some(false),
            add_eos: Some(false),
            tokens,
            ..GgufVocabulary::default()
        };
        let rules = Rules { nfc: self.recipe.nfc, ..Rules::new(self.recipe.pattern.0.to_owned()) };
        Ok(vocabulary.byte_level_files(&rules, templates, None))
    }
}
