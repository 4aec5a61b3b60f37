//! Plots with two logarithmic axes, as SVG.

use crate::picture::escaped;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 420.0;
/// The rectangle that the lines are in.
const LEFT: f64 = 84.0;
const RIGHT: f64 = 724.0;
const TOP: f64 = 100.0;
const BOTTOM: f64 = 362.0;

/// On dark ground as docs/demo.svg has it, which looks the same on a light page and a dark one; told apart by the
/// colour-blind, too.
const COLOURS: [&str; 6] = ["#ffb000", "#56b4e9", "#2fbf8f", "#e58bc5", "#c3c9d4", "#ff6f59"];
const FAINT: &str = "fill=\"#98a2b3\"";

/// A line of a plot.
pub struct Line {
    pub label: String,
    /// Positive, from left to right.
    pub points: Vec<(f64, f64)>,
}

/// Draws lines with their points marked, under a title and with what the axes are.
pub fn svg(title: &str, across: &str, up: &str, lines: &[Line]) -> String {
    let points = || lines.iter().flat_map(|line| &line.points);
    let (x, y) = (Axis::over(points().map(|point| point.0)), Axis::over(points().map(|point| point.1)));
    let place = |x_value: f64, y_value: f64| {
        (LEFT + x.share(x_value) * (RIGHT - LEFT), BOTTOM - y.share(y_value) * (BOTTOM - TOP))
    };
    let middle = (TOP + BOTTOM) / 2.0;
    let mut parts = vec![
        text(24.0, 30.0, "font-size=\"16\" font-weight=\"600\"", title),
        text((LEFT + RIGHT) / 2.0, HEIGHT - 14.0, &format!("text-anchor=\"middle\" {FAINT}"), across),
        text(22.0, middle, &format!("text-anchor=\"middle\" {FAINT} transform=\"rotate(-90 22 {middle})\""), up),
    ];
    for &mark in &x.marks {
        let (at, _) = place(mark, y.from());
        parts.push(format!("<path d=\"M{at:.1} {TOP}V{BOTTOM}\" stroke=\"#39404d\"/>\n"));
        parts.push(text(at, BOTTOM + 20.0, "text-anchor=\"middle\"", &number(mark)));
    }
    for &mark in &y.marks {
        let (_, at) = place(x.from(), mark);
        parts.push(format!("<path d=\"M{LEFT} {at:.1}H{RIGHT}\" stroke=\"#39404d\"/>\n"));
        parts.push(text(LEFT - 10.0, at + 4.5, "text-anchor=\"end\"", &number(mark)));
    }
    let mut legend = (24.0, 56.0);
    for (line, colour) in lines.iter().zip(COLOURS.iter().cycle()) {
        // As wide as such letters are about.
        let width = 40.0 + line.label.chars().count() as f64 * 6.9;
        if legend.0 + width > RIGHT {
            legend = (24.0, legend.1 + 20.0);
        }
        parts.push(circle((legend.0 + 6.0, legend.1 - 4.5), colour));
        parts.push(text(legend.0 + 16.0, legend.1, "", &line.label));
        legend.0 += width;
        let places: Vec<(f64, f64)> = line.points.iter().map(|point| place(point.0, point.1)).collect();
        let path: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
        parts.push(format!("<path d=\"M{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\n", path.join("L")));
        parts.extend(places.into_iter().map(|place| circle(place, colour)));
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         role=\"img\" aria-label=\"{}\">\n<rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#1b1f27\"/>\n\
         <g font-family=\"system-ui, 'DejaVu Sans', Helvetica, Arial, sans-serif\" font-size=\"13\" fill=\"#d7dce5\">\n\
         {}</g>\n</svg>\n",
        escaped(title),
        parts.concat()
    )
}

fn text(x: f64, y: f64, attributes: &str, what: &str) -> String {
    format!("<text x=\"{x:.1}\" y=\"{y:.1}\" {attributes}>{}</text>\n", escaped(what))
}

fn circle((x, y): (f64, f64), colour: &str) -> String {
    format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{colour}\"/>\n")
}

/// A logarithmic axis, which begins and ends at a mark.
struct Axis {
    marks: Vec<f64>,
}

impl Axis {
    /// With marks at powers of ten, and at 2 and 5 between them if there is room.
    fn over(values: impl Iterator<Item = f64>) -> Self {
        let (least, most) = values.fold((f64::MAX, f64::MIN_POSITIVE), |(least, most), v| (least.min(v), most.max(v)));
        let digits: &[f64] = if most / least > 500.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let steps: Vec<f64> =
            (-9..12).flat_map(|power| digits.iter().map(move |digit| digit * 10f64.powi(power))).collect();
        let first = steps.iter().rposition(|step| *step <= least * 1.001).unwrap_or(0);
        let last = steps.iter().position(|step| *step >= most * 0.999).unwrap_or(steps.len() - 1).max(first + 1);
        Self { marks: steps[first..=last].to_vec() }
    }

    fn from(&self) -> f64 {
        self.marks[0]
    }

    fn to(&self) -> f64 {
        self.marks[self.marks.len() - 1]
    }

    /// How far along a value is, from 0 to 1.
    fn share(&self, value: f64) -> f64 {
        (value / self.from()).ln() / (self.to() / self.from()).ln()
    }
}

/// A mark's number: 0.02, 500, 10,000.
fn number(value: f64) -> String {
    if value < 1_000.0 {
        return format!("{}", (value * 1e9).round() / 1e9);
    }
    let thousands = (value / 1_000.0).floor();
    format!("{thousands},{:03.0}", value - thousands * 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_begin_and_end_at_marks() {
        let axis = Axis::over([3.0, 40.0, 180.0].into_iter());
        assert_eq!(axis.marks, [2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0]);
        assert!(axis.share(2.0).abs() < 1e-9 && (axis.share(200.0) - 1.0).abs() < 1e-9);
        let wide = Axis::over([1.0, 10_000.0].into_iter());
        assert_eq!(wide.marks, [1.0, 10.0, 100.0, 1_000.0, 10_000.0]);
    }

    #[test]
    fn numbers_are_written_as_people_do() {
        assert_eq!([0.02, 5.0, 500.0, 1_000.0, 10_000.0].map(number), ["0.02", "5", "500", "1,000", "10,000"]);
    }

    #[test]
    fn every_point_is_marked() {
        let line = |label: &str| Line { label: label.into(), points: vec![(1.0, 10.0), (32.0, 20.0)] };
        let picture = svg("a < b", "across", "up", &[line("one"), line("another")]);
        assert_eq!(picture.matches("<circle ").count(), 2 * (2 + 1));
        assert!(picture.contains("a &lt; b") && picture.ends_with("</svg>\n"));
    }
}
