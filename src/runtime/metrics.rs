//! Numbers of a process for Prometheus: rounds, phases, requests and bytes, losses, scores, drift.
//!
//! They are always counted, and served as text on request. The server has its own thread, so that a node with a paused
//! clock answers too.

use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::Uid;
use crate::mechanism::Column;
use crate::node::{PeerReport, RoundReport};
use crate::transport::Hotkey;

type Number = Gauge<f64, AtomicU64>;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Node {
    node: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Phase {
    node: String,
    phase: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Request {
    node: String,
    operation: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Peer {
    node: String,
    uid: Uid,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct PeerColumn {
    node: String,
    uid: Uid,
    column: String,
}

/// The numbers of all nodes of a process.
#[derive(Clone, Default)]
pub struct Metrics {
    families: Families,
}

#[derive(Clone)]
struct Families {
    round: Family<Node, Gauge>,
    network_round: Family<Node, Gauge>,
    phases: Family<Phase, Histogram>,
    requests: Family<Request, Counter>,
    failures: Family<Request, Counter>,
    bytes_up: Family<Node, Counter>,
    bytes_down: Family<Node, Counter>,
    loss: Family<Node, Number>,
    train_loss: Family<Node, Number>,
    uploads: Family<Node, Gauge>,
    aggregated: Family<Node, Gauge>,
    forward_passes: Family<Node, Gauge>,
    diverged: Family<Node, Counter>,
    peer_numbers: Family<PeerColumn, Number>,
    incentive: Family<Peer, Number>,
    steps_behind: Family<Peer, Number>,
}

impl Default for Families {
    fn default() -> Self {
        Self {
            // From ten milliseconds to some minutes.
            phases: Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.01, 2.0, 16))),
            round: Family::default(),
            network_round: Family::default(),
            requests: Family::default(),
            failures: Family::default(),
            bytes_up: Family::default(),
            bytes_down: Family::default(),
            loss: Family::default(),
            train_loss: Family::default(),
            uploads: Family::default(),
            aggregated: Family::default(),
            forward_passes: Family::default(),
            diverged: Family::default(),
            peer_numbers: Family::default(),
            incentive: Family::default(),
            steps_behind: Family::default(),
        }
    }
}

impl Families {
    fn registry(&self) -> Registry {
        let mut all = Registry::with_prefix("gauntlet");
        all.register("round", "Round that the node is in", self.round.clone());
        all.register("network_round", "Round that the network's clock shows", self.network_round.clone());
        let help = "Time of a part of the node's round";
        all.register_with_unit("phase", help, Unit::Seconds, self.phases.clone());
        all.register("requests", "Requests to the bucket, repeated ones included", self.requests.clone());
        let help = "Requests to the bucket that failed in passing; most are tried again";
        all.register("request_failures", help, self.failures.clone());
        all.register_with_unit("sent", "Bytes put into the bucket", Unit::Bytes, self.bytes_up.clone());
        all.register_with_unit("received", "Bytes got from the bucket", Unit::Bytes, self.bytes_down.clone());
        all.register("held_out_loss", "Held-out loss, nats a token", self.loss.clone());
        all.register("train_loss", "Loss on the pages that were evaluated, nats a token", self.train_loss.clone());
        all.register("uploads", "Uploads found in the round", self.uploads.clone());
        all.register("aggregated", "Peers aggregated in the round", self.aggregated.clone());
        let help = "Rounds after which the node's model was not that of the record";
        all.register("diverged_rounds", help, self.diverged.clone());
        let help = "Pages run forward to evaluate the round's peers";
        all.register("forward_passes", help, self.forward_passes.clone());
        let help = "A number that the mechanism has of a peer, by the name of its column";
        all.register("peer_number", help, self.peer_numbers.clone());
        all.register("incentive", "Share of the round's pay of a peer", self.incentive.clone());
        all.register("steps_behind", "Steps that a peer's model is behind", self.steps_behind.clone());
        all
    }
}

impl Metrics {
    /// The numbers of one node.
    pub fn of_node(&self, hotkey: &Hotkey) -> NodeMetrics {
        let node = NodeMetrics { families: self.families.clone(), node: hotkey.to_string()[..12].to_string() };
        // Counted from zero, so that the first divergence is an increase.
        drop(self.families.diverged.get_or_create(&node.label()));
        node
    }

    /// The text that Prometheus reads.
    pub fn text(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.families.registry()).expect("a string takes any text");
        text
    }

    /// Serves the numbers at `/metrics` until the process ends.
    ///
    /// # Errors
    /// The address cannot be used.
    pub fn serve(&self, address: SocketAddr) -> std::io::Result<()> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let metrics = Arc::new(Mutex::new(self.clone()));
        std::thread::Builder::new().name("metrics".into()).spawn(move || {
            runtime.block_on(async {
                let text = move || {
                    let text = metrics.lock().expect("no panic while held").text();
                    async { ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text) }
                };
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener of this process");
                let served = axum::serve(listener, Router::new().route("/metrics", get(text))).await;
                served.unwrap_or_else(|error| tracing::error!(%error, "metrics are not served any more"));
            });
        })?;
        Ok(())
    }
}

