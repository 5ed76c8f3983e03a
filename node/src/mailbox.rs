//! The door of the engine: what other threads tell it waits here, in lanes that are bounded each in its own way.

use crate::{
    engine::Command,
    store::Work,
    transport::{ConnectionId, room::Slot, wire::Wire},
};
use cosmosmesh_protocol::node::Transfer;
use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, Sender, SyncSender, channel},
    },
    time::Duration,
};

/// Datagrams that wait; one more is dropped and counted.
const MAX_DATAGRAMS: usize = 1024;
/// Requests of applications that wait; one more waits outside.
const MAX_COMMANDS: usize = 1024;
/// Their bytes, after which one more waits outside.
const MAX_COMMAND_BYTES: usize = 16 << 20;
/// Bytes of requests that are taken at once, after which no more are.
const MAX_TAKEN_BYTES: usize = 4 << 20;

/// Something that another thread has to tell.
pub(crate) enum Event {
    /// The disk has it.
    Durable(Work),
    /// The disk cannot, and is tried again: why.
    StoreFailing(String),
    /// The disk can again, where it could not.
    StoreMended,
    /// The thread that writes has ended by a defect of ours.
    StoreGone,
    /// A connection was made.
    Opened(Opened),
    /// A radio can be spoken with.
    RadioOpened(RadioOpened),
    /// Bytes came in on a connection. The buffer is given back when they are used up: it is the credit to read more.
    Bytes { connection: ConnectionId, buffer: Vec<u8>, length: usize },
    /// What was to be written has been, in part at least.
    Written { connection: ConnectionId },
    /// Nothing can be written any more. The end is told behind what came before it.
    Unwritable { connection: ConnectionId },
    /// A guest was shown out to make room for another.
    ShownOut { connection: ConnectionId },
    /// A connection is over.
    Gone { connection: ConnectionId },
    /// Handshakes led to no connection: [`crate::unmet::Unmet`] tells which.
    Unmet,
    /// How a socket is that speaks QUIC: what is the matter with it, if anything is.
    #[cfg_attr(not(feature = "quic"), expect(dead_code, reason = "nothing speaks QUIC"))]
    Quic { at: SocketAddr, trouble: Option<String> },
    /// A datagram came in.
    Datagram { from: SocketAddr, bytes: Vec<u8> },
    /// A bundle came from another daemon of this process, which is to be told what became of it.
    Neighbour { from: u64, transfer: Transfer, bundle: Vec<u8>, reply: Arc<Mailbox> },
    /// What another daemon of this process did with a bundle.
    Answered { from: u64, transfer: Transfer, taken: bool },
    /// Another daemon of this process can be reached, or no longer.
    Paired { peer: u64, mailbox: Option<Arc<Mailbox>> },
    /// An application asks.
    Command(Command),
    /// It is time to end.
    Stop,
}

/// A connection as its reader hands it over.
pub(crate) struct Opened {
    /// Its number.
    pub(crate) connection: ConnectionId,
    /// The peer that was dialled; none when the connection was accepted.
    pub(crate) dialled: Option<usize>,
    /// What is spoken on it.
    pub(crate) kind: crate::transport::StreamKind,
    /// To shut it down.
    pub(crate) stream: Wire,
    /// The other end.
    pub(crate) from: SocketAddr,
    /// Where used buffers go back to.
    pub(crate) credits: Sender<Vec<u8>>,
    /// Where bytes to be written go.
    pub(crate) writer: SyncSender<Vec<u8>>,
    /// Bytes that the writer has not written.
    pub(crate) outstanding: Arc<crate::transport::Outstanding>,
    /// Its place among all connections.
    pub(crate) slot: Arc<Slot>,
}

/// A line to a radio as its reader hands it over.
pub(crate) struct RadioOpened {
    /// The radio's place in the configuration.
    pub(crate) radio: usize,
    /// Its number.
    pub(crate) connection: ConnectionId,
    /// To shut it down.
    pub(crate) stream: Wire,
    /// Where used buffers go back to.
    pub(crate) credits: Sender<Vec<u8>>,
    /// Where bytes to be written go.
    pub(crate) writer: SyncSender<Vec<u8>>,
    /// Bytes that the writer has not written.
    pub(crate) outstanding: Arc<crate::transport::Outstanding>,
}

