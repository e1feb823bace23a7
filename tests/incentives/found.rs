//! The worst strategies that searches found against a mechanism (`scenarios/attacks/`), in small networks: how they are paid
//! there, and under `coverage`.

use gauntlet::scenario::Scenario;
use toml::{Table, Value};

use super::audit::AUDIT;
use super::coverage::COVERAGE;
use super::*;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/attacks");

fn text(name: &str) -> String {
    std::fs::read_to_string(format!("{FOLDER}/{name}.toml")).unwrap()
}

/// The groups of peers and operators of a finding, without its honest peers. They do `instead` of what they are for, if that
/// is said.
fn thieves(name: &str, instead: Option<&str>) -> String {
    let mut scenario: Table = text(name).parse().unwrap();
    let mut thieves = Table::new();
    for (key, honest) in [("peers", 1), ("operators", 0)] {
        if let Some(Value::Array(groups)) = scenario.remove(key) {
            let mut groups = groups[honest..].to_vec();
            for group in groups.iter_mut().filter_map(Value::as_table_mut) {
                instead.map(|behaviour| group.insert("behaviour".into(), behaviour.into()));
            }
            thieves.insert(key.into(), Value::Array(groups));
        }
    }
    // As further `[[peers]]` of the network.
    thieves.retain(|_, groups| groups.as_array().is_some_and(|groups| !groups.is_empty()));
    toml::to_string(&thieves).unwrap()
}

/// A finding that does this part of the work is paid too much under the mechanism against which it was found, unless that is
/// `coverage`. Under `coverage` it is not, compared with honest peers in its place: the same checks are drawn for them. In such small
/// networks three seeds would say more about luck, so it takes eight. Under `audit` it is paid nothing.
fn found(name: &str, mechanism: &str, work: f64) {
    let (thieves, honest) = (thieves(name, None), thieves(name, Some("honest")));
    if mechanism != "coverage" {
        let kind = format!("mechanism.kind={mechanism}");
        let there = as_in_snapshot(&format!("found-{name}"), fare_under(&[&kind], &thieves, SEEDS));
        assert!(there.pay() / work > 1.5, "{}", there.pay());
    }
    let audited = fare_under(&[AUDIT], &thieves, ONE_SEED).pay();
    let [pay, in_its_place] = [thieves, honest].map(|peers| fare_under(&[COVERAGE], &peers, &EIGHT_SEEDS).pay());
    println!("{name}: {pay}, honest peers in its place {in_its_place}");
    assert!(audited < 0.05, "nothing of it is work, and it is paid {audited}");
    assert!(pay / in_its_place / work < 1.1, "{pay}, honest peers in its place {in_its_place}");
}

#[test]
fn cartel_bursts() {
    found("cartel-bursts", "gauntlet", 0.5);
}

#[test]
fn cartel_bursts_fresh() {
    found("cartel-bursts-fresh", "gauntlet", 0.5);
}

#[test]
fn cartel_fresh() {
    found("cartel-fresh", "gauntlet", 1.0);
}

#[test]
fn lone_fresh() {
    found("lone-fresh", "gauntlet", 1.0);
}

#[test]
fn lone_bursts_fresh() {
    found("lone-bursts-fresh", "gauntlet", 0.5);
}

#[test]
fn cartel_average_fresh() {
    found("cartel-average-fresh", "coverage", 1.0);
}

#[test]
fn past_quarter() {
    found("past-quarter", "marginal", 0.25);
}

/// How often two peers in eight are found at work, and so what they are paid, is luck in three of these networks.
const EIGHT_SEEDS: [u64; 8] = [5, 6, 7, 8, 9, 10, 11, 12];

/// A search found that it was paid more for its work than honest peers, while claims were a moving average: it was paid for
/// long after it had stopped.
#[test]
fn works_while_it_is_not_paid() {
    let profit = |behaviour: &str| {
        let fared = fare_under(&[COVERAGE], &format!("[[peers]]\ncount = 2\nbehaviour = {behaviour}\n"), &EIGHT_SEEDS);
        let pay = |peers| mean(fared.reports(peers, 0).into_iter().map(|report| report.incentive));
        let passed = |report: &PeerReport| f64::from(u8::from(report.status == Status::Passed));
        let work = mean(fared.reports(HONEST..HONEST + 2, 0).into_iter().map(passed));
        (work, pay(HONEST..HONEST + 2) / pay(0..HONEST) / work)
    };
    let (work, unpaid) = profit("{ kind = \"strategy\", works = \"unpaid\" }");
    let (_, honest) = profit("\"honest\"");
    println!("work {work}, profit {unpaid}, of honest peers in its place {honest}");
    assert!(work > 0.2 && work < 0.8 && unpaid / honest < 1.1, "work {work}, profit {unpaid}, honest {honest}");
}

#[test]
fn every_finding_is_a_scenario_by_its_name_and_has_a_test() {
    let tested = include_str!("found.rs");
    let files = std::fs::read_dir(FOLDER).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names: Vec<String> = files.map(|file| file.strip_suffix(".toml").unwrap().to_string()).collect();
    assert!(names.len() >= 5, "{names:?}");
    for name in names {
        let scenario = Scenario::from_toml(&text(&name), &name, &[]).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(scenario.name, name);
        assert!(!scenario.summary.is_empty() && tested.contains(&format!("found(\"{name}\"")), "{name}");
    }
}
