//! The names worth having by heart: which model each one is, how large, and under which licence.
//!
//! A row is data and nothing else: whether sai can run a family is the decoder's to say, when the model is opened. Licences
//! and sizes are those of the repositories' pages; where one changes, its page is right and this table is not.

use super::built_in;

/// A model with a short name.
pub(crate) struct Entry {
    /// What `--model` takes.
    pub(crate) name: &'static str,
    /// The repository of the Hub; none for the model in the program.
    pub(crate) repository: Option<&'static str>,
    /// A file of the models folders that is taken before the Hub is asked: what `scripts/fetch-model` makes.
    pub(crate) file: Option<&'static str>,
    /// `model_type` of its `config.json`.
    pub(crate) family: &'static str,
    /// Bytes that are fetched, about.
    pub(crate) bytes: u64,
    /// The licence, by the name that its owner gives it.
    pub(crate) licence: &'static str,
    /// Whether the Hub wants the licence accepted, and a token, before it gives the files.
    pub(crate) gated: bool,
    /// What it is for, in a few words.
    pub(crate) about: &'static str,
}

/// One million bytes.
const MB: u64 = 1_000_000;

/// Korean models first, then those of many languages, the smallest of each first.
pub(crate) const ENTRIES: &[Entry] = &[
    Entry {
        name: built_in::NAME,
        repository: None,
        file: None,
        family: "llama",
        bytes: 0,
        licence: "CC BY-SA 4.0",
        gated: false,
        about: "built in: short conversations in Korean and English",
    },
    Entry {
        name: "hyperclovax-seed-0.5b",
        repository: Some("naver-hyperclovax/HyperCLOVAX-SEED-Text-Instruct-0.5B"),
        file: None,
        family: "llama",
        bytes: 1_140 * MB,
        licence: "HyperCLOVA X SEED Model License Agreement",
        gated: false,
        about: "answers, Korean first",
    },
    Entry {
        name: "exaone-4.0-1.2b",
        repository: Some("LGAI-EXAONE/EXAONE-4.0-1.2B"),
        file: None,
        family: "exaone4",
        bytes: 2_570 * MB,
        licence: "EXAONE AI Model License Agreement 1.2 - NC",
        gated: false,
        about: "answers and reasons, Korean and English; not for commercial use",
    },
    Entry {
        name: "polyglot-ko-1.3b",
        repository: Some("EleutherAI/polyglot-ko-1.3b"),
        file: None,
        family: "gpt_neox",
        bytes: 2_770 * MB,
        licence: "Apache 2.0",
        gated: false,
        about: "continues Korean text",
    },
    Entry {
        name: "42dot-sft",
        repository: Some("42dot/42dot_LLM-SFT-1.3B"),
        file: None,
        family: "llama",
        bytes: 2_890 * MB,
        licence: "CC BY-NC 4.0",
        gated: false,
        about: "answers, Korean first; not for commercial use",
    },
    Entry {
        name: "42dot-plm",
        repository: Some("42dot/42dot_LLM-PLM-1.3B"),
        file: None,
        family: "llama",
        bytes: 2_890 * MB,
        licence: "CC BY-NC 4.0",
        gated: false,
        about: "continues Korean and English text; not for commercial use",
    },
    Entry {
        name: "hyperclovax-seed-1.5b",
        repository: Some("naver-hyperclovax/HyperCLOVAX-SEED-Text-Instruct-1.5B"),
        file: None,
        family: "llama",
        bytes: 3_180 * MB,
        licence: "HyperCLOVA X SEED Model License Agreement",
        gated: false,
        about: "answers, Korean first",
    },
    Entry {
        name: "kanana-1.5-2.1b",
        repository: Some("kakaocorp/kanana-1.5-2.1b-instruct-2505"),
        file: None,
        family: "llama",
        bytes: 4_640 * MB,
        licence: "Apache 2.0",
        gated: false,
        about: "answers, Korean and English",
    },
    Entry {
        name: "smollm2-135m",
        repository: Some("HuggingFaceTB/SmolLM2-135M-Instruct"),
        file: Some("SmolLM2-135M-Instruct.Q4_1.gguf"),
        family: "llama",
        bytes: 270 * MB,
        licence: "Apache 2.0",
        gated: false,
        about: "answers, English alone",
    },
    Entry {
        name: "gemma3-270m",
        repository: Some("google/gemma-3-270m-it"),
        file: None,
        family: "gemma3_text",
        bytes: 570 * MB,
        licence: "Gemma Terms of Use",
        gated: true,
        about: "answers in many languages, Korean among them",
    },
    Entry {
        name: "qwen3-0.6b",
        repository: Some("Qwen/Qwen3-0.6B"),
        file: None,
        family: "qwen3",
        bytes: 1_520 * MB,
        licence: "Apache 2.0",
        gated: false,
        about: "answers and reasons in many languages, Korean among them",
    },
    Entry {
        name: "gemma3-1b",
        repository: Some("google/gemma-3-1b-it"),
        file: None,
        family: "gemma3_text",
        bytes: 2_040 * MB,
        licence: "Gemma Terms of Use",
        gated: true,
        about: "answers in many languages, Korean among them",
    },
    Entry {
        name: "qwen3-1.7b",
        repository: Some("Qwen/Qwen3-1.7B"),
        file: None,
        family: "qwen3",
        bytes: 4_080 * MB,
        licence: "Apache 2.0",
        gated: false,
        about: "answers and reasons in many languages, Korean among them",
    },
];

