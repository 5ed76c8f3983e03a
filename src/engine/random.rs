//! Seeded randomness: one ChaCha8 stream per (purpose, entity), all split from the run's one seed by name.
//!
//! A stream's key is `SHA-256("cosmosmesh random stream 1" ‖ seed ‖ length of the purpose ‖ purpose ‖ entity)`, with the
//! numbers as 64-bit little endian. So a stream depends on nothing but its own name: adding a consumer, or drawing more
//! in one, never shifts the draws of another. From key to numbers everything is fixed here as well: ranges, floats and
//! exponentials are own code over raw ChaCha8 words, since such conversions changed between versions of `rand`.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};
use sha2::{Digest as _, Sha256};

const DOMAIN: &[u8] = b"cosmosmesh random stream 1";

/// What a stream's draws are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stream {
    /// Whether a frame is lost on a directed link.
    FrameLoss,
    /// Whether a fault of the scenario strikes a frame on a directed link.
    ExtraLoss,
    /// The state of a directed link's burst channel.
    BurstState,
    /// How long a radio waits for a busy shared channel.
    Backoff,
    /// What an asset submits, and when.
    Workload,
    /// The seed of one incarnation of a node.
    NodeSeed,
    /// An asset's key pair.
    Identity,
    /// The coefficients of an asset's planning problem.
    Planning,
    /// Where a crash cuts what an asset's disk was writing.
    TornWrites,
    /// What an adversary does.
    Adversary,
}

impl Stream {
    /// The name that the stream's key is derived from. Renaming one changes every run that uses it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FrameLoss => "frame loss",
            Self::ExtraLoss => "extra loss",
            Self::BurstState => "burst state",
            Self::Backoff => "backoff",
            Self::Workload => "workload",
            Self::NodeSeed => "node seed",
            Self::Identity => "identity",
            Self::Planning => "planning",
            Self::TornWrites => "torn writes",
            Self::Adversary => "adversary",
        }
    }
}

/// The run's seed, from which every stream is split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RandomStreams {
    seed: u64,
}

impl RandomStreams {
    /// All streams of the run with this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The stream of `entity` for one purpose, at its beginning.
    ///
    /// An entity is what the purpose numbers: an asset, or two packed by [`pair`]. Take each stream once and keep it: a
    /// second call starts the same draws again.
    #[must_use]
    pub fn stream(&self, purpose: Stream, entity: u64) -> Rng {
        Rng { words: ChaCha8Rng::from_seed(self.seed_256(purpose, entity)) }
    }

    /// A 256-bit seed for something that runs its own generator, such as one incarnation of a node.
    #[must_use]
    pub fn seed_256(&self, purpose: Stream, entity: u64) -> [u8; 32] {
        let name = purpose.name().as_bytes();
        let mut hash = Sha256::new();
        hash.update(DOMAIN);
        hash.update(self.seed.to_le_bytes());
        hash.update((name.len() as u64).to_le_bytes());
        hash.update(name);
        hash.update(entity.to_le_bytes());
        hash.finalize().into()
    }
}

/// Two numbers as one entity: a directed link (from, to), or (asset, incarnation).
#[must_use]
pub const fn pair(first: u32, second: u32) -> u64 {
    (first as u64) << 32 | second as u64
}

/// One stream of random numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rng {
    words: ChaCha8Rng,
}

impl Rng {
    /// A uniform 64-bit number.
    pub fn u64(&mut self) -> u64 {
        self.words.next_u64()
    }

    /// A uniform number in [0, 1): one of 2⁵³ equally spaced values.
    pub fn f64(&mut self) -> f64 {
        const STEP: f64 = 1.0 / (1u64 << 53) as f64;
        (self.u64() >> 11) as f64 * STEP
    }