/// The numbers of one node.
#[derive(Clone)]
pub struct NodeMetrics {
    families: Families,
    node: String,
}

impl NodeMetrics {
    fn label(&self) -> Node {
        Node { node: self.node.clone() }
    }

    /// The node begins `round`, while the network's clock shows `network_round`.
    pub fn round(&self, round: u64, network_round: u64) {
        self.families.round.get_or_create(&self.label()).set(round as i64);
        self.families.network_round.get_or_create(&self.label()).set(network_round as i64);
    }

    /// A part of the node's round took this long.
    pub fn phase(&self, phase: &'static str, took: Duration) {
        self.families.phases.get_or_create(&Phase { node: self.node.clone(), phase }).observe(took.as_secs_f64());
    }

    /// A request to the bucket.
    pub fn request(&self, operation: &'static str, failed: bool) {
        let request = Request { node: self.node.clone(), operation };
        self.families.requests.get_or_create(&request).inc();
        // Counted from zero, so that the first failure is an increase.
        self.families.failures.get_or_create(&request).inc_by(failed.into());
    }

    /// Bytes to and from the bucket.
    pub fn bytes(&self, up: u64, down: u64) {
        self.families.bytes_up.get_or_create(&self.label()).inc_by(up);
        self.families.bytes_down.get_or_create(&self.label()).inc_by(down);
    }

    /// The node's model differs from the record's.
    pub fn diverged(&self) {
        self.families.diverged.get_or_create(&self.label()).inc();
    }

    /// A round is over.
    pub fn report(&self, report: &RoundReport) {
        let families = &self.families;
        if let Some(loss) = report.loss {
            families.loss.get_or_create(&self.label()).set(loss);
        }
        if let Some(loss) = report.train_loss {
            families.train_loss.get_or_create(&self.label()).set(loss);
        }
        families.uploads.get_or_create(&self.label()).set(report.uploads as i64);
        let aggregated = report.peers.iter().filter(|peer| peer.aggregated).count();
        families.aggregated.get_or_create(&self.label()).set(aggregated as i64);
        families.forward_passes.get_or_create(&self.label()).set(report.forward_passes as i64);
        report.peers.iter().for_each(|peer| self.peer(&report.columns, peer));
    }

    fn peer(&self, columns: &[Column], peer: &PeerReport) {
        let (families, label) = (&self.families, Peer { node: self.node.clone(), uid: peer.uid });
        for (column, number) in columns.iter().zip(&peer.numbers) {
            let Some(number) = *number else { continue };
            let label = PeerColumn { node: self.node.clone(), uid: peer.uid, column: column.name.clone() };
            families.peer_numbers.get_or_create(&label).set(number);
        }
        families.incentive.get_or_create(&label).set(peer.incentive);
        if let Some(behind) = peer.steps_behind {
            families.steps_behind.get_or_create(&label).set(behind);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::Identity;

    #[test]
    fn the_text_has_what_was_counted() {
        let metrics = Metrics::default();
        let node = metrics.of_node(&Identity::from_seed(1, "peer", 0).hotkey());
        node.round(7, 8);
        node.request("put", false);
        node.request("put", true);
        node.bytes(100, 20);
        node.phase("train", Duration::from_millis(30));
        let text = metrics.text();
        let name = &node.node;
        for line in [
            format!("gauntlet_round{{node=\"{name}\"}} 7"),
            format!("gauntlet_network_round{{node=\"{name}\"}} 8"),
            format!("gauntlet_diverged_rounds_total{{node=\"{name}\"}} 0"),
            format!("gauntlet_requests_total{{node=\"{name}\",operation=\"put\"}} 2"),
            format!("gauntlet_request_failures_total{{node=\"{name}\",operation=\"put\"}} 1"),
            format!("gauntlet_sent_bytes_total{{node=\"{name}\"}} 100"),
            format!("gauntlet_phase_seconds_count{{node=\"{name}\",phase=\"train\"}} 1"),
        ] {
            assert!(text.contains(&line), "{line} in\n{text}");
        }
    }
}
