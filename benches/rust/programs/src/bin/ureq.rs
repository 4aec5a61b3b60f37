//! ureq as a careful program uses it: one agent for all; where many responses are wanted at once, 16 threads.

use std::fs::{self, File};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use sortie_alternatives::{Arguments, Meter, Result, TIMEOUT};
use ureq::Agent;
use ureq::http::Response;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

const THREADS: usize = 16;

fn main() -> Result<()> {
    let arguments = Arguments::read()?;
    let (count, parallel) = (arguments.count, arguments.parallel);
    let program = Arc::new(Program { agent: agent(&arguments)?, arguments });
    let arguments = &program.arguments;
    let threads = Threads::start(&program, THREADS.min(arguments.warm_up()));
    threads.get_all(arguments.warm_up())?;
    let mut meter = Meter::start();
    match arguments.work.as_str() {
        "small" if parallel > 1 => {
            for _ in 0..count.div_ceil(parallel) {
                meter.add(parallel, threads.get_all(parallel)?);
            }
        }
        _ => meter.one_after_another(arguments, || program.get(), || program.download())?,
    }
    meter.print();
    Ok(())
}

fn agent(arguments: &Arguments) -> Result<Agent> {
    let mut config = Agent::config_builder()
        .user_agent("bench/1")
        // A limit on the whole would start a thread for each request, to look names up.
        .timeout_connect(Some(TIMEOUT))
        .timeout_recv_response(Some(TIMEOUT))
        .timeout_recv_body(Some(TIMEOUT))
        .max_idle_connections(THREADS)
        .max_idle_connections_per_host(THREADS);
    if let Some(roots) = arguments.roots()? {
        let certificates = parse_pem(&roots).filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        });
        let roots = RootCerts::Specific(Arc::new(certificates.collect()));
        config = config.tls_config(TlsConfig::builder().root_certs(roots).build());
    }
    Ok(config.build().new_agent())
}

struct Program {
    agent: Agent,
    arguments: Arguments,
}

impl Program {
    fn send(&self) -> Result<Response<ureq::Body>> {
        Ok(self.agent.get(&self.arguments.url).call()?)
    }

    fn get(&self) -> Result<u64> {
        let mut response = self.send()?;
        // Its own limit is 10 MB.
        let body = response.body_mut().with_config().limit(u64::MAX).read_to_vec()?;
        self.arguments.check(response.status(), response.version(), body.len() as u64)
    }

    fn download(&self) -> Result<u64> {
        let mut response = self.send()?;
        let mut file = File::create(self.arguments.part())?;
        let length = io::copy(&mut response.body_mut().as_reader(), &mut file)?;
        drop(file);
        fs::rename(self.arguments.part(), &self.arguments.path)?;
        self.arguments.check(response.status(), response.version(), length)
    }
}

/// Threads that get a response each for what they are sent.
struct Threads {
    wanted: Sender<()>,
    got: Receiver<Result<u64>>,
}

impl Threads {
    fn start(program: &Arc<Program>, count: usize) -> Self {
        let (wanted, asked) = channel();
        let (tell, got) = channel();
        let asked = Arc::new(Mutex::new(asked));
        for _ in 0..count {
            let (program, asked, tell) = (Arc::clone(program), Arc::clone(&asked), tell.clone());
            // They end with the process.
            thread::spawn(move || {
                let next = || asked.lock().unwrap_or_else(PoisonError::into_inner).recv();
                while next().is_ok() && tell.send(program.get()).is_ok() {}
            });
        }
        Self { wanted, got }
    }

    fn get_all(&self, count: usize) -> Result<u64> {
        for _ in 0..count {
            self.wanted.send(())?;
        }
        (0..count).map(|_| self.got.recv()?).sum()
    }
}