/// What a person is told to take next who has talked to the built-in model. Of the models that answer in Korean it is the
/// smallest to fetch, by less than half of the next one; its licence lets one use it for work, unlike 42dot's and EXAONE's;
/// and the Hub gives it to anyone, unlike Gemma.
const NEXT: &str = "hyperclovax-seed-0.5b";

/// The model of [`NEXT`].
pub(crate) fn next() -> Option<&'static Entry> {
    find(NEXT)
}

/// The model of this short name, however it is capitalised.
pub(crate) fn find(name: &str) -> Option<&'static Entry> {
    ENTRIES.iter().find(|entry| entry.name.eq_ignore_ascii_case(name))
}

/// The short name of a repository of the Hub.
pub(crate) fn of_repository(repository: &str) -> Option<&'static Entry> {
    ENTRIES.iter().find(|entry| entry.repository.is_some_and(|known| known.eq_ignore_ascii_case(repository)))
}

/// The short name of a file of a models folder.
pub(crate) fn of_file(file: &str) -> Option<&'static Entry> {
    ENTRIES.iter().find(|entry| entry.file == Some(file))
}

/// All names, for a message.
pub(crate) fn names() -> String {
    ENTRIES.iter().map(|entry| entry.name).collect::<Vec<_>>().join(", ")
}

/// The short name that `asked` most likely meant, if one is close.
pub(super) fn nearest(asked: &str) -> Option<&'static str> {
    let asked = asked.to_lowercase();
    ENTRIES
        .iter()
        .map(|entry| (distance(&asked, entry.name), entry.name))
        .min()
        .filter(|&(distance, name)| distance * 2 <= name.len() || name.contains(&asked))
        .map(|(_, name)| name)
}

/// Edits between two words (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, &y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::super::hub::HubId;
    use super::*;

    #[test]
    fn a_slip_of_the_keyboard_finds_its_short_name() {
        assert_eq!(nearest("smolm2-135"), Some("smollm2-135m"));
        assert_eq!(nearest("42dot-stf"), Some("42dot-sft"));
        assert_eq!(nearest("42dot"), Some("42dot-plm"));
        assert_eq!(nearest("qwen3-0.6"), Some("qwen3-0.6b"));
        assert_eq!(nearest("llama-3.1-405b-instruct"), None);
    }

    #[test]
    fn edits_are_counted() {
        for (a, b, edits) in [("", "", 0), ("", "abc", 3), ("kitten", "sitting", 3), ("사이", "사람", 1)]
        {
            assert_eq!(distance(a, b), edits);
        }
    }

    #[test]
    fn every_row_of_the_catalogue_can_be_asked_for() {
        for (i, entry) in ENTRIES.iter().enumerate() {
            assert!(ENTRIES[..i].iter().all(|other| other.name != entry.name), "{} is twice", entry.name);
            assert!(!entry.name.contains('/') && !entry.licence.is_empty() && !entry.about.is_empty());
            assert_eq!(entry.repository.is_none(), entry.name == built_in::NAME, "{}", entry.name);
            assert!(entry.repository.is_none_or(|id| HubId::parse(id).is_some()), "{}", entry.name);
        }
        let next = next().expect("a name of the table");
        assert!(!next.gated && next.bytes < 2_000 * MB && !next.licence.contains("NC"));
    }
}
