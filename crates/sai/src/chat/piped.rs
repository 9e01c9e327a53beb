//! Questions from a pipe or a file: each line is a turn of one conversation.

use std::io::{self, BufRead, Read, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use anyhow::{Context, bail};

use super::Talk;
use super::conversation::Exchange;
use super::turn::{self, Voice};
use crate::interrupt::EXIT_INTERRUPTED;

/// A line longer than this is not a question.
const LONGEST: u64 = 16 << 20;

/// How often a wait for a line looks for signals.
const GLANCE: Duration = Duration::from_millis(50);

/// Answers each line until there is none, or a signal ends the chat. A person who types the lines, because
/// standard output goes elsewhere, gets a `prompt`.
pub(super) fn run(talk: &mut Talk, voice: &mut Voice<'_>, prompt: bool) -> anyhow::Result<()> {
    let lines = read_aside();
    for number in 1_u64.. {
        if prompt {
            // Nobody is there to see it if it cannot be written.
            let _ = io::stderr().write_all("› ".as_bytes());
        }
        let Some(line) = wait(talk, &lines)? else { break };
        let question = line.trim();
        if question.is_empty() {
            continue;
        }
        // On a terminal an answer without its question is hard to follow.
        if !prompt && talk.screen.out_terminal && talk.screen.err_terminal {
            talk.note(format_args!("› {question}"));
        }
        talk.conversation.model.clone_from(&talk.model_args.model);
        talk.conversation.exchanges.push(Exchange { question: question.to_owned(), answer: None });
        talk.keep();
        let turn = turn::answer(talk, voice).with_context(|| format!("standard input, line {number}"))?;
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
    Ok(())
}

type Lines = Receiver<anyhow::Result<Option<String>>>;

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

fn wait(talk: &Talk, lines: &Lines) -> anyhow::Result<Option<String>> {
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

/// The next line without its end, `None` where there is none.
fn next_line(input: &mut impl BufRead, number: u64) -> anyhow::Result<Option<String>> {
    let mut bytes = Vec::new();
    let read = input.take(LONGEST + 1).read_until(b'\n', &mut bytes).context("standard input")?;
    if read == 0 {
        return Ok(None);
    }
    if read as u64 > LONGEST {
        bail!(
            "standard input, line {number}: longer than {LONGEST} bytes; put each question on a line of its own"
        );
    }
    match String::from_utf8(bytes) {
        Ok(line) => Ok(Some(line)),
        Err(error) => bail!(
            "standard input, line {number}: byte {} is not UTF-8; convert it first, for example with iconv -f cp949 -t utf-8",
            error.utf8_error().valid_up_to() + 1
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_anywhere_and_are_checked() {
        let mut input: &[u8] = "하나\r\n\n둘".as_bytes();
        let mut lines = Vec::new();
        while let Some(line) = next_line(&mut input, 1).expect("is UTF-8") {
            lines.push(line.trim().to_owned());
        }
        assert_eq!(lines, ["하나", "", "둘"]);
        let mut cp949: &[u8] = b"ok \xbe\xc8\xb3\xe7\n";
        let error = next_line(&mut cp949, 7).expect_err("is not UTF-8").to_string();
        assert!(error.contains("line 7: byte 4 is not UTF-8"), "{error}");
    }
}
