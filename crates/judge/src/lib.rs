//! # judge: answers compared by judges, and what can be believed of it
//!
//! In: [prompts](PromptSet), contestants that answer them, judges that grade the answers. Out: a [`Run`], a folder with every
//! reply as it came, and a [`Report`] computed from it.
//!
//! Contestants and judges are the same to this room: whoever takes a conversation and gives a text is a [`ChatModel`], be it a
//! [`LocalModel`] on the engine or an [`ApiModel`] behind OpenAI's or Google's protocol. Answers that lie in a file come in by
//! [`import_answers`]; grades that a person gave on the report's page by [`take_human_grades`].
//!
//! A judge gets the words of a [`Template`]: criteria, each scored, or a preference between two answers, asked in both orders.
//! What it replies is read strictly ([`read_verdict`]). A reply that cannot be read is asked for again, with the words of the
//! first time, and is then missing: it lowers the coverage and no score.
//!
//! What was asked is the key of its reply in a [`Journal`], written before anything else is done, so that a killed run loses
//! nothing and asks nothing twice. A [`Budget`] knows what a request may cost before it is sent. [`statistics`] has the figures
//! and how sure they are: bootstrap intervals over prompts, agreement of judges and repeats, the judge's liking for a seat or for
//! length, strengths of many.
//!
//! Each of these stands against a way in which others were misled; `docs/judge.md` says which. This room prints nothing and
//! reads no environment; keys are given to it, and leave it in one header.

mod answers;
mod api;
mod ask;
mod budget;
mod chat;
mod error;
mod grading;
mod human;
mod journal;
mod kinship;
mod local;
mod prompts;
mod reply;
mod report;
mod retry;
mod run;
pub mod statistics;
mod templates;

pub use answers::{
    Answer, AnswerSettings, Contestant, answers, collect_answers, estimate_answers, import_answers,
};
pub use api::{ApiModel, ApiOptions, GEMINI_URL, Key, Protocol};
pub use ask::{AskOptions, Asked};
pub use budget::{Budget, Estimate, PRICES, Price, Prices};
pub use chat::{ChatError, ChatModel, ChatRequest, Finish, Reply, Usage};
pub use error::Error;
pub use grading::{Graded, Grading, Item, collect_grades, estimate_grades, grades, items, message};
pub use human::{HumanFile, HumanGrade, take_human_grades};
pub use journal::{Entry, Journal};
pub use kinship::{family, kinship};
pub use local::LocalModel;
pub use prompts::{OWN_PROMPTS, OWN_PROMPTS_NAME, Prompt, PromptColumns, PromptSet};
pub use reply::{Score, Seat, Unreadable, Verdict, read as read_verdict, read_text as read_verdict_text};
pub use report::{
    Chart, ContestantFacts, JudgeAgreement, Pair, PreferenceReport, Report, ReportOptions, ScoreReport,
    ScoreRow, TextTable,
};
pub use retry::{RetryPolicy, retry_after};
pub use run::{Run, RunFacts};
pub use statistics::Position;
pub use templates::{Fields, Form, Template};
