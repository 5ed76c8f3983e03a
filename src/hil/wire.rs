//! [`Wire`]: the real side of an interface.

use super::mailbox::Mailbox;
use crate::units::AssetIndex;
use std::{
    io,
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// How long a read waits before it looks whether it is time to end.
const LOOK: Duration = Duration::from_millis(100);

/// A frame on its way out.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// The simulated sender.
    pub from: AssetIndex,
    /// How strongly it is heard over the noise, in dB, where the link has a modulation.
    pub snr_db: Option<i8>,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// The real side of an interface: frames go out here, and its own thread posts those that come in to the session's mailbox.
pub trait Wire: Send {
    /// Sends a frame. Waits for nothing that takes longer than a system call.
    ///
    /// # Errors
    /// What the operating system refuses; the frame is lost, as on any medium.
    fn send(&mut self, frame: &Outgoing<'_>) -> io::Result<()>;

    /// Where it is, for people.
    fn place(&self) -> String;

    /// What came in and was refused before it was numbered.
    fn refused(&self) -> u64 {
        0
    }

    /// How often the way there was lost, and made anew.
    fn losses(&self) -> u64 {
        0
    }
}

/// The real side of each interface, with its binding as typed.
pub type Wires = Vec<(String, Box<dyn Wire>)>;

/// Why a wire cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// No such transport.
    #[error("no transport `{found}`; this program has {known}")]
    Transport {
        /// What was typed.
        found: String,
        /// What there is.
        known: &'static str,
    },
    /// Not an address of the transport.
    #[error("`{found}`: {allowed}")]
    Address {
        /// What was typed.
        found: String,
        /// What an address is.
        allowed: &'static str,
    },
    /// Frames of the link do not fit.
    #[error(
        "`{transport}` carries {most} bytes at the most, and frames of the link have up to {mtu}: give the class `mtu_bytes: {most}`"
    )]
    Mtu {
        /// The transport.
        transport: String,
        /// The most that it carries, bytes.
        most: usize,
        /// The link's MTU, bytes.
        mtu: usize,
    },
    /// Nothing listens beyond this machine unless it is told to.
    #[error("`{found}` is beyond this machine: say where to listen for it, as in udp:{found}@192.0.2.7:9000")]
    Beyond {
        /// What was typed.
        found: SocketAddr,
    },
    /// The operating system refuses.
    #[error("{what}: {source}")]
    Io {
        /// What was to be opened.
        what: String,
        /// Why not.
        source: io::Error,
    },
}

/// A UDP socket with one peer: a datagram is a frame, or holds bundles.
#[derive(Debug)]
pub struct UdpWire {
    socket: UdpSocket,
    peer: SocketAddr,
    ending: Arc<AtomicBool>,
    foreign: Arc<AtomicU64>,
    reader: Option<JoinHandle<()>>,
}

impl UdpWire {
    /// Opens `PEER[@LOCAL]`. Without a local address, one of this machine that the system chooses.
    ///
    /// # Errors
    /// [`WireError`].
    pub fn open(address: &str, interface: u32, mailbox: Arc<Mailbox>) -> Result<Self, WireError> {
        let malformed = || WireError::Address {
            found: address.to_owned(),
            allowed: "an address is HOST:PORT, or HOST:PORT@LOCAL:PORT, in figures, such as 127.0.0.1:9001",
        };
        let (peer, local) = match address.split_once('@') {
            Some((peer, local)) => (peer, Some(local)),
            None => (address, None),
        };
        let peer: SocketAddr = peer.parse().map_err(|_| malformed())?;
        let local: SocketAddr = match local {
            Some(local) => local.parse().map_err(|_| malformed())?,
            None if peer.ip().is_loopback() => SocketAddr::new(peer.ip(), 0),
            None => return Err(WireError::Beyond { found: peer }),
        };
        let failed = |source| WireError::Io { what: format!("udp socket at {local}"), source };
        let socket = UdpSocket::bind(local).map_err(failed)?;
        let reading = socket.try_clone().map_err(failed)?;
        reading.set_read_timeout(Some(LOOK)).map_err(failed)?;
        let (ending, foreign) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (ended, strangers) = (ending.clone(), foreign.clone());
        let reader = thread::Builder::new().name(format!("hil udp {peer}")).spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            while !ended.load(Ordering::Relaxed) {
                // An error is that of a datagram sent before, which the peer did not want; the next read waits again.
                match reading.recv_from(&mut buffer) {
                    Ok((length, from)) if from == peer => {
                        mailbox.post(interface, buffer[..length].to_vec(), None, None);
                    }
                    Ok(_) => drop(strangers.fetch_add(1, Ordering::Relaxed)),
                    Err(_) => {}
                }
            }
        });
        let reader = Some(reader.map_err(failed)?);
        Ok(Self { socket, peer, ending, foreign, reader })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// What the operating system refuses.
    pub fn local(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

impl Wire for UdpWire {
    fn send(&mut self, frame: &Outgoing<'_>) -> io::Result<()> {
        self.socket.send_to(frame.bytes, self.peer).map(|_| ())
    }

    fn place(&self) -> String {
        let local = self.local().map_or_else(|_| "?".to_owned(), |local| local.to_string());
        format!("{} from {local}", self.peer)
    }

    fn refused(&self) -> u64 {
        self.foreign.load(Ordering::Relaxed)
    }
}

impl Drop for UdpWire {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        if let Some(reader) = self.reader.take() {
            // A reader that panicked has said so.
            let _ = reader.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_listens_beyond_this_machine_unless_told() {
        let open = |address| UdpWire::open(address, 0, Arc::new(Mailbox::new(1)));
        assert!(matches!(open("192.0.2.1:9"), Err(WireError::Beyond { .. })));
        assert!(matches!(open("localhost:9"), Err(WireError::Address { .. })));
        assert!(open("127.0.0.1:9").unwrap().local().unwrap().ip().is_loopback());
    }

    #[test]
    fn a_datagram_of_a_stranger_is_counted_and_not_taken() {
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mailbox = Arc::new(Mailbox::new(1));
        let wire = UdpWire::open(&peer.local_addr().unwrap().to_string(), 0, mailbox.clone()).unwrap();
        stranger.send_to(b"x", wire.local().unwrap()).unwrap();
        peer.send_to(b"y", wire.local().unwrap()).unwrap();
        let mut found = Vec::new();
        for _ in 0..100 {
            found.extend(mailbox.look().frames);
            if !found.is_empty() {
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(found.iter().map(|frame| frame.bytes.as_slice()).collect::<Vec<_>>(), [b"y"]);
        assert_eq!(wire.refused(), 1);
    }
}
