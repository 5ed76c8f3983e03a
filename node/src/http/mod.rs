//! HTTP/1.1 on loopback: health, metrics, control. One thread for each connection, and few of them.

mod request;
mod routes;

use crate::{clock::monotonic, door::Door};
use request::{Failure, Reader};
use std::{
    io::{self, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// Connections at a time; more are told to come back.
const MAX_CONNECTIONS: usize = 64;
/// How long a connection may be idle between requests.
const IDLE: Duration = Duration::from_secs(60);
/// How long a request may take to come in, and an answer to be taken.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long answers that are being written are waited for at the end.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What is answered.
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) content: &'static str,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn text(status: u16, body: impl Into<String>) -> Self {
        Self { status, content: "text/plain; charset=utf-8", body: body.into().into_bytes() }
    }

    pub(crate) fn json(status: u16, value: &impl serde::Serialize) -> Self {
        let body = serde_json::to_vec(value).unwrap_or_default();
        Self { status, content: "application/json", body }
    }

    fn write(&self, stream: &mut TcpStream, keep: bool) -> io::Result<()> {
        let Self { status, content, body } = self;
        let connection = if keep { "keep-alive" } else { "close" };
        let mut bytes = format!(
            "HTTP/1.1 {status} {}\r\ncontent-type: {content}\r\ncontent-length: {}\r\nconnection: {connection}\r\n\
             x-content-type-options: nosniff\r\n\r\n",
            phrase(*status),
            body.len()
        )
        .into_bytes();
        bytes.extend_from_slice(body);
        stream.write_all(&bytes)
    }
}

const fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        _ => "Service Unavailable",
    }
}

/// The server.
pub(crate) struct Server {
    address: SocketAddr,
    stopping: Arc<AtomicBool>,
    /// Connections that are open.
    open: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start(listener: TcpListener, door: Door) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let stopping = Arc::new(AtomicBool::new(false));
        let open = Arc::new(AtomicUsize::new(0));
        let (flag, count) = (stopping.clone(), open.clone());
        let thread = thread::Builder::new()
            .name("http".to_owned())
            .spawn(move || accept(&listener, &door, &flag, &count))?;
        Ok(Self { address, stopping, open, thread: Some(thread) })
    }

    /// No more connections are taken; those that are open end with their request.
    pub(crate) fn stop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        drop(TcpStream::connect_timeout(&self.address, Duration::from_millis(200)));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let begun = monotonic();
        while self.open.load(Ordering::Acquire) > 0 && begun.elapsed() < LAST_WORDS {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

fn accept(listener: &TcpListener, door: &Door, stopping: &Arc<AtomicBool>, open: &Arc<AtomicUsize>) {
    while !stopping.load(Ordering::Relaxed) {
        let Ok((mut stream, _)) = listener.accept() else {
            thread::sleep(Duration::from_millis(100));
            continue;
        };
        if open.fetch_add(1, Ordering::AcqRel) >= MAX_CONNECTIONS {
            open.fetch_sub(1, Ordering::AcqRel);
            let _ = Response::text(503, "too many connections\n").write(&mut stream, false);
            continue;
        }
        let (door, stopping, count) = (door.clone(), stopping.clone(), open.clone());
        let started = thread::Builder::new().name("http connection".to_owned()).spawn(move || {
            // Who stays away or goes away ends the connection, and nothing else.
            let _ = serve(stream, &door, &stopping);
            count.fetch_sub(1, Ordering::AcqRel);
        });
        if started.is_err() {
            open.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

fn serve(mut stream: TcpStream, door: &Door, stopping: &AtomicBool) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let most = door.config.limits.bundle_bytes as usize;
    let mut reader = Reader::new(most);
    loop {
        let begun = monotonic();
        let request = reader.read(&mut stream, &mut |has_begun| {
            let patience = if has_begun { PATIENCE } else { IDLE };
            begun.elapsed() < patience && !stopping.load(Ordering::Relaxed)
        });
        let request = match request {
            Ok(request) => request,
            Err(Failure::Gone) => return Ok(()),
            Err(Failure::Bad(status, why)) => {
                return Response::text(status, format!("{why}\n")).write(&mut stream, false);
            }
        };
        let response = routes::answer(door, &request);
        let keep = request.keep_alive && !stopping.load(Ordering::Relaxed);
        response.write(&mut stream, keep)?;
        if !keep {
            return Ok(());
        }
    }
}
