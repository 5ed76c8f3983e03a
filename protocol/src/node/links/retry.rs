//! What failed on a link that is up is tried again later, each time in a row later still.

use super::super::{LinkId, Node, strategy::Cargo, timer::Timer};
use crate::{id::NodeId, time::Instant};
use core::time::Duration;

/// Before the first new attempt.
const FIRST: Duration = Duration::from_secs(1);
/// Doublings of it.
const MAX_DOUBLINGS: u32 = 8;

/// How a link does.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Retry {
    /// Ends of waiting in a row without a success.
    failures: u32,
    /// When what failed is tried again.
    until: Option<Instant>,
}

impl Node {
    /// The peer of `link`, or its driver, gave `cargo` up. While the link is up, the bundle waits, or it would fail at once again and
    /// for ever; what is behind it goes on. Copies go by their strategy, so the link takes no new ones meanwhile.
    pub(super) fn on_failed(&mut self, link: LinkId, peer: NodeId, cargo: Cargo) {
        let now = self.now;
        self.not_departed(peer, cargo);
        let Some(state) = self.links.get_mut(link) else { return };
        if state.up.is_none_or(|up| up.peer != peer) {
            return;
        }
        let retry = &mut state.retry;
        if retry.until.is_none() {
            let at = now.saturating_add(FIRST.saturating_mul(1 << retry.failures.min(MAX_DOUBLINGS)));
            *retry = Retry { failures: retry.failures.saturating_add(1), until: Some(at) };
            self.timers.arm(Timer::Retry(link), at);
        }
        if let Cargo::Bundle(key, _) = cargo {
            self.set_aside(link, key);
        }
    }

    /// Something reached the peer.
    pub(super) fn on_success(&mut self, link: LinkId) {
        if let Some(state) = self.links.get_mut(link) {
            state.retry.failures = 0;
        }
    }

    /// Whether nothing new is started on `link` for now.
    pub(super) fn is_paused(&self, link: LinkId) -> bool {
        self.spread.is_some() && self.links.get(link).is_some_and(|state| state.retry.until.is_some())
    }

    /// A link that comes up starts anew.
    pub(super) fn end_pause(&mut self, link: LinkId) {
        if let Some(state) = self.links.get_mut(link) {
            state.retry = Retry::default();
        }
        self.timers.disarm(Timer::Retry(link));
    }

    /// What failed is routed and tried again.
    pub(in crate::node) fn on_retry(&mut self, link: LinkId) {
        let Some(state) = self.links.get_mut(link) else { return };
        state.retry.until = None;
        if state.up.is_some() {
            self.reroute_limbo();
        }
    }
}
