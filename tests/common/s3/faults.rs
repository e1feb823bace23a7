//! Which request goes wrong, and how.
//!
//! What happens to the n-th request of a method for a key is a function of (seed, method, key, n) and of the rates at
//! that moment, whatever requests come in between: so a seed makes much the same faults again, though the requests of
//! many clients never come in the same order twice.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use gauntlet::random;
use rand::{Rng, RngExt};
use s3s::S3ErrorCode;

/// How often what goes wrong, as shares of all requests; together at most 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// Answered by 500 or 503, without effect.
    pub errors: f64,
    /// The connection is reset instead of an answer; one time in two the request has had its effect by then.
    pub resets: f64,
    /// The body of a get ends too early.
    pub truncated: f64,
    /// One bit in the body of a get is another.
    pub flipped: f64,
    /// Every answer takes so much longer.
    pub delay: Duration,
}

/// How many requests went wrong so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Injected {
    pub errors: u64,
    pub resets: u64,
    pub truncated: u64,
    pub flipped: u64,
}

/// What goes wrong with requests, from a seed.
pub struct Faults {
    seed: u64,
    state: Mutex<State>,
}

/// Decides what goes wrong with the requests of each account, instead of rates that are the same for all.
pub trait Sky: Send + Sync {
    /// What happens to a request: `put`, `get`, `head`, `list` or `delete`, of a key or below a prefix.
    fn meets(&self, account: &str, request: &str, key: &str) -> Option<Fault>;
    /// How much longer the answer takes.
    fn delay(&self, account: &str) -> Duration;
    /// Whether a read sees what was stamped then.
    fn sees(&self, account: &str, stamp: SystemTime) -> bool;
}

/// What an account sees of the bucket.
#[derive(Clone)]
pub struct View {
    pub sky: Arc<dyn Sky>,
    pub account: String,
}

impl View {
    /// Whether a read sees what was stamped then.
    pub fn sees(&self, stamp: SystemTime) -> bool {
        self.sky.sees(&self.account, stamp)
    }
}

#[derive(Default)]
struct State {
    sky: Option<Arc<dyn Sky>>,
    rates: Rates,
    injected: Injected,
    /// Requests so far, by method and path.
    requests: BTreeMap<String, u64>,
}

/// What is done to the body of a get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
    /// Breaks off after this share of 2^32.
    Truncate(u32),
    /// Ends there, as if that were all of it.
    Shorten(u32),
    /// Has another bit at this share of 2^32.
    Flip(u32),
}

/// What goes wrong with a request.
pub enum Fault {
    /// It is answered by an error.
    Error(S3ErrorCode),
    /// Its connection is reset, before or after it has had its effect.
    Reset { before: bool },
    /// Its connection is reset when it has had its effect, and this is done at that moment.
    ResetThen(Box<dyn FnOnce() + Send>),
    /// It is a get, and its body is harmed.
    Harm(Harm),
}

impl Faults {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, state: Mutex::default() }
    }

    /// From now on things go wrong so often.
    pub fn set(&self, rates: Rates) {
        self.state.lock().unwrap().rates = rates;
    }

    /// From now on `sky` decides alone.
    pub fn follow(&self, sky: Arc<dyn Sky>) {
        self.state.lock().unwrap().sky = Some(sky);
    }

    pub(super) fn sky(&self) -> Option<Arc<dyn Sky>> {
        self.state.lock().unwrap().sky.clone()
    }

    /// From now on nothing goes wrong.
    pub fn stop(&self) {
        self.set(Rates::default());
    }

    /// What went wrong so far.
    pub fn injected(&self) -> Injected {
        self.state.lock().unwrap().injected
    }

    /// How much longer an answer takes.
    pub(super) fn delay(&self) -> Duration {
        self.state.lock().unwrap().rates.delay
    }

    /// Decides about a request.
    pub(super) fn draw(&self, method: &str, path: &str) -> Option<Fault> {
        let mut state = self.state.lock().unwrap();
        let request = format!("{method} {path}");
        let count = state.requests.entry(request.clone()).or_default();
        let mut rng = random::rng(self.seed, &request, 0, *count);
        *count += 1;

        let Rates { errors, resets, truncated, flipped, .. } = state.rates;
        let (draw, kind, place) = (rng.random::<f64>(), rng.random::<bool>(), rng.next_u32());
        let harmed = if method == "GET" { truncated + flipped } else { 0.0 };
        let injected = &mut state.injected;
        if draw < errors {
            injected.errors += 1;
            Some(Fault::Error(if kind { S3ErrorCode::InternalError } else { S3ErrorCode::ServiceUnavailable }))
        } else if draw < errors + resets {
            injected.resets += 1;
            Some(Fault::Reset { before: kind })
        } else if draw < errors + resets + harmed {
            Some(Fault::Harm(if draw < errors + resets + truncated {
                injected.truncated += 1;
                Harm::Truncate(place)
            } else {
                injected.flipped += 1;
                Harm::Flip(place)
            }))
        } else {
            None
        }
    }
}

impl Harm {
    /// The body as it is sent.
    pub fn apply(self, body: Bytes) -> Bytes {
        let at = |share: u32, len: usize| ((u64::from(share) * len as u64) >> 32) as usize;
        match self {
            _ if body.is_empty() => body,
            Self::Truncate(share) | Self::Shorten(share) => body.slice(..at(share, body.len())),
            Self::Flip(share) => {
                let bit = at(share, 8 * body.len());
                let mut body = body.to_vec();
                body[bit / 8] ^= 1 << (bit % 8);
                body.into()
            }
        }
    }
}
