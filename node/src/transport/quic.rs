//! QUIC (RFC 9000) by `quinn`: a TCPCLv4 session on one bidirectional stream, inside of a handshake that has shown who the peer is.
//!
//! No standard says how bundles cross QUIC. Here whoever connects opens one stream, and what goes over it is what goes over a TCP connection,
//! without TLS of its own: QUIC has done that (`docs/adr/0017-quic.md`).

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
use quinn::{
    ClientConfig, Connection, ConnectionError, Endpoint, EndpointConfig, IdleTimeout, Incoming, RecvStream,
    SendStream, ServerConfig, TokioRuntime, TransportConfig, VarInt,
    crypto::rustls::{QuicClientConfig, QuicServerConfig},
};
use std::{
    fmt, io,
    net::{SocketAddr, UdpSocket},
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};
use tokio::{
    runtime::{Builder, Handle},
    sync::Semaphore,
    time::timeout,
};

/// Something is sent at least as often.
const KEEP_ALIVE: Duration = Duration::from_secs(3);
/// A peer of which nothing comes for so long is gone.
const SILENCE: Duration = Duration::from_secs(10);
/// Bytes that a peer may send ahead of what is read, and that we keep for it until it has them.
const WINDOW: u32 = 512 << 10;
/// How long last words may take to arrive.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Handshakes at a time that others have begun.
const MAX_HANDSHAKES: usize = 64;
/// Bytes of others' first packets that wait to be looked at.
const MAX_UNHEARD: u64 = 1 << 20;

/// A UDP socket that speaks QUIC, and the thread that drives it.
pub(crate) struct Quic {
    shared: Shared,
    thread: Option<JoinHandle<()>>,
}

#[derive(Clone)]
struct Shared {
    runtime: Handle,
    endpoint: Endpoint,
    tls: Arc<TlsSetup>,
    streams: Streams,
    patience: Duration,
    /// As many others have a hold on it as there are streams.
    in_use: Arc<()>,
}

/// The stream of a connection: one thread reads it, and one writes it.
pub(crate) struct QuicStream {
    runtime: Handle,
    connection: Connection,
    receive: Mutex<RecvStream>,
    send: Mutex<SendStream>,
    proven: Proven,
    _in_use: Arc<()>,
}

impl fmt::Debug for QuicStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuicStream").field("from", &self.connection.remote_address()).finish_non_exhaustive()
    }
}

impl QuicStream {
    /// Who the peer is, as the handshake has shown.
    pub(super) const fn proven(&self) -> &Proven {
        &self.proven
    }

