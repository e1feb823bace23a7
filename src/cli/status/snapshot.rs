//! What a bucket tells about its run at one moment.

use std::time::Duration;

use anyhow::Context;
use chrono::Utc;
use futures::TryStreamExt;
use gauntlet::chain::RoundClock;
use gauntlet::mechanism::Status;
use gauntlet::node::{PeerReport, RoundReport, bundle_len};
use gauntlet::runtime::Run;
use gauntlet::transport::{Hotkey, keys};
use gauntlet::words::counted;
use object_store::ObjectStore;
use serde_json::{Value, json};

use super::table;
use crate::cli::collect::fetch;

/// A run by its validators' reports.
pub struct Snapshot {
    pub name: String,
    pub run: String,
    pub rounds: u64,
    /// Whether uploads are sealed.
    pub sealed: bool,
    /// The round by the clock; `None` before a validator has started the run.
    pub now: Option<u64>,
    pub validators: Vec<ValidatorLine>,
    /// The newest report of a validator that decided.
    pub newest: Option<RoundReport>,
    /// The newest held-out loss, and the round after which it was measured.
    pub loss: Option<(u64, f64)>,
    /// Bytes of the uploads aggregated in that round.
    pub bytes: Option<u64>,
}

/// A validator, and its last report.
pub struct ValidatorLine {
    pub hotkey: Hotkey,
    pub stake: f64,
    pub round: Option<u64>,
    /// Whether its model of that round is the same as the decider's.
    pub agrees: Option<bool>,
}

impl Snapshot {
    /// Reads the bucket.
    pub async fn read(run: &Run) -> anyhow::Result<Self> {
        let scenario = &run.scenario;
        let mut validators = Vec::new();
        let mut reports = Vec::new();
        for (hotkey, stake) in &run.genesis.validators {
            let newest = newest_round(run, hotkey).await?;
            let report = match newest {
                Some(round) => fetch(run, hotkey, round).await,
                None => None,
            };
            validators.push(ValidatorLine { hotkey: *hotkey, stake: *stake, round: newest, agrees: None });
            reports.push(report);
        }
        let decided = reports.iter().flatten().filter(|report| report.decided);
        let newest = decided.max_by_key(|report| report.round).cloned();
        for (line, report) in validators.iter_mut().zip(&reports) {
            let (Some(own), Some(newest)) = (report, &newest) else { continue };
            line.agrees = match own.round == newest.round {
                true => Some(own.model == newest.model),
                // The decider of that round has reported the model.
                false => model_of(run, own.round).await.map(|model| model == own.model),
            };
        }
        let bytes = match &newest {
            Some(report) => bundle_len(&run.bucket.store, &keys::bundle(&report.validator, report.round)).await,
            None => None,
        };
        Ok(Self {
            name: scenario.name.clone(),
            run: run.id.short(),
            rounds: scenario.rounds,
            sealed: scenario.protocol.sealed,
            now: round_now(run).await?,
            loss: loss(run, newest.as_ref()).await,
            validators,
            newest,
            bytes,
        })
    }

    /// Registered peers.
    pub fn registered(&self) -> usize {
        self.newest.as_ref().map_or(0, |report| report.peers.len())
    }

    /// The run for programs.
    pub fn figures(&self) -> Value {
        let validator = |line: &ValidatorLine| json!({ "hotkey": line.hotkey.to_string(), "stake": line.stake, "round": line.round, "agrees": line.agrees });
        let newest = self.newest.as_ref();
        json!({
            "name": self.name,
            "run": self.run,
            "rounds": self.rounds,
            "rounds_done": newest.map_or(0, |report| report.round + 1),
            "clock_round": self.now,
            "sealed": self.sealed,
            "loss": self.loss.map(|(round, loss)| json!({ "round": round, "loss": loss })),
            "lr": newest.map(|report| report.lr),
            "uploads": newest.map(|report| report.uploads),
            "aggregated_bytes": self.bytes,
            "forward_passes": newest.map(|report| report.forward_passes),
            "model": newest.map(|report| report.model),
            "validators": self.validators.iter().map(validator).collect::<Vec<_>>(),
            "peers": newest.map_or(Vec::new(), |report| table::peers(report).into_iter().map(|peer| of(report, peer)).collect()),
        })
    }

