//! Plots as inline SVG: cumulative curves of times, and bars.

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 300.0;
/// Room for the axes and for the legend.
const LEFT: f64 = 48.0;
const RIGHT: f64 = 150.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 40.0;

/// Told apart by people who see red and green as one, too (Okabe and Ito).
const COLOURS: [&str; 8] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f", "#a0522d"];
const TICKS_MS: [f64; 18] = [
    1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 70.0, 100.0, 150.0, 200.0, 300.0, 400.0, 600.0, 1_000.0,
    2_000.0, 3_000.0, 5_000.0, 10_000.0,
];

/// Which share of the values lies below each time; the time is on a logarithmic axis.
pub(super) fn shares(series: &[(&str, &[f64])]) -> String {
    let values = || series.iter().flat_map(|(_, values)| values.iter().copied());
    let least = values().fold(f64::INFINITY, f64::min).max(1.0);
    let most = values().fold(1.0, f64::max).max(least * 2.0);
    let (low, high) = ((least * 0.8).ln(), (most * 1.1).ln());
    let x =
        |ms: f64| LEFT + (ms.max(1.0).ln() - low).max(0.0) / (high - low) * (WIDTH - LEFT - RIGHT);
    let y = |share: f64| TOP + (1.0 - share) * (HEIGHT - TOP - BOTTOM);
    let mut svg = open("Share of commands in effect after so many milliseconds");
    for share in [0.0, 0.25, 0.5, 0.75, 1.0] {
        let (at, right) = (y(share), WIDTH - RIGHT);
        line(&mut svg, [LEFT, at, right, at], "grid");
        text(&mut svg, [LEFT - 6.0, at + 4.0], "end", &format!("{:.0} %", share * 100.0));
    }
    for tick in TICKS_MS.into_iter().filter(|tick| (least * 0.8..=most * 1.1).contains(tick)) {
        line(&mut svg, [x(tick), y(0.0), x(tick), y(1.0)], "grid");
        text(&mut svg, [x(tick), HEIGHT - BOTTOM + 18.0], "middle", &format!("{tick}"));
    }
    text(&mut svg, [(LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 4.0], "middle", "milliseconds");
    for (index, (name, values)) in series.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        let mut points = String::new();
        for (rank, value) in values.iter().enumerate() {
            // A share is reached when its value is, not gradually before.
            for reached in [rank, rank + 1] {
                let share = reached as f64 / values.len() as f64;
                points.push_str(&format!("{:.1},{:.1} ", x(*value), y(share)));
            }
        }
        svg.push_str(&format!(
            "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>"
        ));
        legend(&mut svg, index, colour, name);
    }
    svg + "</svg>"
}

/// A bar for each value, with what it is worth.
pub(super) fn bars(title: &str, unit: &str, values: &[(String, f64)]) -> String {
    let most = values.iter().map(|(_, value)| *value).fold(0.0, f64::max).max(f64::MIN_POSITIVE);
    let (row, names) = (22.0, 130.0);
    let height = TOP + row * values.len() as f64 + 8.0;
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{}\">",
        escape(title)
    );
    for (index, (name, value)) in values.iter().enumerate() {
        let at = TOP + row * index as f64;
        let width = (value / most * (WIDTH - names - 120.0)).max(1.0);
        text(&mut svg, [names - 8.0, at + 12.0], "end", name);
        svg.push_str(&format!(
            "<rect x=\"{names}\" y=\"{at:.1}\" width=\"{width:.1}\" height=\"15\" fill=\"{}\"/>",
            COLOURS[0]
        ));
        let worth = format!("{value:.1} {unit}");
        text(&mut svg, [names + width + 6.0, at + 12.0], "start", &worth);
    }
    svg + "</svg>"
}

fn open(label: &str) -> String {
    let label = escape(label);
    format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{label}\">")
}

fn line(svg: &mut String, [x1, y1, x2, y2]: [f64; 4], class: &str) {
    svg.push_str(&format!(
        "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" class=\"{class}\"/>"
    ));
}

fn text(svg: &mut String, [x, y]: [f64; 2], anchor: &str, text: &str) {
    let text = escape(text);
    svg.push_str(&format!(
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"
    ));
}

fn legend(svg: &mut String, index: usize, colour: &str, name: &str) {
    let (x, y) = (WIDTH - RIGHT + 16.0, TOP + 12.0 + 20.0 * index as f64);
    svg.push_str(&format!(
        "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"14\" height=\"4\" fill=\"{colour}\"/>",
        y - 6.0
    ));
    text(svg, [x + 20.0, y], "start", name);
}

/// Text that may stand in a page.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plots_are_closed_and_name_what_they_show() {
        let svg = shares(&[("<url>", &[10.0, 20.0, 400.0]), ("all", &[])]);
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>"));
        assert!(svg.contains("&lt;url&gt;") && !svg.contains("NaN") && !svg.contains("inf"));
        let svg = bars("memory", "MiB", &[("a".into(), 3.0), ("b".into(), 0.0)]);
        assert!(svg.contains("3.0 MiB") && svg.ends_with("</svg>") && !svg.contains("NaN"));
    }
}