#[derive(Default)]
struct Lanes {
    /// Bounded by what the engine has started itself, and by the places of connections: a few for each. Of handshakes that fail, it is told once.
    urgent: VecDeque<Event>,
    /// What connections brought, bounded by each one's credits, and their ends behind it.
    bytes: VecDeque<Event>,
    /// Datagrams, bounded by [`MAX_DATAGRAMS`]; bundles of this process, by the windows of their links.
    traffic: VecDeque<Event>,
    datagrams: usize,
    commands: VecDeque<Command>,
    command_bytes: usize,
    closed: bool,
}

/// What is listened to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Open {
    /// Peers whose bundles come without a connection. The engine leaves those of others to their connections.
    pub(crate) traffic: bool,
    /// Applications.
    pub(crate) commands: bool,
}

/// What the engine has to deal with. Many threads post, one takes.
pub(crate) struct Mailbox {
    lanes: Mutex<Lanes>,
    filled: Condvar,
    room: Condvar,
}

impl Mailbox {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { lanes: Mutex::default(), filled: Condvar::new(), room: Condvar::new() })
    }

    fn lock(&self) -> MutexGuard<'_, Lanes> {
        // Nothing that holds the lock can panic half-way through a change.
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Posts what is looked at first, also while traffic has to wait.
    pub(crate) fn post_urgent(&self, event: Event) {
        self.lock().urgent.push_back(event);
        self.filled.notify_one();
    }

    /// Posts what came on a connection, within its credits, or its end.
    pub(crate) fn post_bytes(&self, event: Event) {
        self.lock().bytes.push_back(event);
        self.filled.notify_one();
    }

    /// Posts a bundle of this process, within its link's window.
    pub(crate) fn post_traffic(&self, event: Event) {
        self.lock().traffic.push_back(event);
        self.filled.notify_one();
    }

    /// Posts a datagram; says whether there was room.
    pub(crate) fn post_datagram(&self, event: Event) -> bool {
        let mut lanes = self.lock();
        if lanes.datagrams >= MAX_DATAGRAMS {
            return false;
        }
        lanes.datagrams += 1;
        lanes.traffic.push_back(event);
        drop(lanes);
        self.filled.notify_one();
        true
    }

    /// Posts a request of an application, and waits for room for as long as `patience`. Says whether it was posted.
    pub(crate) fn post_command(&self, command: Command, patience: Duration) -> bool {
        let lanes = self.lock();
        let has_room =
            |lanes: &Lanes| lanes.commands.len() < MAX_COMMANDS && lanes.command_bytes < MAX_COMMAND_BYTES;
        let waits = |lanes: &mut Lanes| !has_room(lanes) && !lanes.closed;
        let waited = self.room.wait_timeout_while(lanes, patience, waits);
        let (mut lanes, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if lanes.closed || !has_room(&lanes) {
            return false;
        }
        lanes.command_bytes += command.bytes();
        lanes.commands.push_back(command);
        drop(lanes);
        self.filled.notify_one();
        true
    }

    /// No more requests are taken.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.room.notify_all();
    }

    /// Nobody takes anything any more: who waits for an answer is told so at once.
    pub(crate) fn abandon(&self) {
        self.close();
        let left = std::mem::take(&mut self.lock().commands);
        // Not under the lock: what is dropped here wakes others.
        drop(left);
    }

    /// Takes up to `most` events, after waiting for one for at most `patience`, and says whether what connections brought is left. Traffic and requests
    /// stay where they are unless `open` to them.
    pub(crate) fn take(&self, patience: Duration, open: Open, most: usize) -> (Vec<Event>, bool) {
        let empty = |lanes: &mut Lanes| {
            lanes.urgent.is_empty()
                && lanes.bytes.is_empty()
                && (lanes.traffic.is_empty() || !open.traffic)
                && (lanes.commands.is_empty() || !open.commands)
        };
        let waited = self.filled.wait_timeout_while(self.lock(), patience, empty);
        let (mut lanes, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let mut taken: Vec<Event> = lanes.urgent.drain(..).collect();
        // However much is urgent, the others get their share.
        let (most, mut bytes_asked) = (taken.len() + most, 0);
        while taken.len() < most {
            // One of each in turn, so that neither peers nor applications starve the others.
            let bytes = lanes.bytes.pop_front();
            let traffic = if open.traffic { lanes.traffic.pop_front() } else { None };
            let asks = open.commands && bytes_asked < MAX_TAKEN_BYTES;
            let command = if asks { lanes.commands.pop_front() } else { None };
            if bytes.is_none() && traffic.is_none() && command.is_none() {
                break;
            }
            if matches!(traffic, Some(Event::Datagram { .. })) {
                lanes.datagrams -= 1;
            }
            bytes_asked += command.as_ref().map_or(0, Command::bytes);
            taken.extend(bytes.into_iter().chain(traffic).chain(command.map(Event::Command)));
        }
        lanes.command_bytes -= bytes_asked;
        let left = !lanes.bytes.is_empty();
        drop(lanes);
        self.room.notify_all();
        (taken, left)
    }
}

