//! What an adopted decision does at a node.

use crate::{
    contract::Registry,
    governance::{Content, Decision},
    id::NodeId,
    identity::KeyId,
    log::{Brief, Event},
    node::{Node, Report},
    sync::Op,
};
use alloc::{sync::Arc, vec::Vec};

impl Node {
    /// A decision takes effect, once.
    pub(super) fn take_effect(&mut self, decision: &Decision) {
        let Some(governing) = self.governing.as_mut() else { return };
        if decision.slot <= governing.applied {
            return;
        }
        governing.applied = decision.slot;
        let Some((proposer, content)) = &decision.adopted else { return };
        self.note_seat(*proposer, content);
        match content {
            Content::Authority { key, since, cause } => {
                let Some(trusting) = self.trusting.as_mut() else { return };
                trusting.keyring.adopt_authority(key.clone(), *since, *cause);
                let statement = Brief::of(key.as_bytes());
                self.write_down(Event::Learned { what: "authority".into(), about: NodeId(0), statement });
                self.keep_keyring();
                self.choose_issuer();
            }
            Content::Block { node, key, .. } => {
                self.repeat_effect(content);
                self.keep_keyring();
                let statement = Brief(key.0);
                self.write_down(Event::Learned { what: "block".into(), about: *node, statement });
                if self.trusting.is_none() {
                    // Where keys are the directory's there is no list to go by.
                    self.part_with(*node);
                    self.forget_waiting(*node);
                    self.forget_presence(*node);
                }
                self.forget_taken_back();
                self.forget_blocked();
                self.rekey_groups();
                if self.is_blocked(*node) {
                    self.forget_reminders(*node);
                    self.tell_the_blocked(*node);
                }
            }
            Content::Schema(schema) if *proposer == self.config.id => self.publish(schema),
            _ => self.repeat_effect(content),
        }
    }

    /// What a decision does again after a restart: whatever no record of its own brings back.
    pub(super) fn repeat_effect(&mut self, content: &Content) {
        match content {
            Content::Policy(policy) => {
                if let Some(trusting) = self.trusting.as_mut() {
                    trusting.config.policy = Arc::new((**policy).clone());
                }
            }
            Content::Block { node, key, since } => {
                if let Some(trusting) = self.trusting.as_mut() {
                    trusting.keyring.block(*node, *key, *since);
                } else if self.config.directory.key(*node).is_some_and(|known| KeyId::of(known) == *key) {
                    // Without certificates the directory is all there is.
                    Arc::make_mut(&mut self.config.directory).remove(*node);
                }
            }
            // The ledger itself holds the electorate, the keyring's record the authority, and the shared state the schemas.
            Content::Seat { .. }
            | Content::Unseat { .. }
            | Content::Authority { .. }
            | Content::Schema(_) => {}
        }
    }

    /// Who holds the key of the authority in force issues with it; who holds another one no more, until the fleet comes back to that.
    pub(super) fn choose_issuer(&mut self) {
        let held = self.config.trust.as_ref().and_then(|trust| trust.issuer.clone());
        let standby = self.governing.as_ref().and_then(|governing| governing.config.standby.clone());
        let Some(trusting) = self.trusting.as_mut() else { return };
        let authority = trusting.keyring.authority();
        let issuer = trusting.config.issuer.take().into_iter().chain(held).chain(standby);
        trusting.config.issuer = issuer.into_iter().find(|issuer| issuer.keys.public() == authority);
    }

    /// The proposer of an adopted schema publishes it: from there it spreads as all shared state does.
    fn publish(&mut self, schema: &crate::contract::Schema) {
        let Some(registry) = self.registry() else { return };
        let own = |op: Op<'_>| match op {
            Op::MapPut { key, value, .. } => (key.to_vec(), value.to_vec()),
            _ => (Vec::new(), Vec::new()),
        };
        let published = Registry::publish(registry, schema, own);
        let refused = match published {
            Err(error) => Some(error.reason()),
            Ok((key, value)) => {
                let put = Op::MapPut { name: crate::contract::OBJECT, key: &key, value: &value };
                self.write(put).is_err().then_some("schema_not_written")
            }
        };
        if let Some(reason) = refused {
            self.report(Report::ModuleRefused { reason });
        }
    }
}