    /// Waits for bytes, and reads some; 0 when no more come.
    pub(super) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut receive = self.receive.lock().unwrap_or_else(PoisonError::into_inner);
        let read = self.runtime.block_on(receive.read(buffer));
        read.map(|count| count.unwrap_or(0)).map_err(io::Error::other)
    }

    /// Writes all bytes, as fast as the peer takes them.
    pub(super) fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        let mut send = self.send.lock().unwrap_or_else(PoisonError::into_inner);
        self.runtime.block_on(send.write_all(bytes)).map_err(io::Error::other)
    }

    /// Ends it when what was written has arrived, or did not in time.
    pub(super) fn end(&self) {
        // Whoever writes it still does not get on.
        if let Ok(mut send) = self.send.try_lock()
            && send.finish().is_ok()
        {
            let _ = self.runtime.block_on(async { timeout(LAST_WORDS, send.stopped()).await });
        }
        self.shut_down();
    }

    /// Says that nothing more comes from here.
    pub(super) fn finish_writing(&self) {
        if let Ok(mut send) = self.send.try_lock() {
            let _ = send.finish();
        }
    }

    /// Ends it at once: whoever reads or writes is told.
    pub(super) fn shut_down(&self) {
        self.connection.close(VarInt::from_u32(0), b"");
    }
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
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let endpoint = {
            let _entered = handle.enter();
            let server = if listens { Some(server_config(&tls)?.0) } else { None };
            Endpoint::new(EndpointConfig::default(), server, socket, Arc::new(TokioRuntime))?
        };
        let shared = Shared { runtime: handle, endpoint, tls, streams, patience, in_use: Arc::new(()) };
        let driven = shared.clone();
        let thread = thread::Builder::new().name("quic".to_owned()).spawn(move || {
            runtime.block_on(async {
                driven.accept().await;
                let _ = timeout(LAST_WORDS, driven.endpoint.wait_idle()).await;
            });
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Keeps a connection to a peer, again and again, until it is time to end.
    pub(crate) fn keep_dialling(&self, peer: usize, address: SocketAddr) -> io::Result<()> {
        let shared = self.shared.clone();
        thread::Builder::new()
            .name(format!("dial {address}"))
            .spawn(move || shared.keep_dialling(peer, address))?;
        Ok(())
    }
}

impl Drop for Quic {
    fn drop(&mut self) {
        let begun = monotonic();
        // Streams that end in order do so by themselves.
        while Arc::strong_count(&self.shared.in_use) > 2 && begun.elapsed() < LAST_WORDS {
            thread::sleep(Duration::from_millis(5));
        }
        self.shared.endpoint.close(VarInt::from_u32(0), b"");
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// Takes in those who come, until the endpoint is closed.
    async fn accept(&self) {
        let handshakes = Arc::new(Semaphore::new(MAX_HANDSHAKES));
        while let Some(incoming) = self.endpoint.accept().await {
            if self.streams.stopping.is_stopping() {
                incoming.ignore();
                continue;
            }
            // With half of the handshakes under way, strangers have to show first that they are where they say.
            if handshakes.available_permits() < MAX_HANDSHAKES / 2 && incoming.may_retry() {
                let _ = incoming.retry();
                continue;
            }
            let Ok(permit) = handshakes.clone().try_acquire_owned() else {
                incoming.refuse();
                self.streams.room.turned_away();
                continue;
            };
            let shared = self.clone();
            tokio::spawn(async move {
                let from = incoming.remote_address();
                let met = timeout(shared.patience, shared.meet(incoming)).await;
                drop(permit);
                match met.unwrap_or_else(|_| Err(Failure::word("timed_out"))) {
                    Ok(wire) => shared.streams.accepted_wire(wire, from, StreamKind::Tcpcl),
                    Err(failure) => shared.tell(from, failure),
                }
            });
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
        Ok(self.wire(connection, stream, proven))
    }

    /// The same from the other side.
    async fn dial(&self, address: SocketAddr) -> Result<Wire, Failure> {
        let (rustls, watched) = self.tls.quic_client().map_err(|error| Failure::setup(&error))?;
        let crypto = QuicClientConfig::try_from(rustls).map_err(|error| Failure::setup(&error))?;
        let mut client = ClientConfig::new(Arc::new(crypto));
        client.transport_config(Arc::new(transport()));
        // The name is not looked at: the key is.
        let connecting = self.endpoint.connect_with(client, address, "cosmosmesh");
        let connection = connecting
            .map_err(|error| Failure::setup(&error))?
            .await
            .map_err(|error| Failure::of(&error, &watched))?;
        let proven = self.proven(&connection)?;
        let stream = connection.open_bi().await.map_err(|error| Failure::of(&error, &watched))?;
        Ok(self.wire(connection, stream, proven))
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
    ) -> Wire {
        let (receive, send) = (Mutex::new(receive), Mutex::new(send));
        let (runtime, _in_use) = (self.runtime.clone(), self.in_use.clone());
        Wire::from(QuicStream { runtime, connection, receive, send, proven, _in_use })
    }

    fn keep_dialling(&self, peer: usize, address: SocketAddr) {
        let (streams, mut pause) = (&self.streams, FIRST_PAUSE);
        while !streams.stopping.is_stopping() {
            let met = self.runtime.block_on(async { timeout(self.patience, self.dial(address)).await });
            match met.unwrap_or_else(|_| Err(Failure::word("timed_out"))) {
                Ok(wire) => {
                    let (id, begun) = (streams.ids.next(), monotonic());
                    let slot = streams.room.take(id);
                    streams.serve(id, wire, address, (StreamKind::Tcpcl, Some(peer)), &slot);
                    if slot.was_known() || begun.elapsed() >= LONG_ENOUGH {
                        pause = FIRST_PAUSE;
                    }
                }
                // That nobody is there is no news.
                Err(Failure { reason: "timed_out", .. }) => {}
                Err(failure) => self.tell(address, failure),
            }
            if streams.stopping.pause(varied(pause)) {
                return;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn tell(&self, from: SocketAddr, failure: Failure) {
        let Failure { reason, problem } = failure;
        self.streams.mailbox.post_urgent(Event::Unmet { from, reason, problem });
    }
}

/// Why a handshake led to nothing.
struct Failure {
    reason: &'static str,
    problem: String,
}

impl Failure {
    fn word(reason: &'static str) -> Self {
        Self { reason, problem: reason.to_owned() }
    }

    fn setup(error: &dyn fmt::Display) -> Self {
        Self { reason: "setup", problem: error.to_string() }
    }

    /// By what we think of the peer's key, where that was the cause.
    fn of(error: &ConnectionError, watched: &Watched) -> Self {
        if let Some(stranger) = watched.found() {
            return Self { reason: stranger.reason(), problem: stranger.to_string() };
        }
        let reason = match error {
            ConnectionError::TransportError(_) => "handshake",
            ConnectionError::ConnectionClosed(_) | ConnectionError::ApplicationClosed(_) => "refused_by_peer",
            ConnectionError::TimedOut | ConnectionError::Reset => "timed_out",
            ConnectionError::VersionMismatch => "version",
            ConnectionError::LocallyClosed | ConnectionError::CidsExhausted => "closed",
        };
        Self { reason, problem: error.to_string() }
    }
}

/// The configuration for one handshake, and what tells afterwards why it was refused.
fn server_config(tls: &TlsSetup) -> io::Result<(ServerConfig, Arc<Watched>)> {
    let (rustls, watched) = tls.quic_server().map_err(io::Error::other)?;
    let crypto = QuicServerConfig::try_from(rustls).map_err(io::Error::other)?;
    let mut server = ServerConfig::with_crypto(Arc::new(crypto));
    server
        .transport_config(Arc::new(transport()))
        .max_incoming(MAX_HANDSHAKES)
        .incoming_buffer_size(MAX_UNHEARD / MAX_HANDSHAKES as u64)
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
