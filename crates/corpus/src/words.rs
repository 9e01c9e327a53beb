//! What serde says of values of another type than is wanted, in the words of who wrote them and not of Rust.

/// The first line of a message of serde.
pub(crate) fn plain(message: &str) -> String {
    let fact = message.lines().next().unwrap_or_default();
    let plain = match fact.strip_prefix("invalid type: ").and_then(|fact| fact.split_once(", expected ")) {
        Some((found, wanted)) => format!("{}, and not {}", value(found), kind(wanted)),
        None => fact.to_owned(),
    };
    plain.chars().take(300).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// What was found.
fn value(found: &str) -> &'static str {
    match found.split([' ', '`']).next().unwrap_or_default() {
        "integer" | "floating" => "a number",
        "string" => "a string",
        "boolean" => "true or false",
        "sequence" => "a list",
        "map" => "an object",
        _ => "null",
    }
}

/// What was wanted: a type of Rust, or words of our own.
fn kind(wanted: &str) -> &str {
    match wanted {
        "u8" | "u16" | "u32" | "u64" | "usize" | "i8" | "i16" | "i32" | "i64" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" => "a table",
        other if other.starts_with("struct ") => "a table",
        other => other,
    }
}
