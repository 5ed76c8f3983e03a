//! What travels in custody, and who can take it.

use super::Checker;
use crate::{
    scenario::{
        checked::{Asset, CustodySpec, Messages, ProtocolSettings, Service, Traffic},
        decode::Place,
        diagnostic::Mistake,
        raw::{RawCustody, RawScenario},
    },
    units::{AssetIndex, SimTime},
};
use cosmosmesh_protocol::node::CustodySettings;

impl Checker<'_> {
    pub(super) fn custody_settings(&mut self, raw: &RawCustody) -> CustodySpec {
        let default = defaults();
        let bytes = self.amount_or(raw.capacity.as_ref(), default.bytes as f64, |size| size.0);
        if let Some(capacity) = &raw.capacity {
            self.expect((1000.0..=1e15).contains(&bytes), &capacity.place, "from 1 kB to 1000000 GB");
        }
        CustodySpec {
            direct: raw.direct.as_ref().map_or(default.direct, |direct| direct.value),
            bundles: self.count_or(raw.bundles.as_ref(), default.bundles, 1, 1 << 20),
            bytes: bytes as u64,
            signal_delay: self.not_negative_or(raw.signal_delay.as_ref(), default.signal_delay),
        }
    }

    /// Holds that whatever travels in custody has a service that knows it, and a custodian at its sender; and switches custody on where
    /// something does.
    pub(super) fn custody(
        &mut self,
        root: &RawScenario,
        assets: &[Asset],
        traffic: &[Traffic],
        messages: Option<&Messages>,
        protocol: &mut ProtocolSettings,
    ) {
        let spec = protocol.custody.take().unwrap_or_else(defaults);
        let flows = root.traffic.iter().flat_map(|flows| &flows.value).zip(traffic);
        for (raw, flow) in flows.filter(|(_, flow)| flow.custody) {
            let Some(asked) = &raw.value.custody else { continue };
            let pairs = flow.from.iter().flat_map(|from| flow.to.iter().map(|to| (*from, *to)));
            self.entrusted(&asked.place, pairs, assets, spec, protocol);
        }
        let listed = root.messages.as_ref().and_then(|raw| raw.value.custody.as_ref());
        if let (Some(asked), Some(messages)) = (listed, messages)
            && messages.custody
        {
            let pairs = messages.list.iter().map(|message| (message.from, message.to));
            self.entrusted(&asked.place, pairs, assets, spec, protocol);
        }
    }

    fn entrusted(
        &mut self,
        place: &Place,
        mut pairs: impl Iterator<Item = (AssetIndex, AssetIndex)>,
        assets: &[Asset],
        spec: CustodySpec,
        protocol: &mut ProtocolSettings,
    ) {
        protocol.custody = Some(spec);
        let allowed = match protocol.service {
            Service::Datagrams { size_only: false } => None,
            Service::Datagrams { size_only: true } => Some("payloads that are carried: `Datagrams()`"),
            Service::Streams => Some("`service: Datagrams()` in `protocol`: streams acknowledge end to end"),
        };
        if let Some(allowed) = allowed {
            self.report(
                place,
                Mistake::Inconsistent,
                format!("custody with {:?}", protocol.service),
                allowed,
            );
        }
        let has_custodian = |from: AssetIndex, to| {
            let table = &assets[from.get()].custodians;
            table.binary_search_by_key(&to, |line| line.to).is_ok()
        };
        if !spec.direct
            && let Some((from, to)) = pairs.find(|(from, to)| from != to && !has_custodian(*from, *to))
        {
            let [from, to] = [from, to].map(|index| assets[index.get()].name.as_str());
            let found = format!("no custodian at \"{from}\" for \"{to}\"");
            let allowed = "a line in its `custodians`, or `direct: true` in the protocol's `custody`";
            self.report(place, Mistake::Inconsistent, found, allowed);
        }
    }
}

/// The node's own defaults.
fn defaults() -> CustodySpec {
    let CustodySettings { direct, bundles, bytes, signal_delay, .. } = CustodySettings::default();
    CustodySpec {
        direct,
        bundles: bundles as u32,
        bytes: bytes as u64,
        signal_delay: SimTime(signal_delay.as_nanos() as i64),
    }
}
