//! [`Chances`]: a stream of yes-or-no draws that is set up when the first draw can matter.

use super::{RandomStreams, Rng, Stream};

/// A stream from which only chances are drawn. Equal to [`Rng::chance`] on the stream itself, draw for draw.
///
/// Where nothing can be lost, most links ask for nothing but chances of zero. Those are counted, not drawn, and caught up with when a greater one
/// comes: so a fleet's many quiet links cost neither a generator each nor its draws.
#[derive(Clone, Debug)]
pub struct Chances {
    streams: RandomStreams,
    purpose: Stream,
    entity: u64,
    /// Draws that were asked for and not made.
    foregone: u64,
    rng: Option<Box<Rng>>,
}

impl Chances {
    /// The chances of the stream that [`RandomStreams::stream`] gives for these names.
    #[must_use]
    pub const fn new(streams: RandomStreams, purpose: Stream, entity: u64) -> Self {
        Self { streams, purpose, entity, foregone: 0, rng: None }
    }

    /// True with this probability: uses up one draw of the stream, whatever the probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        if probability <= 0.0 {
            // No draw is below zero.
            self.foregone += 1;
            return false;
        }
        let Self { streams, purpose, entity, foregone, rng } = self;
        let rng = rng.get_or_insert_with(|| Box::new(streams.stream(*purpose, *entity)));
        for _ in 0..std::mem::take(foregone) {
            rng.u64();
        }
        rng.chance(probability)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn chances_are_those_of_the_stream(
            asked in prop::collection::vec(prop_oneof![Just(0.0), Just(-0.0), 0.0..=1.0f64], 0..200), seed: u64,
        ) {
            let streams = RandomStreams::new(seed);
            let mut chances = Chances::new(streams, Stream::FrameLoss, 7);
            let mut rng = streams.stream(Stream::FrameLoss, 7);
            for probability in asked {
                prop_assert_eq!(chances.chance(probability), rng.chance(probability));
            }
        }
    }
}
