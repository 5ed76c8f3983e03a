//! One turn of the engine: events in, deadlines, everything that follows from them.

use super::{
    Answer, CIVIL_EVERY, CIVIL_JUMP_MS, Engine, LAST_WORDS, LOOK_AT_TRUST, OVERDUE, command::Told,
    connection::Connection, outputs::delivered_bytes,
};
use crate::{mailbox::Event, store::Work, transport::ConnectionId, unmet::Mishaps};
use cosmosmesh_protocol::{convergence::tcpcl::TerminationReason, node::Input, time::Instant};
use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

impl Engine {
    pub(super) fn on_event(&mut self, event: Event) {
        match event {
            Event::Durable(work) => self.on_durable(work),
            Event::StoreFailing(why) => {
                if self.store_failing.as_ref() != Some(&why) {
                    tracing::error!(why, "the store cannot be written: nothing is acknowledged until it can");
                }
                self.store_failing = Some(why);
                self.publish();
            }
            Event::StoreMended => {
                self.on_store_mended();
                self.publish();
            }
            // Without it nothing would ever be acknowledged again: whoever started us is to start us anew.
            Event::StoreGone => panic!("the thread that writes the store has ended"),
            Event::Opened(opened) => self.on_opened(opened),
            Event::RadioOpened(opened) => self.on_radio_opened(opened),
            Event::Bytes { connection, buffer, length } => self.on_bytes(connection, buffer, length),
            Event::Written { connection } => {
                if let Some(state) = self.connections.get(&connection) {
                    state.heard();
                } else {
                    self.on_radio_written(connection);
                }
            }
            Event::Unwritable { connection } => {
                if let Some(state) = self.connections.get_mut(&connection) {
                    state.unwritable = true;
                }
            }
            Event::Gone { connection } => self.on_gone(connection),
            Event::ShownOut { connection } => self.break_off(connection),
            Event::Unmet => self.on_unmet(),
            Event::Quic { at, trouble } => self.on_quic(at, trouble),
            Event::Datagram { from, bytes } => self.on_datagram(from, &bytes),
            Event::Neighbour { from, transfer, bundle, reply } => {
                self.on_neighbour(from, Answer::Process(reply, transfer), &bundle);
            }
            Event::Answered { from, transfer, taken } => self.on_neighbour_answer(from, transfer, taken),
            Event::Paired { peer, mailbox } => self.on_paired(peer, mailbox),
            Event::Command(command) => self.on_command(command),
            Event::Stop => self.on_stop(),
        }
    }

    /// When the engine has something to do without being told.
    pub(super) fn next_deadline(&self, now: Instant) -> Instant {
        let sessions = self.connections.values().filter_map(|connection| connection.deadline());
        let sessions = sessions.map(|due| due.max(self.catching_up));
        let closing = self.closing.iter().map(|closing| closing.until);
        let paced = self.peers.iter().map(|peer| peer.free_at).filter(|free| *free > now);
        let node = self.parts.node.poll_timeout();
        let radios = self.radios.iter().filter_map(|radio| radio.deadline(now));
        let others = sessions.chain(closing).chain(radios).chain(paced).chain(node).chain(self.stopping);
        others.fold(self.civil_due, Instant::min)
    }

    pub(super) fn on_time(&mut self) {
        let now = self.now();
        self.look_at_civil_time(now);
        if self.parts.node.poll_timeout().is_some_and(|due| due <= now) {
            let _ = self.input(Input::Timeout);
        }
        // A list that came with a message of another member counts at once, too.
        if now >= self.trust_due || self.list_number() != self.list_looked_at {
            self.trust_due = now.saturating_add(LOOK_AT_TRUST);
            self.look_at_trust();
        }
        self.on_radio_time(now);
        let due: Vec<ConnectionId> =
            self.connections.keys().copied().filter(|id| self.is_due(*id, now)).collect();
        for id in due {
            // What has come is read before anybody is called silent.
            self.pump(id);
            if self.is_due(id, now) {
                self.on_connection_deadline(id, now);
            }
        }
        self.closing.retain(|closing| {
            let writes = !closing.outstanding.is_over();
            if writes && closing.until <= now {
                closing.stream.shut_down();
            }
            writes && closing.until > now
        });
    }

    /// Tells the node civil time, now and then, and at once when the clock was set.
    fn look_at_civil_time(&mut self, now: Instant) {
        let due = now >= self.civil_due;
        if due {
            self.civil_due = now.saturating_add(CIVIL_EVERY);
        }
        // Without one, the node goes on with what it knew.
        let Some(estimate) = self.parts.clock.civil() else { return };
        let off = self.civil.map_or(u64::MAX, |known| known.dtn_time(now).0.abs_diff(estimate.utc.0));
        if due || off > CIVIL_JUMP_MS {
            self.civil = Some(estimate);
            let _ = self.input(Input::Civil(estimate));
        }
    }

    /// Whether something is due on a connection. While what connections brought lies unread, their time is not up, within bounds.
    fn is_due(&self, id: ConnectionId, now: Instant) -> bool {
        let due = self.connections.get(&id).and_then(Connection::deadline);
        due.is_some_and(|due| {
            due <= now && now >= self.catching_up && (!self.behind || now.saturating_since(due) >= OVERDUE)
        })
    }

