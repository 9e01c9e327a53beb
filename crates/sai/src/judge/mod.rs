//! `sai judge`: answers of several models to the same prompts, graded by judges.

mod answer;
mod asking;
mod charts;
mod grade;
mod report;

use clap::{Args, Subcommand};

use crate::ui::Ui;

const EXAMPLES: &str = "\
Examples:
  sai judge answer --models mini,smollm2-135m -o run
  sai judge grade run --judge smollm2-135m --dry-run
  sai judge grade run --judge-api gpt-4o-mini=https://api.openai.com/v1 --key-env OPENAI_API_KEY --max-cost 1
  sai judge report run

docs/judge.md says what is measured, and which bias each measure is against.";

/// Compare answers: collect those of several models to the same prompts, have judges grade them, report with intervals.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Judge {
    #[command(subcommand)]
    verb: JudgeVerb,
}

#[derive(Subcommand)]
enum JudgeVerb {
    Answer(Box<answer::Answer>),
    Grade(Box<grade::Grade>),
    Report(report::Report),
}

impl Judge {
    pub(crate) fn run(self, ui: &Ui) -> anyhow::Result<()> {
        match self.verb {
            JudgeVerb::Answer(verb) => verb.run(ui),
            JudgeVerb::Grade(verb) => verb.run(ui),
            JudgeVerb::Report(verb) => verb.run(ui),
        }
    }
}
