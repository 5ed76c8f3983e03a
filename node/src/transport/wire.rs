//! Byte streams to modems and radios: TCP or a serial line, for one thread that reads and one that writes.

use super::quic::QuicStream;
use crate::tls::Proven;
use serial2::SerialPort;
use std::{
    fmt, io,
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
    path::PathBuf,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// How long making a connection may take.
const DIAL_PATIENCE: Duration = Duration::from_secs(5);
/// How long a read of a serial line waits before it looks whether it is time to end.
const LOOK: Duration = Duration::from_millis(100);
/// How long a serial line may take nothing before it counts as gone.
const WRITE_PATIENCE: Duration = Duration::from_secs(10);
/// The rate of a serial line where none is said, in bits per second.
pub const DEFAULT_BAUD: u32 = 115_200;

/// Where a modem or radio is. Written `192.0.2.7:8001`, `/dev/ttyUSB0` or `/dev/ttyUSB0@9600`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WireAt {
    /// A TCP port.
    Tcp(SocketAddr),
    /// A serial line: eight bits, no parity, one stop bit, no flow control.
    Serial {
        /// The device.
        path: PathBuf,
        /// Bits per second.
        baud: u32,
    },
}

impl fmt::Display for WireAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Serial { path, baud } => write!(f, "{}@{baud}", path.display()),
        }
    }
}

/// A text that names no place of a modem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an address with port, or a device as in /dev/ttyUSB0@9600")]
pub struct NoWire;

impl FromStr for WireAt {
    type Err = NoWire;

    fn from_str(text: &str) -> Result<Self, NoWire> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Tcp(address));
        }
        let (path, baud) = match text.rsplit_once('@') {
            Some((path, baud)) => (path, baud.parse().map_err(|_| NoWire)?),
            None => (text, DEFAULT_BAUD),
        };
        if !path.contains('/') || baud == 0 {
            return Err(NoWire);
        }
        Ok(Self::Serial { path: path.into(), baud })
    }
}

#[derive(Debug)]
enum Kind {
    Tcp(TcpStream),
    Serial(SerialPort),
    Quic(QuicStream),
}

/// An open byte stream. Its copies are one stream: one may read while another writes.
#[derive(Clone, Debug)]
pub struct Wire {
    kind: Arc<Kind>,
    over: Arc<AtomicBool>,
}

impl From<TcpStream> for Wire {
    fn from(stream: TcpStream) -> Self {
        Self { kind: Arc::new(Kind::Tcp(stream)), over: Arc::default() }
    }
}

impl From<QuicStream> for Wire {
    fn from(stream: QuicStream) -> Self {
        Self { kind: Arc::new(Kind::Quic(stream)), over: Arc::default() }
    }
}

impl Wire {
    /// Opens it.
    ///
    /// # Errors
    /// Nobody listens there, no such device, no right to use it, a rate that it does not have.
    pub fn open(at: &WireAt) -> io::Result<Self> {
        match at {
            WireAt::Tcp(address) => {
                let stream = TcpStream::connect_timeout(address, DIAL_PATIENCE)?;
                // Small frames are not to wait for one another.
                stream.set_nodelay(true)?;
                Ok(stream.into())
            }
            WireAt::Serial { path, baud } => {
                let mut port = SerialPort::open(path, *baud)?;
                port.set_read_timeout(LOOK)?;
                port.set_write_timeout(WRITE_PATIENCE)?;
                Ok(Self { kind: Arc::new(Kind::Serial(port)), over: Arc::default() })
            }
        }
    }

    /// Small pieces do not wait for one another.
    ///
    /// # Errors
    /// Those of the connection.
    pub(crate) fn send_at_once(&self) -> io::Result<()> {
        match &*self.kind {
            Kind::Tcp(stream) => stream.set_nodelay(true),
            Kind::Serial(_) | Kind::Quic(_) => Ok(()),
        }
    }

    /// Waits for bytes, and reads some; 0 when it is over.
    ///
    /// # Errors
    /// Those of the connection, the device: unplugged, for instance.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.over.load(Ordering::Acquire) {
                return Ok(0);
            }
            let read = match &*self.kind {
                Kind::Tcp(stream) => (&mut &*stream).read(buffer),
                Kind::Serial(port) => port.read(buffer),
                Kind::Quic(stream) => stream.read(buffer),
            };
            match (read, &*self.kind) {
                (Err(error), _) if error.kind() == io::ErrorKind::Interrupted => {}
                (Err(error), Kind::Serial(_)) if error.kind() == io::ErrorKind::TimedOut => {}
                (read, _) => return read,
            }
        }
    }

    /// Writes all bytes.
    ///
    /// # Errors
    /// Those of the connection, the device.
    pub fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        match &*self.kind {
            Kind::Tcp(stream) => (&mut &*stream).write_all(bytes),
            Kind::Serial(port) => port.write_all(bytes),
            Kind::Quic(stream) => stream.write_all(bytes),
        }
    }

    /// Ends it in both directions: whoever reads or writes is told.
    pub fn shut_down(&self) {
        self.over.store(true, Ordering::Release);
        match &*self.kind {
            Kind::Tcp(stream) => drop(stream.shutdown(Shutdown::Both)),
            Kind::Quic(stream) => stream.shut_down(),
            Kind::Serial(_) => {}
        }
    }

    /// Ends it for whoever wrote it, when all that was written is on its way.
    pub(crate) fn end(&self) {
        if let Kind::Quic(stream) = &*self.kind {
            // What has not arrived would be lost.
            stream.end();
        }
        self.shut_down();
    }

    /// Who is at the other end, where the transport itself has shown that.
    pub(crate) fn proven(&self) -> Option<&Proven> {
        match &*self.kind {
            Kind::Quic(stream) => Some(stream.proven()),
            Kind::Tcp(_) | Kind::Serial(_) => None,
        }
    }

    /// Whether it was ended here.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Ends it once all that was written is on its way: what comes is still read.
    pub fn finish_writing(&self) {
        match &*self.kind {
            Kind::Tcp(stream) => drop(stream.shutdown(Shutdown::Write)),
            Kind::Serial(_) => self.shut_down(),
            Kind::Quic(stream) => stream.finish_writing(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_they_are_written() {
        for text in ["127.0.0.1:8001", "[::1]:8001", "/dev/ttyUSB0@9600"] {
            assert_eq!(text.parse::<WireAt>().expect("a place").to_string(), text);
        }
        assert_eq!("/dev/ttyACM0".parse::<WireAt>().expect("a device").to_string(), "/dev/ttyACM0@115200");
        for text in ["", "localhost", "/dev/tty@fast", "/dev/tty@0", "127.0.0.1"] {
            assert_eq!(text.parse::<WireAt>(), Err(NoWire), "{text}");
        }
    }
}
