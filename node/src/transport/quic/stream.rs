//! The stream of a connection over QUIC: one thread reads it, and one writes it.

use crate::tls::Proven;
use quinn::{Connection, ConnectionError, ReadError, RecvStream, SendStream, VarInt, WriteError};
use std::{
    fmt, io,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};
use tokio::{runtime::Handle, time::timeout};

/// How long last words may take to arrive.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(2);

/// The stream of a connection.
pub(crate) struct QuicStream {
    pub(super) runtime: Handle,
    pub(super) connection: Connection,
    pub(super) receive: Mutex<RecvStream>,
    pub(super) send: Mutex<SendStream>,
    pub(super) proven: Proven,
    /// By what the connection was lost, as far as that was noticed before it was ended here.
    pub(super) lost: Arc<OnceLock<ConnectionError>>,
    /// Held as long as there is the stream.
    pub(super) _in_use: Option<Arc<()>>,
}

impl fmt::Debug for QuicStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuicStream").field("from", &self.connection.remote_address()).finish_non_exhaustive()
    }
}

impl QuicStream {
    /// Who the peer is, as the handshake has shown.
    pub(in crate::transport) const fn proven(&self) -> &Proven {
        &self.proven
    }

    /// Waits for bytes, and reads some; 0 when no more come.
    pub(in crate::transport) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut receive = self.receive.lock().unwrap_or_else(PoisonError::into_inner);
        let read = self.runtime.block_on(receive.read(buffer));
        if let Err(ReadError::ConnectionLost(error)) = &read {
            let _ = self.lost.set(error.clone());
        }
        read.map(|count| count.unwrap_or(0)).map_err(io::Error::other)
    }

    /// Writes all bytes, as fast as the peer takes them.
    pub(in crate::transport) fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        let mut send = self.send.lock().unwrap_or_else(PoisonError::into_inner);
        let written = self.runtime.block_on(send.write_all(bytes));
        if let Err(WriteError::ConnectionLost(error)) = &written {
            let _ = self.lost.set(error.clone());
        }
        written.map_err(io::Error::other)
    }

    /// Ends it when what was written has arrived, or did not in time.
    pub(in crate::transport) fn end(&self) {
        // Whoever writes it still does not get on.
        if let Ok(mut send) = self.send.try_lock()
            && send.finish().is_ok()
        {
            let _ = self.runtime.block_on(async { timeout(LAST_WORDS, send.stopped()).await });
        }
        self.shut_down();
    }

    /// Says that nothing more comes from here.
    pub(in crate::transport) fn finish_writing(&self) {
        if let Ok(mut send) = self.send.try_lock() {
            let _ = send.finish();
        }
    }

    /// Ends it at once: whoever reads or writes is told.
    pub(in crate::transport) fn shut_down(&self) {
        self.connection.close(VarInt::from_u32(0), b"");
    }
}
