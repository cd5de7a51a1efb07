//! Real Postgres and Redis servers for tests, each on a Unix socket in its own temporary folder and gone when dropped
//! (where a server's program is not installed, `start` says so loudly and gives none), and charges that continue their lines.

use crate::Charge;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use waybill_mechanism::message::{Order, Receipt, flags, line_key};
use waybill_protocol::{ChannelId, ContainerId, RequestId, WalletId};

/// A server gets this long to accept connections.
const START: Duration = Duration::from_secs(30);
/// The account that runs Postgres when the tests run as root, which Postgres refuses.
const POSTGRES_USER: &str = "postgres";

/// A Postgres server with one empty database.
pub struct PostgresServer {
    child: Child,
    bin: PathBuf,
    folder: TempDir,
}

impl PostgresServer {
    /// Starts a server without fsync unless `durable`. None when no Postgres is installed.
    pub fn start(durable: bool) -> io::Result<Option<Self>> {
        let Some(bin) = postgres_bin() else {
            warn_missing("Postgres");
            return Ok(None);
        };
        let folder = TempDir::with_prefix("wb-pg-")?;
        if is_root() {
            run(Command::new("chown").arg(POSTGRES_USER).arg(folder.path()))?;
        }
        let data = folder.path().join("data");
        run(as_postgres(&bin.join("initdb"))
            .current_dir(folder.path())
            .args(["--no-sync", "--auth=trust", "--username=waybill", "--encoding=UTF8", "--pgdata"])
            .arg(&data))?;
        let child = Self::spawn(&bin, folder.path(), durable)?;
        let server = Self { child, bin, folder };
        server.wait_ready()?;
        Ok(Some(server))
    }

