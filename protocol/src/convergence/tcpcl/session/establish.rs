//! The parameters of a session: SESS_INIT and what follows from both (RFC 9174 §4.6 to §4.8).

use super::{
    super::{
        codes::TerminationReason,
        config::Acknowledgements,
        error::{Closure, Violation},
        extension::ExtensionItems,
        message::{Message, SessInit},
    },
    Established, Output, Role, Session, State,
};
use crate::id::EndpointId;
use alloc::{string::String, vec::Vec};
use core::time::Duration;

impl Session {
    pub(super) fn send_sess_init(&mut self) {
        let mut node_id = self.config.node_id.clone().into_bytes();
        node_id.truncate(usize::from(u16::MAX));
        Message::SessInit(SessInit {
            keepalive_s: self.config.keepalive_s,
            segment_mru: self.config.segment_mru,
            transfer_mru: self.config.transfer_mru,
            node_id,
            extensions: Vec::new(),
        })
        .encode(&mut self.control);
    }

    pub(super) fn on_sess_init(&mut self, init: SessInit) {
        if self.role == Role::Passive {
            self.send_sess_init();
        }
        match self.negotiate(init) {
            Err(violation) => {
                self.abort(TerminationReason::CONTACT_FAILURE, Closure::Violated(violation));
            }
            Ok(established) => {
                self.state = State::Established;
                self.negotiated = Some(established.clone());
                self.outputs.push_back(Output::Established(established));
            }
        }
    }

    fn negotiate(&self, init: SessInit) -> Result<Established, Violation> {
        for item in ExtensionItems::new(&init.extensions) {
            let item = item.ok_or(Violation::Extensions)?;
            // RFC 9174 defines no type, so none is known.
            if item.is_critical() {
                return Err(Violation::CriticalExtension { kind: item.kind });
            }
        }
        let peer_node_id = String::from_utf8(init.node_id).map_err(|_| Violation::NodeId)?;
        let is_endpoint = peer_node_id.is_empty() || peer_node_id.parse::<EndpointId>().is_ok();
        if !is_endpoint && self.config.acknowledgements == Acknowledgements::Strict {
            return Err(Violation::NodeId);
        }
        let authenticated = self.judge_node_id(&peer_node_id)?;
        let min = self.config.min_segment_mtu.max(1);
        if init.segment_mru < min {
            return Err(Violation::SegmentMru { found: init.segment_mru, min });
        }
        let keepalive_s = self.config.keepalive_s.min(init.keepalive_s);
        Ok(Established {
            peer_node_id,
            authenticated,
            keepalive: (keepalive_s > 0).then(|| Duration::from_secs(u64::from(keepalive_s))),
            segment_mtu: init.segment_mru,
            transfer_mtu: init.transfer_mru,
        })
    }

    /// Compares the peer's node ID with those that its certificate proves (RFC 9174 §4.4.4.3).
    fn judge_node_id(&self, peer_node_id: &str) -> Result<bool, Violation> {
        let proven = self.proven.as_deref().unwrap_or_default();
        let matches = proven.iter().any(|proven| proven == peer_node_id);
        // Failure is a certificate with other node IDs; absence is one without any, or no TLS at all.
        let fails = !proven.is_empty() && !matches;
        if fails || (!matches && self.config.require_authenticated_node_id) {
            return Err(Violation::NodeId);
        }
        Ok(matches)
    }
}