/// The one answer to a request.
pub(crate) type Reply<T> = Sender<T>;

/// A place for one answer, and where it comes out.
pub(crate) fn reply<T>() -> (Reply<T>, Receiver<T>) {
    channel()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cosmosmesh_protocol::{dtn::store::Priority, envelope::Purpose, id::NodeId, node::Submission};

    const NOW: Duration = Duration::ZERO;
    const ALL: Open = Open { traffic: true, commands: true };
    const NONE: Open = Open { traffic: false, commands: false };

    fn datagram() -> Event {
        Event::Datagram { from: ([127, 0, 0, 1], 1).into(), bytes: vec![0; 10] }
    }

    #[test]
    fn a_flood_of_datagrams_takes_no_more_room_than_is_set_aside() {
        let mailbox = Mailbox::new();
        let taken = (0..5000).filter(|_| mailbox.post_datagram(datagram())).count();
        assert_eq!(taken, MAX_DATAGRAMS);
        assert_eq!(mailbox.take(NOW, ALL, 100).0.len(), 100);
        assert!(mailbox.post_datagram(datagram()), "what was taken makes room");
    }

    #[test]
    fn traffic_waits_while_the_door_is_shut_and_urgent_things_do_not() {
        let mailbox = Mailbox::new();
        mailbox.post_datagram(datagram());
        mailbox.post_urgent(Event::Stop);
        let gone = || Event::Gone { connection: ConnectionId(1) };
        mailbox.post_bytes(gone());
        (0..20).for_each(|_| mailbox.post_urgent(Event::Stop));
        let (mut taken, left) = mailbox.take(NOW, NONE, 10);
        assert_eq!(taken.drain(..20).count(), 20);
        assert!(matches!(taken.as_slice(), [Event::Stop, Event::Gone { .. }]) && !left);
        assert!(mailbox.take(NOW, NONE, 10).0.is_empty());
        assert_eq!(mailbox.take(NOW, ALL, 10).0.len(), 1);
        (0..5).for_each(|_| mailbox.post_bytes(gone()));
        assert!(mailbox.take(NOW, ALL, 3).1, "two are left");
    }

    #[test]
    fn requests_are_bounded_by_their_bytes_and_a_turn_takes_only_some_of_them() {
        let mailbox = Mailbox::new();
        let post = || {
            let submission = Submission {
                destination: NodeId(2),
                purpose: Purpose::Event,
                priority: Priority::Normal,
                lifetime: Duration::from_secs(1),
                payload: vec![0; 1 << 20],
            };
            mailbox.post_command(Command::Submit(submission, reply().0), NOW)
        };
        assert_eq!((0..100).filter(|_| post()).count(), MAX_COMMAND_BYTES >> 20);
        assert_eq!(mailbox.take(NOW, ALL, 100).0.len(), MAX_TAKEN_BYTES >> 20);
        assert!(post(), "what was taken makes room");
    }
}
