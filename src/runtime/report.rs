//! A validator's report of a round in the bucket: signed JSON ([`crate::transport::sealed`]), for `sim status` and
//! `sim collect`.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::node::RoundReport;
use crate::transport::sealed::{self, SealError};
use crate::transport::{Hotkey, Identity};

const KIND: &str = "report";

/// Maximum length in bytes of a report: a line for each of 250 peers.
pub const MAX_LEN: usize = 1 << 20;

#[derive(Serialize, Deserialize)]
struct Reported<T> {
    run: Digest,
    report: T,
}

/// Why bytes are not the requested report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error("not a report: {0}")]
    Seal(#[from] SealError),
    #[error("the report is of another run, round or validator")]
    Misplaced,
    #[error("its columns cannot be written to files, or peers have more or fewer numbers than there are columns")]
    Unsound,
}

/// The report's bytes, signed by its validator.
pub fn encode(run: &Digest, report: &RoundReport, identity: &Identity) -> Bytes {
    sealed::seal(KIND, &Reported { run: *run, report }, identity)
}

/// Reads a validator's report of a round.
///
/// # Errors
/// The bytes must be a report of this run and round, signed by this validator, with one number per column for each
/// peer.
pub fn decode(bytes: &[u8], run: &Digest, round: u64, validator: &Hotkey) -> Result<RoundReport, ReportError> {
    let (found, signer): (Reported<RoundReport>, Hotkey) = sealed::open(KIND, bytes, MAX_LEN)?;
    let is_expected = found.run == *run
        && found.report.round == round
        && found.report.validator == *validator
        && signer == *validator;
    match found.report {
        _ if !is_expected => Err(ReportError::Misplaced),
        report if !report.is_safe_to_write() => Err(ReportError::Unsound),
        report => Ok(report),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::mechanism::{Column, ColumnKind, Status};
    use crate::node::PeerReport;

    fn report(validator: Hotkey, peers: u16) -> RoundReport {
        let peer = |uid| PeerReport {
            uid,
            hotkey: validator,
            status: Status::OutOfSync,
            steps_behind: Some(1.0 / 3.0),
            numbers: vec![Some(-1.0 / 3.0), None, Some(1e17 / 3.0), Some(-1e-17 / 3.0)],
            incentive: 1.0 / 3.0,
            aggregated: true,
        };
        let column = |name: &str| Column::new(name, name, ColumnKind::Standing);
        RoundReport {
            round: 12,
            validator,
            decided: true,
            at: Duration::from_millis(1_234_567),
            lr: 4e-4,
            loss: Some(2.5),
            average_loss: None,
            backdoor: None,
            train_loss: None,
            forward_passes: 96,
            uploads: 250,
            model: Digest::of(b"model"),
            columns: ["own", "others", "score", "proof"].map(column).into(),
            peers: (0..peers).map(peer).collect(),
        }
    }

    #[test]
    fn a_report_reads_back_and_only_where_it_belongs() {
        let (validator, run) = (Identity::from_seed(1, "validator", 0), Digest::of(b"run"));
        let whole = report(validator.hotkey(), 250);
        let bytes = encode(&run, &whole, &validator);
        assert!(bytes.len() <= MAX_LEN, "{}", bytes.len());
        let read = decode(&bytes, &run, 12, &validator.hotkey()).unwrap();
        assert_eq!(postcard::to_stdvec(&read).unwrap(), postcard::to_stdvec(&whole).unwrap());
        let other = Identity::from_seed(1, "validator", 1);
        assert!(matches!(decode(&bytes, &run, 13, &validator.hotkey()), Err(ReportError::Misplaced)));
        assert!(matches!(decode(&bytes, &run, 12, &other.hotkey()), Err(ReportError::Misplaced)));
        let forged = encode(&run, &whole, &other);
        assert!(matches!(decode(&forged, &run, 12, &validator.hotkey()), Err(ReportError::Misplaced)));
    }
    #[test]
    fn a_report_whose_numbers_fit_no_columns_is_refused() {
        let (validator, run) = (Identity::from_seed(1, "validator", 0), Digest::of(b"run"));
        let damages: [fn(&mut RoundReport); 4] = [
            |report| report.peers[1].numbers.clear(),
            |report| report.peers[1].numbers.push(None),
            |report| report.columns[0].name = "../manifest.json".into(),
            |report| report.columns[0].name = report.columns[1].name.clone(),
        ];
        for damage in damages {
            let mut report = report(validator.hotkey(), 3);
            damage(&mut report);
            assert_eq!(report.number(&report.peers[2], "proof"), Some(-1e-17 / 3.0));
            assert_eq!(report.number(&report.peers[2], "unknown"), None);
            let read = decode(&encode(&run, &report, &validator), &run, 12, &validator.hotkey());
            assert!(matches!(read, Err(ReportError::Unsound)));
        }
    }
}
