//! The line that a person types on: `reedline`, told what this chat needs.
//!
//! Editing goes by clusters, so one backspace takes one syllable however it is composed; the terminal's own
//! cursor stands where the next letter goes, which is where input methods draw what they compose.

use std::borrow::Cow;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use nu_ansi_term::{Color, Style};
use reedline::{
    ColumnarMenu, Completer, CompletionResult, DefaultHinter, EditCommand, Emacs, FileBackedHistory,
    Highlighter, Hinter, History, KeyCode, KeyModifiers, MenuBuilder, Prompt, PromptEditMode,
    PromptHistorySearch, Reedline, ReedlineEvent, ReedlineMenu, Signal, Span, StyledText, Suggestion,
    default_emacs_keybindings,
};

use super::commands::COMMANDS;
use super::settings;
use crate::texts::texts;

/// Lines of history that are kept.
const HISTORY: usize = 10_000;
const MENU: &str = "commands";
/// What the person sees before the text, and before its further lines.
const MARK: &str = "› ";
const FURTHER: &str = "· ";

/// What came of a prompt.
#[derive(Debug)]
pub(crate) enum LineInput {
    Line(String),
    /// Ctrl-C; `empty` says whether nothing had been typed.
    Interrupt {
        empty: bool,
    },
    /// Ctrl-D on an empty line.
    End,
    /// A signal ended the wait.
    Woken,
}

/// The editor and its history.
pub(crate) struct LineEditor {
    reedline: Reedline,
    /// Where `$EDITOR` finds the line; removed with the chat.
    _draft: Option<tempfile::TempDir>,
}

impl LineEditor {
    /// `wake` ends a wait when it is raised. The second value is what to tell the person about a history
    /// that cannot be kept.
    pub(crate) fn new(
        history: Option<PathBuf>,
        color: bool,
        wake: Arc<AtomicBool>,
    ) -> (Self, Option<String>) {
        let mut keys = default_emacs_keybindings();
        keys.add_binding(
            KeyModifiers::NONE,
            KeyCode::Tab,
            ReedlineEvent::UntilFound(vec![ReedlineEvent::Menu(MENU.to_owned()), ReedlineEvent::MenuNext]),
        );
        keys.add_binding(KeyModifiers::SHIFT, KeyCode::BackTab, ReedlineEvent::MenuPrevious);
        let newline = || ReedlineEvent::Edit(vec![EditCommand::InsertNewline]);
        keys.add_binding(KeyModifiers::ALT, KeyCode::Enter, newline());
        keys.add_binding(KeyModifiers::CONTROL, KeyCode::Char('j'), newline());

        // Whether Ctrl-C clears a line or leaves depends on the line, which the editor's own Ctrl-C throws
        // away; a command to the host keeps it. While history is searched only the editor's own works.
        keys.add_binding(
            KeyModifiers::CONTROL,
            KeyCode::Char('c'),
            ReedlineEvent::UntilFound(vec![
                ReedlineEvent::Multiple(vec![
                    ReedlineEvent::Esc,
                    ReedlineEvent::ExecuteHostCommand("interrupt".to_owned()),
                ]),
                ReedlineEvent::CtrlC,
            ]),
        );

        let menu = ColumnarMenu::default().with_name(MENU).with_columns(1).with_marker(MARK);
        let mut reedline = Reedline::create()
            .with_edit_mode(Box::new(Emacs::new(keys)))
            .with_ansi_colors(color)
            .use_bracketed_paste(true)
            .with_completer(Box::new(Commands))
            .with_menu(ReedlineMenu::EngineCompleter(Box::new(menu)))
            .with_quick_completions(true)
            .with_partial_completions(true)
            .with_highlighter(Box::new(Paint))
            .with_hinter(Box::new(Hints::new()))
            .with_break_signal(wake);

        let mut trouble = None;
        if let Some(file) = history {
            match FileBackedHistory::with_file(HISTORY, file.clone()) {
                Ok(history) => reedline = reedline.with_history(Box::new(history)),
                Err(error) => {
                    let why = format!("{}: {error}", file.display());
                    trouble = Some((texts().line_not_kept)(&why));
                }
            }
        }
        let draft = tempfile::tempdir().ok();
        if let Some(folder) = &draft {
            reedline = reedline.with_buffer_editor(editor(), folder.path().join("question.md"));
        }
        (Self { reedline, _draft: draft }, trouble)
    }

