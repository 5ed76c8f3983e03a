//! Byte streams: listeners, dialled peers, and the two threads of each connection.

use super::{
    ConnectionId, ConnectionIds, Outstanding, StreamKind,
    room::{Room, Slot},
    wire::{Wire, WireAt},
};
use crate::{
    clock::monotonic,
    discovery::Found,
    mailbox::{Event, Mailbox, Opened, RadioOpened},
    unmet::Unmet,
};
use std::{
    io,
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    },
    thread,
    time::Duration,
};
use tokio::sync::watch;

/// Bytes of a buffer to read into.
const BUFFER_BYTES: usize = 64 << 10;
/// Buffers of a connection: what may be read ahead of the engine.
const BUFFERS: usize = 4;
/// Pieces that may wait for a writer; the engine holds back long before.
const PIECES: usize = 1024;
/// How long making a connection may take.
const DIAL_PATIENCE: Duration = Duration::from_secs(5);
/// Pauses between attempts at a peer that is not there: doubled each time.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(100);
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A connection that lasted so long was not refused, whatever became of it.
pub(super) const LONG_ENOUGH: Duration = Duration::from_secs(10);
/// How long it may take to wake a listener.
const WAKING: Duration = Duration::from_millis(200);
/// How often it is looked whether a peer was found.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// A flag that ends pauses.
#[derive(Debug, Default)]
pub(crate) struct Stopping {
    stop: Mutex<bool>,
    changed: Condvar,
}

