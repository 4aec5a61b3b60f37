//! What is measured: which programs do what, which figure counts, and the goal.

use serde_json::Value;

use super::programs::Call;
use super::servers::{LARGE, MEDIUM, Nginx, SMALL, SlowServer};
use crate::checks::cost::COUNTED;
use crate::checks::symbols::LARGEST;

/// Programs that do the same work in turns.
pub struct Row {
    pub name: String,
    pub title: String,
    /// The one that goals are about, and others that the table shows.
    pub figures: &'static [Figure],
    pub rounds: usize,
    pub entries: Vec<Entry>,
    pub goals: Vec<Goal>,
}

/// One that does a row's work.
pub struct Entry {
    pub label: &'static str,
    pub how: How,
}

/// How its figures come about.
pub enum How {
    /// By running a program.
    Run(Call),
    /// By counting the instructions of two runs, the second of which does four times as much: what happens once drops out.
    Count(Call),
    /// It is the one of this number of the step `cost`.
    Cost(usize),
    /// It is the library's file.
    File,
}

/// What Sortie's figure, the first entry's, should be.
pub enum Goal {
    /// The first figure at most (at least, if more is better) so many times this entry's.
    Ratio(&'static str, f64),
    /// This one at most so much.
    AtMost(Figure, f64),
}

/// What a program's output says, as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// Time of the processor in all threads, per request.
    Cpu,
    /// Time that passes, per request.
    Wall,
    /// From submitting a request to having its response: the median.
    Latency,
    /// The same, which 1% exceed.
    LatencyTail,
    /// What a body comes at.
    Throughput,
    /// Of all threads, or of one if it is about that, per request.
    Instructions,
    /// Per request.
    Allocations,
    /// The most memory that the process has had.
    Memory,
    /// What an idle stream adds.
    StreamMemory,
    /// The shared library's file.
    LibrarySize,
    /// The part of a 60 Hz frame inside the library: the median, what one frame in a thousand exceeds, the worst.
    Frame,
    FrameTail,
    FrameWorst,
    /// The same tail, without the time that the system gave to others.
    FrameTailCpu,
    /// From loading the library to a created client, and to the first response.
    Load,
    FirstResponse,
}

impl Figure {
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "CPU",
            Self::Wall => "time",
            Self::Latency => "median",
            Self::LatencyTail => "p99",
            Self::Throughput => "rate",
            Self::Instructions => "instructions",
            Self::Allocations => "allocations",
            Self::Memory => "memory",
            Self::StreamMemory => "per stream",
            Self::LibrarySize => "file",
            Self::Frame => "median",
            Self::FrameTail => "p99.9",
            Self::FrameWorst => "worst",
            Self::FrameTailCpu => "CPU p99.9",
            Self::Load => "client",
            Self::FirstResponse => "response",
        }
    }

    /// A value for people.
    pub fn shown(self, value: f64) -> String {
        match self {
            Self::Cpu | Self::Wall | Self::Latency | Self::LatencyTail | Self::Load | Self::FirstResponse => {
                if value < 1e3 { format!("{} µs", shown(value)) } else { format!("{} ms", shown(value / 1e3)) }
            }
            Self::Throughput | Self::LibrarySize => {
                format!("{} MB{}", shown(value), if self == Self::Throughput { "/s" } else { "" })
            }
            Self::Memory => format!("{} MiB", shown(value)),
            Self::StreamMemory => format!("{} KiB", shown(value)),
            Self::Instructions => format!("{value:.0}"),
            Self::Allocations => format!("{value:.1}"),
            Self::Frame | Self::FrameTail | Self::FrameWorst | Self::FrameTailCpu => format!("{} %", shown(value)),
        }
    }

    /// Of one run.
    pub fn of(self, sample: &Value) -> f64 {
        let number = |name: &str| sample[name].as_f64().unwrap_or(f64::NAN);
        let requests = number("requests");
        let frame = |name: &str| number(name) / 1e9 * 60.0 * 100.0;
        match self {
            Self::Cpu => (number("user_ns") + number("sys_ns")) / requests / 1e3,
            Self::Wall => number("wall_ns") / requests / 1e3,
            Self::Latency => number("latency_median_ns") / 1e3,
            Self::LatencyTail => number("latency_p99_ns") / 1e3,
            Self::Throughput => number("bytes") / number("wall_ns") * 1e3,
            Self::Instructions => number("instructions") / requests,
            Self::Memory => number("peak_rss_kib") / 1024.0,
            Self::Frame => frame("frame_median_ns"),
            Self::FrameTail => frame("frame_p999_ns"),
            Self::FrameWorst => frame("frame_max_ns"),
            Self::FrameTailCpu => frame("frame_cpu_p999_ns"),
            Self::Allocations => number("allocations") / requests,
            Self::StreamMemory => number("streams_kib") / number("streams"),
            Self::LibrarySize => number("library_bytes") / 1e6,
            Self::Load => number("client_ns") / 1e3,
            Self::FirstResponse => number("response_ns") / 1e3,
        }
    }

    pub fn more_is_better(self) -> bool {
        self == Self::Throughput
    }
}

