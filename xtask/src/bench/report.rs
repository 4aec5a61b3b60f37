//! What was measured: as a table for people, as JSON for programs.

use std::fs;

use serde_json::{Value, json};

use super::programs::Programs;
use super::rows::{Figure, Goal, Row, shown};
use crate::Result;
use crate::process::{capture, command};
use crate::project::Project;

/// A row with what its programs gave.
pub struct Measured {
    name: String,
    title: String,
    figures: &'static [Figure],
    entries: Vec<Samples>,
    goals: Vec<Reached>,
}

/// A program's runs.
struct Samples {
    label: &'static str,
    samples: Vec<Value>,
}

/// A goal, and what was reached.
struct Reached {
    what: String,
    reached: String,
    is_met: bool,
}

impl Measured {
    /// With the samples of each entry, in their order.
    pub fn new(row: Row, samples: Vec<Vec<Value>>) -> Self {
        let entries: Vec<Samples> =
            row.entries.iter().zip(samples).map(|(entry, samples)| Samples { label: entry.label, samples }).collect();
        let main = row.figures[0];
        let goals = row.goals.iter().filter_map(|goal| Reached::of(goal, &entries, main)).collect();
        Self { name: row.name, title: row.title, figures: row.figures, entries, goals }
    }
}

impl Reached {
    /// None if what it is held against was not measured.
    fn of(goal: &Goal, entries: &[Samples], main: Figure) -> Option<Self> {
        let sortie = entries.first()?;
        match goal {
            Goal::Ratio(label, limit) => {
                let other = entries.iter().find(|entry| entry.label == *label)?;
                let reached = sortie.median(main) / other.median(main);
                let (word, is_met) = match main.more_is_better() {
                    true => ("at least", reached >= *limit),
                    false => ("at most", reached <= *limit),
                };
                Some(Self { what: format!("{word} {limit:.2} of {label}"), reached: shown(reached), is_met })
            }
            Goal::AtMost(figure, limit) => {
                let reached = sortie.median(*figure);
                let what = format!("{} at most {}", figure.name(), figure.shown(*limit));
                Some(Self { what, reached: figure.shown(reached), is_met: reached <= *limit })
            }
        }
    }

    fn line(&self) -> String {
        format!("{}: {}, {}", self.what, self.reached, if self.is_met { "met" } else { "NOT MET" })
    }
}

impl Samples {
    fn median(&self, figure: Figure) -> f64 {
        let mut values: Vec<f64> = self.samples.iter().map(|sample| figure.of(sample)).collect();
        values.sort_by(f64::total_cmp);
        match values.len() {
            0 => f64::NAN,
            count if count % 2 == 1 => values[count / 2],
            count => (values[count / 2 - 1] + values[count / 2]) / 2.0,
        }
    }
}

/// Everything, with the machine that it was measured on.
pub struct Report {
    machine: Value,
    measured: Vec<Measured>,
}

impl Report {
    pub fn new(project: &Project, programs: &Programs) -> Result<Self> {
        let first_line = |program: &str, argument: &str| {
            let printed = capture(command(program).arg(argument)).unwrap_or_default();
            printed.lines().next().unwrap_or_default().to_owned()
        };
        // It tells its version where others tell of failures.
        let nginx = capture(command("sh").args(["-c", "PATH=$PATH:/usr/sbin nginx -v 2>&1"])).unwrap_or_default();
        let lock = project.read("benches/rust/Cargo.lock")?;
        let locked = |name: &str| {
            let mut packages = lock.split("[[package]]\n");
            let package = packages.find(|package| package.starts_with(&format!("name = \"{name}\"\n")))?;
            Some(package.lines().find_map(|line| line.strip_prefix("version = \""))?.trim_end_matches('"'))
        };
        let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let processor = processors.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
        let machine = json!({
            "processor": processor.unwrap_or("unknown"),
            "cores": std::thread::available_parallelism().map_or(0, usize::from),
            "load_before": fs::read_to_string("/proc/loadavg").unwrap_or_default().trim(),
            "system": kernel(),
            "sortie": project.version()?,
            "libcurl": programs.libcurl,
            "curl": first_line("curl", "--version"),
            "nginx": nginx.trim().trim_start_matches("nginx version: "),
            "compiler": first_line("rustc", "--version"),
            "reqwest": locked("reqwest"),
            "isahc": locked("isahc"),
            "ureq": locked("ureq"),
        });
        println!("{machine:#}");
        Ok(Self { machine, measured: Vec::new() })
    }

    pub fn add(&mut self, measured: Measured) {
        self.measured.push(measured);
    }

    /// All goals, each in a line.
    pub fn goals(&self) -> String {
        let lines = self
            .measured
            .iter()
            .flat_map(|row| row.goals.iter().map(|goal| format!("{:16} {}", row.name, goal.line())));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// All that was measured, each sample too.
    pub fn json(&self) -> Value {
        json!({ "machine": self.machine, "rows": self.measured.iter().map(Measured::json).collect::<Value>() })
    }
}

/// The kernel's name and version, without what its builder has added.
fn kernel() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let version: Vec<&str> = release.trim().split('.').take(2).collect();
    format!("{} {}", std::env::consts::OS, version.join("."))
}

impl Measured {
    /// The medians, the ratios, the goals.
    pub fn table(&self) -> String {
        let mut text = String::new();
        let main = self.figures[0];
        let sortie = self.entries.first().map_or(f64::NAN, |entry| entry.median(main));
        for (index, entry) in self.entries.iter().enumerate() {
            text.push_str(&format!("  {:32}", entry.label));
            for figure in self.figures {
                let value = entry.median(*figure);
                let value = if value.is_finite() { figure.shown(value) } else { "-".into() };
                text.push_str(&format!("  {:>22}", format!("{} {value}", figure.name())));
            }
            if index > 0 {
                text.push_str(&format!("   Sortie's is {} of it", shown(sortie / entry.median(main))));
            }
            text.push('\n');
        }
        for goal in &self.goals {
            text.push_str(&format!("  goal: {}\n", goal.line()));
        }
        text
    }

    fn json(&self) -> Value {
        let entries = self.entries.iter().map(|entry| {
            let medians = self.figures.iter().map(|figure| {
                let value = entry.median(*figure);
                // What was not measured is null.
                let shown = value.is_finite().then(|| figure.shown(value));
                json!({ "name": figure.name(), "value": value, "shown": shown })
            });
            let main = self.figures[0];
            let ratio = self.entries[0].median(main) / entry.median(main);
            json!({
                "program": entry.label,
                "medians": medians.collect::<Value>(),
                "sortie_to_it": ratio,
                "samples": entry.samples,
            })
        });
        let goals =
            self.goals.iter().map(|goal| json!({ "goal": goal.what, "reached": goal.reached, "met": goal.is_met }));
        json!({
            "name": self.name,
            "title": self.title,
            "programs": entries.collect::<Value>(),
            "goals": goals.collect::<Value>(),
        })
    }
}
