//! What thieves do, and that it does not pay.

use super::*;

/// Sending something else never pays, whenever it is done.
#[test]
fn whoever_pretends_is_paid_less_than_for_the_work_that_it_does() {
    let since = |network: &Network, uid| network.audits.get(&uid).map(|(at, _)| network.round - at);
    type Plays<'a> = Box<dyn Fn(&Network, Uid) -> Does + 'a>;
    let pretends = |if_so: bool| if if_so { Does::Pretends(1.0) } else { Does::Work(1.0) };
    let strategies: Vec<(&str, Plays)> = vec![
        ("always", Box::new(|_, _| Does::Pretends(1.0))),
        ("one round of twenty", Box::new(move |network, uid| pretends(draw(network, uid, 0.05)))),
        ("every second round", Box::new(move |network, uid| pretends(draw(network, uid, 0.5)))),
        (
            "while there is little to lose",
            Box::new(move |network, uid| pretends(since(network, uid).is_some_and(|since| since < 6))),
        ),
        (
            "when it was just paid for long",
            Box::new(move |network, uid| pretends(since(network, uid).is_some_and(|since| since < 20))),
        ),
        (
            "until an audit fails, for a while",
            Box::new(move |network, uid| {
                pretends(network.audits.get(&uid).is_none_or(|(at, passed)| *passed || network.round - at > 50))
            }),
        ),
        (
            "twice as much, with half of it",
            Box::new(|network, uid| if draw(network, uid, 0.5) { Does::Pretends(2.0) } else { Does::Work(1.0) }),
        ),
    ];
    for (name, strategy) in strategies {
        let (pay, work) = four(strategy);
        assert!(pay < 0.9 * work || work == 0.0 && pay == 0.0, "{name}: {pay} for {work}");
    }
}

/// The first peers whose work is proven are paid no more than others for what they did.
#[test]
fn it_does_not_pay_to_stop_once_something_is_proven() {
    let (pay, work) = young(|network, uid| if proven(network, uid) > 0.0 { Does::Rests } else { Does::Work(1.0) });
    assert!(work < 0.4 && pay < 1.1 * work, "{pay} for {work}");
    let (pay, work) = young(|network, _| if network.round < 50 { Does::Work(1.0) } else { Does::Rests });
    assert!(pay < work, "{pay} for {work}");
}

/// What a thief does whose keys are worth nothing: it begins anew whenever it is found out.
#[derive(Clone, Copy, Debug)]
struct Thief {
    /// Whether it works off what it owes for coming late first.
    works_off: bool,
    /// What it says that it does, and does not, for so many rounds. Then it works until that is proven.
    says: f64,
    waits: u64,
    works: f64,
    /// Whether it goes on with the same key when that is paid, or begins anew.
    keeps: bool,
}

/// Pay by work of four such thieves beside twelve honest peers.
fn of_thieves(thief: Thief) -> f64 {
    let Thief { works_off, says, waits, works, keeps } = thief;
    let mut network = Network::new(AuditSettings::default(), 16).run(64, 16, |_, _| Does::Work(1.0));
    (network.paid, network.worked) = Default::default();
    // The round since which each does nothing, and the one in which its word was taken for it.
    let (mut since, mut taken) = ([None; 4], [None; 4]);
    for _ in 0..12_000 {
        let now = network.round;
        network.round(16, |_, uid| match uid.checked_sub(12).map(usize::from) {
            None => Does::Work(1.0),
            Some(thief) => match (since[thief], taken[thief]) {
                (None, _) if works_off => Does::Work(1.0),
                (None, _) => Does::Pretends(says),
                (_, Some(_)) => Does::Rests,
                (Some(since), None) if now < since + waits => Does::Pretends(says),
                _ => Does::Work(works),
            },
        });
        for (thief, uid) in (12..16).enumerate() {
            let audit = network.audits.get(&uid).filter(|(at, _)| *at == now).map(|(_, passed)| *passed);
            let owes = network.mechanism.numbers(uid, now)[2].unwrap() > 0.0;
            match (since[thief], audit) {
                (None, _) if !works_off || !owes => since[thief] = Some(now),
                (Some(_), Some(true)) if !owes && taken[thief].is_none() => taken[thief] = Some(now),
                _ => {}
            }
            let is_paid = taken[thief].is_some_and(|at| now > at + 40);
            if is_paid && keeps {
                (since[thief], taken[thief]) = (Some(now), None);
            } else if is_paid || audit == Some(false) {
                (since[thief], taken[thief]) = (None, None);
                network.mechanism.leave(uid);
                network.mechanism.arrive(uid);
            }
        }
    }
    let (pay, work) = network.of(12..16);
    pay / work
}

