//! Shares: for each row a bar of 100 %, cut into parts.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

const WIDTH: u32 = 900;
const LEFT: f64 = 300.0;
const RIGHT: f64 = 860.0;
const ROW: i32 = 34;
const TOP: i32 = 78;

/// What is shown.
pub(crate) struct Shares {
    /// What it shows.
    pub(crate) title: String,
    /// Names of the parts, with their colours.
    pub(crate) parts: Vec<(&'static str, RGBColor)>,
    /// Names of the rows, and their parts in per cent.
    pub(crate) rows: Vec<(String, Vec<f64>)>,
}

impl Shares {
    /// The picture, as SVG.
    pub(crate) fn draw(&self) -> anyhow::Result<String> {
        let mut svg = String::new();
        {
            let height = TOP + ROW * self.rows.len() as i32 + 34;
            let area = SVGBackend::with_string(&mut svg, (WIDTH, height.max(1) as u32)).into_drawing_area();
            area.fill(&WHITE)?;
            area.draw(&Text::new(self.title.clone(), (16, 8), ("sans-serif", 17)))?;
            let mut x = 16;
            for (name, color) in &self.parts {
                area.draw(&Rectangle::new([(x, 38), (x + 12, 50)], color.filled()))?;
                area.draw(&Text::new((*name).to_owned(), (x + 18, 38), ("sans-serif", 13)))?;
                x += 40 + 8 * name.chars().count() as i32;
            }
            let at = |percent: f64| (LEFT + (RIGHT - LEFT) * percent / 100.0).round() as i32;
            let centred =
                |size| TextStyle::from(("sans-serif", size)).pos(Pos::new(HPos::Center, VPos::Center));
            for (row, (name, parts)) in self.rows.iter().enumerate() {
                let y = TOP + ROW * row as i32;
                let right = TextStyle::from(("sans-serif", 13)).pos(Pos::new(HPos::Right, VPos::Center));
                area.draw(&Text::new(name.clone(), (LEFT as i32 - 10, y + 12), right))?;
                let mut from = 0.0;
                for (part, (_, color)) in parts.iter().zip(&self.parts) {
                    let (begin, end) = (at(from), at(from + part));
                    area.draw(&Rectangle::new([(begin, y), (end, y + 24)], color.filled()))?;
                    if end - begin > 34 {
                        let RGBColor(r, g, b) = *color;
                        let dark = u32::from(r) * 3 + u32::from(g) * 6 + u32::from(b) < 1300;
                        let ink = if dark { &WHITE } else { &BLACK };
                        let style = centred(12).color(ink);
                        area.draw(&Text::new(format!("{part:.1}"), ((begin + end) / 2, y + 12), style))?;
                    }
                    from += part;
                }
            }
            let bottom = TOP + ROW * self.rows.len() as i32;
            for percent in [0.0, 25.0, 50.0, 75.0, 100.0] {
                area.draw(&PathElement::new(vec![(at(percent), bottom), (at(percent), bottom + 5)], BLACK))?;
                area.draw(&Text::new(format!("{percent:.0} %"), (at(percent), bottom + 16), centred(12)))?;
            }
            area.present()?;
        }
        Ok(svg)
    }
}