impl Stopping {
    pub(crate) fn stop(&self) {
        *self.stop.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    pub(crate) fn is_stopping(&self) -> bool {
        *self.stop.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for `span`; says whether it is time to end.
    pub(super) fn pause(&self, span: Duration) -> bool {
        let guard = self.stop.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(guard, span, |stop| !*stop);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// What the engine holds of a connection, beside the stream itself.
struct Pipes {
    connection: ConnectionId,
    credits: Sender<Vec<u8>>,
    writer: SyncSender<Vec<u8>>,
    outstanding: Arc<Outstanding>,
}

/// What all threads of byte streams share.
#[derive(Clone)]
pub(crate) struct Streams {
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) stopping: Arc<Stopping>,
    pub(crate) ids: Arc<ConnectionIds>,
    /// Places for connections.
    pub(crate) room: Arc<Room>,
    /// Handshakes that led to nothing.
    pub(crate) unmet: Arc<Unmet>,
    over: Arc<watch::Sender<bool>>,
}

impl Streams {
    /// Of the engine that takes from `mailbox`, with room for so many connections.
    pub(crate) fn new(mailbox: Arc<Mailbox>, connections: usize) -> Self {
        Self {
            mailbox,
            stopping: Arc::default(),
            ids: Arc::default(),
            room: Room::new(connections),
            unmet: Arc::default(),
            over: Arc::new(watch::Sender::new(false)),
        }
    }

    /// The engine has ended: nobody needs what is left.
    pub(crate) fn end(&self) {
        self.over.send_replace(true);
    }

    /// Becomes true when it has.
    #[cfg_attr(not(feature = "quic"), expect(dead_code, reason = "only QUIC has a thread of its own"))]
    pub(super) fn over(&self) -> watch::Receiver<bool> {
        self.over.subscribe()
    }

    /// A handshake led to no connection: with whom, and why.
    #[cfg_attr(
        not(feature = "quic"),
        expect(dead_code, reason = "only QUIC shakes hands before the engine knows")
    )]
    pub(super) fn unmet(&self, from: SocketAddr, reason: &'static str, problem: String) {
        if self.unmet.note(from, reason, problem) {
            self.mailbox.post_urgent(Event::Unmet);
        }
    }

    /// Ends all that listens and dials.
    pub(crate) fn stop(&self, listeners: &[SocketAddr]) {
        self.stopping.stop();
        for address in listeners {
            // A listener looks whether it is time to end when a connection comes in.
            drop(TcpStream::connect_timeout(address, WAKING));
        }
    }

    /// Accepts connections until it is time to end. Each more than the limit is closed at once, and counted.
    pub(crate) fn listen(&self, listener: TcpListener, kind: StreamKind) -> io::Result<()> {
        let streams = self.clone();
        thread::Builder::new().name(format!("listen {kind:?}")).spawn(move || {
            while !streams.stopping.is_stopping() {
                match listener.accept() {
                    Ok((stream, from)) => streams.accepted(stream, from, kind),
                    // Such as too many open files: others may be closed meanwhile.
                    Err(_) => drop(streams.stopping.pause(Duration::from_millis(100))),
                }
            }
        })?;
        Ok(())
    }

    fn accepted(&self, stream: TcpStream, from: SocketAddr, kind: StreamKind) {
        self.accepted_wire(stream.into(), from, kind);
    }

    /// Serves who connected, if there is room.
    pub(super) fn accepted_wire(&self, stream: Wire, from: SocketAddr, kind: StreamKind) {
        if self.stopping.is_stopping() {
            return;
        }
        let id = self.ids.next();
        // Whoever is shown out may have brought what nobody takes now: the engine is told, and does not wait for its end.
        let shown_out = |connection| self.mailbox.post_urgent(Event::ShownOut { connection });
        let slot = self.room.admit(id, from.ip().to_canonical(), stream.clone(), shown_out);
        let Some(slot) = slot else { return };
        let streams = self.clone();
        let reader = thread::Builder::new().name(format!("read {from}"));
        let started = reader.spawn(move || streams.serve(id, stream, from, (kind, None), &slot));
        if started.is_err() {
            self.room.turned_away();
        }
    }

    /// Keeps a connection to a peer, again and again, until it is time to end.
    pub(crate) fn dial(&self, peer: usize, address: SocketAddr, kind: StreamKind) -> io::Result<()> {
        self.keep_dialling(peer, kind, format!("dial {address}"), move || Some(address))
    }

    /// The same with a peer that is wherever it was found last.
    pub(crate) fn dial_found(&self, peer: usize, found: Arc<Found>) -> io::Result<()> {
        self.keep_dialling(peer, StreamKind::Tcpcl, "dial found".to_owned(), move || found.address())
    }

    fn keep_dialling(
        &self,
        peer: usize,
        kind: StreamKind,
        name: String,
        place: impl Fn() -> Option<SocketAddr> + Send + 'static,
    ) -> io::Result<()> {
        let streams = self.clone();
        thread::Builder::new().name(name).spawn(move || {
            let mut pause = FIRST_PAUSE;
            while !streams.stopping.is_stopping() {
                let address = place();
                if let Some(address) = address
                    && let Ok(stream) = TcpStream::connect_timeout(&address, DIAL_PATIENCE)
                {
                    let (id, begun) = (streams.ids.next(), monotonic());
                    let slot = streams.room.take(id);
                    streams.serve(id, stream.into(), address, (kind, Some(peer)), &slot);
                    // A peer that takes connections and ends them, or is not who it should be, is not asked faster than one that is not there.
                    if slot.was_known() || begun.elapsed() >= LONG_ENOUGH {
                        pause = FIRST_PAUSE;
                    }
                }
                if streams.stopping.pause(varied(pause)) {
                    return;
                }
                // Where nobody is known to be, nobody is asked too often.
                let longest = if address.is_some() { LONGEST_PAUSE } else { LOOK_AGAIN };
                pause = (pause * 2).min(longest);
            }
        })?;
        Ok(())
    }

    /// Keeps a line to a radio, again and again, until it is time to end: radios are unplugged, and come back.
    pub(crate) fn keep_radio(&self, radio: usize, at: WireAt) -> io::Result<()> {
        let streams = self.clone();
        thread::Builder::new().name(format!("radio {at}")).spawn(move || {
            let mut pause = FIRST_PAUSE;
            while !streams.stopping.is_stopping() {
                match Wire::open(&at) {
                    Ok(stream) => {
                        let tell = |pipes: Pipes, stream| {
                            let Pipes { connection, credits, writer, outstanding } = pipes;
                            Event::RadioOpened(RadioOpened {
                                radio,
                                connection,
                                stream,
                                credits,
                                writer,
                                outstanding,
                            })
                        };
                        let (id, begun) = (streams.ids.next(), monotonic());
                        streams.move_bytes(id, stream, &at.to_string(), None, tell);
                        if begun.elapsed() >= LONG_ENOUGH {
                            pause = FIRST_PAUSE;
                        }
                    }
                    Err(error) => tracing::debug!(%at, %error, "a radio cannot be spoken with"),
                }
                if streams.stopping.pause(varied(pause)) {
                    return;
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        })?;
        Ok(())
    }

    /// Moves bytes until the connection is over.
    pub(super) fn serve(
        &self,
        id: ConnectionId,
        stream: Wire,
        from: SocketAddr,
        (kind, dialled): (StreamKind, Option<usize>),
        slot: &Arc<Slot>,
    ) {
        // Without it, a peer waits 40 ms for the end of what is smaller than a segment.
        if stream.send_at_once().is_err() {
            return;
        }
        self.move_bytes(id, stream, &from.to_string(), Some(slot), |pipes, stream| {
            let Pipes { connection, credits, writer, outstanding } = pipes;
            let slot = slot.clone();
            let opened =
                Opened { connection, dialled, kind, stream, from, credits, writer, outstanding, slot };
            Event::Opened(opened)
        });
    }

    fn move_bytes(
        &self,
        connection: ConnectionId,
        stream: Wire,
        name: &str,
        slot: Option<&Arc<Slot>>,
        opened: impl FnOnce(Pipes, Wire) -> Event,
    ) {
        let (credits, buffers) = channel();
        for _ in 0..BUFFERS {
            let _ = credits.send(vec![0; BUFFER_BYTES]);
        }
        let (writer, pieces) = sync_channel(PIECES);
        let outstanding = Arc::new(Outstanding::default());
        let (mailbox, waiting, writing) = (self.mailbox.clone(), outstanding.clone(), stream.clone());
        let held = slot.cloned();
        let started = thread::Builder::new().name(format!("write {name}")).spawn(move || {
            write(&writing, &pieces, connection, &mailbox, &waiting);
            drop(held);
        });
        if started.is_err() {
            self.room.turned_away();
            return;
        }
        let pipes = Pipes { connection, credits, writer, outstanding };
        self.mailbox.post_urgent(opened(pipes, stream.clone()));
        self.read(&stream, &buffers, connection);
        self.mailbox.post_bytes(Event::Gone { connection });
    }

    fn read(&self, stream: &Wire, buffers: &Receiver<Vec<u8>>, connection: ConnectionId) {
        // Without a credit nothing is read, and TCP slows the peer down. The engine forgets a connection by dropping its credits.
        while let Ok(mut buffer) = buffers.recv() {
            let read = stream.read(&mut buffer).unwrap_or(0);
            if read == 0 {
                break;
            }
            self.mailbox.post_bytes(Event::Bytes { connection, buffer, length: read });
        }
    }
}

/// A pause of about `span`: so that those who lost the same peer do not all come back at once.
pub(super) fn varied(span: Duration) -> Duration {
    // Without randomness, they do.
    let quarter = getrandom::u32().map_or(256, |number| number % 512);
    span * (768 + quarter) / 1024
}

fn write(
    stream: &Wire,
    pieces: &Receiver<Vec<u8>>,
    connection: ConnectionId,
    mailbox: &Mailbox,
    outstanding: &Outstanding,
) {
    for piece in pieces {
        if stream.write_all(&piece).is_err() {
            // The reader notices, and tells, unless what came before is left to TCP.
            stream.shut_down();
            outstanding.give_up();
            return mailbox.post_urgent(Event::Unwritable { connection });
        }
        if outstanding.written(piece.len()) {
            mailbox.post_urgent(Event::Written { connection });
        }
    }
    // The engine is done with the connection, and all that it said is on its way.
    stream.end();
}
