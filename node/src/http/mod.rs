//! HTTP/1.1 on loopback: health, metrics, control. By `axum`, on a runtime of one thread; what waits for the engine or the disk does so on a
//! bounded number of others, so that who asks for health is answered whatever they wait for.

mod guard;
mod guests;
mod routes;
mod slow;

use crate::{door::Door, token::Token};
use axum::{Extension, Router};
use guard::Guard;
use guests::{Guest, Guests};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use slow::Deadlined;
use std::{
    io,
    net::TcpListener,
    pin::pin,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};
use tokio::{
    net::TcpStream,
    runtime,
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
    time::{sleep, timeout},
};

/// Connections at a time; more are told to come back.
const MAX_CONNECTIONS: usize = 128;
/// Requests that wait for the engine, the disk or a message at a time; more are told to come back. Health, metrics and states never wait.
const MAX_WAITING: usize = 64;
/// How long the first head of a connection may take to come in.
const FIRST_WORDS: Duration = Duration::from_secs(2);
/// How long a newcomer waits for the place of a guest that is shown out.
const LEAVING: Duration = Duration::from_millis(250);
/// How long a connection may be idle, and the head of a further request may take to come in.
const IDLE: Duration = Duration::from_secs(30);
/// How long a whole answer may take to be taken.
const ANSWER: Duration = Duration::from_secs(30);
/// Largest head of a request, in bytes; and read at once.
const BUFFER_BYTES: usize = 16 << 10;
const MAX_HEADERS: usize = 48;
/// How long answers that are being written are waited for at the end.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The server.
pub(crate) struct Server {
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start(listener: TcpListener, door: Door, token: Token) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let mut builder = runtime::Builder::new_current_thread();
        let runtime =
            builder.enable_all().max_blocking_threads(MAX_WAITING).thread_name("http request").build()?;
        let listener = {
            let _entered = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let app = routes::app(door, Arc::new(Guard::new(token.clone())), Arc::new(token));
        let (stop, stopping) = watch::channel(false);
        let thread = thread::Builder::new().name("http".to_owned()).spawn(move || {
            runtime.block_on(serve(listener, app, stopping));
            // What still waits gives up by itself.
            runtime.shutdown_background();
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// No more connections are taken; those that are open end with their request.
    pub(crate) fn stop(&mut self) {
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(listener: tokio::net::TcpListener, app: Router, mut stopping: watch::Receiver<bool>) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let guests = Guests::default();
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopping.changed() => break,
        };
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = accepted else {
            // Such as too many open files: others may be closed meanwhile.
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        let Some(slot) = place(&slots, &guests).await else {
            turn_away(&stream).await;
            continue;
        };
        let (app, stopping, guest) = (app.clone(), stopping.clone(), guests.come());
        connections.spawn(async move {
            converse(stream, app, stopping, &guest).await;
            guest.leave();
            drop(slot);
        });
    }
    let ended = async { while connections.join_next().await.is_some() {} };
    let _ = timeout(LAST_WORDS, ended).await;
}

/// A place for who has come: a free one, or that of a guest.
async fn place(slots: &Arc<Semaphore>, guests: &Guests) -> Option<OwnedSemaphorePermit> {
    if let Ok(slot) = slots.clone().try_acquire_owned() {
        return Some(slot);
    }
    if !guests.show_out_one() {
        return None;
    }
    timeout(LEAVING, slots.clone().acquire_owned()).await.ok()?.ok()
}

async fn turn_away(stream: &TcpStream) {
    const WORDS: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 21\r\n\r\ntoo many connections\n";
    // A fresh connection takes so few bytes at once; else nobody waits for it.
    let _ = timeout(Duration::from_millis(100), stream.writable()).await;
    let _ = stream.try_write(WORDS);
}

async fn converse(stream: TcpStream, app: Router, mut stopping: watch::Receiver<bool>, guest: &Guest) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let stream = TokioIo::new(Deadlined::new(stream, ANSWER));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .max_buf_size(BUFFER_BYTES)
        .max_headers(MAX_HEADERS);
    let app = app.layer(Extension(guest.clone()));
    let mut connection = pin!(http.serve_connection(stream, TowerToHyperService::new(app)));
    // Who stays away or goes away ends the connection, and nothing else.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = guest.is_to_leave(FIRST_WORDS) => return,
        _ = stopping.changed() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
