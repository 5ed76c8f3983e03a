//! The client's end of a connection to a daemon's control.

use super::ClientError;
use crate::clock::monotonic;
use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

/// How long an answer may take: longer than a daemon lets anyone wait.
const PATIENCE: Duration = Duration::from_secs(70);
const DIAL_PATIENCE: Duration = Duration::from_secs(5);
/// A daemon gives an idle connection up after a minute.
const STALE: Duration = Duration::from_secs(30);
const MAX_HEAD_BYTES: usize = 8 << 10;
/// More is never told at once.
const MAX_BODY_BYTES: usize = 256 << 20;

/// A connection that is made anew when it was idle for long, or broke.
pub(super) struct Connection {
    address: SocketAddr,
    stream: Option<(TcpStream, Instant)>,
}

impl Connection {
    pub(super) fn open(address: SocketAddr) -> Result<Self, ClientError> {
        let mut connection = Self { address, stream: None };
        connection.stream().map_err(|source| ClientError::Connection { address, source })?;
        Ok(connection)
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Status and body of the answer.
    pub(super) fn request(
        &mut self,
        method: &str,
        target: &str,
        body: &[u8],
    ) -> Result<(u16, Vec<u8>), ClientError> {
        let address = self.address;
        let answer = self.exchange(method, target, body);
        if answer.is_err() {
            // Nobody knows what comes next on it.
            self.stream = None;
        }
        answer.map_err(|source| ClientError::Connection { address, source })
    }

    fn stream(&mut self) -> io::Result<&mut TcpStream> {
        let stale = self.stream.as_ref().is_none_or(|(_, used)| used.elapsed() > STALE);
        if stale {
            let stream = TcpStream::connect_timeout(&self.address, DIAL_PATIENCE)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            self.stream = Some((stream, monotonic()));
        }
        let (stream, used) = self.stream.as_mut().expect("made just above, or there before");
        *used = monotonic();
        Ok(stream)
    }

    fn exchange(&mut self, method: &str, target: &str, body: &[u8]) -> io::Result<(u16, Vec<u8>)> {
        let host = self.address;
        let length = body.len();
        let mut bytes =
            format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n")
                .into_bytes();
        bytes.extend_from_slice(body);
        let stream = self.stream()?;
        stream.write_all(&bytes)?;
        let mut answer = Vec::new();
        let (status, head, length, keep) = loop {
            if let Some(found) = parse_head(&answer)? {
                break found;
            }
            more(stream, &mut answer)?;
        };
        while answer.len() < head + length {
            more(stream, &mut answer)?;
        }
        if !keep {
            self.stream = None;
        }
        Ok((status, answer[head..head + length].to_vec()))
    }
}

fn more(stream: &mut TcpStream, answer: &mut Vec<u8>) -> io::Result<()> {
    let mut buffer = [0; 16 << 10];
    match stream.read(&mut buffer)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        count => {
            answer.extend_from_slice(&buffer[..count]);
            Ok(())
        }
    }
}

/// Status, bytes of the head, bytes of the body, and whether the connection stays.
fn parse_head(bytes: &[u8]) -> io::Result<Option<(u16, usize, usize, bool)>> {
    let strange = || io::Error::from(io::ErrorKind::InvalidData);
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut parsed = httparse::Response::new(&mut headers);
    let head = match parsed.parse(bytes).map_err(|_| strange())? {
        httparse::Status::Complete(head) => head,
        httparse::Status::Partial if bytes.len() > MAX_HEAD_BYTES => return Err(strange()),
        httparse::Status::Partial => return Ok(None),
    };
    let header = |name: &str| {
        let found = parsed.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.and_then(|header| std::str::from_utf8(header.value).ok())
    };
    let length = header("content-length").and_then(|length| length.parse().ok()).ok_or_else(strange)?;
    if length > MAX_BODY_BYTES {
        return Err(strange());
    }
    let keep = header("connection").is_none_or(|value| !value.eq_ignore_ascii_case("close"));
    Ok(Some((parsed.code.unwrap_or(0), head, length, keep)))
}

/// A text as part of a query.
pub(super) fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02x}"),
        })
        .collect()
}
