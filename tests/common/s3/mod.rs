//! An S3 server in the process of a test: objects in memory, signatures that are checked, and faults that the test
//! steers at any moment.
//!
//! | file | what it holds |
//! |---|---|
//! | `bucket.rs` | the objects, and what a test may do to them behind the protocol's back |
//! | `operations.rs` | what the protocol does to them |
//! | `accounts.rs` | who may do what |
//! | `faults.rs` | which request goes wrong, and how |
//! | `gate.rs` | where the two are asked, for every request |
//! | `connection.rs` | a socket that can be reset before its next answer |

#![allow(dead_code, unused_imports)] // Not every test binary uses everything.

mod accounts;
mod bucket;
mod connection;
mod faults;
mod gate;
mod operations;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;

use chrono::{DateTime, Utc};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::service::{S3Service, S3ServiceBuilder};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

pub use accounts::{Accounts, Policy};
pub use bucket::{Bucket, Object};
pub use faults::{Fault, Faults, Harm, Injected, Rates, Sky};

/// Name of the one bucket that the server has.
pub const BUCKET: &str = "gauntlet";
/// An account that may do everything.
pub const ACCESS_KEY: &str = "test";
pub const SECRET_KEY: &str = "not-a-secret";

/// A server on a thread and a runtime of its own. It ends when it is dropped.
pub struct S3Server {
    address: SocketAddr,
    accounts: Accounts,
    bucket: Arc<Bucket>,
    faults: Arc<Faults>,
    commands: Option<UnboundedSender<Command>>,
    thread: Option<JoinHandle<()>>,
}

/// What a test asks of the thread; it answers when that is done.
struct Command {
    up: bool,
    done: std::sync::mpsc::Sender<()>,
}

impl S3Server {
    /// A server with an empty bucket, on a free port of the loopback address. Faults are drawn from `seed`.
    pub fn start(seed: u64) -> Self {
        Self::start_with_clock(seed, Utc::now)
    }

    /// The same, stamping objects with the time that `now` tells.
    pub fn start_with_clock(seed: u64, now: impl Fn() -> DateTime<Utc> + Send + Sync + 'static) -> Self {
        let accounts = Accounts::default();
        accounts.admit(ACCESS_KEY, SECRET_KEY, None);
        let bucket = Arc::new(Bucket::new(now));
        let faults = Arc::new(Faults::new(seed));
        let service = {
            let mut builder = S3ServiceBuilder::new(operations::Operations(bucket.clone()));
            builder.set_auth(accounts.clone());
            builder.set_access(gate::Gate { accounts: accounts.clone(), faults: faults.clone() });
            builder.build()
        };
        let (commands, asked) = unbounded_channel();
        let (address, started) = std::sync::mpsc::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                let port = Port::reserve();
                let listener = port.listen();
                address.send(port.address).unwrap();
                serve(port, listener, service, asked).await;
            });
        });
        let address = started.recv().expect("the server starts");
        Self { address, accounts, bucket, faults, commands: Some(commands), thread: Some(thread) }
    }

    /// Where clients find it, as `AWS_ENDPOINT_URL` says it.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Environment variables with which a program finds the server and uses it as this account.
    pub fn environment(&self, access_key: &str, secret: &str) -> [(&'static str, String); 5] {
        [
            ("AWS_ENDPOINT_URL", self.endpoint()),
            ("AWS_ALLOW_HTTP", "true".into()),
            ("AWS_REGION", "us-east-1".into()),
            ("AWS_ACCESS_KEY_ID", access_key.into()),
            ("AWS_SECRET_ACCESS_KEY", secret.into()),
        ]
    }

    /// Who may do what.
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// The objects.
    pub fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    /// What goes wrong.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Breaks all connections and refuses new ones, from now on.
    pub fn go_down(&self) {
        self.command(false);
    }

    /// Is there again, at the same address and with its objects.
    pub fn come_back(&self) {
        self.command(true);
    }

    fn command(&self, up: bool) {
        let (done, answer) = std::sync::mpsc::channel();
        let commands = self.commands.as_ref().expect("there until it is dropped");
        commands.send(Command { up, done }).expect("the server's thread lives");
        answer.recv().expect("the server's thread lives");
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !std::thread::panicking()
        {
            panic!("the server's thread panicked");
        }
    }
}

/// A port that stays the server's while it is down: a socket that is bound and does not listen refuses connections, and
/// keeps others away.
struct Port {
    address: SocketAddr,
    _held: TcpSocket,
}

impl Port {
    fn reserve() -> Self {
        let held = Self::bind((Ipv4Addr::LOCALHOST, 0).into());
        Self { address: held.local_addr().unwrap(), _held: held }
    }

    fn listen(&self) -> TcpListener {
        Self::bind(self.address).listen(1024).unwrap()
    }

    fn bind(address: SocketAddr) -> TcpSocket {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(address).unwrap();
        socket
    }
}

/// Answers until nobody can send commands any more.
async fn serve(port: Port, listener: TcpListener, service: S3Service, mut asked: UnboundedReceiver<Command>) {
    let mut listener = Some(listener);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            command = asked.recv() => match command {
                Some(Command { up: true, done }) => {
                    listener.get_or_insert_with(|| port.listen());
                    let _ = done.send(());
                }
                Some(Command { up: false, done }) => {
                    listener = None;
                    connections.shutdown().await;
                    let _ = done.send(());
                }
                None => return,
            },
            Some(stream) = accept(listener.as_ref()) => {
                connections.spawn(converse(stream, service.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn accept(listener: Option<&TcpListener>) -> Option<TcpStream> {
    listener?.accept().await.ok().map(|(stream, _)| stream)
}

/// Serves one connection. That it breaks is nothing to speak of: it may be what the test asked for.
async fn converse(stream: TcpStream, service: S3Service) {
    connection::breakable(stream, async |stream| {
        let http = Builder::new(TokioExecutor::new()).http1_only();
        let _ = http.serve_connection(TokioIo::new(stream), service).await;
    })
    .await;
}
