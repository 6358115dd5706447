//! A drawing area: from values to pixels, with lines, grid and ticks.

use std::fmt::Write as _;

/// A drawing area: pixels, and the values at its edges.
pub(super) struct Frame {
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
    pub(super) x: (f64, f64),
    pub(super) y: (f64, f64),
}

impl Frame {
    pub(super) fn x(&self, value: f64) -> f64 {
        let share = (value - self.x.0) / (self.x.1 - self.x.0);
        self.left + share.clamp(0.0, 1.0) * (self.right - self.left)
    }

    pub(super) fn y(&self, value: f64) -> f64 {
        let share = (value - self.y.0) / (self.y.1 - self.y.0);
        self.bottom - share.clamp(0.0, 1.0) * (self.bottom - self.top)
    }

    /// A polyline through the points that are known; a gap where one is not.
    pub(super) fn path(&self, class: &str, points: impl Iterator<Item = (f64, Option<f64>)>) -> String {
        let mut d = String::new();
        let mut pen_down = false;
        for (x, y) in points {
            match y.filter(|y| y.is_finite()) {
                Some(y) => {
                    let _ = write!(
                        d,
                        "{}{:.1} {:.1}",
                        if pen_down { "L" } else { "M" },
                        self.x(x),
                        self.y(y)
                    );
                    pen_down = true;
                }
                None => pen_down = false,
            }
        }
        if d.is_empty() {
            String::new()
        } else {
            format!("<path class=\"{class}\" d=\"{d}\"/>")
        }
    }

    pub(super) fn y_grid(&self, step: f64, label: impl Fn(f64) -> String) -> String {
        let mut out = String::new();
        let mut value = (self.y.0 / step).ceil() * step;
        while value <= self.y.1 + step * 1e-6 {
            let y = self.y(value);
            let _ = write!(
                out,
                "<line class=\"grid\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/><text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                self.left,
                self.right,
                self.left - 6.0,
                y + 3.5,
                label(value)
            );
            value += step;
        }
        out
    }

    pub(super) fn x_ticks(&self, step: f64, label: impl Fn(f64) -> String) -> String {
        let mut out = String::new();
        let mut value = (self.x.0 / step).ceil() * step;
        while value <= self.x.1 + step * 1e-6 {
            let _ = write!(
                out,
                "<text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                self.x(value),
                self.bottom + 16.0,
                label(value)
            );
            value += step;
        }
        out
    }
}

/// 1, 2 or 5 times a power of ten, at least `about`.
pub(super) fn nice_step(about: f64) -> f64 {
    if !(about.is_finite() && about > 0.0) {
        return 1.0;
    }
    let power = 10.0_f64.powf(about.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|step| step * power)
        .find(|step| *step >= about * 0.999)
        .unwrap_or(10.0 * power)
}

#[cfg(test)]
mod tests {
    use super::nice_step;

    #[test]
    fn steps_are_one_two_or_five() {
        for (about, step) in [
            (0.9, 1.0),
            (1.0, 1.0),
            (1.1, 2.0),
            (3.0, 5.0),
            (7.0, 10.0),
            (0.013, 0.02),
            (f64::NAN, 1.0),
            (0.0, 1.0),
        ] {
            assert!((nice_step(about) - step).abs() < 1e-9, "{about}");
        }
    }
}
