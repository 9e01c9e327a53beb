//! Families of models: a judge is kind to its own, and to its relatives.

/// Words by which a family is known in a model's name.
const FAMILIES: &[(&str, &[&str])] = &[
    ("GPT", &["gpt-3", "gpt-4", "gpt-5", "chatgpt", "o1-", "o3-", "o4-", "gpt-oss"]),
    ("Gemini and Gemma", &["gemini", "gemma", "bard", "palm"]),
    ("Claude", &["claude"]),
    ("Llama", &["llama", "vicuna", "alpaca"]),
    ("Qwen", &["qwen"]),
    ("Mistral", &["mistral", "mixtral"]),
    ("SmolLM", &["smollm"]),
    ("EXAONE", &["exaone"]),
    ("HyperCLOVA", &["hyperclova"]),
    ("Kanana", &["kanana"]),
    ("Polyglot", &["polyglot", "korani"]),
    ("42dot", &["42dot"]),
    ("Phi", &["phi-3", "phi3", "phi-4", "phi4"]),
    ("DeepSeek", &["deepseek"]),
    ("SOLAR", &["solar"]),
    ("OLMo", &["olmo"]),
    ("Granite", &["granite"]),
    ("sai", &["mini", "nano"]),
];

/// The family of a model, by its name or its address.
pub fn family(name: &str) -> Option<&'static str> {
    let name = name.to_lowercase();
    // `gpt-4o-mini` and `o3-mini` are none of sai's.
    let bare = |word: &str| match word {
        "mini" | "nano" => {
            name == word || name.starts_with(&format!("{word}-q")) || name.ends_with(&format!("/{word}"))
        }
        word => name.contains(word),
    };
    FAMILIES.iter().find(|(_, words)| words.iter().any(|word| bare(word))).map(|(family, _)| *family)
}

/// Why a judge may not be an impartial one of a contestant: it is the same model, or of the same family.
pub fn kinship(judge: (&str, &str), contestant: (&str, &str)) -> Option<String> {
    let ((judge, judge_identity), (name, identity)) = (judge, contestant);
    if judge_identity == identity {
        return Some(format!("{judge} judges its own answers (`{name}`)"));
    }
    let shared = family(judge).filter(|shared| family(name) == Some(shared))?;
    Some(format!("{judge} and `{name}` are of one family ({shared})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_judge_and_a_contestant_of_one_family_are_told() {
        let told = |judge, name| kinship((judge, "a"), (name, "b"));
        assert!(told("gpt-4o", "gpt-3.5-turbo").expect("is told").contains("GPT"));
        assert!(told("gemini-2.5-pro", "Bard").is_some());
        assert!(told("gpt-4o-mini", "mini").is_none());
        assert!(told("gpt-4o", "42dot-sft").is_none());
        assert!(told("a", "b").is_none());
        assert!(kinship(("x", "same"), ("y", "same")).expect("is told").contains("its own"));
    }
}