    /// A uniform number in [0, `bound`), without bias.
    ///
    /// Multiplies and takes the high word, and draws again where the low word shows that the value would come up too
    /// often (Lemire, "Fast random integer generation in an interval", ACM TOMACS 29(1), 2019, algorithm 5).
    ///
    /// # Panics
    ///
    /// If `bound` is zero: no number is below it.
    pub fn range(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "a range holds at least one number");
        let mut product = u128::from(self.u64()) * u128::from(bound);
        if (product as u64) < bound {
            let too_often = bound.wrapping_neg() % bound;
            while (product as u64) < too_often {
                product = u128::from(self.u64()) * u128::from(bound);
            }
        }
        (product >> 64) as u64
    }

    /// An exponentially distributed number with this mean, in the mean's unit; finite and not negative.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        // 1 − u is in (0, 1], where the logarithm is finite.
        -mean * libm::log1p(-self.f64())
    }

    /// True with this probability. Draws exactly one number, also for 0 and 1.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.f64() < probability
    }

    /// Fills `bytes` with uniform bytes.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.words.fill_bytes(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::{Rng, *};
    use proptest::prelude::*;

    #[test]
    fn the_first_draws_of_a_stream_are_pinned() {
        // Computed apart, by a ChaCha8 and a SHA-256 in Python from this module's description: they catch a dependency
        // whose update would change every run.
        let mut rng = RandomStreams::new(1).stream(Stream::FrameLoss, pair(2, 3));
        let draws = [rng.u64(), rng.u64(), rng.u64()];
        assert_eq!(draws, [541_011_352_899_863_465, 10_425_137_322_569_418_104, 14_366_696_072_577_722_304]);
        assert_eq!(rng.range(1_000_000), 280_863);
        assert_eq!(rng.f64(), 6_913_960_080_497_122.0 / (1u64 << 53) as f64);
        assert_eq!(rng.exponential(1.0).to_bits(), 0x3fa5_df10_4084_8d91);
    }

    #[test]
    fn chacha8_itself_gives_the_published_key_stream() {
        // ECRYPT test vector for ChaCha8, 256-bit zero key and zero IV (draft-strombergson-chacha-test-vectors-01, TC1).
        let mut bytes = [0; 16];
        Rng { words: ChaCha8Rng::from_seed([0; 32]) }.fill(&mut bytes);
        let expected =
            [0x3e, 0x00, 0xef, 0x2f, 0x89, 0x5f, 0x40, 0xd6, 0x7f, 0x5b, 0xb8, 0xe8, 0x1f, 0x09, 0xa5, 0xa1];
        assert_eq!(bytes, expected);
    }

    #[test]
    fn streams_differ_by_seed_purpose_and_entity() {
        let first = |seed, purpose, entity| RandomStreams::new(seed).stream(purpose, entity).u64();
        let base = first(1, Stream::FrameLoss, 0);
        assert_ne!(base, first(2, Stream::FrameLoss, 0));
        assert_ne!(base, first(1, Stream::BurstState, 0));
        assert_ne!(base, first(1, Stream::FrameLoss, 1));
        assert_eq!(base, first(1, Stream::FrameLoss, 0));
    }

    #[test]
    fn a_range_that_is_no_power_of_two_is_uniform() {
        // 60,000 draws over 6 values: 10,000 each, σ = √(60,000 · 1/6 · 5/6) ≈ 91; 4σ.
        let mut rng = RandomStreams::new(7).stream(Stream::Workload, 0);
        let mut counts = [0i32; 6];
        for _ in 0..60_000 {
            counts[rng.range(6) as usize] += 1;
        }
        assert!(counts.iter().all(|&count| (count - 10_000).abs() < 4 * 92), "{counts:?}");
    }

    #[test]
    fn a_range_close_to_the_whole_word_is_unbiased() {
        // With bound 3 · 2⁶², a plain multiplication would give every third value twice as often: the share of even
        // thirds tells them apart. 30,000 draws, p = 1/3, σ ≈ 82; 4σ.
        let bound = 3u64 << 62;
        let mut rng = RandomStreams::new(8).stream(Stream::Workload, 0);
        let hits = (0..30_000).filter(|_| rng.range(bound).is_multiple_of(3)).count() as i32;
        assert!((hits - 10_000).abs() < 4 * 82, "{hits}");
    }

    #[test]
    fn exponential_draws_have_their_mean() {
        // Mean 2 over 100,000 draws: σ of the average = 2 / √100,000 ≈ 0.0063; 4σ.
        let mut rng = RandomStreams::new(9).stream(Stream::Workload, 0);
        let mean = (0..100_000).map(|_| rng.exponential(2.0)).sum::<f64>() / 100_000.0;
        assert!((mean - 2.0).abs() < 4.0 * 0.0064, "{mean}");
    }

    proptest! {
        #[test]
        fn draws_stay_in_their_ranges(seed: u64, entity: u64, bound in 1u64..) {
            let mut rng = RandomStreams::new(seed).stream(Stream::Workload, entity);
            prop_assert!(rng.range(bound) < bound);
            prop_assert!((0.0..1.0).contains(&rng.f64()));
            let draw = rng.exponential(3.0);
            prop_assert!(draw >= 0.0 && draw.is_finite());
            prop_assert!(rng.chance(1.0) && !rng.chance(0.0));
        }
    }
}
