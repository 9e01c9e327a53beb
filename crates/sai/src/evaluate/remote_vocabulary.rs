//! A vocabulary that a server has: its `/tokenize` and `/tokenizer_info`, as vLLM and sai have them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use anyhow::anyhow;
use sai_evals::encode::Vocabulary;
use serde_json::{Value, json};

use super::endpoint::Client;

/// Cuts texts on the server, each once.
pub(super) struct RemoteVocabulary {
    client: Client,
    known: Mutex<HashMap<String, Vec<u32>>>,
    bos: Option<u32>,
    eos: Option<u32>,
    add_bos: bool,
    add_eos: bool,
    /// How the tokens that open and end a text are written.
    names: HashMap<u32, String>,
}

impl RemoteVocabulary {
    /// Asks how the server opens and ends texts.
    ///
    /// # Errors
    /// It has no `/tokenize`.
    pub(super) fn open(client: Client) -> anyhow::Result<RemoteVocabulary> {
        let failed = |fact: String| anyhow!("{}/tokenize: {fact}", client.root);
        let bare = tokenize(&client, "a", false).map_err(failed)?;
        let whole = tokenize(&client, "a", true).map_err(failed)?;
        let at = whole.windows(bare.len().max(1)).position(|part| part == bare);
        let at = at.ok_or_else(|| failed("it cuts `a` otherwise where it opens a text".to_owned()))?;
        let info = client.get(&format!("{}/tokenizer_info", client.root)).unwrap_or(Value::Null);
        let mut found = RemoteVocabulary {
            known: Mutex::new(HashMap::new()),
            bos: whole[..at].last().copied(),
            eos: whole[at + bare.len()..].first().copied(),
            add_bos: at > 0,
            add_eos: whole.len() > at + bare.len(),
            names: HashMap::new(),
            client,
        };
        for (key, token) in [("bos_token", found.bos), ("eos_token", found.eos)] {
            let name = info[key].as_str().or(info[key]["content"].as_str());
            let Some(name) = name.filter(|name| !name.is_empty()) else { continue };
            let known = token.or_else(|| match &tokenize(&found.client, name, false).ok()?[..] {
                [token] => Some(*token),
                _ => None,
            });
            let Some(token) = known else { continue };
            found.names.insert(token, name.to_owned());
            match key {
                "bos_token" => found.bos = Some(token),
                _ => found.eos = Some(token),
            }
        }
        Ok(found)
    }
}

impl Vocabulary for RemoteVocabulary {
    fn encode(&self, text: &str) -> Result<Vec<u32>, String> {
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tokens) = known().get(text) {
            return Ok(tokens.clone());
        }
        let tokens = tokenize(&self.client, text, false)?;
        known().insert(text.to_owned(), tokens.clone());
        Ok(tokens)
    }

    fn bos(&self) -> Option<u32> {
        self.bos
    }

    fn eos(&self) -> Option<u32> {
        self.eos
    }

    fn add_bos(&self) -> bool {
        self.add_bos
    }

    fn add_eos(&self) -> bool {
        self.add_eos
    }

    fn written(&self, token: u32) -> Option<String> {
        self.names.get(&token).cloned()
    }
}

fn tokenize(client: &Client, text: &str, add_special_tokens: bool) -> Result<Vec<u32>, String> {
    let body = json!({ "model": client.model, "prompt": text, "add_special_tokens": add_special_tokens });
    let answer = client.post(&format!("{}/tokenize", client.root), &body)?;
    serde_json::from_value(answer["tokens"].clone()).map_err(|_| "the answer has no `tokens`".to_owned())
}
