//! Serves until stdin closes: for demos, and for tests in other languages.

use std::io::Read;
use std::process::ExitCode;

use sortie_test_server::{Server, raise_file_limit};

const USAGE: &str = "usage: sortie-test-server [--tls] [--name NAME]... [--ipv6] [--port N]";

fn main() -> ExitCode {
    let mut builder = Server::builder();
    let mut tls = false;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        builder = match argument.as_str() {
            "--tls" => {
                tls = true;
                builder.tls(true)
            }
            "--ipv6" => builder.ipv6(true),
            "--name" => match arguments.next() {
                Some(name) => builder.names([name]),
                None => return fail(USAGE),
            },
            "--port" => match arguments.next().and_then(|port| port.parse().ok()) {
                Some(port) => builder.port(port),
                None => return fail(USAGE),
            },
            _ => return fail(USAGE),
        };
    }
    raise_file_limit();
    let server = match builder.try_start() {
        Ok(server) => server,
        Err(error) => return fail(&format!("cannot start: {error}")),
    };
    println!("{}", server.url(""));
    if tls {
        println!("{}", server.ca_pem().display());
    }
    let mut ignored = [0; 1024];
    while std::io::stdin().read(&mut ignored).is_ok_and(|n| n > 0) {}
    ExitCode::SUCCESS
}

fn fail(why: &str) -> ExitCode {
    eprintln!("{why}");
    ExitCode::FAILURE
}
