//! Ctrl-C, SIGTERM or SIGHUP asks a run to finish its round; a second one ends the program at once. Either way the exit
//! code says so, and a shell does not go on with half of a run.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// Exit code after Ctrl-C: 128 and the number of the signal, as shells count.
const INTERRUPTED: u8 = 130;
/// The same after SIGTERM, and after SIGHUP, which is the system's way to say it of a terminal that is gone.
#[cfg(unix)]
const TERMINATED: u8 = 143;

/// Exit code for the first signal that came.
static CODE: AtomicU8 = AtomicU8::new(INTERRUPTED);

/// Nothing is left to finish, so a signal needs no answer.
static IDLE: AtomicBool = AtomicBool::new(false);

/// From now on, a signal is not answered on the terminal: the command ends at once.
pub fn say_nothing() {
    IDLE.store(true, Ordering::Relaxed);
}

/// A command was told to stop, and has saved what it had: exit code 130 or 143. The text is empty if all has been said.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StoppedError(pub String);

impl StoppedError {
    /// After the command itself has said how to go on.
    pub fn told() -> anyhow::Error {
        Self(String::new()).into()
    }

    /// The exit code.
    pub fn code() -> u8 {
        CODE.load(Ordering::Relaxed)
    }
}

/// A flag that a signal sets, to stop after the round.
pub fn on_stop() -> Arc<AtomicBool> {
    on_stop_of("the round")
}

/// A flag that a signal sets. `work` names what is still finished.
pub fn on_stop_of(work: &'static str) -> Arc<AtomicBool> {
    on_stop_then(work, || {})
}

/// A flag that a signal sets; a second one calls `last` and ends the program at once.
pub fn on_stop_then(work: &'static str, last: impl Fn() + Send + 'static) -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    let set = flag.clone();
    let listen = move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() else { return };
        let _ = runtime.block_on(each_signal(|code| {
            if set.swap(true, Ordering::Relaxed) {
                last();
                std::process::exit(code.into());
            }
            CODE.store(code, Ordering::Relaxed);
            if IDLE.load(Ordering::Relaxed) {
                return;
            }
            // The terminal may be gone.
            let _ = writeln!(std::io::stderr(), "finishing {work}; press Ctrl-C again to stop at once");
        }));
    };
    // Without the thread, Ctrl-C ends the program as usual, and the last checkpoint remains.
    let _ = std::thread::Builder::new().name("ctrl-c".into()).spawn(listen);
    flag
}

/// Calls `came` with the exit code of each signal.
#[cfg(unix)]
async fn each_signal(mut came: impl FnMut(u8)) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    // `nohup` lets a program ignore it, so that it outlives its terminal.
    let mut hung_up = if is_ignored(libc::SIGHUP) { None } else { Some(signal(SignalKind::hangup())?) };
    loop {
        let hung_up = async {
            match &mut hung_up {
                Some(hung_up) => hung_up.recv().await,
                None => std::future::pending().await,
            }
        };
        came(tokio::select! {
            _ = interrupted.recv() => INTERRUPTED,
            _ = terminated.recv() => TERMINATED,
            _ = hung_up => TERMINATED,
        });
    }
}

#[cfg(not(unix))]
async fn each_signal(mut came: impl FnMut(u8)) -> std::io::Result<()> {
    loop {
        tokio::signal::ctrl_c().await?;
        came(INTERRUPTED);
    }
}

/// Whether this process was started with a signal ignored.
#[cfg(unix)]
fn is_ignored(signal: libc::c_int) -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: without a new action the call only fills in the present one, and all its fields may be zero.
    unsafe {
        libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) == 0
            && action.assume_init().sa_sigaction == libc::SIG_IGN
    }
}
