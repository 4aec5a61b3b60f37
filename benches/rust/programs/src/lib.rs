//! What the programs of `cargo xtask bench` in Rust share. They are called as those in C are, `benches/programs/bench.h`:
//! `PROGRAM WORK URL COUNT PARALLEL [PATH]`, and print one line of JSON.

use std::error::Error;
use std::time::{Duration, Instant};
use std::{env, fs, mem};

use http::{StatusCode, Version};

pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// How long a request may take.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// What a program is called with.
pub struct Arguments {
    pub work: String,
    pub url: String,
    pub count: usize,
    pub parallel: usize,
    /// A file to write, or the roots to trust.
    pub path: String,
    /// How many bytes each body has, as the last part of its URL says.
    length: u64,
}

impl Arguments {
    /// Also lets the process have as many descriptors as it may.
    pub fn read() -> Result<Self> {
        let words: Vec<String> = env::args().skip(1).collect();
        let [work, url, count, parallel, path @ ..] = words.as_slice() else {
            return Err("usage: PROGRAM WORK URL COUNT PARALLEL [PATH]".into());
        };
        let length = url.rsplit('/').next().unwrap_or_default().parse()?;
        allow_files();
        Ok(Self {
            work: work.clone(),
            url: url.clone(),
            count: count.parse()?,
            parallel: parallel.parse()?,
            path: path.concat(),
            length,
        })
    }

    /// The length of a body that is whole, of the response that it should be of.
    pub fn check(&self, status: StatusCode, version: Version, length: u64) -> Result<u64> {
        let wanted = if self.work == "http2" { Version::HTTP_2 } else { Version::HTTP_11 };
        if status == StatusCode::OK && version == wanted && length == self.length {
            return Ok(length);
        }
        Err(format!("status {status}, {version:?}, {length} bytes").into())
    }

    /// How many requests of a wave may be under way at a time, or have a connection: 16 in `small-16`, which takes the care
    /// that `small` leaves to the library.
    pub fn at_once(&self) -> usize {
        if self.work == "small-16" { 16.min(self.parallel) } else { self.parallel }
    }

    /// How many requests go before those that count.
    pub fn warm_up(&self) -> usize {
        match self.work.as_str() {
            "small" | "small-16" => self.parallel,
            "http2" | "latency" => 1,
            _ => 0,
        }
    }

    /// What is to be trusted, if the work is about that.
    pub fn roots(&self) -> Result<Option<Vec<u8>>> {
        if matches!(self.work.as_str(), "http2" | "tls") { Ok(Some(fs::read(&self.path)?)) } else { Ok(None) }
    }

    /// Where a download goes before it is whole.
    pub fn part(&self) -> String {
        format!("{}.part", self.path)
    }
}

/// Measures from here to `print`.
pub struct Meter {
    start: Instant,
    processor: [u64; 2],
    bytes: u64,
    requests: usize,
    latencies: Vec<u64>,
}

impl Meter {
    pub fn start() -> Self {
        Self { start: Instant::now(), processor: processor(), bytes: 0, requests: 0, latencies: Vec::new() }
    }

    /// So many requests have brought so much.
    pub fn add(&mut self, requests: usize, bytes: u64) {
        self.requests += requests;
        self.bytes += bytes;
    }

    /// One has, since then.
    pub fn add_since(&mut self, start: Instant, bytes: u64) {
        self.latencies.push(nanoseconds(start.elapsed()));
        self.add(1, bytes);
    }

    /// Does work that is one request after another, by a program whose calls block.
    pub fn one_after_another(
        &mut self,
        arguments: &Arguments,
        get: impl Fn() -> Result<u64>,
        download: impl Fn() -> Result<u64>,
    ) -> Result<()> {
        for _ in 0..arguments.count {
            let start = Instant::now();
            match arguments.work.as_str() {
                "small" | "latency" => self.add_since(start, get()?),
                "memory" | "tls" => self.add(1, get()?),
                "file" => self.add(1, download()?),
                other => return Err(format!("no such work: {other}").into()),
            }
        }
        Ok(())
    }

    pub fn print(mut self) {
        let wall = nanoseconds(self.start.elapsed());
        let [user, system] = processor();
        let mut json = String::from("{");
        if !self.latencies.is_empty() {
            self.latencies.sort_unstable();
            let at = |thousandths: usize| {
                self.latencies[(self.latencies.len() * thousandths / 1000).min(self.latencies.len() - 1)]
            };
            for (name, thousandths) in [("median", 500), ("p99", 990), ("p999", 999), ("max", 1000)] {
                json += &format!("\"latency_{name}_ns\":{},", at(thousandths));
            }
        }
        let (rss, peak) = (memory_kib("VmRSS:"), memory_kib("VmHWM:"));
        println!(
            "{json}\"requests\":{},\"bytes\":{},\"wall_ns\":{wall},\"user_ns\":{},\"sys_ns\":{},\"rss_kib\":{rss},\"peak_rss_kib\":{peak}}}",
            self.requests,
            self.bytes,
            user - self.processor[0],
            system - self.processor[1],
        );
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// What the process has spent in its own code and in the system's, in nanoseconds.
fn processor() -> [u64; 2] {
    // SAFETY: a rusage is numbers, which may all be zero, and getrusage writes one.
    let usage = unsafe {
        let mut usage: libc::rusage = mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    [usage.ru_utime, usage.ru_stime].map(|time| time.tv_sec as u64 * 1_000_000_000 + time.tv_usec as u64 * 1_000)
}

fn allow_files() {
    // SAFETY: getrlimit writes the struct that setrlimit reads.
    unsafe {
        let mut files: libc::rlimit = mem::zeroed();
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut files) == 0 {
            files.rlim_cur = files.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &files);
        }
    }
}

/// A figure of /proc/self/status.
fn memory_kib(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}
