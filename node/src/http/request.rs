//! Requests out of bytes: bounded heads, bodies of a stated length, addressed to this machine.

use std::{
    collections::BTreeMap,
    io::{self, Read as _},
    net::{IpAddr, TcpStream},
    time::Duration,
};

const MAX_HEAD_BYTES: usize = 8 << 10;
const MAX_HEADERS: usize = 48;
/// How long a read waits before it looks whether to go on.
const LOOK: Duration = Duration::from_millis(200);

/// A request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: BTreeMap<String, String>,
    pub(super) body: Vec<u8>,
    pub(super) keep_alive: bool,
}

/// Why there is none.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Nobody is there, or waits for nothing.
    Gone,
    /// The peer is told so.
    Bad(u16, &'static str),
}

struct Head {
    request: Request,
    /// Bytes of the head.
    length: usize,
    body: usize,
    expects: bool,
}

/// Takes one request after the other from a connection.
pub(super) struct Reader {
    unread: Vec<u8>,
    max_body: usize,
}

impl Reader {
    pub(super) const fn new(max_body: usize) -> Self {
        Self { unread: Vec::new(), max_body }
    }

    /// The next request. `go_on` is asked from time to time, and told whether one has begun.
    pub(super) fn read(
        &mut self,
        stream: &mut TcpStream,
        go_on: &mut dyn FnMut(bool) -> bool,
    ) -> Result<Request, Failure> {
        stream.set_read_timeout(Some(LOOK)).map_err(|_| Failure::Gone)?;
        let head = loop {
            if let Some(head) = parse_head(&self.unread, self.max_body)? {
                break head;
            }
            self.more(stream, go_on)?;
        };
        if head.expects && head.body > 0 {
            io::Write::write_all(stream, b"HTTP/1.1 100 Continue\r\n\r\n").map_err(|_| Failure::Gone)?;
        }
        let end = head.length + head.body;
        while self.unread.len() < end {
            self.more(stream, go_on)?;
        }
        let mut request = head.request;
        request.body = self.unread[head.length..end].to_vec();
        self.unread.drain(..end);
        Ok(request)
    }

    fn more(&mut self, stream: &mut TcpStream, go_on: &mut dyn FnMut(bool) -> bool) -> Result<(), Failure> {
        let mut buffer = [0; 16 << 10];
        loop {
            match stream.read(&mut buffer) {
                Ok(0) => return Err(Failure::Gone),
                Ok(count) => {
                    self.unread.extend_from_slice(&buffer[..count]);
                    // A byte now and then is no request.
                    return if go_on(true) {
                        Ok(())
                    } else {
                        Err(Failure::Bad(408, "the request took too long"))
                    };
                }
                Err(error) if is_pause(&error) => {
                    let begun = !self.unread.is_empty();
                    if !go_on(begun) {
                        return Err(if begun {
                            Failure::Bad(408, "the request took too long")
                        } else {
                            Failure::Gone
                        });
                    }
                }
                Err(_) => return Err(Failure::Gone),
            }
        }
    }
}

fn is_pause(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

/// The head, once it is whole.
fn parse_head(bytes: &[u8], max_body: usize) -> Result<Option<Head>, Failure> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    let length = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if bytes.len() > MAX_HEAD_BYTES => {
            return Err(Failure::Bad(431, "the head is too long"));
        }
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Failure::Bad(431, "too many headers")),
        Err(_) => return Err(Failure::Bad(400, "not HTTP/1.1")),
    };
    let header = |name: &str| {
        let mut found = parsed.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
        let first = found.next().and_then(|header| std::str::from_utf8(header.value).ok());
        (first.map(str::trim), found.next().is_some())
    };
    if header("transfer-encoding").0.is_some() {
        return Err(Failure::Bad(501, "a body has a content-length here"));
    }
    // A page of the web, read by a browser on this machine, may not send in this node's name: neither by its own origin,
    // nor by a name of its own that leads here.
    if header("origin").0.is_some() {
        return Err(Failure::Bad(403, "not for pages of the web"));
    }
    match header("host") {
        (Some(host), false) if is_this_machine(host) => {}
        _ => return Err(Failure::Bad(403, "the host is not an address of this machine")),
    }
    let body = match header("content-length") {
        (None, _) => 0,
        (Some(length), false) if length.bytes().all(|byte| byte.is_ascii_digit()) => {
            length.parse().map_err(|_| Failure::Bad(413, "the body is too long"))?
        }
        _ => return Err(Failure::Bad(400, "content-length is not one number")),
    };
    if body > max_body {
        return Err(Failure::Bad(413, "the body is too long"));
    }
    let (method, target) = (parsed.method.unwrap_or_default(), parsed.path.unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let query = parse_query(query).ok_or(Failure::Bad(400, "malformed query"))?;
    let close = header("connection").0.is_some_and(|value| value.eq_ignore_ascii_case("close"));
    let request = Request {
        method: method.to_owned(),
        path: path.to_owned(),
        query,
        body: Vec::new(),
        keep_alive: parsed.version == Some(1) && !close,
    };
    let expects = header("expect").0.is_some_and(|value| value.eq_ignore_ascii_case("100-continue"));
    Ok(Some(Head { request, length, body, expects }))
}

