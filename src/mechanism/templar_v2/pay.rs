//! Pay by rank: a first tier that falls linearly, and a reserve in which each rank gets a fixed part of the one before.

use super::settings::TemplarV2Settings;

/// Shares by rank of `peers` peers with a positive score, best first. They sum to 1. With an empty reserve the first
/// tier gets everything.
pub fn by_rank(settings: &TemplarV2Settings, peers: usize) -> Vec<f64> {
    let gather = peers.min(settings.gather_peers);
    let reserve = (peers - gather).min(settings.reserve_peers);
    if gather == 0 {
        return Vec::new();
    }
    let falls = settings.gather_top_ratio - 1.0;
    let profile = |rank: usize| settings.gather_top_ratio - falls * rank as f64 / (gather - 1).max(1) as f64;
    let first = scaled((0..gather).map(profile).collect(), settings.gather_share);
    let halving = |rank: usize| libm::pow(settings.reserve_decay, rank as f64);
    let mut second = scaled((0..reserve).map(halving).collect(), 1.0 - settings.gather_share);
    if let (Some(last), Some(&best)) = (first.last(), second.first())
        && settings.reserve_capped
        && best > *last
    {
        let cut = last / best * settings.reserve_decay;
        second.iter_mut().for_each(|share| *share *= cut);
    }
    let mut shares = [first, second].concat();
    let total: f64 = shares.iter().sum();
    shares.iter_mut().for_each(|share| *share /= total);
    shares.resize(peers, 0.0);
    shares
}

fn scaled(profile: Vec<f64>, sum: f64) -> Vec<f64> {
    let total: f64 = profile.iter().sum();
    profile.into_iter().map(|part| if total > 0.0 { sum * part / total } else { 0.0 }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_share_three_quarters_and_ten_in_reserve_the_rest() {
        let shares = by_rank(&TemplarV2Settings::default(), 40);
        let sum = |range: std::ops::Range<usize>| shares[range].iter().sum::<f64>();
        assert!((sum(0..20) - 0.75).abs() < 1e-12 && (sum(20..30) - 0.25).abs() < 1e-12);
        assert!((shares[19] / shares[0] - 0.5).abs() < 1e-12 && (shares[21] / shares[20] - 0.5).abs() < 1e-12);
        assert_eq!(sum(30..40), 0.0);
        assert_eq!(shares.len(), 40);
    }

    #[test]
    fn the_deployed_cap_leaves_the_reserve_a_thirtieth() {
        let settings = TemplarV2Settings { reserve_capped: true, ..TemplarV2Settings::default() };
        let shares = by_rank(&settings, 30);
        // Figures of the deployed code, which burns half.
        assert!((shares[0] - 2.0 * 0.032259).abs() < 1e-5 && (shares[20] - 2.0 * 0.008065).abs() < 1e-5);
        assert!((shares[..20].iter().sum::<f64>() - 0.9678).abs() < 1e-4);
    }

    #[test]
    fn few_peers_share_everything() {
        assert_eq!(by_rank(&TemplarV2Settings::default(), 1), [1.0]);
        let shares = by_rank(&TemplarV2Settings::default(), 5);
        assert!((shares[0] - 2.0 * 0.13333).abs() < 1e-4 && (shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!(by_rank(&TemplarV2Settings::default(), 0).is_empty());
    }
}
