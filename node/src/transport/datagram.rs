//! Datagrams: one socket for all peers.

use super::stream::Stopping;
use crate::mailbox::{Event, Mailbox};
use std::{
    io,
    net::UdpSocket,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

/// How long a read waits before it looks whether it is time to end.
const LOOK: Duration = Duration::from_millis(200);

/// Reads datagrams until it is time to end. Those that the engine has no room for are dropped and counted, as a network does.
pub(crate) fn read(
    socket: UdpSocket,
    mailbox: Arc<Mailbox>,
    stopping: Arc<Stopping>,
    dropped: Arc<AtomicU64>,
) -> io::Result<()> {
    socket.set_read_timeout(Some(LOOK))?;
    thread::Builder::new().name("read datagrams".to_owned()).spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        while !stopping.is_stopping() {
            // An error is that of a datagram sent before, which its peer does not want; the next read waits again.
            let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
            if !mailbox.post_datagram(Event::Datagram { from, bytes: buffer[..length].to_vec() }) {
                dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    })?;
    Ok(())
}
