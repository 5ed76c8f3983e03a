//! QUIC (RFC 9000) by `quinn`: a TCPCLv4 session on one bidirectional stream, inside of a handshake that has shown who the peer is.
//!
//! No standard says how bundles cross QUIC. Here whoever connects opens one stream, and what goes over it is what goes over a TCP connection,
//! without TLS of its own: QUIC has done that (`docs/adr/0017-quic.md`).

mod failure;
mod handshakes;
mod socket;
mod stream;

pub(crate) use stream::QuicStream;

use super::{
    StreamKind,
    stream::{FIRST_PAUSE, LONG_ENOUGH, LONGEST_PAUSE, Streams, varied},
    wire::Wire,
};
use crate::{
    clock::monotonic,
    mailbox::Event,
    tls::{Proven, TlsSetup, Watched},
};
use failure::Failure;
use handshakes::Handshakes;
use quinn::{
    ClientConfig, Connection, ConnectionError, Endpoint, IdleTimeout, Incoming, RecvStream, SendStream,
    ServerConfig, TransportConfig, VarInt,
    crypto::rustls::{QuicClientConfig, QuicServerConfig},
};
use socket::Socket;
use std::{
    io,
    net::{SocketAddr, UdpSocket},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak},
    thread::{self, JoinHandle},
    time::Duration,
};
use stream::LAST_WORDS;
use tokio::{
    runtime::{Builder, Handle, Runtime},
    sync::oneshot,
    task::spawn_blocking,
    time::{sleep, timeout},
};

/// Something is sent at least as often.
const KEEP_ALIVE: Duration = Duration::from_secs(3);
/// A peer of which nothing comes for so long is gone.
const SILENCE: Duration = Duration::from_secs(10);
/// Bytes that a peer may send ahead of what is read, and that we keep for it until it has them.
const WINDOW: u32 = 512 << 10;
/// How long a handshake that others have begun may take, and the opening of their stream: a few round trips.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// First packets of others that wait to be looked at, and their bytes.
const MAX_INCOMING: usize = 64;
const MAX_UNHEARD: u64 = 1 << 20;
/// How long peers may take to hear that all is over. Those that are not there never do.
const FAREWELL: Duration = Duration::from_millis(500);
/// How long it is waited before a socket that has failed is spoken at again.
const AGAIN: Duration = Duration::from_secs(1);

/// A UDP socket that speaks QUIC, and the thread that drives it. It ends with the engine's [`Streams::over`].
pub(crate) struct Quic {
    shared: Shared,
    /// As many others have a hold on it as there are streams.
    _in_use: Arc<()>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Clone)]
struct Shared {
    runtime: Handle,
    /// None while a socket that has failed is not spoken at again, and at the end.
    endpoint: Arc<Mutex<Option<Endpoint>>>,
    handshakes: Arc<Handshakes>,
    tls: Arc<TlsSetup>,
    streams: Streams,
    patience: Duration,
    at: SocketAddr,
    in_use: Weak<()>,
}

/// A connection that we made.
struct Dialled {
    wire: Wire,
    lost: Arc<OnceLock<ConnectionError>>,
    watched: Arc<Watched>,
}

impl Quic {
    /// Speaks QUIC at a socket; `listens`: to those who come, too.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn start(
        socket: UdpSocket,
        tls: Arc<TlsSetup>,
        streams: Streams,
        patience: Duration,
        listens: bool,
    ) -> io::Result<Self> {
        let at = socket.local_addr()?;
        Self::start_at(at, Socket::plain(socket), (tls, streams, patience), listens)
    }

    fn start_at(
        at: SocketAddr,
        socket: Socket,
        (tls, streams, patience): (Arc<TlsSetup>, Streams, Duration),
        listens: bool,
    ) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let in_use = Arc::new(());
        let shared = Shared {
            runtime: runtime.handle().clone(),
            endpoint: Arc::default(),
            handshakes: Arc::default(),
            tls,
            streams,
            patience,
            at,
            in_use: Arc::downgrade(&in_use),
        };
        let endpoint = {
            let _entered = shared.runtime.enter();
            shared.open(&socket, listens)?
        };
        let driven = shared.clone();
        let thread = thread::Builder::new()
            .name("quic".to_owned())
            .spawn(move || driven.drive(&runtime, endpoint, &socket, listens))?;
        Ok(Self { shared, _in_use: in_use, thread: Some(thread) })
    }

    /// Keeps a connection to a peer, again and again, until it is time to end.
    pub(crate) fn keep_dialling(&self, peer: usize, address: SocketAddr) {
        self.shared.runtime.spawn(self.shared.clone().keep_dialling(peer, address));
    }
}