    /// Lines above the table of peers.
    pub fn heading(&self) -> Vec<String> {
        let sealed = if self.sealed { ", sealed uploads" } else { "" };
        let mut lines = vec![format!("{}, run {}{sealed}", self.name, self.run)];
        let (done, rounds) = (self.newest.as_ref().map_or(0, |report| report.round + 1), self.rounds);
        lines.push(match self.now {
            None => "not started: no validator has joined yet".into(),
            Some(now) if now >= rounds => format!("{done} of {} done; over by the clock", counted(rounds, "round")),
            Some(now) => format!("{done} of {} done; the clock is in round {now}", counted(rounds, "round")),
        });
        if let Some(report) = &self.newest {
            let loss = self.loss.map_or("not measured yet".into(), |(round, loss)| format!("{loss:.4} after {round}"));
            let aggregated = report.peers.iter().filter(|peer| peer.aggregated).count();
            let bytes = self.bytes.map_or(String::new(), |bytes| format!(", {}", indicatif::HumanBytes(bytes)));
            lines.push(format!("held-out loss {loss}; learning rate {:.3e}", report.lr));
            lines.push(format!("{}, {aggregated} aggregated{bytes}", counted(report.uploads, "upload")));
            lines.push(format!("{} run forward to evaluate peers", counted(report.forward_passes, "page")));
            let behind = report.peers.iter().filter(|peer| peer.status == Status::OutOfSync).count();
            lines.push(format!("model {}; {} out of sync", report.model.short(), counted(behind, "peer")));
        }
        for validator in &self.validators {
            let hotkey = &validator.hotkey.to_string()[..12];
            let said = validator.round.map_or("silent".into(), |round| format!("round {round}"));
            let agrees = match validator.agrees {
                Some(true) => ", in sync",
                Some(false) => ", DIFFERENT MODEL",
                None => "",
            };
            lines.push(format!("validator {hotkey}, stake {}: {said}{agrees}", validator.stake));
        }
        lines
    }
}

/// A peer of a report, with the mechanism's numbers by their names.
fn of(report: &RoundReport, peer: &PeerReport) -> Value {
    let mut fields = json!({
        "uid": peer.uid,
        "hotkey": peer.hotkey.to_string(),
        "status": peer.status,
        "steps_behind": peer.steps_behind,
        "incentive": peer.incentive,
        "aggregated": peer.aggregated,
    });
    for (column, number) in report.columns.iter().zip(&peer.numbers) {
        fields[column.name.as_str()] = json!(number);
    }
    fields
}

async fn newest_round(run: &Run, validator: &Hotkey) -> anyhow::Result<Option<u64>> {
    let mut listed = run.bucket.store.list(Some(&keys::reports(validator)));
    let mut newest = None;
    while let Some(meta) = listed.try_next().await.with_context(|| format!("bucket {}", run.bucket.url))? {
        newest = newest.max(keys::number(&meta.location));
    }
    Ok(newest)
}

/// The model after a round, as reported by the validator that decided it.
async fn model_of(run: &Run, round: u64) -> Option<gauntlet::digest::Digest> {
    for (validator, _) in &run.genesis.validators {
        if let Some(report) = fetch(run, validator, round).await.filter(|report| report.decided) {
            return Some(report.model);
        }
    }
    None
}

/// The newest measured held-out loss.
async fn loss(run: &Run, newest: Option<&RoundReport>) -> Option<(u64, f64)> {
    let newest = newest?;
    if let Some(loss) = newest.loss {
        return Some((newest.round, loss));
    }
    let every = run.scenario.training.eval_every;
    let measured = ((newest.round + 1) / every * every).checked_sub(1)?;
    for (validator, _) in &run.genesis.validators {
        if let Some(loss) = fetch(run, validator, measured).await.and_then(|report| report.loss) {
            return Some((measured, loss));
        }
    }
    None
}

async fn round_now(run: &Run) -> anyhow::Result<Option<u64>> {
    let Some(start) = run.start().await? else { return Ok(None) };
    let since = Utc::now().timestamp_millis().saturating_sub(start.unix_ms);
    let clock = RoundClock::new(&run.scenario.chain);
    Ok(Some(clock.round_at(Duration::from_millis(since.max(0) as u64))))
}
