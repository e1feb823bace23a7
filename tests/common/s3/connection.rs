//! A socket that can be reset before its next answer.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

tokio::task_local! {
    /// What is to be done as the connection that the current request came over is reset, if it is to be.
    static BROKEN: Arc<Mutex<Option<Last>>>;
}

/// The last that happens to a connection.
enum Last {
    /// This is done at the moment of the reset.
    Then(Box<dyn FnOnce() + Send>),
    /// It has been reset.
    Done,
}

/// Runs a conversation over a stream that [`break_current`] can break.
pub async fn breakable(stream: TcpStream, conversation: impl AsyncFnOnce(Breakable)) {
    let broken = Arc::<Mutex<Option<Last>>>::default();
    BROKEN.scope(broken.clone(), conversation(Breakable { stream, broken })).await;
}

/// Resets the connection that the current request came over, instead of its answer, and does this at that moment: when
/// the request has had its effect.
pub fn break_current(then: impl FnOnce() + Send + 'static) {
    BROKEN.with(|broken| *broken.lock().unwrap() = Some(Last::Then(Box::new(then))));
}

/// A stream that fails to be written to once it is broken.
pub struct Breakable {
    stream: TcpStream,
    broken: Arc<Mutex<Option<Last>>>,
}

impl Breakable {
    fn check(&self) -> io::Result<()> {
        let mut broken = self.broken.lock().unwrap();
        let Some(last) = broken.replace(Last::Done) else {
            *broken = None;
            return Ok(());
        };
        if let Last::Then(then) = last {
            then();
        }
        // The client sees a reset, not an orderly end.
        self.stream.set_zero_linger()?;
        Err(io::ErrorKind::ConnectionReset.into())
    }
}

impl AsyncRead for Breakable {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Breakable {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
