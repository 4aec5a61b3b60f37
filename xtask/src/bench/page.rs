//! docs/performance.md: the figures of a run between its markers, and its plots.

use std::path::Path;

use serde_json::Value;

use super::plot::{self, Line};
use super::rows::shown;
use crate::Result;
use crate::project::{self, Project, write as write_file};

const PAGE: &str = "docs/performance.md";
const BEGIN: &str = "<!-- Figures: written by cargo xtask bench -->\n";
const END: &str = "<!-- End of figures -->\n";

/// The programs that the plots show: more of them would hide each other.
const DRAWN: [&str; 6] =
    ["Sortie", "libcurl multi", "libcurl multi, 16 connections", "libcurl easy", "reqwest", "reqwest, 16 at a time"];

/// Writes both from a file of results.
pub fn write(project: &Project, results: &Path) -> Result<()> {
    let results: Value = serde_json::from_str(&project::read(results)?).map_err(|error| format!("results: {error}"))?;
    let page = project.read(PAGE)?;
    let (before, rest) = page.split_once(BEGIN).ok_or_else(|| format!("{PAGE} has lost its markers"))?;
    let (_, after) = rest.split_once(END).ok_or_else(|| format!("{PAGE} has lost its markers"))?;
    write_file(&project.root.join(PAGE), &format!("{before}{BEGIN}\n{}{END}{after}", figures(&results)))?;
    let requests = "requests submitted at once";
    for (name, title, across, up, lines) in [
        ("cpu", "CPU time per small GET", requests, "µs of all threads", lines(&results, "small-", "CPU")),
        ("memory", "Memory of the process", requests, "MiB at its peak", lines(&results, "small-", "memory")),
        ("frame", "Time inside Sortie, of a 60 Hz frame", "transfers running", "% of the frame", frames(&results)),
    ] {
        let picture = plot::svg(title, across, up, &lines);
        write_file(&project.root.join(format!("docs/performance-{name}.svg")), &picture)?;
    }
    println!("{PAGE} and its plots tell of this run.");
    Ok(())
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A program's median of this name in a row.
fn median(program: &Value, name: &str) -> Option<f64> {
    list(&program["medians"]).iter().find(|median| median["name"] == name)?["value"].as_f64()
}

/// Rows whose names are this and a number, with it.
fn numbered<'a>(results: &'a Value, prefix: &'a str) -> impl Iterator<Item = (f64, &'a [Value])> {
    list(&results["rows"]).iter().filter_map(move |row| {
        let number = text(&row["name"]).strip_prefix(prefix)?.parse().ok()?;
        Some((number, list(&row["programs"])))
    })
}

/// For each of the drawn programs, a median by the number in the row's name.
fn lines(results: &Value, prefix: &str, name: &str) -> Vec<Line> {
    let line = |label: &&str| {
        let points = numbered(results, prefix).filter_map(|(number, programs)| {
            let program = programs.iter().find(|program| program["program"] == *label)?;
            Some((number, median(program, name)?))
        });
        Line { label: (*label).into(), points: points.collect() }
    };
    // Which does not take part has no points.
    DRAWN.iter().map(line).filter(|line| !line.points.is_empty()).collect()
}

/// What a frame takes, by the number of transfers.
fn frames(results: &Value) -> Vec<Line> {
    let line = |label: &str, name: &str| Line {
        label: label.into(),
        points: numbered(results, "frame-")
            .filter_map(|(number, programs)| Some((number, median(programs.first()?, name)?)))
            .collect(),
    };
    vec![
        line("median", "median"),
        line("one frame in a thousand (p99.9)", "p99.9"),
        line("the same, CPU time", "CPU p99.9"),
    ]
}

/// The machine, the goals, and each row's programs.
fn figures(results: &Value) -> String {
    let machine = &results["machine"];
    let mut page = format!(
        "Measured with Sortie {}, libcurl {}, reqwest {}, isahc {} and ureq {} on {} cores of an {}, {}, {}. The machine's \
         load before was {}.\n\n",
        text(&machine["sortie"]),
        text(&machine["libcurl"]),
        text(&machine["reqwest"]),
        text(&machine["isahc"]),
        text(&machine["ureq"]),
        machine["cores"],
        text(&machine["processor"]),
        text(&machine["system"]),
        text(&machine["nginx"]),
        text(&machine["load_before"]).split(' ').next().unwrap_or_default(),
    );
    page.push_str("### Goals\n\n| Work | Goal | Reached | |\n|---|---|---|---|\n");
    let rows = list(&results["rows"]);
    for row in rows {
        for goal in list(&row["goals"]) {
            let word = if goal["met"] == true { "met" } else { "**not met**" };
            let (title, what, reached) = (text(&row["title"]), text(&goal["goal"]), text(&goal["reached"]));
            page.push_str(&format!("| {title} | {what} | {reached} | {word} |\n"));
        }
    }
    for row in rows {
        page.push_str(&format!("\n### {}\n\n|", text(&row["title"])));
        let programs = list(&row["programs"]);
        let names = list(&programs[0]["medians"]).iter().map(|median| text(&median["name"]));
        let mut names: Vec<&str> = [""].into_iter().chain(names).collect();
        if programs.len() > 1 {
            names.push("Sortie's is");
        }
        page.push_str(&names.iter().map(|name| format!(" {name} |")).collect::<String>());
        page.push_str(&format!("\n|---|{}\n", "---:|".repeat(names.len() - 1)));
        for (index, program) in programs.iter().enumerate() {
            page.push_str(&format!("| {} |", text(&program["program"])));
            for median in list(&program["medians"]) {
                page.push_str(&format!(" {} |", text(&median["shown"])));
            }
            match program["sortie_to_it"].as_f64() {
                Some(ratio) if index > 0 => page.push_str(&format!(" {} of it |", shown(ratio))),
                _ if programs.len() > 1 => page.push_str(" |"),
                _ => {}
            }
            page.push('\n');
        }
    }
    page.push('\n');
    page
}
