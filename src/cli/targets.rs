//! Where the processes of a launched network serve their metrics, for Prometheus.

use std::net::SocketAddr;
use std::path::Path;

use gauntlet::report::write_file;
use serde_json::{Value, json};

use super::UsageError;

/// The list of targets, in the form of Prometheus' `file_sd_configs`.
const FILE: &str = "metrics.json";

/// An address for each process: the first one, and the ports after it.
///
/// # Errors
/// There are not as many ports.
pub fn addresses(first: SocketAddr, processes: usize) -> Result<Vec<SocketAddr>, UsageError> {
    let left = usize::from(u16::MAX - first.port()) + 1;
    if first.port() == 0 || processes > left {
        let told = format!("--metrics {first}: {processes} processes need a port each; expected a port of 1 to {}", {
            (usize::from(u16::MAX) + 1).saturating_sub(processes)
        });
        return Err(UsageError(told));
    }
    let ports = first.port()..=u16::MAX;
    Ok(ports.take(processes).map(|port| SocketAddr::new(first.ip(), port)).collect())
}

/// Writes the targets into a folder: each process with its name and role.
pub fn write<'a>(
    folder: &Path,
    processes: impl Iterator<Item = ((&'a str, &'a str), &'a SocketAddr)>,
) -> anyhow::Result<()> {
    let targets = processes.map(|((name, role), address)| {
        json!({ "targets": [address.to_string()], "labels": { "process": name, "role": role } })
    });
    let text = format!("{:#}\n", Value::from(targets.collect::<Vec<_>>()));
    Ok(write_file(&folder.join(FILE), text.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_process_has_a_port() {
        let of = |first: &str, processes| addresses(first.parse().unwrap(), processes);
        let ports = of("127.0.0.1:9100", 3).unwrap();
        assert_eq!(ports.iter().map(SocketAddr::port).collect::<Vec<_>>(), [9100, 9101, 9102]);
        assert_eq!(of("[::1]:65534", 2).unwrap().len(), 2);
        let told = of("127.0.0.1:65534", 3).unwrap_err().to_string();
        assert!(told.ends_with("expected a port of 1 to 65533"), "{told}");
        assert!(of("127.0.0.1:0", 1).is_err());
    }
}
