//! Runs documents of many files through a tokenizer, on many threads, in order.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use crate::corpus::documents::{Documents, Item};
use crate::corpus::encoder::{Encoder, Ids};
use crate::corpus::error::{DocumentError, Extent};
use crate::corpus::inputs::Input;
use crate::corpus::left_out::Nothing;

/// Approximate number of bytes of text that a thread gets at a time.
const BATCH_BYTES: usize = 1 << 20;
/// Maximum number of documents that a thread gets at a time.
const BATCH_ITEMS: usize = 4096;

/// How often it is said how far a long document is.
const LOOK: Duration = Duration::from_millis(200);

/// What to read, and where to start.
pub struct Reading<'a> {
    pub inputs: &'a [Input],
    pub column: &'a str,
    /// The first input, and the number of its items to skip.
    pub from: (usize, u64),
}

/// An encoded document.
pub struct Encoded {
    pub outcome: Outcome,
    /// The input, and the number of its items up to and including this one.
    pub behind: (usize, u64),
    /// Approximate number of input bytes read so far.
    pub read_bytes: u64,
}

/// The result for an item of a file.
pub enum Outcome {
    Ids(Ids),
    Failed(DocumentError),
    /// It is neither a document nor an error.
    Nothing(Nothing),
}

/// Documents to encode together.
struct Batch {
    items: Vec<Item>,
    input: usize,
    /// Number of the input's items before these.
    before: u64,
    read_bytes: u64,
}

struct Job {
    batch: Batch,
    done: SyncSender<Vec<Encoded>>,
}

/// Reads and encodes on this many threads, and passes each document to `take` in order until `take` breaks off. The
/// number of threads affects neither order nor ids. It affects memory: each thread holds some batches. While it waits for
/// a long document it calls `wait` from time to time, with the bytes of long documents that are done.
pub fn encode<B>(
    reading: &Reading,
    encoder: &Encoder,
    threads: usize,
    mut take: impl FnMut(Encoded) -> ControlFlow<B>,
    mut wait: impl FnMut(u64) -> ControlFlow<B>,
) -> ControlFlow<B> {
    let under_way = UnderWay::default();
    thread::scope(|scope| {
        let (jobs, queue) = sync_channel::<Job>(2 * threads);
        let (order, in_order) = sync_channel(2 * threads);
        let queue = std::sync::Arc::new(Mutex::new(queue));
        for _ in 0..threads {
            let (queue, under_way) = (queue.clone(), &under_way);
            scope.spawn(move || work(&queue, encoder, reading.inputs, under_way));
        }
        drop(queue);
        scope.spawn(move || read(reading, &jobs, &order));
        let all = || {
            for done in in_order {
                let encoded: Vec<Encoded> = loop {
                    match done.recv_timeout(LOOK) {
                        Ok(encoded) => break encoded,
                        Err(RecvTimeoutError::Timeout) => wait(under_way.bytes.load(Ordering::Relaxed))?,
                        Err(RecvTimeoutError::Disconnected) => unreachable!("a worker answers each job"),
                    }
                };
                encoded.into_iter().try_for_each(&mut take)?;
            }
            ControlFlow::Continue(())
        };
        let ended = all();
        under_way.unwanted.store(true, Ordering::Relaxed);
        ended
    })
}

/// Long documents that are being encoded.
#[derive(Default)]
struct UnderWay {
    /// What is done of them.
    bytes: AtomicU64,
    /// Nobody wants them any more.
    unwanted: AtomicBool,
}

/// Reads batches until the end, or until the receivers are gone.
fn read(reading: &Reading, jobs: &SyncSender<Job>, order: &SyncSender<Receiver<Vec<Encoded>>>) {
    let (first, passed) = reading.from;
    let mut bytes_before: u64 = reading.inputs.iter().take(first).map(|input| input.bytes).sum();
    for (number, input) in reading.inputs.iter().enumerate().skip(first) {
        let mut documents = Documents::open(input, reading.column);
        let mut before = 0;
        if number == first {
            before = passed;
            documents.by_ref().take(passed as usize).for_each(drop);
        }
        loop {
            let items = next_items(&mut documents);
            if items.is_empty() {
                break;
            }
            let count = items.len() as u64;
            let read_bytes = bytes_before + (documents.fraction() * input.bytes as f64) as u64;
            let (done, result) = sync_channel(1);
            let job = Job { batch: Batch { items, input: number, before, read_bytes }, done };
            if jobs.send(job).is_err() || order.send(result).is_err() {
                return;
            }
            before += count;
        }
        bytes_before += input.bytes;
    }
}

fn next_items(documents: &mut Documents) -> Vec<Item> {
    let (mut items, mut bytes) = (Vec::new(), 0);
    while bytes < BATCH_BYTES
        && items.len() < BATCH_ITEMS
        && let Some(item) = documents.next()
    {
        bytes += if let Item::Text(text) = &item { text.len() } else { 0 };
        items.push(item);
    }
    items
}

/// Encodes batches.
fn work(queue: &Mutex<Receiver<Job>>, encoder: &Encoder, inputs: &[Input], under_way: &UnderWay) {
    loop {
        let job = queue.lock().expect("receiving does not panic").recv();
        let Ok(Job { batch, done }) = job else { return };
        let Batch { items, input, before, read_bytes } = batch;
        let encoded = items.into_iter().zip(before + 1..).map(|(item, count)| {
            let outcome = match item {
                Item::Text(text) => {
                    let told = Cell::new(0);
                    let tell = |bytes: usize| {
                        told.set(told.get() + bytes as u64);
                        under_way.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
                        !under_way.unwanted.load(Ordering::Relaxed)
                    };
                    let ids = encoder.ids_telling(&text, &tell);
                    under_way.bytes.fetch_sub(told.get(), Ordering::Relaxed);
                    ids.map_or_else(
                        |error| {
                            let place = format!("{}, document {count}", inputs[input].path);
                            let reason = error.to_string();
                            Outcome::Failed(DocumentError { extent: Extent::Document, place, reason })
                        },
                        Outcome::Ids,
                    )
                }
                Item::Failed(error) => Outcome::Failed(error),
                Item::Nothing(nothing) => Outcome::Nothing(nothing),
            };
            Encoded { outcome, behind: (input, count), read_bytes }
        });
        // The receiver may have stopped.
        let _ = done.send(encoded.collect());
    }
}
