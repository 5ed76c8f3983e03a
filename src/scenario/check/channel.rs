//! What a flooded channel asks of the link classes.

use super::Checker;
use crate::{
    link::{Access, LinkClass, LinkConvergence},
    scenario::{
        checked::ProtocolSettings,
        diagnostic::Mistake,
        raw::{RawRouting, RawScenario},
    },
};

impl Checker<'_> {
    /// Where bundles are flooded on the channel, every class is one: over any other link, only one neighbour would get them.
    pub(super) fn flooded_channel(
        &mut self,
        root: &RawScenario,
        classes: &[LinkClass],
        protocol: &ProtocolSettings,
    ) {
        if !protocol.routing.floods_channel() {
            return;
        }
        let routing = root.protocol.as_ref().and_then(|protocol| protocol.value.routing.as_ref());
        let Some(RawRouting::ManagedFlooding(flooding)) = routing.map(|routing| &routing.value) else {
            return;
        };
        let Some(medium) = &flooding.medium else { return };
        let fits = |class: &LinkClass| {
            class.access == Access::SharedChannel
                && class.convergence == LinkConvergence::SmallFrame
                && !class.sessions
        };
        if let Some(other) = classes.iter().find(|class| !fits(class)) {
            let found = format!("a flood on the channel, and class \"{}\", which is none", other.name);
            let allowed =
                "classes with access SharedChannel, convergence SmallFrame and transfers Frames only";
            self.report(&medium.place, Mistake::Inconsistent, found, allowed);
        }
        if classes.len() > 1 {
            let found = format!("a flood on the channel, and {} classes", classes.len());
            self.report(
                &medium.place,
                Mistake::Inconsistent,
                found,
                "one class: a bundle leaves on one channel",
            );
        }
        if flooding.purge_delivered.as_ref().is_some_and(|purge| purge.value) {
            let found = "purge_delivered on a channel without summaries";
            self.report(&medium.place, Mistake::Inconsistent, found, "`purge_delivered: false`");
        }
    }
}
