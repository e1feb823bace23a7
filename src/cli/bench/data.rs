//! Measures how long training on a scenario's pages waits for them.

use std::time::{Duration, Instant};

use gauntlet::corpus::{Assignment, Corpus};
use gauntlet::model::{Device, Llama, LlamaConfig, init_theta};
use gauntlet::node::OpenError;
use gauntlet::scenario::Scenario;

use super::figure::Figure;
use super::model::pass;

/// Rounds between the two measurements, so that neither reads the other's pages.
const APART: u64 = 1 << 32;

/// A scenario's model, and the pages for its peers.
pub struct Data {
    pub scenario: Scenario,
    pub config: LlamaConfig,
    /// Pages per forward and backward pass.
    pub micro_batch: usize,
    corpus: Corpus,
    assignment: Assignment,
}

/// Rounds of training.
struct Trained {
    tokens_per_second: f64,
    /// Share of the time spent waiting, in %.
    waited: f64,
}

impl Data {
    /// Opens it with the scenario's micro-batch, or the requested one.
    pub fn open(scenario: Scenario, micro_batch: Option<usize>) -> anyhow::Result<Self> {
        let config = LlamaConfig::from_settings(&scenario.model).map_err(OpenError::from)?;
        let corpus = Corpus::open(&scenario.corpus, scenario.seed, config.vocab_size, config.sequence_length);
        let corpus = corpus.map_err(OpenError::from)?;
        let (slots, pages) = (scenario.chain.slots, scenario.training.pages_per_round);
        let assignment = Assignment::new(scenario.seed, slots, pages, corpus.train_pages());
        let micro_batch = micro_batch.unwrap_or(scenario.training.micro_batch).min(pages);
        Ok(Self { scenario, config, micro_batch, corpus, assignment })
    }

    /// Trains like one of the peers, round after round without a pause, for about `time`: once with the next round's
    /// pages fetched ahead, once without.
    pub fn measure(&self, device: Device, time: Duration, note: &mut impl FnMut(Figure)) -> anyhow::Result<()> {
        let mut note = |what: String, value: f64, unit: &'static str| note(Figure { what, value, unit });
        let model = Llama::from_flat(&self.config, &init_theta(&self.config, 0), &device);
        let ahead = self.train((&model, &device), 0, time, true)?;
        let (pages, length) = (self.scenario.training.pages_per_round, self.config.sequence_length);
        let what = format!("training on the corpus, {pages} x {length} tokens a round");
        note(what, ahead.tokens_per_second / 1e3, "K tokens/s");
        note("of that waiting for pages, fetched ahead".into(), ahead.waited, "%");
        let not_ahead = self.train((&model, &device), APART, time, false)?;
        note("waiting for pages, not fetched ahead".into(), not_ahead.waited, "%");
        Ok(())
    }

    fn train(
        &self,
        (model, device): (&Llama, &Device),
        first: u64,
        time: Duration,
        ahead: bool,
    ) -> anyhow::Result<Trained> {
        let device = device.burn();
        let pages_of = |round: u64| self.assignment.assigned(0, round);
        let round = |round: u64| -> anyhow::Result<Duration> {
            let started = Instant::now();
            let pages = self.corpus.pages(&pages_of(round))?;
            let waited = started.elapsed();
            if ahead {
                self.corpus.fetch_ahead(&pages_of(round + 1));
            }
            pass(model, &pages, self.micro_batch);
            // A peer needs the result before it can go on.
            device.sync().expect("the device works");
            Ok(waited)
        };
        // The first round's pages cannot be fetched ahead.
        round(first)?;
        let started = Instant::now();
        let (mut rounds, mut waited) = (0, Duration::ZERO);
        while rounds == 0 || started.elapsed() < time {
            rounds += 1;
            waited += round(first + rounds)?;
        }
        let seconds = started.elapsed().as_secs_f64();
        let tokens = rounds as f64 * (self.scenario.training.pages_per_round * self.config.sequence_length) as f64;
        Ok(Trained { tokens_per_second: tokens / seconds, waited: 100.0 * waited.as_secs_f64() / seconds })
    }
}