    /// Waits for a line.
    pub(crate) fn read(&mut self) -> io::Result<LineInput> {
        let typed = match self.reedline.read_line(&Mark)? {
            Signal::Success(line) => LineInput::Line(line),
            Signal::HostCommand(_) if self.reedline.current_buffer_contents().is_empty() => {
                // The cursor still stands behind the mark.
                io::stderr().write_all(b"\r\n")?;
                LineInput::Interrupt { empty: true }
            }
            Signal::HostCommand(_) => {
                self.reedline.run_edit_commands(&[EditCommand::Clear]);
                LineInput::Interrupt { empty: false }
            }
            Signal::CtrlC => LineInput::Interrupt { empty: false },
            Signal::CtrlD => LineInput::End,
            _ => {
                io::stderr().write_all(b"\r\n")?;
                LineInput::Woken
            }
        };
        // A history that cannot be written is no reason to stop talking.
        let _ = self.reedline.sync_history();
        Ok(typed)
    }

    /// Puts text on the next line, as if it had been typed.
    pub(crate) fn prefill(&mut self, text: &str) {
        self.reedline.run_edit_commands(&[EditCommand::Clear, EditCommand::InsertString(text.to_owned())]);
    }
}

/// The person's editor: `$VISUAL`, `$EDITOR`, else `vi`; its arguments come with it.
fn editor() -> Command {
    let named = ["VISUAL", "EDITOR"].into_iter().find_map(|name| std::env::var(name).ok());
    let named = named.filter(|name| !name.trim().is_empty()).unwrap_or_else(|| "vi".to_owned());
    let mut words = named.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or("vi"));
    command.args(words);
    command
}

struct Mark;

impl Prompt for Mark {
    fn render_prompt_left(&self) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_right(&self) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_indicator(&self, _mode: PromptEditMode) -> Cow<'_, str> {
        Cow::Borrowed(MARK)
    }

    fn render_prompt_multiline_indicator(&self) -> Cow<'_, str> {
        Cow::Borrowed(FURTHER)
    }

    fn render_prompt_history_search_indicator(&self, search: PromptHistorySearch) -> Cow<'_, str> {
        Cow::Owned(format!("search {}{MARK}", search.term))
    }

    fn get_indicator_color(&self) -> reedline::Color {
        reedline::Color::Cyan
    }
}

/// Commands stand out while they are typed.
struct Paint;

impl Highlighter for Paint {
    fn highlight(&self, line: &str, _cursor: usize) -> StyledText {
        let mut text = StyledText::new();
        let name = line.split(char::is_whitespace).next().unwrap_or("");
        if known(name) {
            text.push((Style::new().fg(Color::Cyan), name.to_owned()));
            text.push((Style::new(), line[name.len()..].to_owned()));
        } else {
            text.push((Style::new(), line.to_owned()));
        }
        text
    }
}

fn known(word: &str) -> bool {
    word.strip_prefix('/').is_some_and(|name| COMMANDS.iter().any(|entry| entry.name == name))
}

/// Completes commands and the names of options.
struct Commands;

impl Completer for Commands {
    fn complete(&mut self, line: &str, pos: usize) -> CompletionResult {
        CompletionResult::fresh(suggestions(line.get(..pos).unwrap_or(line)))
    }
}

