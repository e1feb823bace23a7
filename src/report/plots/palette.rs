//! Colours and dashes: a behaviour or a run looks the same in all pictures.
//!
//! The colours are those of Okabe and Ito ("Color Universal Design", 2008), which every kind of colour vision tells
//! apart. Lines with the same colour differ in their dashes.

use plotters::style::RGBColor;

pub const WHITE: RGBColor = RGBColor(255, 255, 255);
/// Text and axes.
pub const INK: RGBColor = RGBColor(40, 40, 40);
/// Secondary text, reference lines.
pub const SHADE: RGBColor = RGBColor(110, 110, 110);
/// Grid lines.
pub const GRID: RGBColor = RGBColor(228, 228, 228);

pub const BLACK: RGBColor = RGBColor(0, 0, 0);
pub const ORANGE: RGBColor = RGBColor(230, 159, 0);
pub const SKY: RGBColor = RGBColor(86, 180, 233);
pub const GREEN: RGBColor = RGBColor(0, 158, 115);
pub const YELLOW: RGBColor = RGBColor(240, 228, 66);
pub const BLUE: RGBColor = RGBColor(0, 114, 178);
pub const VERMILLION: RGBColor = RGBColor(213, 94, 0);
pub const PURPLE: RGBColor = RGBColor(204, 121, 167);

/// Colours for lines, in order of use. Yellow is left out, as it is too pale on white.
pub const LINES: [RGBColor; 7] = [BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY, BLACK];

/// The dash pattern of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dash {
    Solid,
    Dashed,
    Dotted,
    Alternating,
}

impl Dash {
    const ALL: [Self; 4] = [Self::Solid, Self::Dashed, Self::Alternating, Self::Dotted];

    /// Lengths of dashes and gaps in turn, in pixels.
    pub fn pattern(self) -> &'static [f64] {
        match self {
            Self::Solid => &[],
            Self::Dashed => &[7.0, 4.0],
            Self::Dotted => &[2.0, 3.0],
            Self::Alternating => &[8.0, 3.0, 2.0, 3.0],
        }
    }
}

/// The style of a line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stroke {
    pub color: RGBColor,
    pub dash: Dash,
    /// Width in pixels.
    pub width: f64,
}

impl Stroke {
    pub fn solid(color: RGBColor, width: f64) -> Self {
        Self { color, dash: Dash::Solid, width }
    }

    pub fn dash(self, dash: Dash) -> Self {
        Self { dash, ..self }
    }

    pub fn width(self, width: f64) -> Self {
        Self { width, ..self }
    }
}

/// Strokes for behaviours by label. A kind keeps its colour in all pictures and runs. Variants of one kind (`honest`,
/// `honest x2`), and kinds that share a colour, differ in their dashes.
pub fn behaviour_strokes(labels: &[&str]) -> Vec<Stroke> {
    let mut taken = Vec::with_capacity(labels.len());
    for label in labels {
        let color = behaviour_color(label);
        let dash = Dash::ALL.into_iter().find(|dash| !taken.contains(&(color, *dash))).unwrap_or(Dash::Solid);
        taken.push((color, dash));
    }
    taken.into_iter().map(|(color, dash)| Stroke::solid(color, 1.8).dash(dash)).collect()
}

/// Colour of a behaviour by the first word of its label.
fn behaviour_color(label: &str) -> RGBColor {
    let kind = label.split([' ', '(', ':', ',', '×']).next().unwrap_or_default();
    match kind {
        "honest" => BLUE,
        "copycat" | "sign-flip" => VERMILLION,
        "lazy" | "rescaled" => ORANGE,
        "free-rider" | "noise" => PURPLE,
        "stale" | "malformed" => SKY,
        "desync" | "late" => GREEN,
        _ => BLACK,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_behaviours_look_the_same() {
        let labels = [
            "honest",
            "honest x2",
            "lazy 0.5",
            "free-rider",
            "stale 5",
            "desync",
            "copycat of best",
            "copycat of random",
            "offline",
            "late",
            "noise",
            "sign-flip",
            "rescaled",
            "malformed",
        ];
        let strokes = behaviour_strokes(&labels);
        for (i, one) in strokes.iter().enumerate() {
            assert!(
                strokes[..i].iter().all(|other| (other.color, other.dash) != (one.color, one.dash)),
                "{}",
                labels[i]
            );
        }
        assert_eq!(strokes[0].color, strokes[1].color);
    }
}
