//! `report.html`: one page, with nothing fetched from elsewhere, in which a person reads every answer and grades by hand.
//!
//! Answers are hostile: a model can be brought to write anything. They are in the page as JSON in which no `<` is left, and get
//! into the document as text nodes alone; the page's policy lets no script run but its own, by its hash, and loads nothing.

use super::Report;
use crate::grading::Graded;
use crate::human::{HUMAN_FORMAT, answer_hash};
use crate::reply::Verdict;
use crate::templates::Form;
use crate::{Answer, Finish, Run, Seat};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use html_escape::encode_text;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// A picture for the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chart {
    /// What it shows.
    pub title: String,
    /// The picture, as SVG.
    pub svg: String,
}

impl Report {
    /// The page, with some pictures.
    pub fn html(&self, run: &Run, charts: &[Chart]) -> String {
        let data = self.data(run, charts);
        // Text in which HTML finds no tag, and scripts no line end.
        let data = data
            .to_string()
            .replace('<', "\\u003c")
            .replace('\u{2028}', "\\u2028")
            .replace('\u{2029}', "\\u2029");
        let hash = |text: &str| STANDARD.encode(Sha256::digest(text.as_bytes()));
        let policy = format!(
            "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; img-src data:; base-uri 'none'; form-action 'none'",
            hash(SCRIPT),
            hash(STYLE)
        );
        let title = format!("{}: {} contestants", self.prompts, self.contestants.len());
        let title = encode_text(&title);
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"referrer\" content=\"no-referrer\">\n\
             <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
             <noscript>The answers are shown by a script in this page; report.md has the figures without one.</noscript>\n\
             <main id=\"page\"></main>\n<script type=\"application/json\" id=\"data\">{data}</script>\n\
             <script>{SCRIPT}</script>\n</body>\n</html>\n"
        )
    }

    fn data(&self, run: &Run, charts: &[Chart]) -> Value {
        let answer = |answer: &Answer| match answer {
            Answer::Given(replies) => json!({
                "turns": replies.iter().map(|reply| reply.text.as_str()).collect::<Vec<_>>(),
                "hashes": replies.iter().map(|reply| answer_hash(&reply.text)).collect::<Vec<_>>(),
                "cut": replies.iter().any(|reply| reply.finish == Finish::Length),
            }),
            Answer::Missing(why) => json!({"missing": why}),
            Answer::Unasked => json!({"missing": "not asked, or failed"}),
        };
        let answers: Vec<Vec<Value>> =
            self.answers.iter().map(|answers| answers.iter().map(answer).collect()).collect();
        let graders: Vec<Value> = self.graders.iter().map(|of| {
            let grades: Vec<Value> = of.grades.iter().map(|(item, graded)| {
                let mut grade = json!({"prompt": item.prompt, "turn": item.turn, "seats": item.seats, "repeat": item.repeat});
                match graded {
                    Graded::Verdict(Verdict::Scores(scores)) => {
                        grade["scores"] = scores.iter().map(|score| score.score).collect();
                        grade["why"] = scores.iter().map(|score| score.explanation.as_str()).collect();
                    }
                    Graded::Verdict(Verdict::Preference { winner, explanation }) => {
                        let winner = match winner {
                            Seat::First => item.seats[0] as i64,
                            Seat::Second => item.seats[1] as i64,
                            Seat::Tie => -1,
                        };
                        grade["winner"] = winner.into();
                        grade["why"] = json!([explanation]);
                    }
                    Graded::Unreadable(why) => grade["missing"] = why.to_string().into(),
                    Graded::Unasked => grade["missing"] = "not asked, or failed".into(),
                }
                grade
            }).collect();
            let (criteria, scale) = match &of.form {
                Form::Scores { criteria, scale, .. } => (json!(criteria), json!(scale)),
                Form::Preference => (Value::Null, Value::Null),
            };
            json!({"judge": of.judge, "name": of.name, "criteria": criteria, "scale": scale, "human": of.human, "grades": grades})
        }).collect();
        let form = self.graders.iter().find_map(|of| match &of.form {
            Form::Scores { criteria, scale, .. } => Some((criteria.clone(), *scale)),
            Form::Preference => None,
        });
        let (criteria, scale) = form.unwrap_or_else(|| (vec!["Quality".to_owned()], (1, 5)));
        let tables: Vec<Value> = self
            .tables()
            .into_iter()
            .map(|t| json!({"title": t.title, "cells": t.cells, "remark": t.remark}))
            .collect();
        let charts: Vec<Value> = charts
            .iter()
            .map(|chart| {
                let picture = STANDARD.encode(&chart.svg);
                json!({"title": chart.title, "src": format!("data:image/svg+xml;base64,{picture}")})
            })
            .collect();
        json!({
            "title": self.prompts,
            "sha256": self.prompts_sha256,
            "prompts": run.prompts,
            "contestants": self.contestants.iter().map(|of| of.name.as_str()).collect::<Vec<_>>(),
            "answers": answers,
            "graders": graders,
            "tables": tables,
            "charts": charts,
            "warnings": self.warnings,
            "notes": self.notes,
            "human": {"format": HUMAN_FORMAT, "criteria": criteria, "scale": scale},
        })
    }
}