impl Drop for Quic {
    fn drop(&mut self) {
        self.shared.streams.end();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn endpoint(&self) -> MutexGuard<'_, Option<Endpoint>> {
        self.endpoint.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Speaks QUIC at the socket. Inside of the runtime.
    fn open(&self, socket: &Socket, listens: bool) -> io::Result<Endpoint> {
        let server = if listens { Some(server_config(&self.tls)?.0) } else { None };
        let endpoint = socket.endpoint(server)?;
        *self.endpoint() = Some(endpoint.clone());
        Ok(endpoint)
    }

    /// Drives the endpoint until it is time to end. One that fails meanwhile is told of, and made anew.
    fn drive(&self, runtime: &Runtime, mut endpoint: Endpoint, socket: &Socket, listens: bool) {
        let mut over = self.streams.over();
        runtime.block_on(async {
            loop {
                tokio::select! {
                    () = self.accept(&endpoint) => {}
                    _ = over.wait_for(|over| *over) => return self.leave(&endpoint).await,
                }
                self.endpoint().take();
                self.say(Some("it has failed, and its sessions with it".to_owned()));
                endpoint = loop {
                    tokio::select! {
                        () = sleep(AGAIN) => {}
                        _ = over.wait_for(|over| *over) => return,
                    }
                    match self.open(socket, listens) {
                        Ok(endpoint) => break endpoint,
                        Err(error) => self.say(Some(error.to_string())),
                    }
                };
                self.say(None);
            }
        });
    }

    /// Tells how the socket is.
    fn say(&self, trouble: Option<String>) {
        self.streams.mailbox.post_urgent(Event::Quic { at: self.at, trouble });
    }

    /// Ends all that is spoken at the endpoint, once its streams have ended by themselves or did not in time.
    async fn leave(&self, endpoint: &Endpoint) {
        let begun = monotonic();
        while self.in_use.strong_count() > 1 && begun.elapsed() < LAST_WORDS {
            sleep(Duration::from_millis(5)).await;
        }
        self.endpoint().take();
        endpoint.close(VarInt::from_u32(0), b"");
        let _ = timeout(FAREWELL, endpoint.wait_idle()).await;
    }

    /// Takes in those who come, until the endpoint has ended.
    async fn accept(&self, endpoint: &Endpoint) {
        while let Some(incoming) = endpoint.accept().await {
            if self.streams.stopping.is_stopping() {
                incoming.ignore();
                continue;
            }
            // Before anything is done for anybody, they have to show that they are where they say: nobody begins handshakes for others, and what
            // is only made up costs next to nothing.
            if !incoming.remote_address_validated() {
                let _ = incoming.retry();
                continue;
            }
            let from = incoming.remote_address();
            let (handshake, full) = self.handshakes.begin(from.ip().to_canonical());
            if full {
                self.streams.room.shown_out();
            }
            let (number, shared) = (handshake.number(), self.clone());
            let task = tokio::spawn(async move {
                let _handshake = handshake;
                shared.receive(incoming, from).await;
            });
            self.handshakes.ends_by(number, task.abort_handle());
        }
    }

    /// Deals with somebody who has come.
    async fn receive(&self, incoming: Incoming, from: SocketAddr) {
        let met = timeout(self.patience.min(HANDSHAKE), self.meet(incoming)).await;
        match met.unwrap_or_else(|_| Err(Failure::word("timed_out"))) {
            Ok(wire) => {
                // It may wait for a place, and no packet of anybody is to wait with it.
                let streams = self.streams.clone();
                let _ = spawn_blocking(move || streams.accepted_wire(wire, from, StreamKind::Tcpcl)).await;
            }
            Err(failure) => self.tell(from, failure),
        }
    }

    /// The handshake with somebody who has come, and his stream.
    async fn meet(&self, incoming: Incoming) -> Result<Wire, Failure> {
        let (server, watched) = server_config(&self.tls).map_err(|error| Failure::setup(&error))?;
        let connecting =
            incoming.accept_with(Arc::new(server)).map_err(|error| Failure::of(&error, &watched))?;
        let connection = connecting.await.map_err(|error| Failure::of(&error, &watched))?;
        let proven = self.proven(&connection)?;
        let stream = connection.accept_bi().await.map_err(|error| Failure::of(&error, &watched))?;
        Ok(self.wire(connection, stream, proven, Arc::default()))
    }

    /// The same from the other side.
    async fn dial(&self, address: SocketAddr) -> Result<Dialled, Failure> {
        let (rustls, watched) = self.tls.quic_client().map_err(|error| Failure::setup(&error))?;
        let crypto = QuicClientConfig::try_from(rustls).map_err(|error| Failure::setup(&error))?;
        let mut client = ClientConfig::new(Arc::new(crypto));
        client.transport_config(Arc::new(transport()));
        let endpoint = self.endpoint().clone().ok_or_else(|| Failure::word("closed"))?;
        // The name is not looked at: the key is.
        let connecting = endpoint.connect_with(client, address, "cosmosmesh");
        let connection = connecting
            .map_err(|error| Failure::setup(&error))?
            .await
            .map_err(|error| Failure::of(&error, &watched))?;
        let proven = self.proven(&connection)?;
        let stream = connection.open_bi().await.map_err(|error| Failure::of(&error, &watched))?;
        let lost = Arc::<OnceLock<ConnectionError>>::default();
        Ok(Dialled { wire: self.wire(connection, stream, proven, lost.clone()), lost, watched })
    }

    fn proven(&self, connection: &Connection) -> Result<Proven, Failure> {
        self.tls.proven(connection.peer_identity()).map_err(|stranger| {
            connection.close(VarInt::from_u32(1), stranger.reason().as_bytes());
            Failure { reason: stranger.reason(), problem: stranger.to_string() }
        })
    }

    fn wire(
        &self,
        connection: Connection,
        (send, receive): (SendStream, RecvStream),
        proven: Proven,
        lost: Arc<OnceLock<ConnectionError>>,
    ) -> Wire {
        let (receive, send) = (Mutex::new(receive), Mutex::new(send));
        let (runtime, _in_use) = (self.runtime.clone(), self.in_use.upgrade());
        Wire::from(QuicStream { runtime, connection, receive, send, proven, lost, _in_use })
    }

    async fn keep_dialling(self, peer: usize, address: SocketAddr) {
        let mut pause = FIRST_PAUSE;
        while !self.streams.stopping.is_stopping() {
            let met = timeout(self.patience, self.dial(address)).await;
            match met.unwrap_or_else(|_| Err(Failure::word("timed_out"))) {
                Ok(dialled) => {
                    if self.serve(dialled, peer, address).await {
                        pause = FIRST_PAUSE;
                    }
                }
                // That nobody is there is no news.
                Err(Failure { reason: "timed_out", .. }) => {}
                Err(failure) => self.tell(address, failure),
            }
            sleep(varied(pause)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Moves bytes until a connection that we made is over; says whether it was of use.
    async fn serve(&self, dialled: Dialled, peer: usize, address: SocketAddr) -> bool {
        let Dialled { wire, lost, watched } = dialled;
        let (id, begun) = (self.streams.ids.next(), monotonic());
        let slot = self.streams.room.take(id);
        let (streams, held) = (self.streams.clone(), slot.clone());
        let (serving, served) = oneshot::channel::<()>();
        let started = thread::Builder::new().name(format!("read {address}")).spawn(move || {
            streams.serve(id, wire, address, (StreamKind::Tcpcl, Some(peer)), &held);
            drop(serving);
        });
        if started.is_err() {
            self.streams.room.turned_away();
            return false;
        }
        let _ = served.await;
        let refused = lost.get().filter(|_| !slot.was_known());
        if let Some(failure) = refused.and_then(|error| Failure::after(error, &watched)) {
            self.tell(address, failure);
        }
        slot.was_known() || begun.elapsed() >= LONG_ENOUGH
    }

    fn tell(&self, from: SocketAddr, failure: Failure) {
        let Failure { reason, problem } = failure;
        self.streams.unmet(from, reason, problem);
    }
}

/// The configuration for one handshake, and what tells afterwards why it was refused.
fn server_config(tls: &TlsSetup) -> io::Result<(ServerConfig, Arc<Watched>)> {
    let (rustls, watched) = tls.quic_server().map_err(io::Error::other)?;
    let crypto = QuicServerConfig::try_from(rustls).map_err(io::Error::other)?;
    let mut server = ServerConfig::with_crypto(Arc::new(crypto));
    server
        .transport_config(Arc::new(transport()))
        .max_incoming(MAX_INCOMING)
        .incoming_buffer_size(MAX_UNHEARD / MAX_INCOMING as u64)
        .incoming_buffer_size_total(MAX_UNHEARD)
        // Whoever has another address connects anew.
        .migration(false);
    Ok((server, watched))
}

fn transport() -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(1))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .stream_receive_window(VarInt::from_u32(WINDOW))
        .receive_window(VarInt::from_u32(WINDOW))
        .send_window(u64::from(WINDOW))
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_idle_timeout(IdleTimeout::try_from(SILENCE).ok());
    transport
}

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod tests;
