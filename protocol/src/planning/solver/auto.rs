//! Which method suits a contact plan: [`choose`].

use alloc::{collections::BTreeMap, vec::Vec};
use core::time::Duration;

use super::{
    layout::{Curvature, MAX_MATRIX},
    method::Kind,
};
use crate::{
    dtn::contact_plan::{ContactPlan, PlannedContact},
    id::NodeId,
    time::Instant,
};

/// At how many instants of the outlook a round is tried.
const PROBES: u32 = 8;
/// Why a method was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The contact plan says nothing of these members.
    Unforeseen,
    /// A member cannot answer within the deadline of a round, somewhere in the outlook.
    Unreachable {
        /// The first such member.
        member: NodeId,
    },
    /// Everyone can answer within the deadline of a round.
    Together {
        /// How long the slowest answer takes, at worst.
        slowest: Duration,
    },
}

impl Reason {
    /// A stable word for reports and traces.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unforeseen => "contacts are unforeseen",
            Self::Unreachable { .. } => "a member cannot answer within a round",
            Self::Together { .. } => "everyone can answer in a round",
        }
    }

    /// The same where answers are noisy: of the methods that suit the contacts, one that needs shares alone.
    #[must_use]
    pub const fn under_noise(self) -> &'static str {
        match self {
            Self::Unforeseen => "noise hides all but shares, and contacts are unforeseen",
            Self::Unreachable { .. } => {
                "noise hides all but shares, and a member cannot answer within a round"
            }
            Self::Together { .. } => "noise hides all but shares, and everyone can answer in a round",
        }
    }
}

/// A method, what assets tell of their slope, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The method.
    pub kind: Kind,
    /// What assets tell.
    pub curvature: Curvature,
    /// Why.
    pub reason: Reason,
}

/// Chooses for a plan of `couplings` that `coordinator` starts at `start`: rounds of the quasi-Newton method where all `members` can
/// report in one, since it never takes a step for the worse; else the asynchronous method, which waits for nobody and needs half the
/// slots of rounds over broken links (`docs/BENCHMARKS.md`). It lives on the slope's whole matrix: where that is too large, the
/// asynchronous exchange is left, which is slow and sure.
///
/// A round is tried at several instants from `start` until `until`: the earliest arrival of a small message at every member,
/// and back, over the plan's contacts. O(probes · rounds of relaxation · contacts).
#[must_use]
pub fn choose(
    plan: &ContactPlan,
    coordinator: NodeId,
    members: &[NodeId],
    couplings: usize,
    (start, until): (Instant, Instant),
    deadline: Duration,
) -> Choice {
    let reason = reason(plan, coordinator, members, (start, until), deadline);
    let fits = couplings <= MAX_MATRIX;
    let (kind, curvature) = match reason {
        Reason::Together { .. } if fits => (Kind::QuasiNewton, Curvature::Matrix),
        Reason::Together { .. } => (Kind::QuasiNewton, Curvature::Diagonal),
        Reason::Unforeseen | Reason::Unreachable { .. } if fits => (Kind::Asynchronous, Curvature::Matrix),
        Reason::Unforeseen | Reason::Unreachable { .. } => (Kind::AsynchronousExchange, Curvature::None),
    };
    Choice { kind, curvature, reason }
}

fn reason(
    plan: &ContactPlan,
    coordinator: NodeId,
    members: &[NodeId],
    (start, until): (Instant, Instant),
    deadline: Duration,
) -> Reason {
    let mut contacts: Vec<&PlannedContact> = plan.iter().map(|(_, contact)| contact).collect();
    contacts.sort_by_key(|contact| (contact.start, contact.from, contact.to));
    if contacts.is_empty() {
        return Reason::Unforeseen;
    }
    let mut worst: Vec<(Duration, NodeId)> = members.iter().map(|member| (Duration::ZERO, *member)).collect();
    let span = until.saturating_since(start);
    for probe in 0..PROBES {
        let asked = start.saturating_add(span / PROBES * probe);
        let arrivals = earliest(&contacts, coordinator, asked);
        for (worst, member) in &mut worst {
            if *member == coordinator {
                continue;
            }
            let back = arrivals.get(member).and_then(|at| {
                let arrival = earliest(&contacts, *member, *at).get(&coordinator).copied();
                arrival.map(|arrival| arrival.saturating_since(asked))
            });
            match back {
                Some(time) if time <= deadline => *worst = time.max(*worst),
                _ => return Reason::Unreachable { member: *member },
            }
        }
    }
    let slowest = worst.iter().map(|worst| worst.0).max().unwrap_or(Duration::ZERO);
    Reason::Together { slowest }
}

