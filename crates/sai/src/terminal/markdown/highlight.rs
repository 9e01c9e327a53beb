//! Colours for code.
//!
//! The grammar says what each word is; this file maps that to the terminal's own sixteen colours, which suit
//! whatever background the person has chosen.

use std::sync::OnceLock;

use syntect::parsing::{ParseState, Scope, ScopeStack, SyntaxReference, SyntaxSet};

use crate::terminal::style::{Color, Row, Span, Style};

/// Longer lines stay plain: grammars take quadratic time on some, and such lines are data.
const LONGEST: usize = 500;

/// Colours code line by line and remembers the lines it has done, for code that grows at its end.
#[derive(Default)]
pub(super) struct Highlighter {
    language: String,
    done: Vec<Done>,
}

struct Done {
    line: String,
    row: Row,
    state: ParseState,
    scopes: ScopeStack,
}

impl Highlighter {
    /// The lines of a code block, coloured where the language is known.
    pub(super) fn lines(&mut self, language: &str, text: &str, color: bool) -> Vec<Row> {
        let lines = text.strip_suffix('\n').unwrap_or(text).split('\n');
        let Some(syntax) = syntax(language).filter(|_| color) else {
            return lines.map(|line| vec![Span::plain(line)]).collect();
        };
        if self.language != language {
            language.clone_into(&mut self.language);
            self.done.clear();
        }
        let mut rows = Vec::new();
        for (i, line) in lines.enumerate() {
            match self.done.get(i) {
                Some(done) if done.line == line => {}
                _ => {
                    self.done.truncate(i);
                    let done = color_line(line, self.done.last(), syntax);
                    self.done.push(done);
                }
            }
            rows.push(self.done[i].row.clone());
        }
        rows
    }
}

fn grammars() -> &'static SyntaxSet {
    static GRAMMARS: OnceLock<SyntaxSet> = OnceLock::new();
    GRAMMARS.get_or_init(SyntaxSet::load_defaults_newlines)
}

fn syntax(language: &str) -> Option<&'static SyntaxReference> {
    if language.is_empty() || language.len() > 40 {
        return None;
    }
    // Names that people write after a fence and the grammars do not know.
    let known = match language.to_ascii_lowercase().as_str() {
        "typescript" | "ts" | "tsx" | "jsx" | "mjs" => "js",
        "shell" | "console" | "zsh" | "shell-session" => "sh",
        "python3" | "py3" => "py",
        "jsonc" | "json5" => "json",
        "golang" => "go",
        "kotlin" | "kt" | "swift" => "java",
        other => return grammars().find_syntax_by_token(other),
    };
    grammars().find_syntax_by_token(known)
}

fn color_line(line: &str, before: Option<&Done>, syntax: &SyntaxReference) -> Done {
    let (mut state, mut scopes) = match before {
        Some(done) => (done.state.clone(), done.scopes.clone()),
        None => (ParseState::new(syntax), ScopeStack::new()),
    };
    let mut row = Row::new();
    let mut from = 0;
    if line.len() <= LONGEST
        && let Ok(changes) = state.parse_line(&format!("{line}\n"), grammars())
    {
        for (at, change) in changes {
            let at = at.min(line.len());
            if at > from {
                row.push(Span::new(&line[from..at], style(&scopes)));
                from = at;
            }
            if scopes.apply(&change).is_err() {
                break;
            }
        }
        row.push(Span::new(&line[from..], style(&scopes)));
    } else {
        row.push(Span::plain(line));
    }
    row.retain(|span| !span.text().is_empty());
    Done { line: line.to_owned(), row, state, scopes }
}

/// The innermost scope that means something decides.
fn style(scopes: &ScopeStack) -> Style {
    static TABLE: OnceLock<Vec<(Scope, Style)>> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        [
            ("comment", Style { italic: true, ..Style::DIM }),
            ("string", Style::color(Color::Green)),
            ("constant.character.escape", Style::color(Color::Magenta)),
            ("constant", Style::color(Color::Magenta)),
            ("keyword.operator", Style::PLAIN),
            ("keyword", Style::color(Color::Blue)),
            ("storage", Style::color(Color::Blue)),
            ("entity.name.function", Style::color(Color::Yellow)),
            ("entity.name.tag", Style::color(Color::Blue)),
            ("entity.name", Style::color(Color::Cyan)),
            ("support.function", Style::color(Color::Yellow)),
            ("support.type", Style::color(Color::Cyan)),
            ("variable.function", Style::color(Color::Yellow)),
            ("markup.inserted", Style::color(Color::Green)),
            ("markup.deleted", Style::color(Color::Red)),
            ("invalid", Style::PLAIN),
        ]
        .into_iter()
        .filter_map(|(scope, style)| Some((Scope::new(scope).ok()?, style)))
        .collect()
    });
    scopes
        .as_slice()
        .iter()
        .rev()
        .find_map(|scope| table.iter().find(|(prefix, _)| prefix.is_prefix_of(*scope)))
        .map_or(Style::PLAIN, |(_, style)| *style)
}
