//! Handshakes that led to nothing, until the engine looks: strangers cause as many as they like, and the engine is told once for all of them.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
};

/// Handshakes that led to nothing.
#[derive(Debug, Default)]
pub(crate) struct Mishaps {
    /// How many, by reason.
    pub(crate) counts: BTreeMap<&'static str, u64>,
    /// With whom one of them was, and why it led to nothing.
    pub(crate) one: Option<(SocketAddr, &'static str, String)>,
}

/// Where they are gathered.
#[derive(Debug, Default)]
pub(crate) struct Unmet(Mutex<Mishaps>);

impl Unmet {
    /// Takes note of one; says whether the engine is to be told, which it is once until it takes them.
    pub(crate) fn note(&self, from: SocketAddr, reason: &'static str, problem: String) -> bool {
        let mut mishaps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *mishaps.counts.entry(reason).or_default() += 1;
        mishaps.one.replace((from, reason, problem)).is_none()
    }

    /// All since they were last taken.
    pub(crate) fn take(&self) -> Mishaps {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_handshakes_fail_the_engine_is_told_once_and_hears_of_all() {
        let unmet = Unmet::default();
        let from = SocketAddr::from(([192, 0, 2, 1], 1));
        let told = (0..5000).filter(|_| unmet.note(from, "handshake", String::new())).count();
        assert_eq!(told, 1);
        assert!(!unmet.note(from, "unknown_key", "who".to_owned()));
        let mishaps = unmet.take();
        assert_eq!(mishaps.counts, BTreeMap::from([("handshake", 5000), ("unknown_key", 1)]));
        assert_eq!(mishaps.one, Some((from, "unknown_key", "who".to_owned())));
        assert!(unmet.note(from, "handshake", String::new()), "what comes later is told again");
    }
}