/// Three significant digits, or what there is before the point.
pub fn shown(value: f64) -> String {
    match value.abs() {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// How long the whole may take.
#[derive(Clone, Copy)]
pub struct Size {
    pub rounds: usize,
    /// What counts are divided by.
    pub less: usize,
}

impl Size {
    pub const FULL: Self = Self { rounds: 7, less: 1 };
    pub const QUICK: Self = Self { rounds: 3, less: 2 };
    /// Only to see that everything works.
    pub const SMOKE: Self = Self { rounds: 1, less: 100 };

    /// Whether the times mean anything.
    pub fn tells_times(self) -> bool {
        self.less < Self::SMOKE.less
    }
}

/// Everything that is measured by running programs.
pub fn all(nginx: &Nginx, slow: &SlowServer, downloads: &str, library: &str, size: Size) -> Vec<Row> {
    let mut rows: Vec<Row> = host_thread().collect();
    rows.extend(
        [(1, 3_000), (32, 6_400), (128, 7_680), (1_000, 10_000), (10_000, 10_000)]
            .into_iter()
            .map(|(parallel, count)| small(nginx, parallel, count, size)),
    );
    rows.extend([1, 32].map(|parallel| instructions(nginx, parallel, size)));
    rows.push(latency(nginx, size));
    rows.extend(idle_streams(nginx, slow, size));
    rows.extend([download(nginx, "memory", downloads, size), download(nginx, "file", downloads, size)]);
    rows.extend([http2(nginx, size), tls(nginx, size)]);
    let frames = [(1, 300), (50, 300), (500, 1_000), (5_000, 600), (10_000, 300)];
    let frames = if size.tells_times() { &frames[..] } else { &frames[..1] };
    rows.extend(frames.iter().map(|(at_once, frames)| frame(slow, *at_once, *frames, size)));
    rows.extend([load(nginx, library, size), library_size()]);
    rows
}

/// What the step `cost` of the test command counts.
fn host_thread() -> impl Iterator<Item = Row> {
    ["poll", "submit", "drain"].into_iter().zip(COUNTED).enumerate().map(|(index, (name, counted))| Row {
        name: name.into(),
        title: format!("On the program's thread: {}", counted.what),
        figures: &[Figure::Instructions, Figure::Allocations],
        rounds: 1,
        entries: vec![Entry { label: "Sortie", how: How::Cost(index) }],
        goals: vec![
            Goal::AtMost(Figure::Instructions, counted.most_instructions),
            Goal::AtMost(Figure::Allocations, counted.most_allocations),
        ],
    })
}

fn library_size() -> Row {
    Row {
        name: "size".into(),
        title: "The shared library, stripped".into(),
        figures: &[Figure::LibrarySize],
        rounds: 1,
        entries: vec![Entry { label: "Sortie", how: How::File }],
        goals: vec![Goal::AtMost(Figure::LibrarySize, LARGEST as f64 / 1e6)],
    }
}

/// A count in this size, in whole waves.
fn shortened(count: usize, parallel: usize, size: Size) -> usize {
    (count / size.less).div_ceil(parallel) * parallel
}

/// Programs that are called alike but for their work: each one's label, its name, and that.
fn runs(alike: &Call, programs: impl IntoIterator<Item = (&'static str, &'static str, &'static str)>) -> Vec<Entry> {
    let entry = |(label, program, work)| Entry { label, how: How::Run(Call { program, work, ..alike.clone() }) };
    programs.into_iter().map(entry).collect()
}

fn small(nginx: &Nginx, parallel: usize, count: usize, size: Size) -> Row {
    // To see that it works, a thousand are as good as ten.
    let parallel_now = if size.tells_times() { parallel } else { parallel.min(200) };
    let alike = Call {
        url: nginx.plain(SMALL),
        count: shortened(count, parallel_now, size),
        parallel: parallel_now,
        ..Call::default()
    };
    let programs = [
        ("Sortie", "sortie_bench", "small"),
        ("Sortie, drained at 60 Hz", "sortie_bench", "small-frames"),
        ("libcurl multi", "curl_multi", "small"),
        ("libcurl multi, 16 connections", "curl_multi", "small-16"),
        ("libcurl easy", "curl_easy", "small"),
        ("reqwest", "reqwest", "small"),
        ("reqwest, 16 at a time", "reqwest", "small-16"),
        ("isahc", "isahc", "small"),
        ("isahc, 16 at a time", "isahc", "small-16"),
        ("ureq", "ureq", "small"),
        ("cpp-httplib", "cpp_httplib", "small"),
        (".NET's HttpClient", "httpclient", "small"),
        (".NET's HttpClient, 16 connections", "httpclient", "small-16"),
    ];
    // So many at least make a difference.
    let takes_part = |work| match work {
        "small-frames" => parallel > 100,
        "small-16" => parallel > 16,
        _ => true,
    };
    let of_multi = if parallel >= 1_000 { 0.6 } else { 1.0 };
    Row {
        name: format!("small-{parallel}"),
        title: format!("Small GETs over HTTP/1.1, {parallel} submitted at once"),
        figures: &[Figure::Cpu, Figure::Wall, Figure::Memory],
        rounds: size.rounds,
        entries: runs(&alike, programs.into_iter().filter(|(_, _, work)| takes_part(work))),
        goals: vec![
            Goal::Ratio("libcurl multi", of_multi),
            Goal::Ratio("reqwest", 1.0),
            Goal::Ratio("reqwest, 16 at a time", 1.0),
        ],
    }
}

fn instructions(nginx: &Nginx, parallel: usize, size: Size) -> Row {
    let entry = |label, program| Entry {
        label,
        how: How::Count(Call {
            program,
            work: "small",
            url: nginx.plain(SMALL),
            count: shortened(960, parallel, size),
            parallel,
            path: String::new(),
        }),
    };
    Row {
        name: format!("instructions-{parallel}"),
        title: format!("Instructions of a small GET in all threads, {parallel} submitted at once"),
        figures: &[Figure::Instructions],
        rounds: 1,
        entries: vec![
            entry("Sortie", "sortie_bench"),
            entry("libcurl multi", "curl_multi"),
            entry("libcurl easy", "curl_easy"),
        ],
        goals: vec![Goal::Ratio("libcurl easy", 1.1)],
    }
}

fn latency(nginx: &Nginx, size: Size) -> Row {
    let alike = Call { url: nginx.plain(SMALL), count: shortened(3_000, 1, size), parallel: 1, ..Call::default() };
    let programs = [
        ("Sortie", "sortie_bench", "latency"),
        ("Sortie, polled busily", "sortie_bench", "latency-spin"),
        ("libcurl easy", "curl_easy", "latency"),
        ("reqwest", "reqwest", "latency"),
        ("isahc", "isahc", "latency"),
        ("ureq", "ureq", "latency"),
        ("cpp-httplib", "cpp_httplib", "latency"),
        (".NET's HttpClient", "httpclient", "latency"),
    ];
    Row {
        name: "latency".into(),
        title: "Latency of one small GET on a warm connection".into(),
        figures: &[Figure::Latency, Figure::LatencyTail, Figure::Cpu],
        rounds: size.rounds,
        entries: runs(&alike, programs),
        goals: vec![Goal::Ratio("libcurl easy", 1.25)],
    }
}

fn idle_streams(nginx: &Nginx, slow: &SlowServer, size: Size) -> [Row; 2] {
    let streams = if size.tells_times() { 10_000 } else { 100 };
    let row = |name: &str, whose: &str, url: &str| {
        let entry = |label, program, streams| Entry {
            label,
            how: How::Run(Call {
                program,
                work: "idle",
                url: url.into(),
                count: 200,
                parallel: streams,
                path: slow.url("idle"),
            }),
        };
        Row {
            name: name.into(),
            title: format!("One small GET after another beside 10,000 idle streams, {whose}"),
            figures: &[Figure::Latency, Figure::Cpu, Figure::StreamMemory],
            rounds: size.rounds.div_ceil(3),
            entries: vec![
                entry("Sortie", "sortie_bench", streams),
                entry("Sortie, none idle", "sortie_bench", 0),
                entry("libcurl multi", "curl_multi", streams),
                entry("libcurl multi, none idle", "curl_multi", 0),
            ],
            goals: vec![Goal::Ratio("Sortie, none idle", 1.5), Goal::AtMost(Figure::StreamMemory, 12.0)],
        }
    };
    [
        row("idle", "which are another server's", &nginx.plain(SMALL)),
        row("idle-same", "which are the same server's", &slow.url(SMALL)),
    ]
}

fn download(nginx: &Nginx, to: &'static str, downloads: &str, size: Size) -> Row {
    let body = if size.tells_times() { LARGE } else { MEDIUM };
    let entry = |label, program, work| Entry {
        label,
        how: How::Run(Call {
            program,
            work,
            url: nginx.plain(body),
            count: 3,
            parallel: 1,
            path: format!("{downloads}/{program}"),
        }),
    };
    let mut entries = vec![entry("Sortie", "sortie_bench", to), entry("libcurl easy", "curl_easy", to)];
    let mut goals = vec![Goal::Ratio("libcurl easy", 1.15)];
    if to == "file" {
        entries.push(entry("curl -o", "curl_program", to));
        entries.push(entry("Sortie, synced (its default)", "sortie_bench", "file-sync"));
        goals.push(Goal::Ratio("curl -o", 1.0));
    }
    entries.extend(["reqwest", "isahc", "ureq"].map(|program| entry(program, program, to)));
    entries.push(entry("cpp-httplib", "cpp_httplib", to));
    entries.push(entry(".NET's HttpClient", "httpclient", to));
    Row {
        name: to.into(),
        title: format!(
            "Downloads of 256 MiB, one after another, to {}",
            if to == "file" { "a file" } else { "memory" }
        ),
        figures: &[Figure::Throughput, Figure::Cpu, Figure::Memory],
        rounds: size.rounds,
        entries,
        goals,
    }
}

fn http2(nginx: &Nginx, size: Size) -> Row {
    let alike = Call {
        url: nginx.http2(SMALL),
        count: shortened(1_000, 1, size),
        parallel: 100,
        path: nginx.roots.display().to_string(),
        ..Call::default()
    };
    let programs = [
        ("Sortie", "sortie_bench", "http2"),
        ("libcurl multi", "curl_multi", "http2"),
        ("reqwest", "reqwest", "http2"),
        ("isahc", "isahc", "http2"),
    ];
    Row {
        name: "http2".into(),
        title: "1,000 small GETs over HTTP/2 on TLS, 100 at a time".into(),
        figures: &[Figure::Cpu, Figure::Wall, Figure::Memory],
        rounds: size.rounds,
        entries: runs(&alike, programs),
        goals: vec![Goal::Ratio("libcurl multi", 1.0)],
    }
}

fn tls(nginx: &Nginx, size: Size) -> Row {
    let alike = Call {
        url: nginx.closing(SMALL),
        count: 16,
        parallel: 1,
        path: nginx.roots.display().to_string(),
        ..Call::default()
    };
    let programs = [
        ("Sortie", "sortie_bench", "tls"),
        ("libcurl easy", "curl_easy", "tls"),
        ("reqwest", "reqwest", "tls"),
        ("isahc", "isahc", "tls"),
        ("ureq", "ureq", "tls"),
        ("cpp-httplib", "cpp_httplib", "tls"),
    ];
    Row {
        name: "tls".into(),
        title: "16 TLS connections opened one after another, per connection".into(),
        figures: &[Figure::Cpu, Figure::Wall, Figure::Memory],
        rounds: size.rounds,
        entries: runs(&alike, programs),
        goals: vec![Goal::Ratio("libcurl easy", 1.0)],
    }
}

fn frame(slow: &SlowServer, at_once: usize, frames: usize, size: Size) -> Row {
    let call = Call {
        program: "sortie_bench",
        work: "frame",
        url: slow.url(format!("slow/{MEDIUM}")),
        count: (frames / size.less).max(10),
        parallel: at_once,
        path: String::new(),
    };
    Row {
        name: format!("frame-{at_once}"),
        title: format!("A 60 Hz frame's time inside the library, with {at_once} transfers running"),
        figures: &[Figure::FrameTail, Figure::FrameTailCpu, Figure::Frame, Figure::FrameWorst],
        rounds: size.rounds.div_ceil(3),
        entries: vec![Entry { label: "Sortie", how: How::Run(call) }],
        goals: if at_once == 500 { vec![Goal::AtMost(Figure::FrameTail, 1.0)] } else { vec![] },
    }
}

fn load(nginx: &Nginx, library: &str, size: Size) -> Row {
    let call =
        Call { program: "load", work: "load", url: nginx.plain(SMALL), count: 1, parallel: 1, path: library.into() };
    Row {
        name: "load".into(),
        title: "From loading the shared library to a created client, and to the first response".into(),
        figures: &[Figure::Load, Figure::FirstResponse, Figure::Memory],
        rounds: (size.rounds * 3).min(20),
        entries: vec![Entry { label: "Sortie", how: How::Run(call) }],
        goals: vec![],
    }
}
