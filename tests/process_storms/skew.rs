//! A node's own clock: the network's, off by as much as the storm says.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How far a clock is off now, in milliseconds.
type Off = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Stands between a node and the shared clock, and shifts every time that passes, until it is dropped.
pub struct Skew {
    pub address: SocketAddr,
    over: Arc<AtomicBool>,
}

impl Skew {
    /// In front of the clock at `network`.
    pub fn new(network: SocketAddr, off: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (address, off) = (listener.local_addr().unwrap(), Arc::new(off) as Off);
        let over = Arc::<AtomicBool>::default();
        let ends = over.clone();
        std::thread::spawn(move || {
            for node in listener.incoming().map_while(Result::ok) {
                if ends.load(Ordering::Relaxed) {
                    return;
                }
                let clock = TcpStream::connect(network).unwrap();
                let both = [&node, &clock].map(|stream| stream.set_nodelay(true).and_then(|()| stream.try_clone()));
                // A node that has been killed by now is let go.
                let [Ok(back), Ok(ahead)] = both else { continue };
                let (later, sooner) = (off.clone(), off.clone());
                std::thread::spawn(move || pass_on(clock, back, || later()));
                std::thread::spawn(move || pass_on(node, ahead, || -sooner()));
            }
        });
        Self { address, over }
    }
}

impl Drop for Skew {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // Wakes the thread, which ends then.
        drop(TcpStream::connect(self.address));
    }
}

/// Passes times on, each shifted, until one of the two ends.
fn pass_on(mut from: TcpStream, mut to: TcpStream, shift: impl Fn() -> i64) {
    let mut bytes = [0; 8];
    while from.read_exact(&mut bytes).is_ok() {
        let shifted = u64::from_le_bytes(bytes).saturating_add_signed(shift());
        if to.write_all(&shifted.to_le_bytes()).is_err() {
            break;
        }
    }
    for stream in [from, to] {
        let _ = stream.shutdown(Shutdown::Both);
    }
}
