//! Requests to a node that serves its metrics: whatever comes, it goes on serving.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::LazyLock;
use std::time::Duration;

use gauntlet::runtime::Metrics;

use super::super::change::{change, take};

const REQUEST: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\nConnection: close\r\n\r\n";
const PATIENCE: Duration = Duration::from_millis(20);

static SERVER: LazyLock<SocketAddr> = LazyLock::new(|| {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    let address = free.expect("a free port");
    Metrics::default().serve(address).expect("the port was free");
    address
});

/// Reads an input.
pub fn run(mut input: &[u8]) {
    let [mode] = take(&mut input);
    let mut request = REQUEST.to_vec();
    match mode % 4 {
        0 => request = input.to_vec(),
        _ => change(&mut request, input),
    }
    ask(&request, PATIENCE);
    let answer = ask(REQUEST, Duration::from_secs(10));
    assert!(answer.starts_with(b"HTTP/1.1 200"), "it does not serve any more");
}

/// What the server answers, until it ends or is silent for that long.
fn ask(request: &[u8], patience: Duration) -> Vec<u8> {
    let mut stream = TcpStream::connect(*SERVER).expect("it listens");
    stream.set_read_timeout(Some(patience)).expect("a time that is not zero");
    // The server may have closed already.
    let _ = stream.write_all(request);
    let (mut answer, mut part) = (Vec::new(), [0; 4096]);
    while let Ok(read @ 1..) = stream.read(&mut part) {
        answer.extend_from_slice(&part[..read]);
    }
    answer
}
