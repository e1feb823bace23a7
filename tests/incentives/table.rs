//! The leaderboard of the last third of the rounds, by behaviour, so coarse that the rounding of another machine does not show.

use gauntlet::mechanism::Column;

use super::*;

impl Fared {
    /// A line for each behaviour.
    pub fn table(&self) -> String {
        let columns = self.networks[0].1.reports[0].columns.clone();
        let evidence = Evidence::of(&columns);
        let mut table = format!("behaviour   peers  pay   aggregated  {:20}  mostly\n", evidence.title());
        let honest = mean(self.last_third(0..HONEST).into_iter().map(|report| report.incentive));
        let mut first = 0;
        for (behaviour, count) in self.groups() {
            let reports = self.last_third(first..first + count);
            first += count;
            let share = |of: &dyn Fn(&PeerReport) -> f64| mean(reports.iter().map(|report| of(report)));
            let pay = match share(&|report| report.incentive) / honest {
                pay if pay < 0.05 => "none",
                pay if pay > 1.5 && behaviour != "honest" => "more",
                _ => "some",
            };
            let aggregated = share(&|report| f64::from(u8::from(report.aggregated)));
            let aggregated = if aggregated < 0.05 { "never" } else { "at times" };
            let found = evidence.in_words(share(&|report| evidence.number(report, &columns)));
            let mut statuses: BTreeMap<&str, usize> = BTreeMap::new();
            reports.iter().for_each(|report| *statuses.entry(report.status.name()).or_default() += 1);
            let (status, _) = statuses.into_iter().max_by_key(|(_, count)| *count).unwrap();
            table += &format!("{behaviour:10}  {count:5}  {pay:4}  {aggregated:10}  {found:20}  {status}\n");
        }
        let (initial, last) = self.losses();
        table + &format!("held-out loss from {initial:.1} to {last:.0}\n")
    }

    /// Peers of the same label beside one another, and how many they are.
    fn groups(&self) -> Vec<(String, usize)> {
        let mut groups: Vec<(String, usize)> = Vec::new();
        for (_, operator) in self.networks[0].0.scenario.each_uid() {
            match groups.last_mut() {
                Some((label, count)) if *label == operator.label() => *count += 1,
                _ => groups.push((operator.label(), 1)),
            }
        }
        groups
    }
}

/// By what a mechanism tells who works.
enum Evidence {
    /// The running mean of Gauntlet's proofs.
    Proof,
    /// The share of the work that `coverage` has found.
    Found,
    /// The work that audits have proven, and that is still to be paid.
    Proven,
}

impl Evidence {
    fn of(columns: &[Column]) -> Self {
        match columns[0].name.as_str() {
            gauntlet::mechanism::audit::COLUMN => Self::Proven,
            "check" => Self::Found,
            _ => Self::Proof,
        }
    }

    fn title(&self) -> &'static str {
        match self {
            Self::Proof => "proof of computation",
            Self::Found => "work found",
            Self::Proven => "proven work",
        }
    }

    fn number(&self, report: &PeerReport, columns: &[Column]) -> f64 {
        let number = |name| report.number(columns, name).unwrap();
        match self {
            Self::Proof => number("proof_of_computation"),
            Self::Found => number("pages_found") * number("stretches_found"),
            Self::Proven => number("score"),
        }
    }

    fn in_words(&self, number: f64) -> &'static str {
        match self {
            Self::Proof if number > 0.5 => "high",
            Self::Proof if number < -0.5 => "negative",
            Self::Proof => "about 0",
            Self::Found if number > 0.65 => "most",
            Self::Found if number < 0.2 => "little",
            Self::Found => "a part",
            Self::Proven if number > 0.0 => "some",
            Self::Proven => "none",
        }
    }
}
