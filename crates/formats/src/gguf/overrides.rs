//! Metadata that is said in place of what a file has.

use std::str::FromStr;

use super::Value;

/// A metadata entry by hand: `KEY=TYPE:VALUE`, as llama.cpp's `--override-kv` takes it, where the type is `int`, `float`,
/// `bool` or `str`.
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    /// The key.
    pub key: String,
    /// What it is to be.
    pub value: Value,
}

impl FromStr for Override {
    type Err = String;

    fn from_str(text: &str) -> Result<Override, String> {
        let form = "write KEY=TYPE:VALUE, for example tokenizer.ggml.pre=str:llama-bpe";
        let (key, typed) = text.split_once('=').filter(|(key, _)| !key.is_empty()).ok_or(form)?;
        let (kind, value) = typed.split_once(':').ok_or(form)?;
        let parsed = match kind {
            "int" => value.parse().ok().map(Value::I64),
            "float" => value.parse().ok().map(Value::F64),
            "bool" => value.parse().ok().map(Value::Bool),
            "str" => Some(Value::String(value.to_owned())),
            _ => return Err(format!("`{kind}` is no type; the types are int, float, bool and str")),
        };
        match parsed {
            Some(value) => Ok(Override { key: key.to_owned(), value }),
            None => Err(format!("`{value}` is no {kind}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gguf::Metadata;
    use std::path::Path;

    #[test]
    fn entries_by_hand_take_the_place_of_those_of_the_file() {
        let entries = vec![("b".to_owned(), Value::U32(7)), ("c".to_owned(), Value::U32(8))];
        let mut metadata = Metadata::new(Path::new("m"), entries).unwrap();
        for text in ["b=int:9", "a=str:x=y:z", "d=bool:true", "e=float:0.5"] {
            metadata.set(text.parse().unwrap());
        }
        assert_eq!(metadata.u32("b").unwrap(), Some(9));
        assert_eq!(metadata.u32("c").unwrap(), Some(8));
        assert_eq!(metadata.str("a").unwrap(), Some("x=y:z"));
        assert_eq!(metadata.bool("d").unwrap(), Some(true));
        assert_eq!(metadata.f32("e").unwrap(), Some(0.5));
        assert_eq!(metadata.keys().collect::<Vec<_>>(), ["b", "c", "a", "d", "e"]);
        for (text, fault) in [
            ("a", "write KEY=TYPE:VALUE"),
            ("=int:1", "write KEY=TYPE:VALUE"),
            ("a=1", "write KEY=TYPE:VALUE"),
            ("a=u32:1", "the types are int"),
            ("a=int:x", "`x` is no int"),
        ] {
            let error = text.parse::<Override>().unwrap_err();
            assert!(error.contains(fault), "{error}");
        }
    }
}
