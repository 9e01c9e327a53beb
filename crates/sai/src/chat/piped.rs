//! Questions from a pipe or a file: each line is a turn of one conversation.

use std::io::{self, BufRead, Read, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};

use super::Talk;
use super::conversation::Exchange;
use super::turn::{self, Voice};
use crate::interrupt::EXIT_INTERRUPTED;
use crate::text_file::{BOM, utf8};
use crate::texts::{ENGLISH, texts};
use crate::ui::{english_line, one_line};

/// A line longer than this is not a question.
const LONGEST: u64 = 16 << 20;

/// How often a wait for a line looks for signals.
const GLANCE: Duration = Duration::from_millis(50);

/// Answers each line until there is none, or a signal ends the chat. A person who types the lines, because
/// standard output goes elsewhere, gets a `prompt`. A line that cannot be answered is said and passed over.
///
/// # Errors
/// Standard input cannot be read or standard output not be written, or in the end: some lines were not answered.
pub(super) fn run(talk: &mut Talk, voice: &mut Voice<'_>, prompt: bool) -> anyhow::Result<()> {
    let lines = read_aside();
    let (mut asked, mut unanswered) = (0_u64, 0_u64);
    for number in 1_u64.. {
        if prompt {
            // Nobody is there to see it if it cannot be written.
            let _ = io::stderr().write_all("› ".as_bytes());
        }
        let Some(line) = wait(talk, &lines)? else { break };
        let question = match &line {
            Line::Text(text) => text.trim(),
            Line::TooLong => {
                (asked, unanswered) = (asked + 1, unanswered + 1);
                let fact = format!("longer than {LONGEST} bytes; put each question on a line of its own");
                pass_over(talk, number, &anyhow!(fact))?;
                continue;
            }
        };
        if question.is_empty() {
            continue;
        }
        asked += 1;
        // On a terminal an answer without its question is hard to follow.
        if !prompt && talk.screen.out_terminal && talk.screen.err_terminal {
            talk.note(format_args!("› {question}"));
        }
        talk.conversation.model.clone_from(&talk.model_args.model);
        talk.conversation.exchanges.push(Exchange { question: question.to_owned(), answer: None });
        talk.keep();
        let turn = match turn::answer(talk, voice) {
            Ok(turn) => turn,
            // The question's fault, as one that is too long is, and not that of the streams.
            Err(error) if error.is::<sai_generation::Error>() => {
                talk.conversation.exchanges.pop();
                talk.keep();
                unanswered += 1;
                pass_over(talk, number, &error)?;
                continue;
            }
            Err(error) => return Err(error.context(format!("standard input, line {number}"))),
        };
        let stopped = turn.answer.interrupted();
        if let Some(exchange) = talk.conversation.exchanges.last_mut() {
            exchange.answer = Some(turn.answer);
        }
        talk.keep();
        if !talk.json {
            talk.note(turn.figures.line());
        }
        talk.last = Some(turn.figures);
        if stopped && !talk.signals.ended() {
            std::process::exit(EXIT_INTERRUPTED);
        }
        if talk.signals.ended() {
            break;
        }
    }
    ensure!(unanswered == 0, (texts().lines_unanswered)(&unanswered, &asked));
    Ok(())
}

/// Says why a line is not answered; in JSON its place among the answers is kept.
fn pass_over(talk: &Talk, number: u64, error: &anyhow::Error) -> anyhow::Result<()> {
    talk.tell((texts().line_failed)(&number, &one_line(error)));
    if talk.json {
        let why = (ENGLISH.line_failed)(&number, &english_line(error));
        writeln!(io::stdout(), "{}", serde_json::json!({ "error": why }))?;
    }
    Ok(())
}

/// What a pipe gave.
#[derive(Debug)]
enum Line {
    Text(String),
    /// A line that no question is as long as.
    TooLong,
}

type Lines = Receiver<anyhow::Result<Option<Line>>>;

/// Reads lines in a thread of its own, for a read cannot be waited for together with a signal. It reads no
/// further than what is asked for.
fn read_aside() -> Lines {
    let (lines, next) = sync_channel(0);
    std::thread::spawn(move || {
        let mut input = io::stdin().lock();
        for number in 1.. {
            let line = next_line(&mut input, number);
            let last = !matches!(line, Ok(Some(_)));
            if lines.send(line).is_err() || last {
                break;
            }
        }
    });
    next
}

fn wait(talk: &Talk, lines: &Lines) -> anyhow::Result<Option<Line>> {
    loop {
        match lines.recv_timeout(GLANCE) {
            Ok(line) => return line,
            Err(RecvTimeoutError::Disconnected) => return Ok(None),
            Err(RecvTimeoutError::Timeout) if talk.signals.ended() => return Ok(None),
            Err(RecvTimeoutError::Timeout) if talk.signals.take_interrupt() => {
                std::process::exit(EXIT_INTERRUPTED);
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// The next line, `None` where there is none. The first may begin with a byte order mark, which is no part of it.
fn next_line(input: &mut impl BufRead, number: u64) -> anyhow::Result<Option<Line>> {
    let mut bytes = Vec::new();
    let read = input.take(LONGEST + 1).read_until(b'\n', &mut bytes).context("standard input")?;
    if read == 0 {
        return Ok(None);
    }
    if read as u64 > LONGEST {
        skip_line(input)?;
        return Ok(Some(Line::TooLong));
    }
    let mut line = utf8(bytes, format_args!("standard input, line {number}"))?;
    if number == 1 && line.starts_with(BOM) {
        line.drain(..BOM.len());
    }
    Ok(Some(Line::Text(line)))
}

/// Reads on to the end of the line.
fn skip_line(input: &mut impl BufRead) -> anyhow::Result<()> {
    loop {
        let ahead = input.fill_buf().context("standard input")?;
        let end = ahead.iter().position(|&byte| byte == b'\n');
        let read = end.map_or(ahead.len(), |at| at + 1);
        input.consume(read);
        if end.is_some() || read == 0 {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(mut input: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(line) = next_line(&mut input, lines.len() as u64 + 1).expect("is UTF-8") {
            lines.push(match line {
                Line::Text(text) => text.trim().to_owned(),
                Line::TooLong => "too long".to_owned(),
            });
        }
        lines
    }

    #[test]
    fn lines_end_anywhere_and_are_checked() {
        assert_eq!(lines("하나\r\n\n둘".as_bytes()), ["하나", "", "둘"]);
        assert_eq!(lines("\u{feff}Hello\n\u{feff}x\n".as_bytes()), ["Hello", "\u{feff}x"]);
        let mut cp949: &[u8] = b"ok \xbe\xc8\xb3\xe7\n";
        let error = next_line(&mut cp949, 7).expect_err("is not UTF-8").to_string();
        assert!(error.contains("line 7: byte 4 is not UTF-8"), "{error}");
        let mut utf16: &[u8] = b"\xff\xfeH\0i\0\n\0";
        let error = next_line(&mut utf16, 1).expect_err("is not UTF-8").to_string();
        assert!(error.contains("line 1: it is UTF-16"), "{error}");
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over_whole() {
        let long = "x".repeat(LONGEST as usize + 10);
        assert_eq!(lines(format!("a\n{long}\nb\n{long}").as_bytes()), ["a", "too long", "b", "too long"]);
    }
}
