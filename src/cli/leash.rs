//! A node of `sim launch` ends when its launcher does, however that ends. Its standard input is a pipe whose other end the
//! launcher holds and never writes to: the system closes it with the launcher, even after `kill -9`.

use std::io::Read;

/// Ends this process as soon as standard input ends. The state that was saved last remains.
pub fn hold() -> std::io::Result<()> {
    let watch = || {
        let mut byte = [0];
        loop {
            match std::io::stdin().read(&mut byte) {
                Ok(1..) => {}
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => break,
            }
        }
        tracing::error!("the launcher is gone; this node ends too");
        std::process::exit(1);
    };
    std::thread::Builder::new().name("leash".into()).spawn(watch).map(drop)
}
