//! # sai: the command
//!
//! The one room that prints, parses arguments, reads the environment and exits. In: what a person asks for.
//! Out: answers on standard output, everything else on standard error, and an exit code: 0 done, 1 failed
//! (one line says why), 2 asked wrongly, 130 interrupted.
//!
//! A verb is thin: it turns arguments into a library's call and the result into words. What it must never do
//! is know how a model works.

// This room is the one that leaves.
#![allow(clippy::exit)]

mod bench;
mod chat;
mod cli;
mod confirm;
mod convert;
mod corpus;
mod doctor;
mod evaluate;
mod finetune;
mod generate;
mod imatrix;
mod inspect;
mod interrupt;
mod judge;
mod make;
mod manual;
mod merge;
mod models;
mod output;
mod perplexity;
mod plan;
mod pretrain;
mod prompt_cache;
mod push;
mod quantize;
mod ranks;
mod run_watch;
mod sample;
mod serve;
mod svg;
mod terminal;
mod text_file;
mod texts;
mod tokenizer;
mod ui;
mod watched;

use std::io::Write;
use std::process::ExitCode;

use clap::FromArgMatches;

fn main() -> ExitCode {
    let cli = cli::Cli::from_arg_matches(&cli::command().get_matches()).unwrap_or_else(|error| error.exit());
    let ui = ui::Ui::new(cli.quiet);
    let Some(verb) = cli.verb.or_else(|| cli::Cli::unsaid(&ui)) else {
        let _ = write!(std::io::stderr(), "{}", cli::command().render_help());
        return ExitCode::from(2);
    };
    match verb.run(&ui) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if ui::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            ui.error(&error);
            ExitCode::FAILURE
        }
    }
}
