//! Who may ask: keys with names, compared in a time that does not depend on them.

use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

/// Bytes that a key has at least.
const SHORTEST: usize = 16;

/// Keys and whose they are. Only digests are kept.
#[derive(Clone, Default)]
pub struct ApiKeys(Vec<(String, [u8; 32])>);

impl std::fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl ApiKeys {
    /// Reads lines of a name, blanks and a key; empty ones and those that begin with `#` are passed over.
    ///
    /// # Errors
    /// A line is of another form, a key is short, or a name or key comes twice: the line's number and the fact.
    pub fn parse(text: &str) -> Result<ApiKeys, String> {
        let mut keys: Vec<(String, [u8; 32])> = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let (number, line) = (number + 1, line.trim());
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let words: Vec<&str> = line.split_whitespace().collect();
            let [name, key] = words[..] else {
                return Err(format!("line {number}: write a name, a blank and a key"));
            };
            if key.len() < SHORTEST {
                return Err(format!("line {number}: the key of {name} has fewer than {SHORTEST} characters"));
            }
            let digest: [u8; 32] = Sha256::digest(key).into();
            if keys.iter().any(|(other, of)| other == name || *of == digest) {
                return Err(format!("line {number}: the name {name} or its key is there already"));
            }
            keys.push((name.to_owned(), digest));
        }
        Ok(ApiKeys(keys))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whose key this is. All keys are looked at, in the same time whichever it is.
    pub(crate) fn owner(&self, key: &str) -> Option<&str> {
        let digest: [u8; 32] = Sha256::digest(key).into();
        let (mut found, mut at) = (Choice::from(0), 0u64);
        for (number, (_, known)) in (0u64..).zip(&self.0) {
            let same = known.ct_eq(&digest);
            at = u64::conditional_select(&at, &number, same);
            found |= same;
        }
        bool::from(found).then(|| self.0[at as usize].0.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_by_its_owners_name() {
        let keys = ApiKeys::parse("# team\nanna  0123456789abcdef0\n\nben\tfedcba98765432100\n").unwrap();
        assert_eq!(keys.owner("fedcba98765432100"), Some("ben"));
        assert_eq!(keys.owner("0123456789abcdef0"), Some("anna"));
        assert_eq!(keys.owner("0123456789abcdef"), None);
        assert_eq!(keys.owner(""), None);
        assert_eq!(format!("{keys:?}"), r#"["anna", "ben"]"#);
    }

    #[test]
    fn a_wrong_line_is_named() {
        for (text, fact) in [
            ("anna", "line 1: write a name"),
            ("anna short", "fewer than 16"),
            ("\na 0123456789abcdef\na 0123456789abcdee", "line 3"),
            ("a 0123456789abcdef\nb 0123456789abcdef", "line 2"),
        ] {
            let error = ApiKeys::parse(text).unwrap_err();
            assert!(error.contains(fact), "{error}");
        }
        assert!(ApiKeys::parse("# none\n").unwrap().is_empty());
    }
}
