//! isahc as a careful program uses it: one client for all, whose own thread runs libcurl.

use std::fs;

use futures_lite::future::block_on;
use futures_util::{StreamExt, TryStreamExt, stream};
use isahc::config::{Configurable, RedirectPolicy};
use isahc::tls::{TlsConfig, TrustStore};
use isahc::{AsyncReadResponseExt, HttpClient, ReadResponseExt};

use sortie_alternatives::{Arguments, Meter, Result, TIMEOUT};

fn main() -> Result<()> {
    let arguments = Arguments::read()?;
    let program = Program { client: client(&arguments)?, arguments: &arguments };
    let (count, parallel) = (arguments.count, arguments.parallel);
    block_on(program.get_all(arguments.warm_up(), arguments.at_once()))?;
    let mut meter = Meter::start();
    match arguments.work.as_str() {
        "small" | "small-16" => {
            for _ in 0..count.div_ceil(parallel) {
                meter.add(parallel, block_on(program.get_all(parallel, arguments.at_once()))?);
            }
        }
        "http2" => meter.add(count, block_on(program.get_all(count, parallel))?),
        _ => meter.one_after_another(&arguments, || program.get(), || program.download())?,
    }
    meter.print();
    Ok(())
}

fn client(arguments: &Arguments) -> Result<HttpClient> {
    let mut builder = HttpClient::builder()
        .timeout(TIMEOUT)
        .redirect_policy(RedirectPolicy::Limit(10))
        .connection_cache_size(arguments.at_once());
    if arguments.roots()?.is_some() {
        let roots = TrustStore::from_file(&arguments.path);
        builder = builder.tls_config(TlsConfig::builder().trust_store(roots).build());
    }
    Ok(builder.build()?)
}

struct Program<'a> {
    client: HttpClient,
    arguments: &'a Arguments,
}

impl Program<'_> {
    fn get(&self) -> Result<u64> {
        let mut response = self.client.get(&self.arguments.url)?;
        let length = ReadResponseExt::bytes(&mut response)?.len() as u64;
        self.arguments.check(response.status(), response.version(), length)
    }

    async fn get_async(&self) -> Result<u64> {
        let mut response = self.client.get_async(&self.arguments.url).await?;
        let length = AsyncReadResponseExt::bytes(&mut response).await?.len() as u64;
        self.arguments.check(response.status(), response.version(), length)
    }

    async fn get_all(&self, count: usize, at_once: usize) -> Result<u64> {
        let requests = stream::iter(0..count).map(|_| self.get_async()).buffer_unordered(at_once);
        requests.try_fold(0, |bytes, length| async move { Ok(bytes + length) }).await
    }

    fn download(&self) -> Result<u64> {
        let mut response = self.client.get(&self.arguments.url)?;
        let length = response.copy_to_file(self.arguments.part())?;
        fs::rename(self.arguments.part(), &self.arguments.path)?;
        self.arguments.check(response.status(), response.version(), length)
    }
}
