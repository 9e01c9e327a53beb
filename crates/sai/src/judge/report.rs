//! `sai judge report`: what a run comes to.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use sai_judge::{Chart, ReportOptions, Run};

use super::charts;
use crate::cli::whole;
use crate::terminal::clean::visible;
use crate::terminal::table::columns;
use crate::ui::Ui;

const EXAMPLES: &str = "\
Examples:
  sai judge report run
  sai judge report run -o results --resamples 10000";

/// Report a run: tables with intervals, and a folder with Markdown, CSV, SVG charts and one page to read every answer and grade.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Report {
    /// The run's folder
    run: PathBuf,

    /// The report's folder; RUN/report where not given
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,

    /// Report a run of which a part was never asked, or failed
    #[arg(long)]
    partial: bool,

    /// Draws of prompts for the intervals
    #[arg(long, default_value_t = 2000, value_name = "N", value_parser = whole(1..=100_000))]
    resamples: usize,

    /// Of the draws
    #[arg(long, default_value_t = 42, value_name = "N")]
    seed: u64,

    /// Replace files in --output
    #[arg(long, requires = "output")]
    force: bool,

    /// Print the figures as one JSON object, and write no files
    #[arg(long)]
    json: bool,
}

impl Report {
    pub(crate) fn run(self, ui: &Ui) -> anyhow::Result<()> {
        let run = Run::read(&self.run)?;
        let options = ReportOptions {
            partial: self.partial,
            resamples: self.resamples,
            seed: self.seed,
            ..ReportOptions::default()
        };
        let report = sai_judge::Report::of(&run, &options)?;
        let mut out = std::io::stdout().lock();
        if self.json {
            writeln!(out, "{}", serde_json::to_string(&report)?)?;
            return Ok(());
        }
        let charts = charts::draw(&report).context("the charts cannot be drawn")?;
        let pictures: Vec<Chart> = charts.iter().map(|(_, chart)| chart.clone()).collect();
        let mut files: Vec<(String, Vec<u8>)> = vec![
            ("report.html".to_owned(), report.html(&run, &pictures).into_bytes()),
            ("report.md".to_owned(), report.markdown().into_bytes()),
            ("figures.csv".to_owned(), report.figures_csv()?),
            ("grades.csv".to_owned(), report.grades_csv(&run)?),
        ];
        files.extend(charts.into_iter().map(|(name, chart)| (name, chart.svg.into_bytes())));
        let folder = self.output.clone().unwrap_or_else(|| self.run.join("report"));
        std::fs::create_dir_all(&folder).with_context(|| format!("{}: cannot be made", folder.display()))?;
        // A run's own report is made anew each time; elsewhere, nothing is replaced unasked.
        for (name, _) in files.iter().filter(|_| self.output.is_some()) {
            crate::output::check_file(&folder.join(name), self.force, &[])?;
        }
        for (name, bytes) in &files {
            crate::output::write_whole(&folder.join(name), bytes)?;
        }
        for table in report.tables() {
            let cells: Vec<Vec<String>> = table
                .cells
                .iter()
                .map(|row| row.iter().map(|cell| visible(cell).into_owned()).collect())
                .collect();
            writeln!(out, "{}\n{}", visible(&table.title), columns(&cells))?;
            if !table.remark.is_empty() {
                writeln!(out, "{}\n", visible(&table.remark))?;
            }
        }
        for note in &report.notes {
            writeln!(out, "{}", visible(note))?;
        }
        for warning in &report.warnings {
            ui.warn(warning);
        }
        ui.note(format_args!("{}", folder.join("report.html").display()));
        Ok(())
    }
}
