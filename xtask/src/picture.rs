//! docs/demo.svg: what `cargo xtask demo` shows, as a picture.

/// What a terminal's text looks like.
const CHARACTER: (f64, f64) = (7.8, 17.0);
const MARGIN: f64 = 16.0;

/// Draws a program's output as a terminal shows it.
pub fn svg(output: &str) -> String {
    let lines: Vec<&str> = output.lines().collect();
    let columns = lines.iter().map(|line| line.chars().count()).max().unwrap_or(0);
    let (width, height) =
        (columns as f64 * CHARACTER.0 + 2.0 * MARGIN, lines.len() as f64 * CHARACTER.1 + 2.0 * MARGIN);
    let mut picture = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" aria-label=\"Output of cargo xtask demo\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#1b1f27\"/>\n\
         <g font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace\" font-size=\"13\" \
         fill=\"#d7dce5\" xml:space=\"preserve\">\n"
    );
    for (number, line) in (1..).zip(&lines) {
        let y = MARGIN + f64::from(number) * CHARACTER.1 - 4.0;
        picture.push_str(&format!("<text x=\"{MARGIN:.0}\" y=\"{y:.0}\">{}</text>\n", escaped(line)));
    }
    picture.push_str("</g>\n</svg>\n");
    picture
}

/// Text as XML has it.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::svg;

    #[test]
    fn every_line_is_drawn_and_nothing_breaks_out() {
        let picture = svg("a < b\n\n<script>&\n");
        assert_eq!(picture.matches("<text ").count(), 3);
        assert!(picture.contains("a &lt; b") && picture.contains("&lt;script&gt;&amp;"));
        assert!(picture.ends_with("</svg>\n"));
    }
}
