//! `sai corpus explain`: one page through every step.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;
use sai_corpus::{Explained, Plan, Recipe, Wanted, explain};

use crate::terminal::clean::visible;
use crate::ui::Ui;

const EXAMPLES: &str = "\
Examples:
  sai corpus explain page.html
  sai corpus explain crawl.warc.gz --number 12 --recipe web.toml
  sai corpus explain https://news.example/1 --in corpus/";

/// Characters of a text that are shown.
const SHOWN: usize = 600;

/// Show one page through every step: what was taken, each signal against its threshold, the verdict.
///
/// A file is a page, a text, or records (WARC, a wiki's dump, JSONL, Parquet), of which one is shown. An address is looked for in the
/// sources of a build, with what became of it among its duplicates.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Explain {
    /// A file, or the address of a record
    #[arg(value_name = "FILE|URL")]
    what: String,

    /// A corpus, whose sources have the address and whose recipe has the rules; or a file with records
    #[arg(long = "in", value_name = "DIR|FILE")]
    within: Option<PathBuf>,

    /// Recipe whose rules are asked; the ready sets for Korean and English where not given
    #[arg(long, value_name = "FILE")]
    recipe: Option<PathBuf>,

    /// Which record of the file, from 1
    #[arg(short, long, value_name = "N", value_parser = crate::cli::whole(1..=1_000_000_000))]
    number: Option<usize>,

    /// Print all of the text, and not only its beginning
    #[arg(long)]
    text: bool,
}

impl Explain {
    pub(crate) fn run(self, ui: &Ui) -> anyhow::Result<()> {
        let is_address = self.what.contains("://") && !Path::new(&self.what).exists();
        let explained = match (&self.within, is_address) {
            (Some(folder), true) if folder.is_dir() => {
                let mut plan = Plan::of_folder(folder)?;
                if let Some(recipe) = &self.recipe {
                    plan.recipe.clean = Recipe::open(recipe)?.clean;
                }
                let perplexity = super::build::perplexity(&plan.recipe, &plan.near, ui)?;
                plan.explain(&self.what, perplexity)?
            }
            (Some(file), true) => self.of_file(file, Wanted::Address(&self.what), ui)?,
            (None, true) => {
                bail!("{}: name the corpus or the file that has this address with --in", self.what)
            }
            (Some(_), false) => {
                bail!("{}: no such file, and no address (https://…) to look for with --in", self.what)
            }
            (None, false) => {
                self.of_file(Path::new(&self.what), Wanted::Number(self.number.unwrap_or(1)), ui)?
            }
        };
        Ok(self.print(&explained)?)
    }

    fn of_file(&self, file: &Path, wanted: Wanted<'_>, ui: &Ui) -> anyhow::Result<Explained> {
        let (recipe, near) = match &self.recipe {
            Some(path) => (Recipe::open(path)?, path.parent().unwrap_or(Path::new("."))),
            None => {
                let any = "[[source]]\nname = \"any\"\ninput = [\"any\"]";
                (Recipe::parse(any, Path::new("the ready sets"))?, Path::new("."))
            }
        };
        let perplexity = super::build::perplexity(&recipe, near, ui)?;
        Ok(explain(&recipe, near, file, wanted, perplexity)?)
    }

    fn print(&self, explained: &Explained) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        let Explained { place, bytes, taken, lang, rules, signals, changes, dropped, fate, .. } = explained;
        writeln!(out, "{}: {bytes} bytes", visible(place))?;
        for (step, fact) in taken {
            writeln!(out, "  {step}: {}", visible(fact))?;
        }
        if !lang.is_empty() {
            let rules = if rules.is_empty() { "none" } else { rules };
            writeln!(out, "  language: {} · rules: {rules}", visible(lang))?;
        }
        let text = if explained.cleaned.is_empty() { &explained.text } else { &explained.cleaned };
        self.print_text(&mut out, text)?;
        for (kind, count) in changes {
            writeln!(out, "  changed: {kind} {count}")?;
        }
        let wide = signals.iter().map(|signal| signal.name.len()).max().unwrap_or(0);
        for signal in signals {
            let (mark, must) =
                (if signal.passes { " " } else { "✗" }, if signal.at_least { "≥" } else { "≤" });
            let name = signal.name;
            writeln!(out, "{mark} {name:<wide$} {:>12.4} {must} {}", signal.value, signal.threshold)?;
        }
        match dropped {
            Some((reason, fact)) => writeln!(out, "dropped: {reason} ({})", visible(fact))?,
            None => writeln!(out, "kept by the rules")?,
        }
        if let Some(fate) = fate {
            writeln!(out, "among others: {fate}")?;
        }
        Ok(())
    }

    fn print_text(&self, out: &mut impl Write, text: &str) -> std::io::Result<()> {
        let all = text.chars().count();
        let shown: String = if self.text { text.to_owned() } else { text.chars().take(SHOWN).collect() };
        writeln!(out, "  text: {all} characters")?;
        for line in shown.lines() {
            writeln!(out, "  │ {}", visible(line))?;
        }
        if all > shown.chars().count() {
            writeln!(out, "  │ … (--text prints all)")?;
        }
        Ok(())
    }
}
