//! Formats warnings for people: no time, no module.

use std::fmt;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use gauntlet::bucket::words;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Target of the notes that a store's client writes about a retry.
pub const RETRIES: &str = "object_store::client::retry";
/// At most one retry is reported in this time, as there are many requests.
const QUIET: Duration = Duration::from_secs(3);

/// Writes `warning: ` and the message.
#[derive(Default)]
pub struct Warnings {
    /// Time of the last reported retry.
    told: Mutex<Option<Instant>>,
}

impl Warnings {
    /// Reports a retry of a request in plain words.
    fn tell_retry(&self, note: &str, mut to: Writer<'_>) -> fmt::Result {
        let mut told = self.told.lock().expect("no panic while held");
        if told.is_some_and(|told| told.elapsed() < QUIET) {
            return Ok(());
        }
        *told = Some(Instant::now());
        writeln!(to, "note: {}", words::retrying(note))
    }
}

impl<S, N> FormatEvent<S, N> for Warnings
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        if event.metadata().target() == RETRIES {
            let mut note = String::new();
            context.field_format().format_fields(Writer::new(&mut note), event)?;
            return self.tell_retry(&note, to);
        }
        let level = match *event.metadata().level() {
            Level::ERROR => "error",
            Level::WARN => "warning",
            Level::INFO => "note",
            Level::DEBUG => "debug",
            Level::TRACE => "trace",
        };
        write!(to, "{level}: ")?;
        context.field_format().format_fields(to.by_ref(), event)?;
        writeln!(to)
    }
}
