//! Ctrl-C asks a run to finish its round; a second Ctrl-C ends the program at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A flag that Ctrl-C sets.
pub fn on_ctrl_c() -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    let set = flag.clone();
    let listen = move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() else { return };
        runtime.block_on(async {
            while tokio::signal::ctrl_c().await.is_ok() {
                if set.swap(true, Ordering::Relaxed) {
                    std::process::exit(130);
                }
                eprintln!("finishing the round; press Ctrl-C again to stop at once");
            }
        });
    };
    // Without the thread Ctrl-C ends the program as usual; the last checkpoint stays.
    let _ = std::thread::Builder::new().name("ctrl-c".into()).spawn(listen);
    flag
}
