//! Gossip among neighbours on fast links: how fast it goes.

use super::{check::Mistakes, place::Step, raw::RawConfig};
use cosmosmesh_protocol::{discovery::Pace, node::DiscoveryConfig};
use std::time::Duration;

/// How long after the begin of a planned contact a first word may take.
const MARGIN: Duration = Duration::from_secs(5);

pub(super) fn check_gossip(raw: &RawConfig, mistakes: &mut Mistakes<'_>) -> Option<DiscoveryConfig> {
    let gossip = raw.gossip.as_ref()?;
    let before = mistakes.found.len();
    let mut within = |name: &'static str, value: u32, least: u32, most: u32| {
        if !(least..=most).contains(&value) {
            let problem = format!("{value} is out of range: allowed are {least} to {most}");
            mistakes.add(&[Step::Field("gossip"), Step::Field(name)], problem);
        }
    };
    within("period_ms", gossip.period_ms, 100, 3_600_000);
    // A period has room for a question, for others' questions, and for their answers.
    within("round_trip_ms", gossip.round_trip_ms, 10, (gossip.period_ms / 2).max(10));
    within("suspicion_ms", gossip.suspicion_ms, gossip.period_ms.clamp(100, 3_600_000), 86_400_000);
    within("light_time_ms", gossip.light_time_ms, 0, 3_600_000);
    if mistakes.found.len() > before {
        return None;
    }
    let millis = |millis: u32| Duration::from_millis(u64::from(millis));
    let pace = Pace {
        period: millis(gossip.period_ms),
        round_trip: millis(gossip.round_trip_ms),
        suspicion: millis(gossip.suspicion_ms),
    };
    Some(DiscoveryConfig { pace, max_light_time: millis(gossip.light_time_ms), margin: MARGIN })
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use std::{path::Path, time::Duration};

    fn read(gossip: &str) -> Result<Config, Vec<String>> {
        let text = format!("(node: 1, state: \"state\", gossip: ({gossip}))");
        Config::parse("node.ron", &text, Path::new("/folder"))
            .map_err(|errors| errors.0.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn gossip_has_defaults_and_its_times_must_fit_together() {
        let pace = read("").expect("defaults").gossip.expect("it is there").pace;
        assert_eq!((pace.period, pace.suspicion), (Duration::from_secs(1), Duration::from_secs(5)));
        let told = read("period_ms: 200, round_trip_ms: 150, suspicion_ms: 100").expect_err("two mistakes");
        assert!(
            told[0].contains("gossip.round_trip_ms: 150 is out of range: allowed are 10 to 100"),
            "{told:?}"
        );
        assert!(told[1].contains("gossip.suspicion_ms"), "{told:?}");
        assert!(
            Config::parse("n", "(node: 1, state: \"s\")", Path::new("/")).expect("right").gossip.is_none()
        );
    }
}
