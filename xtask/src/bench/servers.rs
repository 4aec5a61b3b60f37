//! The servers that the programs talk to, on the loopback interface: nginx, and one of our own.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::Duration;

use crate::Result;
use crate::process::{capture, command};
use crate::project::{Project, read, write};

/// Bodies that nginx has, in bytes: `/1024` and so on.
pub const SMALL: u64 = 1024;
pub const MEDIUM: u64 = 65_536;
pub const LARGE: u64 = 256 << 20;

/// How many cores there are.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The core that servers run on, the last.
fn server_core() -> String {
    (cores() - 1).to_string()
}

/// The cores for a program that is not to share its servers'. Where the scheduler puts both sides of small exchanges on few
/// cores decides more than what they do: the same program takes five times as long when each wakes the other across cores as
/// when both are on one, which no real server is.
pub fn program_cores() -> String {
    format!("0-{}", cores().saturating_sub(2))
}

/// A running nginx; it ends with this value.
pub struct Nginx {
    process: Child,
    /// Plain HTTP/1.1; with TLS and HTTP/2; with TLS, closing after each response.
    ports: [u16; 3],
    /// The system's roots and the certificate's own.
    pub roots: PathBuf,
}

impl Nginx {
    /// Starts it.
    pub fn start(project: &Project) -> Result<Self> {
        let folder = project.scratch("bench/nginx")?;
        make_identity(&folder)?;
        for length in [SMALL, MEDIUM, LARGE] {
            make_file(&folder.join("www"), length)?;
        }
        for _ in 0..20 {
            let ports = free_ports()?;
            write(&folder.join("nginx.conf"), &configuration(&folder, ports))?;
            // It may have as many connections as the system lets it, rather than as we, and ends when we do, even if killed.
            let mut shell = command("sh");
            shell.args([
                "-c",
                "ulimit -n $(ulimit -Hn)
                exec setpriv --pdeathsig KILL taskset -c \"$2\" nginx -p \"$1\" -c \"$1/nginx.conf\" -e stderr",
                "sh",
            ]);
            let mut process = shell
                .arg(&folder)
                .arg(server_core())
                .stderr(Stdio::null())
                .spawn()
                .map_err(|error| format!("nginx: {error}"))?;
            if comes_up(&mut process, ports) {
                return Ok(Self { process, ports, roots: folder.join("roots.pem") });
            }
            // Somebody else has taken a port meanwhile, or it does not come up at all.
            let _ = process.kill();
            let _ = process.wait();
        }
        Err(format!("nginx does not start; try nginx -p {0} -c {0}/nginx.conf", folder.display()))
    }

    /// Plain HTTP/1.1.
    pub fn plain(&self, path: impl std::fmt::Display) -> String {
        format!("http://127.0.0.1:{}/{path}", self.ports[0])
    }

    /// HTTP/2 on TLS.
    pub fn http2(&self, path: impl std::fmt::Display) -> String {
        format!("https://127.0.0.1:{}/{path}", self.ports[1])
    }

    /// HTTP/1.1 on TLS; each connection is closed after its response.
    pub fn closing(&self, path: impl std::fmt::Display) -> String {
        format!("https://127.0.0.1:{}/{path}", self.ports[2])
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn comes_up(process: &mut Child, ports: [u16; 3]) -> bool {
    for _ in 0..500 {
        if !matches!(process.try_wait(), Ok(None)) {
            return false;
        }
        if ports.iter().all(|port| TcpStream::connect((Ipv4Addr::LOCALHOST, *port)).is_ok()) {
            return true;
        }
        sleep(Duration::from_millis(10));
    }
    false
}

fn free_ports() -> Result<[u16; 3]> {
    let free = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let [a, b, c] = [free(), free(), free()].map(|bound| bound.and_then(|listener| listener.local_addr()));
    let port = |address: std::io::Result<std::net::SocketAddr>| address.map_err(|e| e.to_string()).map(|a| a.port());
    Ok([port(a)?, port(b)?, port(c)?])
}

/// A certificate of an authority of its own, whose root comes after the system's, which have to be read as in real life.
fn make_identity(folder: &Path) -> Result<()> {
    let make = |name: &str, more: &[&str]| {
        let mut openssl = command("openssl");
        openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "7"]);
        openssl.current_dir(folder).args(["-subj", &format!("/CN=sortie bench {name}")]).args(more);
        capture(openssl.args(["-keyout", &format!("{name}-key.pem"), "-out", &format!("{name}.pem")]))
    };
    make("root", &[])?;
    let names =
        ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"];
    make("server", &[&["-CA", "root.pem", "-CAkey", "root-key.pem"], &names[..]].concat())?;
    let root = read(&folder.join("root.pem"))?;
    let system = fs::read_to_string("/etc/ssl/certs/ca-certificates.crt").unwrap_or_default();
    write(&folder.join("roots.pem"), &format!("{system}{root}"))
}

/// A file of that name and length, unless it is there already.
fn make_file(folder: &Path, length: u64) -> Result<()> {
    let path = folder.join(length.to_string());
    if fs::metadata(&path).is_ok_and(|file| file.len() == length) {
        return Ok(());
    }
    let fill = || -> std::io::Result<()> {
        fs::create_dir_all(folder)?;
        let mut file = fs::File::create(&path)?;
        let piece: Vec<u8> = (0..=255).collect();
        for _ in 0..length / 256 {
            file.write_all(&piece)?;
        }
        Ok(())
    };
    fill().map_err(|error| format!("cannot write {}: {error}", path.display()))
}

fn configuration(folder: &Path, [plain, http2, closing]: [u16; 3]) -> String {
    let here = folder.display();
    format!(
        "daemon off;
master_process off;
pid {here}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 15000; }}
http {{
    access_log off;
    client_body_temp_path {here}/body;
    proxy_temp_path {here}/proxy;
    fastcgi_temp_path {here}/fastcgi;
    uwsgi_temp_path {here}/uwsgi;
    scgi_temp_path {here}/scgi;
    default_type application/octet-stream;
    sendfile on;
    tcp_nopush on;
    tcp_nodelay on;
    open_file_cache max=100;
    keepalive_timeout 600s;
    keepalive_requests 1000000000;
    ssl_session_cache shared:bench:1m;
    ssl_certificate {here}/server.pem;
    ssl_certificate_key {here}/server-key.pem;
    root {here}/www;
    server {{ listen 127.0.0.1:{plain} backlog=4096; }}
    server {{ listen 127.0.0.1:{http2} ssl http2; }}
    server {{ listen 127.0.0.1:{closing} ssl; keepalive_timeout 0; }}
}}
"
    )
}

/// A server of responses that take their time: see `slow_server.c`.
pub struct SlowServer {
    process: Child,
    port: u16,
}

impl SlowServer {
    /// Starts it.
    pub fn start(program: &Path) -> Result<Self> {
        let mut starting = command("taskset");
        starting.args(["-c", &server_core()]).arg(program);
        // It serves until its input closes.
        let started = starting.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut process = started.map_err(|error| format!("{}: {error}", program.display()))?;
        let mut line = String::new();
        let output = process.stdout.take().ok_or("the slow server has no output")?;
        BufReader::new(output).read_line(&mut line).map_err(|error| format!("the slow server: {error}"))?;
        let port = line.trim().parse().map_err(|_| format!("the slow server said '{}'", line.trim()))?;
        Ok(Self { process, port })
    }

    pub fn url(&self, path: impl std::fmt::Display) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }
}

impl Drop for SlowServer {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}
