//! What a storm does to the requests that reach the server: what it does to those of simulated nodes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use gauntlet::storm::fault::{Fault, Moment, What};
use gauntlet::storm::weather::{Fate, Harm, Weather};
use gauntlet::transport::simulated::SimClock;
use object_store::path::Path;
use s3s::S3ErrorCode;

use crate::s3;

/// Held time stands still during a request, so a slow answer takes real time: one part in so many of what is drawn.
const SLOW_PART: u64 = 1000;

/// Processes by the number of their node, as long as nobody has waited for their end.
pub type Processes = Arc<Vec<Mutex<Option<u32>>>>;

/// A millisecond, and how often each node has made each request in it.
type AtOnce = (u64, BTreeMap<(usize, String), u64>);

/// The faults of a storm, by account.
pub struct StormSky {
    pub weather: Arc<Weather>,
    now_ms: Box<dyn Fn() -> u64 + Send + Sync>,
    nodes: BTreeMap<String, usize>,
    processes: Processes,
    /// The last one with a request.
    at_once: Mutex<AtOnce>,
    /// Nodes that a request has killed, and by which fault.
    felled: Arc<Mutex<BTreeMap<usize, usize>>>,
}

impl StormSky {
    /// `accounts` are those of the nodes, in their order.
    pub fn new(
        weather: Arc<Weather>,
        now_ms: impl Fn() -> u64 + Send + Sync + 'static,
        accounts: impl Iterator<Item = String>,
        processes: Processes,
    ) -> Self {
        let nodes = accounts.enumerate().map(|(node, account)| (account, node)).collect();
        Self { weather, now_ms: Box::new(now_ms), nodes, processes, at_once: Mutex::default(), felled: Arc::default() }
    }

    /// The fault whose request has killed a node, once.
    pub fn felled(&self, node: usize) -> Option<usize> {
        self.felled.lock().unwrap().remove(&node)
    }

    /// The time by which the fate of a request is drawn. Held time stands still while a node reads twice, and each read has
    /// a fate of its own: it counts as made a millisecond later.
    fn drawn_at(&self, node: usize, request: &str, key: &str, ms: u64) -> u64 {
        let (last, made) = &mut *self.at_once.lock().unwrap();
        if *last != ms {
            (*last, *made) = (ms, BTreeMap::new());
        }
        let times = made.entry((node, format!("{request} {key}"))).or_default();
        *times += 1;
        ms + *times - 1
    }

    /// Kills a node's process, by a fault.
    fn fells(&self, node: usize, fault: &Fault) -> impl FnOnce() + Send + 'static {
        let (processes, felled) = (self.processes.clone(), self.felled.clone());
        let (weather, fault) = (self.weather.clone(), fault.clone());
        move || {
            // While this is held nobody waits for the process, so the number is its own.
            let process = processes[node].lock().unwrap();
            let Some(number) = *process else { return };
            if felled.lock().unwrap().insert(node, fault.index).is_none() {
                weather.strikes(&fault);
            }
            // SAFETY: a signal to a child of this process.
            unsafe { libc::kill(number as libc::pid_t, libc::SIGKILL) };
        }
    }
}

impl s3::Sky for StormSky {
    fn meets(&self, account: &str, request: &str, key: &str) -> Option<s3::Fault> {
        let (node, ms) = (*self.nodes.get(account)?, (self.now_ms)());
        let kills = |fault: &&Fault| match fault.what {
            What::Kill { node: of, moment, .. } => of == node && moment != Moment::AtOnce && fault.is_at(ms),
            _ => false,
        };
        if let Some(has_effect) = self.weather.dies_at(node, request, ms)
            && let Some(fault) = self.weather.faults.iter().find(kills)
        {
            let fells = self.fells(node, fault);
            if has_effect {
                return Some(s3::Fault::ResetThen(Box::new(fells)));
            }
            fells();
            return Some(s3::Fault::Reset { before: true });
        }
        let ms = self.drawn_at(node, request, key, ms);
        let path = Path::parse(key.trim_end_matches('/')).unwrap_or_default();
        match self.weather.fate(node, request, &path, ms) {
            Fate::Refused { has_effect: false } => return Some(s3::Fault::Error(S3ErrorCode::ServiceUnavailable)),
            Fate::Refused { has_effect } | Fate::Lost { has_effect } => {
                return Some(s3::Fault::Reset { before: !has_effect });
            }
            Fate::Passes => {}
        }
        let harm = (request == "get").then(|| self.weather.harm(node, &path, ms)).flatten()?;
        let share = |share: f64| (share * 2f64.powi(32)) as u32;
        Some(s3::Fault::Harm(match harm {
            Harm::Flip(at) => s3::Harm::Flip(share(at)),
            Harm::Cut(at) => s3::Harm::Shorten(share(at)),
            Harm::BreakOff(at) => s3::Harm::Truncate(share(at)),
        }))
    }

    fn delay(&self, account: &str) -> Duration {
        let delay = |node: &usize| self.weather.delay_ms(*node, (self.now_ms)());
        Duration::from_millis(self.nodes.get(account).map_or(0, delay) / SLOW_PART)
    }

    fn sees(&self, account: &str, stamp: SystemTime) -> bool {
        let Some(node) = self.nodes.get(account) else { return true };
        let now = (self.now_ms)();
        let lag = self.weather.lag_ms(*node, now);
        let sees = lag == 0 || SimClock::ms_of(stamp.into()) < now.saturating_sub(lag) as i64;
        if !sees {
            self.weather.hides(*node, now);
        }
        sees
    }
}
