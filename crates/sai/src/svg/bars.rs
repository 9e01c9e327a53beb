//! Bars: a group for each row, a bar for each series, all from zero, with whiskers.

use plotters::coord::Shift;
use plotters::prelude::*;

use super::COLORS;

const WIDTH: u32 = 900;
/// Of a bar, of the space between groups, and of what stands above and below the bars.
const BAR: u32 = 13;
const GAP: u32 = 12;
const FRAME: u32 = 76;

/// A value, and what it may be between.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bar {
    pub(crate) value: f64,
    pub(crate) ends: Option<(f64, f64)>,
}

/// A panel of bars.
pub(crate) struct Bars {
    /// What it shows, and in which unit.
    pub(crate) title: String,
    /// Names of the bars of a group.
    pub(crate) series: Vec<String>,
    /// Names of the groups, and a bar for each series.
    pub(crate) rows: Vec<(String, Vec<Option<Bar>>)>,
    /// Digits of the values that are written.
    pub(crate) digits: usize,
    /// Where the axis ends; at the longest bar where not given.
    pub(crate) most: Option<f64>,
}

impl Bars {
    /// Panels below each other, as SVG.
    pub(crate) fn draw(panels: &[Bars]) -> anyhow::Result<String> {
        let mut svg = String::new();
        {
            let all: u32 = panels.iter().map(Bars::height).sum();
            let mut rest = SVGBackend::with_string(&mut svg, (WIDTH, all.max(1))).into_drawing_area();
            rest.fill(&WHITE)?;
            for panel in panels {
                let (area, below) = rest.split_vertically(panel.height());
                panel.draw_into(&area)?;
                rest = below;
            }
            rest.present()?;
        }
        Ok(svg)
    }

    fn height(&self) -> u32 {
        FRAME + 18 * self.series.len() as u32 + self.rows.len() as u32 * self.group()
    }

    fn group(&self) -> u32 {
        GAP + BAR * self.series.len() as u32
    }

    fn draw_into(&self, area: &DrawingArea<SVGBackend<'_>, Shift>) -> anyhow::Result<()> {
        let bars = || self.rows.iter().flat_map(|(_, bars)| bars.iter().flatten());
        let end = |bar: &Bar| bar.ends.map_or(bar.value, |(_, high)| high.max(bar.value));
        let highest = self.most.unwrap_or_else(|| bars().map(end).fold(0.0, f64::max));
        let (legend, below) = area.split_vertically(30 + 18 * self.series.len() as u32);
        legend.draw(&Text::new(self.title.clone(), (16, 8), ("sans-serif", 17)))?;
        for (i, (name, color)) in self.series.iter().zip(COLORS.iter().cycle()).enumerate() {
            let y = 32 + 18 * i as i32;
            legend.draw(&Rectangle::new([(16, y), (28, y + 12)], color.filled()))?;
            legend.draw(&Text::new(name.clone(), (34, y), ("sans-serif", 13)))?;
        }
        // Rows from top to bottom: the axis is upside down.
        let (n, group) = (self.rows.len() as f64, f64::from(self.group()));
        let mut chart = ChartBuilder::on(&below)
            .margin_right(60)
            .y_label_area_size(190)
            .x_label_area_size(24)
            .build_cartesian_2d(0.0..(highest * 1.05).max(0.1), n * group..0.0)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .disable_y_axis()
            .x_labels(8)
            .light_line_style(WHITE)
            .draw()?;
        for (row, (name, bars)) in self.rows.iter().enumerate() {
            let top = row as f64 * group + f64::from(GAP) / 2.0;
            for (i, (bar, color)) in bars.iter().zip(COLORS.iter().cycle()).enumerate() {
                let Some(bar) = bar else { continue };
                let y = top + f64::from(BAR) * i as f64;
                let shape = [(0.0, y), (bar.value, y + f64::from(BAR) - 2.0)];
                chart.draw_series([Rectangle::new(shape, color.filled())])?;
                let middle = y + f64::from(BAR) / 2.0 - 1.0;
                if let Some((low, high)) = bar.ends {
                    let whisker = [(low, middle), (high, middle)];
                    chart.draw_series([PathElement::new(whisker.to_vec(), BLACK.stroke_width(1))])?;
                }
                let at = chart.backend_coord(&(end(bar), y));
                let digits = self.digits;
                below.draw(&Text::new(
                    format!("{:.digits$}", bar.value),
                    local(&below, (at.0 + 4, at.1)),
                    ("sans-serif", 11),
                ))?;
            }
            let at = chart.backend_coord(&(0.0, top + (group - f64::from(GAP)) / 2.0));
            let label = local(&below, (at.0 - 184, at.1 - 7));
            below.draw(&Text::new(name.clone(), label, ("sans-serif", 13)))?;
        }
        Ok(())
    }
}

/// A place of the whole picture as the area counts it.
fn local(area: &DrawingArea<SVGBackend<'_>, Shift>, at: (i32, i32)) -> (i32, i32) {
    let (x, y) = area.get_base_pixel();
    (at.0 - x, at.1 - y)
}