/// When a small message that leaves `from` at `at` can be at every node.
fn earliest(contacts: &[&PlannedContact], from: NodeId, at: Instant) -> BTreeMap<NodeId, Instant> {
    let mut arrivals = BTreeMap::from([(from, at)]);
    let mut changed = true;
    while changed {
        changed = false;
        for contact in contacts {
            let Some(&ready) = arrivals.get(&contact.from) else { continue };
            let leaves = ready.max(contact.start);
            if leaves >= contact.end {
                continue;
            }
            let arrival = leaves.saturating_add(contact.owlt);
            if arrivals.get(&contact.to).is_none_or(|known| arrival < *known) {
                arrivals.insert(contact.to, arrival);
                changed = true;
            }
        }
    }
    arrivals
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    const BASE: NodeId = NodeId(1);

    fn contact(from: u64, to: u64, start: u64, end: u64) -> PlannedContact {
        let at = |seconds| Instant::ZERO.saturating_add(Duration::from_secs(seconds));
        let (from, to) = (NodeId(from), NodeId(to));
        PlannedContact {
            from,
            to,
            start: at(start),
            end: at(end),
            rate_bps: 1000,
            owlt: Duration::from_secs(1),
        }
    }

    fn chosen(contacts: Vec<PlannedContact>, deadline: u64) -> Choice {
        let plan = ContactPlan::from_contacts(contacts).expect("valid");
        let members = [BASE, NodeId(2), NodeId(3), NodeId(4)];
        let until = Instant::ZERO.saturating_add(Duration::from_secs(1000));
        choose(&plan, BASE, &members, 24, (Instant::ZERO, until), Duration::from_secs(deadline))
    }

    fn both(other: u64, start: u64, end: u64) -> Vec<PlannedContact> {
        vec![contact(1, other, start, end), contact(other, 1, start, end)]
    }

    #[test]
    fn rounds_are_chosen_where_everyone_can_answer() {
        let all = [both(2, 0, 2000), both(3, 0, 2000), both(4, 0, 2000)].concat();
        let choice = chosen(all, 60);
        assert_eq!(choice.kind, Kind::QuasiNewton);
        assert_eq!(choice.reason, Reason::Together { slowest: Duration::from_secs(2) });
    }

    #[test]
    fn gaps_call_for_the_asynchronous_method() {
        let gaps = [both(2, 0, 2000), both(3, 0, 2000), both(4, 500, 2000)].concat();
        let choice = chosen(gaps.clone(), 60);
        assert_eq!((choice.kind, choice.curvature), (Kind::Asynchronous, Curvature::Matrix));
        assert_eq!(choice.reason, Reason::Unreachable { member: NodeId(4) });
        // With a deadline that outlasts the gap a round is still the better choice.
        assert_eq!(chosen(gaps, 600).reason, Reason::Together { slowest: Duration::from_secs(502) });
        assert_eq!(chosen(vec![], 60).reason, Reason::Unforeseen);
    }

    #[test]
    fn a_matrix_that_is_too_large_leaves_the_exchange() {
        let (plan, span) =
            (ContactPlan::from_contacts(vec![]).expect("valid"), (Instant::ZERO, Instant::ZERO));
        let choice = choose(&plan, BASE, &[BASE], MAX_MATRIX + 1, span, Duration::from_secs(60));
        assert_eq!((choice.kind, choice.reason), (Kind::AsynchronousExchange, Reason::Unforeseen));
    }

    #[test]
    fn relays_count() {
        let relayed = [both(2, 0, 2000), both(3, 0, 2000)].concat();
        let relay = vec![contact(3, 4, 0, 2000), contact(4, 3, 0, 2000)];
        let choice = chosen([relayed, relay].concat(), 60);
        assert_eq!(choice.reason, Reason::Together { slowest: Duration::from_secs(4) });
    }
}
