//! The comparison as a picture: a bar for each vocabulary, in groups by set.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, bail};
use plotters::coord::Shift;
use plotters::prelude::*;

use super::Judged;
use crate::svg::{COLORS, check_name};

const SIZE: (u32, u32) = (1080, 420);
/// Refuses names that no picture can be written under, before the work is done. A picture may be drawn again; what is
/// none stays, but with `force`.
pub(super) fn check(path: &Path, force: bool) -> anyhow::Result<()> {
    check_name(path)?;
    let name = path.display();
    if path.is_dir() {
        bail!("{name}: a folder has this name; choose another");
    }
    if path.exists() && !force && !is_svg(path).with_context(|| format!("{name}: cannot be read"))? {
        bail!("{name}: it is there and is no SVG picture; choose another name, or give --force");
    }
    Ok(())
}

/// Whether a file begins as SVG does.
fn is_svg(path: &Path) -> std::io::Result<bool> {
    let mut head = Vec::new();
    std::fs::File::open(path)?.take(1024).read_to_end(&mut head)?;
    let head = String::from_utf8_lossy(&head);
    Ok(head.is_empty() || head.contains("<svg"))
}

pub(super) fn write(path: &Path, judged: &[Judged], names: &[&str]) -> anyhow::Result<()> {
    let picture = draw(judged, names).with_context(|| format!("{}: cannot be drawn", path.display()))?;
    crate::output::write_whole(path, picture.as_bytes())
}

/// The picture as SVG.
fn draw(judged: &[Judged], names: &[&str]) -> anyhow::Result<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let (charts, legend) = area.split_vertically(SIZE.1 - 40);
        let panels = charts.split_evenly((1, 3));
        panel(&panels[0], "bytes a token (more is shorter)", judged, names, |one, set| {
            Some(one.sets[set].0.bytes_per_token())
        })?;
        panel(&panels[1], "tokens an eojeol (less is shorter)", judged, names, |one, set| {
            one.sets[set].0.tokens_per_eojeol()
        })?;
        panel(&panels[2], "tokens an English word", judged, names, |one, set| {
            one.sets[set].0.tokens_per_word()
        })?;
        let mut x = 60;
        for (one, color) in judged.iter().zip(COLORS.iter().cycle()) {
            legend.draw(&Rectangle::new([(x, 10), (x + 14, 24)], color.filled()))?;
            legend.draw(&Text::new(one.name.clone(), (x + 20, 11), ("sans-serif", 15)))?;
            x += 50 + 9 * one.name.chars().count() as i32;
        }
        area.present()?;
    }
    Ok(svg)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Bars of one figure: a group for each set that has it, a bar for each vocabulary.
fn panel(
    area: &Area<'_>,
    title: &str,
    judged: &[Judged],
    names: &[&str],
    figure: impl Fn(&Judged, usize) -> Option<f64>,
) -> anyhow::Result<()> {
    let values: Vec<Vec<Option<f64>>> =
        (0..names.len()).map(|set| judged.iter().map(|one| figure(one, set)).collect()).collect();
    let highest = values.iter().flatten().flatten().copied().fold(0.0, f64::max);
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 16))
        .margin(10)
        .x_label_area_size(24)
        .y_label_area_size(36)
        .build_cartesian_2d(0.0..names.len() as f64, 0.0..(highest * 1.12).max(0.1))?;
    chart.configure_mesh().disable_x_mesh().disable_x_axis().y_labels(6).light_line_style(WHITE).draw()?;
    let width = 0.8 / judged.len() as f64;
    for (set, values) in values.iter().enumerate() {
        for (i, (value, color)) in values.iter().zip(COLORS.iter().cycle()).enumerate() {
            let Some(value) = *value else { continue };
            let x = set as f64 + 0.1 + width * i as f64;
            chart.draw_series([Rectangle::new([(x, 0.0), (x + width * 0.92, value)], color.filled())])?;
            let at = (x + width * 0.1, value + highest * 0.055);
            chart.draw_series([Text::new(format!("{value:.2}"), at, ("sans-serif", 12))])?;
        }
        let label = (set as f64 + 0.4, -highest * 0.02);
        chart.draw_series([Text::new(names[set].to_owned(), label, ("sans-serif", 14))])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use sai_tokenizer::eval::TokenizerMetrics;

    use super::*;

    #[test]
    fn a_picture_has_every_name_and_figure() {
        let figures = TokenizerMetrics {
            bytes: 340,
            tokens: 100,
            eojeols: 10,
            eojeol_tokens: 25,
            ..TokenizerMetrics::default()
        };
        let one = |name: &str| Judged {
            name: name.into(),
            vocab_size: 1,
            syllables: 1,
            sets: vec![(figures, 1.0)],
        };
        let svg = draw(&[one("가나"), one("b<c")], &["ko"]).unwrap();
        for part in ["<svg", "가나", "b&lt;c", "3.40", "2.50", "ko", "</svg>"] {
            assert!(svg.contains(part), "{part} in {svg}");
        }
        assert!(check(Path::new("a.SVG"), false).is_ok() && check(Path::new("a.png"), true).is_err());
    }

    #[test]
    fn a_file_of_another_kind_is_no_picture_to_draw_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.svg");
        std::fs::write(&path, "somebody's notes").unwrap();
        let said = check(&path, false).unwrap_err().to_string();
        assert!(said.contains("a.svg: it is there and is no SVG picture"), "{said}");
        assert!(check(&path, true).is_ok() && check(folder.path(), true).is_err());
        std::fs::write(&path, "<?xml version=\"1.0\"?><svg></svg>").unwrap();
        assert!(check(&path, false).is_ok());
    }
}
