//! What the pictures that verbs draw have in common, and the kinds of pictures that several draw.

mod bars;
mod radar;
mod shares;

use std::path::Path;

use anyhow::bail;
use plotters::style::RGBColor;

pub(crate) use bars::{Bar, Bars};
pub(crate) use radar::Radar;
pub(crate) use shares::Shares;

/// Told apart in grey and by those who see few colours (Okabe and Ito).
pub(crate) const COLORS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(213, 94, 0),
    RGBColor(120, 120, 120),
    RGBColor(0, 0, 0),
];

/// Refuses names that no picture can be written under, before the work is done.
pub(crate) fn check_name(path: &Path) -> anyhow::Result<()> {
    if !path.extension().is_some_and(|end| end.eq_ignore_ascii_case("svg")) {
        bail!("{}: pictures are SVG; give a name that ends in .svg", path.display());
    }
    Ok(())
}
