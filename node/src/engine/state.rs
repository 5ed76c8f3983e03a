//! Shared state: what applications write to it and read of it, and what others have written.

use super::{Engine, Refusal};
use crate::{
    discovery::is_allowed,
    mailbox::Reply,
    state::{self, StateDot, StateItem, StateQuery, StateWrite},
};
use cosmosmesh_protocol::{
    node::{Input, InputError},
    sync::{Dot, Kind, Op, Replica, Written},
};
use std::net::SocketAddr;

/// The map in which nodes say where they are found: address and port by number.
const ADDRESSES: &[u8] = b"cosmosmesh/addresses";

impl Engine {
    fn replica(&self) -> Result<&Replica, Refusal> {
        self.parts.node.replica().ok_or_else(shares_none)
    }

    /// Writes to shared state; who asked is told when the write is durable.
    pub(super) fn write_state(&mut self, write: &StateWrite, reply: Reply<Result<StateDot, Refusal>>) {
        let written = self.input(Input::Write(write.op())).map_err(|error| {
            self.counts.refuse("application", reason_of(&error));
            refusal_of(&error)
        });
        let dot = written.and_then(|()| {
            let replica = self.replica()?;
            let actor = replica.actor();
            Ok(Dot { actor, sequence: replica.version().get(actor) })
        });
        match dot {
            Ok(dot) => self.state_writes.push_back((dot, reply)),
            Err(refusal) => {
                let _ = reply.send(Err(refusal));
            }
        }
    }

    /// Says in shared state where this node is found, and looks where others are.
    pub(super) fn announce(&mut self) {
        let address = self.parts.config.shared_state.as_ref().and_then(|state| state.announce);
        let (key, said) = (self.parts.config.node.0.to_string(), address.map(|address| address.to_string()));
        if let (Some(said), Ok(replica)) = (&said, self.replica())
            && replica.map_get(ADDRESSES, key.as_bytes()) != Some(said.as_bytes())
        {
            let put = Op::MapPut { name: ADDRESSES, key: key.as_bytes(), value: said.as_bytes() };
            if let Err(error) = self.input(Input::Write(put)) {
                tracing::warn!(%error, "others are not told where this node is found");
            }
        }
        self.look_for_addresses();
    }

    /// Of an address, only its owner's word counts. It proves nothing: the session does.
    fn look_for_addresses(&self) {
        let Ok(replica) = self.replica() else { return };
        for (place, found) in &self.parts.told {
            let node = self.parts.config.peers[*place].node;
            let Some(explanation) = replica.explain(ADDRESSES, node.0.to_string().as_bytes()) else {
                continue;
            };
            // Whatever others have written over it.
            let writes = explanation.others.into_iter().map(|(write, _)| write).chain([explanation.stands]);
            let own = writes.filter(|write| write.dot.actor.node == node).max_by_key(|write| write.dot);
            let text = own.and_then(|write| String::from_utf8(write.value?).ok());
            let address = text.and_then(|text| text.parse::<SocketAddr>().ok());
            if let Some(address) = address.filter(|address| is_allowed(&self.parts.config, *address)) {
                found.set(address);
            }
        }
    }

    pub(super) fn read_state(&self, query: &StateQuery) -> Result<Vec<StateItem>, Refusal> {
        Ok(state::read(self.replica()?, query))
    }

    /// A write is durable here: an application's, which is told so, or another member's, which is news.
    pub(super) fn on_visible(&mut self, dot: Dot) {
        let Some(replica) = self.parts.node.replica() else { return };
        if dot.actor == replica.actor() {
            while let Some((_, reply)) =
                self.state_writes.pop_front_if(|(asked, _)| asked.sequence <= dot.sequence)
            {
                let Dot { actor, sequence } = dot;
                // Who asked may have gone.
                let _ = reply.send(Ok(StateDot { writer: actor.node.0, life: actor.life, sequence }));
            }
            return;
        }
        let Some(Written::Value { kind, name, item, .. }) = replica.written(dot) else { return };
        if let Some(item) = replica.item(kind, &name, &item).and_then(StateItem::of) {
            self.parts.shared.changed(item);
        }
        if kind == Kind::Map && name == ADDRESSES {
            self.look_for_addresses();
        }
    }
}

/// What who asks is told where nothing is shared.
pub(crate) fn shares_none() -> Refusal {
    Refusal::new("not_configured", "this node shares no state: its configuration says no `shared_state`")
}

/// The word for why a write is none.
fn reason_of(error: &InputError) -> &'static str {
    match error {
        InputError::Write(source) => source.reason(),
        InputError::Contract { reason } | InputError::Refused { reason } => reason,
        InputError::NotConfigured { .. } => "not_configured",
        _ => "input",
    }
}

fn refusal_of(error: &InputError) -> Refusal {
    match error {
        InputError::NotConfigured { .. } => shares_none(),
        InputError::Write(source) => Refusal::new(source.reason(), source.to_string()),
        _ => Refusal::new(reason_of(error), error.to_string()),
    }
}
