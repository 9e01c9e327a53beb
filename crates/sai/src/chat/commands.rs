//! What a person can say to `sai` itself: lines that begin with a slash.

/// A command as typed, with what follows it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Input<'a> {
    /// Text for the model.
    Question(&'a str),
    Command {
        verb: Verb,
        argument: &'a str,
    },
    /// No such command; the nearest one, if any is near.
    Unknown {
        name: &'a str,
        nearest: Option<&'static str>,
    },
}

/// The commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Help,
    System,
    Set,
    Regen,
    Undo,
    Edit,
    Save,
    Load,
    Export,
    Stats,
    Tokens,
    Debug,
    Clear,
    Model,
    Quit,
}

/// A command's name and what may follow it. What it does is said in `texts`.
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) verb: Verb,
    pub(crate) usage: &'static str,
}

/// All commands, in the order of `/help`.
pub(crate) const COMMANDS: &[Entry] = &[
    entry("help", Verb::Help, ""),
    entry("system", Verb::System, "[TEXT|none]"),
    entry("set", Verb::Set, "[NAME [VALUE]]"),
    entry("regen", Verb::Regen, ""),
    entry("undo", Verb::Undo, ""),
    entry("edit", Verb::Edit, ""),
    entry("save", Verb::Save, "NAME"),
    entry("load", Verb::Load, "[NAME|ID]"),
    entry("export", Verb::Export, "FILE"),
    entry("stats", Verb::Stats, ""),
    entry("tokens", Verb::Tokens, "[TEXT]"),
    entry("debug", Verb::Debug, ""),
    entry("clear", Verb::Clear, ""),
    entry("model", Verb::Model, "[MODEL]"),
    entry("quit", Verb::Quit, ""),
];

const fn entry(name: &'static str, verb: Verb, usage: &'static str) -> Entry {
    Entry { name, verb, usage }
}

/// Reads a typed line. `//x` asks the model `/x`; a slash before anything but a plain word, as in
/// `/usr/bin`, begins a question too.
pub(crate) fn parse(line: &str) -> Input<'_> {
    let line = line.trim();
    let Some(rest) = line.strip_prefix('/') else { return Input::Question(line) };
    if rest.starts_with('/') {
        return Input::Question(rest);
    }
    let (name, argument) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    if name.is_empty() || !name.chars().all(char::is_alphabetic) {
        return Input::Question(line);
    }
    match COMMANDS.iter().find(|entry| entry.name.eq_ignore_ascii_case(name)) {
        Some(entry) => Input::Command { verb: entry.verb, argument: argument.trim() },
        None if ["exit", "bye", "q"].contains(&name) => Input::Command { verb: Verb::Quit, argument: "" },
        None => Input::Unknown { name, nearest: nearest(name, COMMANDS.iter().map(|entry| entry.name)) },
    }
}

/// The name that a few slips away from `typed`, if one is near enough to be meant.
pub(crate) fn nearest(typed: &str, names: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let typed = typed.to_lowercase();
    names
        .map(|name| {
            let near = if name.starts_with(&typed) { 1 } else { distance(&typed, name) };
            (near, name)
        })
        .min()
        .filter(|(near, name)| *near <= 1 + name.len() / 4)
        .map(|(_, name)| name)
}

/// Edits between two words: insertions, deletions, replacements and swaps of neighbours.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(32).collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<_>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let mut best = (rows[i - 1][j] + 1).min(row[j - 1] + 1);
            best = best.min(rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]));
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_questions_or_commands() {
        assert_eq!(parse(" 안녕 "), Input::Question("안녕"));
        assert_eq!(parse("//help"), Input::Question("/help"));
        assert_eq!(parse("/usr/bin은 뭐야?"), Input::Question("/usr/bin은 뭐야?"));
        assert_eq!(parse("/"), Input::Question("/"));
        assert_eq!(parse("/set  top-k 5 "), Input::Command { verb: Verb::Set, argument: "top-k 5" });
        assert_eq!(
            parse("/SYSTEM 친절하게\n답해"),
            Input::Command { verb: Verb::System, argument: "친절하게\n답해" }
        );
        assert_eq!(parse("/exit"), Input::Command { verb: Verb::Quit, argument: "" });
    }

    #[test]
    fn slips_are_recognised() {
        for (typed, meant) in [
            ("hlep", "help"),
            ("regenerate", ""),
            ("stat", "stats"),
            ("lod", "load"),
            ("exprot", "export"),
            ("xyzzy", ""),
        ] {
            let Input::Unknown { nearest, .. } = parse_owned(typed) else { panic!("{typed} is no command") };
            assert_eq!(nearest.unwrap_or(""), meant, "{typed}");
        }
    }

    fn parse_owned(name: &str) -> Input<'static> {
        parse(Box::leak(format!("/{name}").into_boxed_str()))
    }

    #[test]
    fn names_differ() {
        for (i, entry) in COMMANDS.iter().enumerate() {
            assert!(
                COMMANDS[i + 1..].iter().all(|other| other.name != entry.name && other.verb != entry.verb)
            );
        }
    }
}
