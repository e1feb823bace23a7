//! One paused clock for several processes, so that a network of real processes takes no longer than its work.
//!
//! Each process runs on tokio's paused clock, which jumps to the process's next event when there is nothing else to do.
//! Before a process acts at that time, it asks the launcher, and goes on once no process is at an earlier time. This is
//! the usual conservative simulation of several clocks (Chandy and Misra, "Distributed simulation", 1979), with a
//! launcher that knows all clocks. So the processes see the same order of events as the simulator's nodes, and real
//! time does not matter.
//!
//! Over a connection, a process sends the time that it has reached, milliseconds since genesis as a u64, and gets back
//! the time at which it may go on. At first it gets the time of the whole network unasked. Processes that end are left
//! out.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;

use crate::node::ports::Gate;

/// The launcher's side: it lets the process at the earliest time go on. Processes may also come later, while one that
/// is there holds time.
pub struct Lockstep {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    /// Number of processes that have not connected yet.
    missing: usize,
    now_ms: u64,
    stopped: bool,
    /// Why processes that want to connect cannot.
    failure: Option<io::Error>,
    /// Number of connections so far.
    connections: usize,
    /// Connected processes, and the time for which each waits; `None` while it works.
    members: BTreeMap<usize, (TcpStream, Option<u64>)>,
}

impl Lockstep {
    /// A clock for this many processes. It stands at `now` until all have connected.
    ///
    /// # Errors
    /// The loopback device has no free port.
    pub fn start(processes: usize, now: Duration) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Mutex::new(Shared {
            missing: processes,
            now_ms: now.as_millis() as u64,
            stopped: false,
            failure: None,
            connections: 0,
            members: BTreeMap::new(),
        }));
        let accepting = shared.clone();
        std::thread::Builder::new().name("lockstep".into()).spawn(move || accept(&listener, &accepting))?;
        Ok(Self { address, shared })
    }

    /// The address for processes to connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The time that all have reached, since genesis.
    pub fn now(&self) -> Duration {
        Duration::from_millis(lock(&self.shared).now_ms)
    }

    /// Number of connections so far; a process that connects again counts again.
    pub fn connections(&self) -> usize {
        lock(&self.shared).connections
    }

    /// Why processes cannot connect, once.
    pub fn failure(&self) -> Option<io::Error> {
        lock(&self.shared).failure.take()
    }

    /// Stops time for good.
    pub fn stop(&self) {
        lock(&self.shared).stopped = true;
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Mutex<Shared>>) {
    for connected in listener.incoming() {
        let both = connected.and_then(|stream| {
            stream.set_nodelay(true)?;
            Ok((stream.try_clone()?, stream))
        });
        let (reader, stream) = match both {
            Ok(both) => both,
            Err(error) => {
                lock(shared).failure = Some(error);
                // The same error would come again at once.
                std::thread::sleep(Duration::from_millis(100));
                continue;
            }
        };
        let mut locked = lock(shared);
        let member = locked.connections;
        locked.connections += 1;
        locked.missing = locked.missing.saturating_sub(1);
        let now_ms = locked.now_ms;
        locked.members.insert(member, (stream, None));
        locked.tell(member, now_ms);
        drop(locked);
        let shared = shared.clone();
        let listen = move || listen(member, reader, &shared);
        std::thread::Builder::new().name("lockstep".into()).spawn(listen).expect("the system can start a thread");
    }
}

fn listen(member: usize, mut reader: TcpStream, shared: &Mutex<Shared>) {
    let mut bytes = [0; 8];
    while reader.read_exact(&mut bytes).is_ok() {
        let mut shared = lock(shared);
        if let Some((_, waits_for)) = shared.members.get_mut(&member) {
            *waits_for = Some(u64::from_le_bytes(bytes));
        }
        shared.advance();
    }
    let mut shared = lock(shared);
    shared.members.remove(&member);
    shared.advance();
}

impl Shared {
    /// If all processes wait, moves time to the earliest one, and lets the processes that wait for it go on.
    fn advance(&mut self) {
        if self.missing > 0 || self.stopped {
            return;
        }
        let times: Option<Vec<u64>> = self.members.values().map(|(_, waits_for)| *waits_for).collect();
        let Some(earliest) = times.and_then(|times| times.into_iter().min()) else { return };
        self.now_ms = self.now_ms.max(earliest);
        let next: Vec<usize> =
            self.members.iter().filter(|(_, (_, at))| *at == Some(earliest)).map(|(m, _)| *m).collect();
        for member in next {
            self.tell(member, earliest);
        }
    }

    fn tell(&mut self, member: usize, now_ms: u64) {
        if let Some((stream, waits_for)) = self.members.get_mut(&member) {
            *waits_for = None;
            // If the process is gone, its listener removes it.
            let _ = stream.write_all(&now_ms.to_le_bytes());
        }
    }
}

/// A process's side.
pub struct LockstepGate {
    stream: Arc<Mutex<Connection>>,
}

struct Connection {
    stream: TcpStream,
    granted_ms: u64,
}

impl LockstepGate {
    /// Connects to the launcher. Returns the gate and the network's present time.
    ///
    /// # Errors
    /// The launcher is not there.
    pub fn connect(address: SocketAddr) -> io::Result<(Self, Duration)> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let granted_ms = read(&mut stream)?;
        let connection = Connection { stream, granted_ms };
        Ok((Self { stream: Arc::new(Mutex::new(connection)) }, Duration::from_millis(granted_ms)))
    }
}

#[async_trait]
impl Gate for LockstepGate {
    async fn pass(&self, at: Duration) {
        let (connection, at_ms) = (self.stream.clone(), at.as_millis() as u64);
        if lock(&connection).granted_ms >= at_ms {
            return;
        }
        // A blocking task holds the process's own clock.
        let asked = tokio::task::spawn_blocking(move || lock(&connection).pass(at_ms));
        if asked.await.expect("waiting does not panic").is_err() {
            // Without the launcher, time stops.
            tracing::error!("the launcher is gone");
            std::process::exit(1);
        }
    }
}

impl Connection {
    fn pass(&mut self, at_ms: u64) -> io::Result<()> {
        while self.granted_ms < at_ms {
            self.stream.write_all(&at_ms.to_le_bytes())?;
            self.granted_ms = read(&mut self.stream)?;
        }
        Ok(())
    }
}

fn read(stream: &mut TcpStream) -> io::Result<u64> {
    let mut bytes = [0; 8];
    stream.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().expect("no panic while held")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three processes' clocks, in threads: all events come in the order of their times.
    #[test]
    fn events_of_several_clocks_come_in_order() {
        let lockstep = Lockstep::start(3, Duration::from_millis(5)).unwrap();
        let address = lockstep.address();
        let log = Arc::new(Mutex::new(Vec::new()));
        std::thread::scope(|scope| {
            for member in 0..3u64 {
                let log = log.clone();
                scope.spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                    let (gate, now) = LockstepGate::connect(address).unwrap();
                    assert_eq!(now, Duration::from_millis(5));
                    for step in 1..=50u64 {
                        // Steps of different lengths, and one process that is slow at each.
                        let at = 5 + step * (3 + member * 2);
                        runtime.block_on(gate.pass(Duration::from_millis(at)));
                        if member == 1 {
                            std::thread::yield_now();
                        }
                        log.lock().unwrap().push(at);
                    }
                });
            }
        });
        let log = log.lock().unwrap();
        assert_eq!(log.len(), 150);
        assert!(log.is_sorted(), "{log:?}");
        assert_eq!(lockstep.now(), Duration::from_millis(5 + 50 * 7));
    }
}
