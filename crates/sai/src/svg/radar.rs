//! A radar: an axis for each row, all from zero in the middle, a line for each series.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::COLORS;

const SIZE: (u32, u32) = (900, 620);
const CENTRE: (f64, f64) = (450.0, 330.0);
const RADIUS: f64 = 210.0;
const RINGS: u32 = 5;

/// What a radar shows.
pub(crate) struct Radar {
    /// What it shows, and in which unit.
    pub(crate) title: String,
    /// Names of the lines.
    pub(crate) series: Vec<String>,
    /// Names of the axes, and a value for each series.
    pub(crate) rows: Vec<(String, Vec<Option<f64>>)>,
    /// Where the axes end.
    pub(crate) most: f64,
}

impl Radar {
    /// The picture, as SVG. Of fewer than three axes there is none.
    pub(crate) fn draw(&self) -> anyhow::Result<Option<String>> {
        if self.rows.len() < 3 || self.most <= 0.0 {
            return Ok(None);
        }
        let mut svg = String::new();
        {
            let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
            area.fill(&WHITE)?;
            area.draw(&Text::new(self.title.clone(), (16, 8), ("sans-serif", 17)))?;
            for (i, (name, color)) in self.series.iter().zip(COLORS.iter().cycle()).enumerate() {
                let y = 32 + 18 * i as i32;
                area.draw(&Rectangle::new([(16, y), (28, y + 12)], color.filled()))?;
                area.draw(&Text::new(name.clone(), (34, y), ("sans-serif", 13)))?;
            }
            let grey = RGBColor(205, 210, 216);
            for ring in 1..=RINGS {
                let part = f64::from(ring) / f64::from(RINGS);
                let corners: Vec<_> = (0..=self.rows.len()).map(|axis| self.at(axis, part)).collect();
                area.draw(&PathElement::new(corners, grey.stroke_width(1)))?;
                let (x, y) = self.at(0, part);
                area.draw(&Text::new(
                    format!("{:.1}", part * self.most),
                    (x + 3, y - 5),
                    ("sans-serif", 10),
                ))?;
            }
            for (axis, (name, _)) in self.rows.iter().enumerate() {
                area.draw(&PathElement::new(
                    vec![self.at(axis, 0.0), self.at(axis, 1.0)],
                    grey.stroke_width(1),
                ))?;
                let (x, _) = self.at(axis, 1.0);
                let side = match x - CENTRE.0 as i32 {
                    ..=-8 => HPos::Right,
                    8.. => HPos::Left,
                    _ => HPos::Center,
                };
                let style = TextStyle::from(("sans-serif", 13)).pos(Pos::new(side, VPos::Center));
                area.draw(&Text::new(name.clone(), self.at(axis, 1.08), style))?;
            }
            for (i, color) in (0..self.series.len()).zip(COLORS.iter().cycle()) {
                let value = |axis: usize| self.rows[axis % self.rows.len()].1.get(i).copied().flatten();
                // A line is broken where a value is missing: at zero it would be a bad score.
                for axis in 0..self.rows.len() {
                    let place = |axis: usize| {
                        value(axis).map(|value| self.at(axis, (value / self.most).clamp(0.0, 1.0)))
                    };
                    if let Some(at) = place(axis) {
                        area.draw(&Circle::new(at, 3, color.filled()))?;
                        if let Some(next) = place(axis + 1) {
                            area.draw(&PathElement::new(vec![at, next], color.stroke_width(2)))?;
                        }
                    }
                }
            }
            area.present()?;
        }
        Ok(Some(svg))
    }

    /// The place at a part of an axis, the first one upwards.
    fn at(&self, axis: usize, part: f64) -> (i32, i32) {
        let angle =
            std::f64::consts::TAU * axis as f64 / self.rows.len() as f64 - std::f64::consts::FRAC_PI_2;
        let (x, y) = (CENTRE.0 + RADIUS * part * angle.cos(), CENTRE.1 + RADIUS * part * angle.sin());
        (x.round() as i32, y.round() as i32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_value_is_no_zero_and_names_are_escaped() {
        let row = |name: &str, value| (name.to_owned(), vec![value]);
        let rows = vec![row("a", Some(1.0)), row("<b>", None), row("c", Some(2.0)), row("d", Some(3.0))];
        let radar = Radar { title: "t".to_owned(), series: vec!["m".to_owned()], rows, most: 5.0 };
        let svg = radar.draw().expect("draws").expect("has four axes");
        assert_eq!(svg.matches("<circle").count(), 3);
        assert!(svg.contains("&lt;b&gt;") && !svg.contains("<b>"));
        let few = Radar { rows: radar.rows[..2].to_vec(), ..radar };
        assert!(few.draw().expect("draws").is_none());
    }
}
