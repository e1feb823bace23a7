//! Works on parts in several lanes at once (threads of a CPU, or devices) and takes the results in order, so that sums
//! do not depend on the number of lanes.

use std::sync::mpsc::{Receiver, sync_channel};

/// Runs `work` on every part, each on one of the lanes, and hands the results to `take` in the order of the parts.
///
/// Each lane has its own thread, and is at most one result ahead, so that few results are in memory. A single lane
/// works on the calling thread.
///
/// # Panics
/// If there are no lanes, or `work` panics.
pub fn in_order<L: Sync, P: Sync, T: Send>(
    lanes: &[L],
    parts: &[P],
    work: impl Fn(&L, &P) -> T + Sync,
    mut take: impl FnMut(&P, T),
) {
    assert!(!lanes.is_empty(), "work needs a lane");
    if let [lane] = lanes {
        return parts.iter().for_each(|part| take(part, work(lane, part)));
    }
    std::thread::scope(|scope| {
        let work = &work;
        let start = |(first, lane)| {
            let (done, results) = sync_channel(1);
            scope.spawn(move || {
                for part in parts.iter().skip(first).step_by(lanes.len()) {
                    if done.send(work(lane, part)).is_err() {
                        return;
                    }
                }
            });
            results
        };
        let results: Vec<Receiver<T>> = lanes.iter().enumerate().map(start).collect();
        for (part, results) in parts.iter().zip(results.iter().cycle()) {
            // A lane that has panicked sends nothing more; the scope passes its panic on.
            let Ok(result) = results.recv() else { return };
            take(part, result);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_their_parts() {
        let parts: Vec<u64> = (0..50).collect();
        for lanes in [1, 2, 7, 64] {
            let mut taken = Vec::new();
            // Some parts take longer than others.
            let slow = |_: &(), part: &u64| {
                (0..part * 7919 % 50 * 1000).for_each(|work| _ = std::hint::black_box(work));
                *part
            };
            in_order(&vec![(); lanes], &parts, slow, |part, result| taken.push((*part, result)));
            assert_eq!(taken, parts.iter().map(|&part| (part, part)).collect::<Vec<_>>());
        }
    }

    #[test]
    #[should_panic(expected = "panicked")]
    fn a_panic_of_a_lane_ends_the_work() {
        let parts: Vec<u64> = (0..50).collect();
        in_order(&[(), ()], &parts, |_, part| assert_ne!(*part, 11), |_, ()| ());
    }
}