fn suggestions(line: &str) -> Vec<Suggestion> {
    let suggest = |value: String, help: &str, from: usize| Suggestion {
        value,
        description: Some(help.to_owned()).filter(|help| !help.is_empty()),
        span: Span::new(from, line.len()),
        append_whitespace: true,
        ..Suggestion::default()
    };
    if let Some(name) = line.strip_prefix("/set ") {
        let names = settings::NAMES.iter().filter(|known| known.starts_with(name));
        return names.map(|known| suggest((*known).to_owned(), "", "/set ".len())).collect();
    }
    let Some(begun) = line.strip_prefix('/') else { return Vec::new() };
    COMMANDS
        .iter()
        .filter(|entry| entry.name.starts_with(begun))
        .map(|entry| suggest(format!("/{}", entry.name), (texts().command)(entry.verb), 0))
        .collect()
}

/// What a command takes, or how an earlier line went on.
struct Hints {
    earlier: DefaultHinter,
    /// The part of the hint that can be taken over.
    usable: Option<String>,
}

impl Hints {
    fn new() -> Self {
        let earlier = DefaultHinter::default().with_style(Style::new().dimmed()).with_min_chars(2);
        Self { earlier, usable: None }
    }
}

impl Hinter for Hints {
    fn handle(&mut self, line: &str, pos: usize, history: &dyn History, color: bool, cwd: &str) -> String {
        let Some((rest, usage)) = command_hint(line) else {
            self.usable = None;
            let hint = self.earlier.handle(line, pos, history, color, cwd);
            // A hint of many lines would push the screen about with each key.
            return if self.earlier.complete_hint().contains('\n') { String::new() } else { hint };
        };
        let shown = format!("{rest}{usage}");
        self.usable = Some(rest);
        if color && !shown.is_empty() { Style::new().dimmed().paint(shown).to_string() } else { shown }
    }

    fn complete_hint(&self) -> String {
        self.usable.clone().unwrap_or_else(|| self.earlier.complete_hint())
    }

    fn next_hint_token(&self) -> String {
        self.usable.clone().unwrap_or_else(|| self.earlier.next_hint_token())
    }
}

/// For a line that begins a command: how its name goes on, and what follows it.
fn command_hint(line: &str) -> Option<(String, String)> {
    let begun = line.strip_prefix('/')?;
    if begun.is_empty() || begun.contains(|c: char| !c.is_ascii_lowercase()) {
        return None;
    }
    let mut fits = COMMANDS.iter().filter(|entry| entry.name.starts_with(begun));
    match (fits.next(), fits.next()) {
        (Some(only), None) => {
            let usage = if only.usage.is_empty() { String::new() } else { format!(" {}", only.usage) };
            Some((only.name[begun.len()..].to_owned(), usage))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backspace_takes_a_whole_cluster() {
        let (mut line, _) = LineEditor::new(None, false, Arc::default());
        for (text, left) in [
            ("안녕하세욥", "안녕하세"),
            ("\u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af}", "\u{1112}\u{1161}\u{11ab}"),
            ("a👩‍👩‍👧", "a"),
            ("🇰🇷🇰🇷", "🇰🇷"),
            ("e\u{301}", ""),
        ] {
            line.prefill(text);
            line.reedline.run_edit_commands(&[EditCommand::Backspace]);
            assert_eq!(line.reedline.current_buffer_contents(), left);
        }
    }

    #[test]
    fn commands_complete() {
        let values = |line| suggestions(line).into_iter().map(|s| s.value).collect::<Vec<_>>();
        assert_eq!(values("/se"), ["/set"]);
        assert_eq!(values("/s"), ["/system", "/set", "/save", "/stats"]);
        assert_eq!(values("/set to"), ["top-p", "top-k"].map(|s| s.to_owned()));
        assert!(values("안녕").is_empty() && values("").is_empty());
        assert_eq!(command_hint("/sy"), Some(("stem".to_owned(), " [TEXT|none]".to_owned())));
        assert_eq!(command_hint("/s"), None);
    }
}
