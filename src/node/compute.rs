//! Heavy work, on real threads, in virtual time.
//!
//! Work starts at once on a small pool. Its node goes on when the work is done *and* the virtual time that the node's
//! hardware would need has passed. Meanwhile the clock may advance to events of other nodes, so work of different peers
//! overlaps; at the due time the clock waits for the result. Results do not depend on the number of threads.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::sync::{Arc, Mutex};

type Job = Box<dyn FnOnce() + Send>;

/// A pool of threads, first in, first out.
#[derive(Clone)]
pub struct Compute {
    /// Without one, the thread that starts a job does it.
    queue: Option<Sender<Job>>,
}

impl Compute {
    /// A pool of `threads` threads. They end when the last handle is dropped.
    pub fn new(threads: usize) -> Self {
        let (queue, jobs) = channel::<Job>();
        let jobs = Arc::new(Mutex::new(jobs));
        for index in 0..threads.max(1) {
            let jobs = jobs.clone();
            std::thread::Builder::new()
                .name(format!("compute-{index}"))
                .spawn(move || work(&jobs))
                .expect("the system can start a thread");
        }
        Self { queue: Some(queue) }
    }

    /// No pool: a job is done when it has been started. Then even the order of what happens in one moment of virtual
    /// time does not depend on the machine.
    pub fn in_place() -> Self {
        Self { queue: None }
    }

    /// Whether there is no pool.
    pub fn is_in_place(&self) -> bool {
        self.queue.is_none()
    }

    /// Starts `job` on the pool.
    pub fn start<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Started<T> {
        Started(self.send(job))
    }

    /// Runs `job` on the pool and blocks until it is done, for work outside the virtual world.
    pub fn call<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let result = self.send(job).recv().expect("the pool answers");
        result.unwrap_or_else(|panic| resume_unwind(panic))
    }

    fn send<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Receiver<std::thread::Result<T>> {
        let (result, done) = sync_channel(1);
        let job: Job = Box::new(move || {
            // The receiver is gone only when the node was cancelled.
            let _ = result.send(catch_unwind(AssertUnwindSafe(job)));
        });
        match &self.queue {
            Some(queue) => queue.send(job).expect("the pool outlives its handles"),
            None => job(),
        }
        done
    }
}

/// A job under way.
pub struct Started<T>(Receiver<std::thread::Result<T>>);

impl<T: Send + 'static> Started<T> {
    /// Waits for the job's result. A paused clock stands still meanwhile.
    pub async fn result(self) -> T {
        let result = match self.0.try_recv() {
            Ok(result) => result,
            // A blocking task holds the paused clock.
            Err(_) => tokio::task::spawn_blocking(move || self.0.recv().expect("the pool answers"))
                .await
                .expect("waiting does not panic"),
        };
        result.unwrap_or_else(|panic| resume_unwind(panic))
    }
}

fn work(jobs: &Mutex<Receiver<Job>>) {
    loop {
        let job = jobs.lock().expect("jobs do not panic").recv();
        match job {
            Ok(job) => job(),
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;
    use futures::future::join_all;

    /// Real durations differ from virtual costs, and nodes go on in the order of the costs.
    #[test]
    fn virtual_order_does_not_depend_on_threads() {
        let order = |threads| {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            runtime.block_on(async {
                let compute = Compute::new(threads);
                let finished = Arc::new(Mutex::new(Vec::new()));
                let start = Instant::now();
                join_all((0..200u64).map(|node| {
                    let (compute, finished) = (compute.clone(), finished.clone());
                    async move {
                        let cost = Duration::from_millis(node * 7919 % 200 + 1);
                        let due = Instant::now() + cost;
                        let sum = compute.start(move || (0..node * 1000).fold(0u64, |a, b| a ^ b.wrapping_mul(a | 1)));
                        tokio::time::sleep_until(due).await;
                        let sum = sum.result().await;
                        finished.lock().unwrap().push((start.elapsed(), node, sum));
                    }
                }))
                .await;
                Arc::into_inner(finished).unwrap().into_inner().unwrap()
            })
        };
        let expected = order(1);
        assert!(expected.is_sorted_by_key(|(at, _, _)| *at));
        assert_eq!(order(2), expected);
        assert_eq!(order(4), expected);
    }

    #[test]
    fn a_panic_reaches_the_node_and_leaves_the_pool_alive() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let compute = Compute::new(1);
            let other = compute.clone();
            let task = tokio::spawn(async move { other.start(|| panic!("hostile")).result().await });
            assert!(task.await.is_err());
            assert_eq!(compute.start(|| 1).result().await, 1);
        });
    }
}