    /// Does all that follows from what happened, until nothing more does.
    pub(super) fn turn(&mut self) {
        loop {
            self.drain_node();
            let ids: Vec<ConnectionId> = self.connections.keys().copied().collect();
            let mut moved = false;
            for id in ids {
                moved |= self.pump(id);
            }
            for place in 0..self.peers.len() {
                moved |= self.pump_peer(place);
            }
            for place in 0..self.radios.len() {
                moved |= self.pump_radio(place);
            }
            if !moved {
                return;
            }
        }
    }

    /// Gives the disk what became due while it wrote the group before.
    pub(super) fn hand_over(&mut self) {
        if self.writing.is_some() || self.unwritten.is_empty() && self.taken.is_none() {
            return;
        }
        let work = Work { batches: std::mem::take(&mut self.unwritten), taken: self.taken.take() };
        self.kept_written.append(&mut self.kept);
        self.writing = Some(self.now());
        self.writing_bytes = std::mem::take(&mut self.unwritten_bytes);
        assert!(self.parts.keeper.commit(work), "the thread that writes the store has ended");
    }

    fn on_durable(&mut self, work: Work) {
        self.writing_bytes = 0;
        if let Some(begun) = self.writing.take() {
            self.counts.commit.record(self.now().saturating_since(begun));
        }
        self.on_store_mended();
        self.counts.batches += work.batches.len() as u64;
        if work.taken.is_some() {
            (self.inbox, self.inbox_bytes) =
                self.parts.store.inbox_size().unwrap_or((self.inbox, self.inbox_bytes));
        } else {
            for batch in &work.batches {
                self.inbox += (batch.deliveries.len() + batch.bundles.len()) as u64;
                self.inbox_bytes += delivered_bytes(batch) as u64;
            }
        }
        for batch in work.batches {
            let ticket = batch.ticket;
            self.on_batch(batch);
            self.input(Input::Persisted(ticket)).expect("tickets are answered in order");
        }
        self.kept_written.drain(..).for_each(|tell| tell());
    }

    fn on_store_mended(&mut self) {
        if self.store_failing.take().is_some() {
            tracing::info!("the store can be written again");
        }
    }

    /// Answers once what was done until now is on the disk.
    pub(super) fn tell_when_kept(&mut self, tell: Told) {
        if !self.unwritten.is_empty() || self.taken.is_some() {
            self.kept.push(tell);
        } else if self.writing.is_some() {
            self.kept_written.push(tell);
        } else {
            tell();
        }
    }

    /// Handshakes led to nothing.
    fn on_unmet(&mut self) {
        let Mishaps { counts, one } = self.parts.streams.unmet.take();
        for (reason, count) in counts {
            *self.counts.refused.entry(("quic", reason)).or_default() += count;
        }
        if let Some((from, reason, problem)) = one
            && let Some(more) = self.may_tell("quic_refused")
        {
            tracing::warn!(%from, reason, problem, more, "a handshake leads to no session");
        }
    }

    /// A socket that speaks QUIC has failed, or can be spoken at again.
    fn on_quic(&mut self, at: SocketAddr, trouble: Option<String>) {
        match trouble {
            Some(why) => {
                // It tries again every second.
                if is_news(&mut self.quic_troubles, at, &why) {
                    tracing::error!(%at, why, "nothing speaks QUIC here until it can again");
                }
            }
            None => {
                tracing::info!(%at, "QUIC is spoken again");
                self.quic_troubles.remove(&at);
            }
        }
    }

    fn on_stop(&mut self) {
        if self.stopping.is_some() {
            return;
        }
        tracing::info!("shutting down: transfers under way are finished");
        let now = self.now();
        let drain = Duration::from_secs(u64::from(self.parts.config.limits.drain_s));
        self.stopping = Some(now.saturating_add(drain));
        self.parts.mailbox.close();
        self.parts.streams.stop(&self.parts.listeners);
        for connection in self.connections.values_mut() {
            connection.terminate(now, TerminationReason::UNKNOWN);
        }
        self.publish();
    }

    pub(super) fn finish(mut self) {
        for connection in self.connections.values() {
            connection.cut();
        }
        for radio in &self.radios {
            radio.cut();
        }
        self.parts.keeper.stop();
        let until = self.now().saturating_add(LAST_WORDS);
        while self.closing.iter().any(|closing| !closing.outstanding.is_over()) && self.now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        for closing in &self.closing {
            closing.stream.finish_writing();
        }
        let unwritten = self.unwritten.len();
        if unwritten > 0 || self.writing.is_some() {
            tracing::warn!(
                unwritten,
                "ended with batches that the store did not take: nobody was told that they are durable"
            );
        }
        tracing::info!("ended");
    }
}

/// Notes what is the matter at an address; says whether that is another thing than before.
fn is_news(troubles: &mut BTreeMap<SocketAddr, String>, at: SocketAddr, why: &str) -> bool {
    troubles.insert(at, why.to_owned()).as_deref() != Some(why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_the_matter_with_a_socket_is_news_once() {
        let [one, two] = [1, 2].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let mut troubles = BTreeMap::new();
        assert!(is_news(&mut troubles, one, "it has failed"));
        assert!(is_news(&mut troubles, one, "in use"));
        assert!(!is_news(&mut troubles, one, "in use"));
        assert!(is_news(&mut troubles, two, "in use"));
        troubles.remove(&one);
        assert!(is_news(&mut troubles, one, "in use"), "it was spoken again in between");
    }
}
