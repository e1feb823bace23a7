//! Which measurements are made together.

use crate::Uid;
use crate::mechanism::Measurement;

/// Measurements made in sequence: those about one peer, or about one set of payloads.
#[derive(Debug, Default, PartialEq)]
pub struct Job {
    pub measurements: Vec<Measurement>,
}

/// Each distinct measurement once, without those whose payloads are missing.
pub fn possible(wanted: Vec<Measurement>, is_there: impl Fn(Uid) -> bool) -> Vec<Measurement> {
    let mut distinct: Vec<Measurement> = Vec::new();
    for what in wanted {
        if what.uploads().into_iter().all(&is_there) && !distinct.contains(&what) {
            distinct.push(what);
        }
    }
    distinct
}

/// Groups adjacent measurements about the same peer, or the same set of payloads, into jobs.
pub fn jobs(wanted: Vec<Measurement>) -> Vec<Job> {
    #[derive(PartialEq)]
    enum About {
        Nobody,
        Peer(Uid),
        Several(Vec<(Uid, u8)>),
    }
    let about = |what: &Measurement| match what {
        Measurement::Contrast(contrast) => About::Peer(contrast.uid),
        Measurement::Audit(uid) => About::Peer(*uid),
        Measurement::Loss { payloads, pages, .. } => match (&payloads[..], pages.assigned_to()) {
            ([], None) => About::Nobody,
            ([], Some(uid)) => About::Peer(uid),
            ([(uid, _)], _) => About::Peer(*uid),
            (several, _) => About::Several(several.to_vec()),
        },
    };
    let mut jobs: Vec<Job> = Vec::new();
    for what in wanted {
        match jobs.last_mut() {
            Some(job) if about(&job.measurements[0]) == about(&what) => job.measurements.push(what),
            _ => jobs.push(Job { measurements: vec![what] }),
        }
    }
    jobs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mechanism::{Contrast, Each, Pages, Whose};

    #[test]
    fn the_contrasts_of_one_upload_are_measured_together() {
        let than = Pages { whose: Whose::Hidden, ..Pages::whole(None, 0.1) };
        let contrast = |uid, each| {
            let pages = Pages::whole(Some(uid), 0.1);
            Measurement::Contrast(Contrast { uid, beside: vec![1, 2, 3], each, pages, than })
        };
        let of = |uid| [contrast(uid, Each::Line), contrast(uid, Each::Model)];
        let wanted: Vec<Measurement> = [of(1), of(2), of(3)].concat();
        let sizes: Vec<usize> =
            jobs(possible(wanted.clone(), |_| true)).iter().map(|job| job.measurements.len()).collect();
        assert_eq!(sizes, [2, 2, 2]);
        // An upload that is missing is not measured; the others are compared with what is there.
        assert_eq!(possible(wanted.clone(), |uid| uid != 3), wanted[..4]);
    }

    #[test]
    fn what_is_asked_for_twice_is_measured_once_and_what_is_not_there_never() {
        let nobodys = Pages::whole(None, 0.1);
        let own = |uid| Pages::whole(Some(uid), 0.1);
        let wanted = vec![
            Measurement::before(nobodys),
            Measurement::before(own(1)),
            Measurement::after_one(1, 0.2, own(1)),
            Measurement::after_one(1, 0.2, nobodys),
            Measurement::before(nobodys),
            Measurement::after_one(9, 0.2, nobodys),
            Measurement::after_all([1, 2], nobodys),
            Measurement::after_all([2], nobodys),
        ];
        let possible = possible(wanted.clone(), |uid| uid < 5);
        assert_eq!(possible, [&wanted[..4], &wanted[6..]].concat());
        let sizes: Vec<usize> = jobs(possible).iter().map(|job| job.measurements.len()).collect();
        assert_eq!(sizes, [1, 3, 1, 1]);
    }
}
