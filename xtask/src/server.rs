//! The embedded test server, as a process of its own.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::Result;
use crate::process::cargo;
use crate::project::Project;

/// A running server; it ends with this value.
pub struct Server {
    process: Child,
    /// Its base URL, such as `http://127.0.0.1:40123`.
    pub url: String,
    /// With TLS: the path of its authority's certificate.
    pub authority: Option<String>,
}

impl Server {
    /// Starts it on a free port of the loopback interface.
    pub fn start(project: &Project, tls: bool) -> Result<Self> {
        Self::start_with_names(project, tls, &[])
    }

    /// The same, with more names in its certificate.
    fn start_with_names(project: &Project, tls: bool, names: &[&str]) -> Result<Self> {
        let mut command = cargo(&project.root);
        command.args(["run", "--quiet", "--locked", "--package", "sortie-test-server", "--"]);
        if tls {
            command.arg("--tls");
        }
        for name in names {
            command.args(["--name", name]);
        }
        // It serves until its input closes.
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start the test server: {error}"))?;
        let output = process.stdout.take().ok_or("the test server has no output")?;
        let mut lines = BufReader::new(output).lines();
        let mut next = || match lines.next() {
            Some(Ok(line)) => Ok(line),
            _ => Err("the test server said nothing and ended".to_owned()),
        };
        let url = next()?.trim_end_matches('/').to_owned();
        let authority = if tls { Some(next()?) } else { None };
        Ok(Self { process, url, authority })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// Two of them, without and with TLS, for tests in other languages.
pub struct Servers {
    /// Without TLS.
    pub plain: Server,
    tls: Server,
}

impl Servers {
    /// Starts them.
    pub fn start(project: &Project) -> Result<Self> {
        Self::with_names(project, &[])
    }

    /// The same, with more names in the certificate.
    pub fn with_names(project: &Project, names: &[&str]) -> Result<Self> {
        Ok(Self { plain: Server::start(project, false)?, tls: Server::start_with_names(project, true, names)? })
    }

    /// Tells a program where they are.
    pub fn tell<'a>(&self, program: &'a mut Command) -> &'a mut Command {
        program
            .env("SORTIE_TEST_SERVER", &self.plain.url)
            .env("SORTIE_TEST_SERVER_TLS", &self.tls.url)
            .env("SORTIE_TEST_CA", self.tls.authority.as_deref().unwrap_or_default())
    }
}
