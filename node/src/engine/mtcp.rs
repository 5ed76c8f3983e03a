//! MTCP: bundles one after another, one way, and nobody says that they came.

use super::{
    Answer, Engine,
    connection::{Connection, MAX_OUTSTANDING, MAX_UNANSWERED, PIECE_BYTES, Protocol},
    peers::{OURS, link_of},
};
use crate::transport::ConnectionId;
use cosmosmesh_protocol::{convergence::mtcp, node::Input};

impl Engine {
    pub(super) fn pump_mtcp_in(&mut self, id: ConnectionId, connection: &mut Connection) -> bool {
        let Some(place) = connection.peer else { return false };
        let (now, mut moved, mut taken) = (self.now(), false, false);
        while !self.is_held(connection)
            && let Some(mut unread) = connection.unread.pop_front()
        {
            let Protocol::MtcpIn(parser, since) = &mut connection.protocol else { return moved };
            let mut rest = &unread.buffer[unread.used..unread.length];
            let mut failed = None;
            while !rest.is_empty() && self.unanswered(place, OURS).0 < MAX_UNANSWERED {
                match parser.take(&mut rest) {
                    Ok(Some(bundle)) => {
                        moved = true;
                        *since = None;
                        taken |= self.frame(place, OURS, &bundle, Answer::Nobody);
                    }
                    Ok(None) => {}
                    Err(error) => {
                        failed = Some(error.reason());
                        break;
                    }
                }
            }
            // Its time begins anew with what comes after this.
            if parser.is_between_bundles() {
                *since = None;
            } else if since.is_none() || !rest.is_empty() {
                *since = Some(now);
            }
            unread.used = unread.length - rest.len();
            let whole = rest.is_empty();
            connection.unread.push_front(unread);
            if let Some(reason) = failed {
                self.counts.refuse("mtcp", reason);
                if let Some(more) = self.may_tell(reason) {
                    tracing::warn!(from = %connection.from, reason, more, "an MTCP stream is given up");
                }
                connection.ending = true;
                return moved;
            }
            if !whole {
                break;
            }
            connection.use_up();
        }
        if self.is_held(connection)
            && let Protocol::MtcpIn(_, Some(since)) = &mut connection.protocol
        {
            // What we do not take is not the peer's slowness: it has all its time again when we do.
            *since = now;
        }
        if taken {
            self.is_heard_over_mtcp(id, place, connection);
        }
        moved
    }

    /// Anybody at the peer's machine may connect, and nobody says who it is: of all these connections, only the newest whose bundle was taken
    /// gives way to nobody.
    fn is_heard_over_mtcp(&mut self, id: ConnectionId, place: usize, connection: &Connection) {
        if let Some(before) = self.peers[place].heard_over_mtcp.replace(id)
            && before != id
            && let Some(older) = self.connections.get(&before)
        {
            older.is_guest_again();
        }
        connection.slot.is_known_now();
    }

    pub(super) fn pump_mtcp_out(&mut self, connection: &mut Connection) -> bool {
        let now = self.now();
        let Some(place) = connection.peer else { return false };
        let (link, mut moved) = (link_of(place, OURS), false);
        let written = connection.outstanding.chunks_written();
        // A peer has nothing to say here. What it says all the same is not to keep its end from being noticed.
        while !connection.unread.is_empty() {
            connection.use_up();
        }
        let Protocol::MtcpOut { pieces, waiting, written: seen } = &mut connection.protocol else {
            return false;
        };
        if seen.0 != written || waiting.is_empty() {
            *seen = (written, now);
        }
        while let Some((_, transfer)) = waiting.pop_front_if(|(piece, _)| *piece < written) {
            moved = true;
            // As far as MTCP can tell: TCP has it.
            let _ = self.input(Input::Transmitted { link, transfer });
        }
        while !connection.ending && connection.outstanding.bytes() < MAX_OUTSTANDING {
            let mut piece = Vec::new();
            while piece.len() < PIECE_BYTES
                && let Some((transfer, bundle)) = self.parts.node.poll_bundle(now, link)
            {
                self.counts.sent(self.parts.config.peers[place].node.0, bundle.len());
                mtcp::put_frame(&mut piece, &bundle);
                waiting.push_back((*pieces, transfer));
            }
            if piece.is_empty() {
                break;
            }
            moved = true;
            *pieces += 1;
            connection.outstanding.add(piece.len());
            let _ = connection.writer.try_send(piece);
        }
        moved
    }
}