    fn spawn(bin: &Path, folder: &Path, durable: bool) -> io::Result<Child> {
        let fsync = if durable { "fsync=on" } else { "fsync=off" };
        as_postgres(&bin.join("postgres"))
            .current_dir(folder)
            .arg("-D")
            .arg(folder.join("data"))
            .arg("-k")
            .arg(folder)
            .args(["-c", "listen_addresses=", "-c", fsync, "-c", "max_connections=60", "-c", "shared_buffers=64MB"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
    }

    fn wait_ready(&self) -> io::Result<()> {
        let ready = || {
            Command::new(self.bin.join("pg_isready"))
                .args(["-q", "-U", "waybill", "-d", "postgres", "-h"])
                .arg(self.folder.path())
                .status()
                .is_ok_and(|status| status.success())
        };
        poll("Postgres", ready)
    }

    /// Kills the server's processes as a crash would, without a shutdown checkpoint.
    pub fn crash(&mut self) -> io::Result<()> {
        self.signal("-QUIT")?;
        self.child.wait().map(|_| ())
    }

    /// Starts the server again on the same data.
    pub fn restart(&mut self, durable: bool) -> io::Result<()> {
        self.child = Self::spawn(&self.bin, self.folder.path(), durable)?;
        self.wait_ready()
    }

    /// URL of a database of its own, newly created.
    pub fn database(&self, name: &str) -> io::Result<String> {
        run(Command::new(self.bin.join("createdb")).args(["-U", "waybill", "-h"]).arg(self.folder.path()).arg(name))?;
        Ok(self.url(name))
    }

    /// URL of a database that [`Self::database`] created.
    pub fn url(&self, name: &str) -> String {
        format!("postgres://waybill@localhost/{name}?host={}", self.folder.path().display())
    }

    /// Signals the postmaster, by the process id that it wrote itself.
    fn signal(&self, signal: &str) -> io::Result<()> {
        let pid = std::fs::read_to_string(self.folder.path().join("data/postmaster.pid"))?;
        let pid = pid.lines().next().unwrap_or_default().trim().to_owned();
        run(Command::new("kill").args([signal, &pid]))
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        if self.child.try_wait().ok().flatten().is_none() && self.signal("-QUIT").is_ok() {
            let _ = self.child.wait();
        }
    }
}

/// A Redis server without persistence.
pub struct RedisServer {
    child: Child,
    folder: TempDir,
}

impl RedisServer {
    /// None when no Redis is installed.
    pub fn start() -> io::Result<Option<Self>> {
        let folder = TempDir::with_prefix("wb-redis-")?;
        let spawned = Command::new("redis-server")
            .current_dir(folder.path())
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"])
            .arg(folder.path().join("redis.sock"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = match spawned {
            Ok(child) => child,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                warn_missing("Redis");
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let server = Self { child, folder };
        let socket = server.folder.path().join("redis.sock");
        poll("Redis", || std::os::unix::net::UnixStream::connect(&socket).is_ok())?;
        Ok(Some(server))
    }

    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.folder.path().join("redis.sock").display())
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Makes charges of one gateway whose receipts continue their lines; signatures are placeholders.
#[derive(Debug, Clone)]
pub struct ChargeSource {
    pub gateway: WalletId,
    /// (seq, cum_nc) of the next receipt per (epoch, worker).
    lines: HashMap<(u32, [u8; 32]), (u32, u64)>,
}

impl ChargeSource {
    pub fn new(gateway: WalletId) -> Self {
        Self { gateway, lines: HashMap::new() }
    }

    /// The next charge of a worker's line in an epoch.
    pub fn charge(&mut self, channel: ChannelId, nonce: u64, worker: [u8; 32], epoch: u32, price_nc: u64) -> Charge {
        let line = self.lines.entry((epoch, worker)).or_default();
        let (seq, cum_nc) = (line.0, line.1 + price_nc);
        *line = (seq + 1, cum_nc);
        charge(self.gateway, channel, nonce, worker, epoch, (seq, cum_nc, price_nc))
    }
}

/// A charge with exactly this `(seq, cum_nc, price_nc)`.
pub fn charge(
    gateway: WalletId,
    channel: ChannelId,
    nonce: u64,
    worker: [u8; 32],
    epoch: u32,
    (seq, cum_nc, price_nc): (u32, u64, u64),
) -> Charge {
    let (container, referrer, domain) = (ContainerId([0xC0; 32]), WalletId::NONE, [7; 8]);
    let order = Order { domain, channel: channel.0, nonce, max_price_nc: price_nc, ctx_hash: [1; 32] };
    let ended_ms = u64::from(epoch) * 3_600_000;
    let receipt = Receipt {
        flags: flags::DELEGATED,
        det_class: 1,
        domain,
        epoch,
        seq,
        gateway: gateway.0,
        worker,
        line_key: line_key(&container.0, 0, &worker, &referrer.0),
        artifact: [2; 32],
        request_hash: order.hash(),
        input_hash: [3; 32],
        output_hash: [4; 32],
        evidence_hash: [5; 32],
        units_in: 10,
        units_out: 20,
        price_nc,
        cum_nc,
        t_start_ms: ended_ms,
        t_end_ms: ended_ms,
    };
    let name = &bs58_prefix(channel);
    Charge {
        receipt_id: format!("rcpt-{name}-{nonce}"),
        request_id: RequestId(format!("req-{name}-{nonce}")),
        channel,
        nonce,
        model: "test/model".into(),
        container,
        stage: 0,
        referrer,
        api_key: None,
        receipt: receipt.to_bytes(),
        worker_sig: [8; 64],
        gateway_sig: [9; 64],
        order: order.to_bytes(),
        order_sig: [10; 64],
        created_ms: ended_ms,
    }
}

fn bs58_prefix(channel: ChannelId) -> String {
    channel.to_string().chars().take(12).collect()
}

fn postgres_bin() -> Option<PathBuf> {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|version| version.path().join("bin"))
        .chain(std::env::var_os("PATH").iter().flat_map(std::env::split_paths))
        .filter(|bin| ["initdb", "postgres", "pg_isready", "createdb"].iter().all(|name| bin.join(name).is_file()))
        .collect();
    versions.sort();
    versions.pop()
}

fn as_postgres(program: &Path) -> Command {
    if is_root() {
        let mut command = Command::new("runuser");
        command.args(["-u", POSTGRES_USER, "--"]).arg(program);
        command
    } else {
        Command::new(program)
    }
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.starts_with(b"0\n"))
}

fn run(command: &mut Command) -> io::Result<()> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr))))
}

fn poll(what: &str, ready: impl Fn() -> bool) -> io::Result<()> {
    let deadline = Instant::now() + START;
    while !ready() {
        if Instant::now() > deadline {
            return Err(io::Error::new(io::ErrorKind::TimedOut, format!("{what} did not start within {START:?}")));
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    Ok(())
}

fn warn_missing(what: &str) {
    eprintln!("\n***** NOT TESTED: {what} is not installed on this machine; its tests are skipped *****\n");
}