fn is_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn parse_query(query: &str) -> Option<BTreeMap<String, String>> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((unescape(name)?, unescape(value)?))
        })
        .collect()
}

fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'%' {
            let (pair, after) = rest.split_first_chunk::<2>()?;
            let digits = std::str::from_utf8(pair).ok().filter(|digits| !digits.starts_with('+'))?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = after;
        } else {
            bytes.push(if byte == b'+' { b' ' } else { byte });
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Result<Option<Head>, Failure> {
        parse_head(text.as_bytes(), 100)
    }

    fn status(text: &str) -> u16 {
        match head(text) {
            Err(Failure::Bad(status, _)) => status,
            Err(Failure::Gone) => 0,
            Ok(found) => {
                if found.is_some() {
                    200
                } else {
                    100
                }
            }
        }
    }

    #[test]
    fn a_request_is_read_to_its_end() {
        let text =
            "POST /v1/send?to=2&x=a%2fb+c HTTP/1.1\r\nHost: 127.0.0.1:7\r\nContent-Length: 5\r\n\r\nhello";
        let head = head(text).ok().flatten().unwrap();
        assert_eq!((head.request.method.as_str(), head.request.path.as_str()), ("POST", "/v1/send"));
        assert_eq!(head.request.query["x"], "a/b c");
        assert_eq!((head.body, &text[head.length..]), (5, "hello"));
    }

    #[test]
    fn what_is_not_for_this_machine_is_refused() {
        for host in ["127.0.0.1", "127.0.0.1:80", "localhost:80", "[::1]:80", "[::1]"] {
            assert_eq!(status(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")), 200, "{host}");
        }
        for host in ["evil.example", "evil.example:80", "10.0.0.1", "127.0.0.1.evil.example", ""] {
            assert_eq!(status(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")), 403, "{host}");
        }
        assert_eq!(status("GET / HTTP/1.1\r\n\r\n"), 403);
        assert_eq!(status("GET / HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n\r\n"), 403);
    }

    #[test]
    fn lies_about_lengths_and_garbage_are_refused() {
        let with = |line: &str| status(&format!("POST / HTTP/1.1\r\nHost: localhost\r\n{line}\r\n\r\n"));
        assert_eq!(with("Content-Length: 100"), 200);
        assert_eq!(with("Content-Length: 101"), 413);
        assert_eq!(with("Content-Length: 99999999999999999999999"), 413);
        assert_eq!(with("Content-Length: -1"), 400);
        assert_eq!(with("Content-Length: 1\r\nContent-Length: 2"), 400);
        assert_eq!(with("Transfer-Encoding: chunked"), 501);
        assert_eq!(status("\u{0}\u{1}garbage\r\n\r\n"), 400);
        assert_eq!(status("GET /?x=%zz HTTP/1.1\r\nHost: localhost\r\n\r\n"), 400);
        assert_eq!(status(&format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}", "y".repeat(9000))), 431);
        assert_eq!(status(&format!("GET / HTTP/1.1\r\n{}", "X: y\r\n".repeat(49))), 431);
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let text = "POST /a?b=%2 HTTP/1.1\r\nHost: [::1]:1\r\nContent-Length: 3\r\n\r\nabc";
        for end in 0..text.len() {
            let _ = head(&text[..end]);
            let mut bytes = text.as_bytes().to_vec();
            bytes[end] = 0xff;
            let _ = parse_head(&bytes, 100);
        }
    }
}
