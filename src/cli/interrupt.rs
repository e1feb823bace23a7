//! Ctrl-C or SIGTERM asks a run to finish its round; a second one ends the program at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A flag that Ctrl-C and SIGTERM set, to stop after the round.
pub fn on_stop() -> Arc<AtomicBool> {
    on_stop_of("the round")
}

/// A flag that Ctrl-C and SIGTERM set. `work` names what is still finished.
pub fn on_stop_of(work: &'static str) -> Arc<AtomicBool> {
    on_stop_then(work, || {})
}

/// A flag that Ctrl-C and SIGTERM set; a second one calls `last` and ends the program at once.
pub fn on_stop_then(work: &'static str, last: impl Fn() + Send + 'static) -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    let set = flag.clone();
    let listen = move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() else { return };
        runtime.block_on(async {
            while signal().await.is_ok() {
                if set.swap(true, Ordering::Relaxed) {
                    last();
                    std::process::exit(130);
                }
                eprintln!("finishing {work}; press Ctrl-C again to stop at once");
            }
        });
    };
    // Without the thread, Ctrl-C ends the program as usual, and the last checkpoint remains.
    let _ = std::thread::Builder::new().name("ctrl-c".into()).spawn(listen);
    flag
}

/// Waits for Ctrl-C or SIGTERM.
async fn signal() -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminated = signal(SignalKind::terminate())?;
        tokio::select! {
            pressed = tokio::signal::ctrl_c() => pressed,
            _ = terminated.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}