#[test]
fn thieves_with_new_keys_are_paid_less_than_their_work_whatever_they_say() {
    for works_off in [false, true] {
        for (says, works) in [(1.0, 1.0), (4.0, 4.0), (4.0, 1.0)] {
            for (waits, keeps) in [(3, true), (16, true), (16, false), (32, false)] {
                let thief = Thief { works_off, says, waits, works, keeps };
                let profit = of_thieves(thief);
                assert!(profit < 0.95, "{thief:?}: {profit}");
            }
        }
    }
}

/// In a young network: sends anything for `waits` rounds, then works. If it is found out before, it begins anew and works, or is gone.
#[test]
fn sending_anything_in_a_young_network_does_not_pay() {
    for (thieves, comes_back, stops) in [(4, true, false), (4, false, true), (16, false, true)] {
        for (says, waits) in [(1.0, 4), (1.0, 9), (1.0, 18), (4.0, 9), (4.0, 18)] {
            let (mut pay, mut work, all) = (0.0, 0.0, 12 + thieves);
            for secret in 0..60 {
                let settings = AuditSettings { audited_per_round: 0.9, ..AuditSettings::default() };
                let mut network =
                    Network { mechanism: with_peers(&settings, secret, all), ..Network::new(settings, 0) };
                let mut found_out = vec![false; usize::from(all)];
                for round in 0..150 {
                    network.round(all, |network, uid| match found_out[usize::from(uid)] {
                        _ if uid < 12 => Does::Work(1.0),
                        true => {
                            if comes_back {
                                Does::Work(1.0)
                            } else {
                                Does::Rests
                            }
                        }
                        false if round < waits => Does::Pretends(says),
                        false if stops && proven(network, uid) > 0.0 => Does::Rests,
                        false => Does::Work(1.0),
                    });
                    for uid in 12..all {
                        if network.audits.get(&uid) == Some(&(round, false)) && !found_out[usize::from(uid)] {
                            found_out[usize::from(uid)] = true;
                            network.mechanism.leave(uid);
                            network.mechanism.arrive(uid);
                        }
                    }
                }
                let of_one = network.of(12..all);
                (pay, work) = (pay + of_one.0, work + of_one.1);
            }
            assert!(
                pay < 1.1 * work,
                "{thieves} say {says} for {waits} rounds, {comes_back}, {stops}: {pay} for {work}"
            );
        }
    }
}

/// Right after an audit there is little to lose but what a failure costs.
#[test]
fn the_penalty_makes_resting_after_an_audit_unprofitable() {
    let profit = |penalty| {
        let rests = |network: &Network, uid| {
            let fresh = network.audits.get(&uid).is_some_and(|(at, _)| network.round - at < 6);
            if uid >= 12 && fresh { Does::Pretends(1.0) } else { Does::Work(1.0) }
        };
        let settings = AuditSettings { penalty, ..AuditSettings::default() };
        let (pay, work) = Network::new(settings, 16).run(6000, 16, rests).of(12..16);
        pay / work
    };
    let [without, with] = [0.0, 2.0].map(profit);
    assert!(without > 0.8 && with < 0.5, "{without}, {with}");
}

/// Whoever registers anew works as long for nothing as one that has failed.
#[test]
fn a_new_key_is_no_way_out() {
    let mut network = Network::new(AuditSettings::default(), 16);
    for _ in 0..6000 {
        network.round(
            16,
            |network, uid| if uid == 15 && !draw(network, uid, 0.5) { Does::Pretends(1.0) } else { Does::Work(1.0) },
        );
        if network.audits.get(&15).is_some_and(|(at, passed)| *at + 1 == network.round && !passed) {
            network.mechanism.leave(15);
            network.mechanism.arrive(15);
        }
    }
    let (pay, work) = network.of(15..16);
    assert!(pay < 0.8 * work, "{pay} for {work}");
}
