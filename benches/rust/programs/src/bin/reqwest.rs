//! reqwest as a careful program uses it: one client for all, on a runtime of one thread.

use std::fs::{self, File};
use std::io::Write;
use std::time::Instant;

use futures_util::{StreamExt, TryStreamExt, stream};
use reqwest::{Certificate, Client};

use sortie_alternatives::{Arguments, Meter, Result, TIMEOUT};
use tokio::runtime;

fn main() -> Result<()> {
    let arguments = Arguments::read()?;
    runtime::Builder::new_current_thread().enable_all().build()?.block_on(run(&arguments))
}

async fn run(arguments: &Arguments) -> Result<()> {
    let program = Program { client: client(arguments)?, arguments };
    let (count, parallel) = (arguments.count, arguments.parallel);
    program.get_all(arguments.warm_up(), arguments.at_once()).await?;
    let mut meter = Meter::start();
    match arguments.work.as_str() {
        "small" | "small-16" => {
            for _ in 0..count.div_ceil(parallel) {
                meter.add(parallel, program.get_all(parallel, arguments.at_once()).await?);
            }
        }
        "http2" => meter.add(count, program.get_all(count, parallel).await?),
        "latency" => {
            for _ in 0..count {
                let start = Instant::now();
                meter.add_since(start, program.get().await?);
            }
        }
        "memory" | "tls" => {
            for _ in 0..count {
                meter.add(1, program.get().await?);
            }
        }
        "file" => {
            for _ in 0..count {
                meter.add(1, program.download().await?);
            }
        }
        other => return Err(format!("no such work: {other}").into()),
    }
    meter.print();
    Ok(())
}

fn client(arguments: &Arguments) -> Result<Client> {
    let mut builder = Client::builder().user_agent("bench/1").timeout(TIMEOUT);
    if let Some(roots) = arguments.roots()? {
        builder = builder.tls_certs_only(Certificate::from_pem_bundle(&roots)?);
    }
    Ok(builder.build()?)
}

struct Program<'a> {
    client: Client,
    arguments: &'a Arguments,
}

impl Program<'_> {
    async fn get(&self) -> Result<u64> {
        let response = self.client.get(&self.arguments.url).send().await?;
        let (status, version) = (response.status(), response.version());
        self.arguments.check(status, version, response.bytes().await?.len() as u64)
    }

    async fn get_all(&self, count: usize, at_once: usize) -> Result<u64> {
        let requests = stream::iter(0..count).map(|_| self.get()).buffer_unordered(at_once);
        requests.try_fold(0, |bytes, length| async move { Ok(bytes + length) }).await
    }

    /// Written by the only thread, which has nothing else to do: that costs less than tokio's threads for files.
    async fn download(&self) -> Result<u64> {
        let mut response = self.client.get(&self.arguments.url).send().await?;
        let (mut file, mut length) = (File::create(self.arguments.part())?, 0);
        while let Some(piece) = response.chunk().await? {
            file.write_all(&piece)?;
            length += piece.len() as u64;
        }
        drop(file);
        fs::rename(self.arguments.part(), &self.arguments.path)?;
        self.arguments.check(response.status(), response.version(), length)
    }
}
