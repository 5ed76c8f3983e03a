//! Assets that do harm.

use super::Checker;
use crate::{
    link::LinkConvergence,
    scenario::{
        checked::{Adversary, Attack, ProtocolSettings, Service},
        decode::{List, Spanned},
        diagnostic::Mistake,
        raw::{RawAdversary, RawAttack},
    },
    units::{AssetIndex, SimTime},
};

impl Checker<'_> {
    pub(super) fn adversaries(
        &mut self,
        raw: Option<&List<RawAdversary>>,
        classes: &[crate::link::LinkClass],
        protocol: &ProtocolSettings,
        assets: u32,
    ) -> Vec<Adversary> {
        let raw = raw.map(|raw| raw.value.as_slice()).unwrap_or_default();
        let frames =
            classes.iter().all(|class| class.convergence == LinkConvergence::SmallFrame && !class.sessions);
        if let Some(first) = raw.first().filter(|_| protocol.service != Service::Streams || !frames) {
            let found = "adversaries with datagrams, LTP or sessions";
            let needed = "`service: Streams` over links of small frames: adversaries make envelopes and frames of their own";
            self.report(&first.place, Mistake::Inconsistent, found, needed);
        }
        let bad: Vec<AssetIndex> = raw.iter().filter_map(|item| self.asset(&item.value.asset)).collect();
        let honest: Vec<AssetIndex> =
            (0..assets).map(AssetIndex).filter(|asset| !bad.contains(asset)).collect();
        raw.iter().map(|adversary| self.adversary(adversary, &honest)).collect()
    }

    fn adversary(&mut self, raw: &Spanned<RawAdversary>, honest: &[AssetIndex]) -> Adversary {
        let (place, raw) = (&raw.place, &raw.value);
        let asset = self.asset(&raw.asset).unwrap_or(AssetIndex(0));
        let mut targets = match &raw.at {
            Some(names) => self.members(names),
            None => honest.to_vec(),
        };
        targets.retain(|target| *target != asset);
        self.expect(!targets.is_empty(), place, "somebody else to attack");
        let attacks: Vec<Attack> = raw.attacks.value.iter().map(|attack| Attack::of(&attack.value)).collect();
        self.expect(!attacks.is_empty(), &raw.attacks.place, "one attack or more");
        let interval = self.above_zero(&raw.interval);
        let run = self.run;
        let start = self.not_negative_or(raw.start.as_ref(), SimTime::ZERO);
        let end = self.above_zero_or(raw.end.as_ref(), run);
        if start >= end || end > run {
            self.expect(false, place, format!("`start` before `end`, and both within the run, {run}"));
        }
        Adversary { asset, attacks, targets, interval, start, end }
    }
}

impl Attack {
    const fn of(raw: &RawAttack) -> Self {
        match raw {
            RawAttack::ForgedSignature => Self::ForgedSignature,
            RawAttack::Stranger => Self::Stranger,
            RawAttack::NotTheSource => Self::NotTheSource,
            RawAttack::WrongPurpose => Self::WrongPurpose,
            RawAttack::BitFlip => Self::BitFlip,
            RawAttack::Nested => Self::Nested,
            RawAttack::NonCanonical => Self::NonCanonical,
            RawAttack::Oversize => Self::Oversize,
            RawAttack::Downgrade => Self::Downgrade,
            RawAttack::UnknownCritical => Self::UnknownCritical,
            RawAttack::HighScalar => Self::HighScalar,
            RawAttack::SequenceJump => Self::SequenceJump,
            RawAttack::Replay => Self::Replay,
            RawAttack::Equivocation => Self::Equivocation,
            RawAttack::UnlawfulOrder => Self::UnlawfulOrder,
            RawAttack::KeySubstitution => Self::KeySubstitution,
            RawAttack::ForgedRevocation => Self::ForgedRevocation,
            RawAttack::FalseAcknowledgement => Self::FalseAcknowledgement,
            RawAttack::PoisonedState => Self::PoisonedState,
            RawAttack::NotANumber => Self::NotANumber,
            RawAttack::Flood => Self::Flood,
            RawAttack::Swallow => Self::Swallow,
        }
    }
}
