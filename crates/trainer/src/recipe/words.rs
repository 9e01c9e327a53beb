//! What a library says of a wrong value, in words of the recipe instead of the program's types.

/// The first line of what was found, with values and what they are to be called as a person calls them.
pub(super) fn plain(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    if let Some(rest) = line.strip_prefix("invalid type: ").or_else(|| line.strip_prefix("invalid value: "))
        && let Some((found, expected)) = rest.rsplit_once(", expected ")
    {
        return format!("{} where {} belongs", value(found), wanted(expected));
    }
    if let Some(rest) = line.strip_prefix("unknown variant ")
        && let Some((found, expected)) = rest.split_once(", expected ")
    {
        return format!("{found} where {} belongs", expected.replace("one of ", "one of these: "));
    }
    if let Some(key) = line.strip_prefix("missing field ") {
        return format!("lacks {key}");
    }
    if line.starts_with("data did not match any variant") {
        return "a value of none of the kinds that this key may have".to_owned();
    }
    line.to_owned()
}

/// A value that was found: `string "three"`.
fn value(found: &str) -> String {
    let (kind, said) = found.split_once(' ').unwrap_or((found, ""));
    match kind {
        "string" => format!("the text {said}"),
        "integer" | "boolean" => said.trim_matches('`').to_owned(),
        "floating" => said.trim_start_matches("point ").trim_matches('`').to_owned(),
        "sequence" => "a list".to_owned(),
        "map" => "a table".to_owned(),
        _ => found.to_owned(),
    }
}

/// What a type is called.
fn wanted(expected: &str) -> String {
    let name = match expected {
        "u64" | "u32" | "u16" | "u8" | "usize" => "a whole number from 0 on",
        "i64" | "i32" | "isize" => "a whole number",
        "f64" | "f32" => "a number",
        "a boolean" | "bool" => "true or false",
        "a string" | "path string" | "a character" => "a text",
        "a sequence" => "a list",
        "a map" => "a table",
        other if other.starts_with("struct ") => "a table",
        other if other.starts_with("enum ") => "one of its names",
        other if other.starts_with("a borrowed") => "a text",
        other if other.starts_with("a tuple") || other.starts_with("an array") => "a list",
        other if other.starts_with("tuple struct ") => "a value of its kind",
        other => return other.to_owned(),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_type_of_the_program_is_named() {
        for (said, plainly) in [
            ("invalid type: string \"three\", expected f64", "the text \"three\" where a number belongs"),
            ("invalid value: integer `-1`, expected u64", "-1 where a whole number from 0 on belongs"),
            (
                "invalid type: floating point `2.5`, expected usize",
                "2.5 where a whole number from 0 on belongs",
            ),
            ("invalid type: integer `3`, expected struct FileModel", "3 where a table belongs"),
            ("invalid type: map, expected a boolean", "a table where true or false belongs"),
            (
                "unknown variant `cos`, expected one of `cosine`, `wsd`",
                "`cos` where one of these: `cosine`, `wsd` belongs",
            ),
            ("missing field `path`\n", "lacks `path`"),
            (
                "data did not match any variant of untagged enum Amount",
                "a value of none of the kinds that this key may have",
            ),
            ("expected `=`", "expected `=`"),
        ] {
            assert_eq!(plain(said), plainly);
        }
    }
}
