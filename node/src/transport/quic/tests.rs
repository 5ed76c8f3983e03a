//! A socket that fails under QUIC.

use super::*;
use crate::mailbox::{Mailbox, Open};
use cosmosmesh_protocol::{
    id::NodeId,
    identity::{KeyPair, PublicKey},
};
use quinn::{AsyncUdpSocket, Runtime as _, TokioRuntime, UdpPoller, udp};
use std::{
    pin::Pin,
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll},
};

const OPEN: Open = Open { traffic: true, commands: true };

/// A socket of the system that can be told to fail.
#[derive(Debug)]
struct Failing {
    socket: Arc<dyn AsyncUdpSocket>,
    fails: Arc<AtomicBool>,
}

impl AsyncUdpSocket for Failing {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        self.socket.clone().create_io_poller()
    }

    fn try_send(&self, transmit: &udp::Transmit<'_>) -> io::Result<()> {
        self.socket.try_send(transmit)
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [io::IoSliceMut<'_>],
        meta: &mut [udp::RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let received = self.socket.poll_recv(cx, buffers, meta);
        if received.is_ready() && self.fails.swap(false, Ordering::AcqRel) {
            return Poll::Ready(Err(io::ErrorKind::OutOfMemory.into()));
        }
        received
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.socket.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.socket.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.socket.may_fragment()
    }
}

fn keys(node: u8) -> KeyPair {
    KeyPair::from_seed([node; 32])
}

fn tls(node: u8, peer: u8) -> Arc<TlsSetup> {
    let known: (NodeId, PublicKey) = (NodeId(u64::from(peer)), keys(peer).public().clone());
    Arc::new(TlsSetup::new(NodeId(u64::from(node)), &keys(node), [known], None).unwrap())
}

/// The next event that is looked for.
fn wait_for<T>(mailbox: &Mailbox, found: impl Fn(Event) -> Option<T>) -> T {
    let begun = monotonic();
    while begun.elapsed() < Duration::from_secs(60) {
        let (events, _) = mailbox.take(Duration::from_millis(100), OPEN, 100);

        if let Some(found) = events.into_iter().find_map(&found) {
            return found;
        }
    }
    panic!("it never came");
}

#[test]
fn a_socket_that_fails_is_told_of_and_spoken_at_again() {
    let patience = Duration::from_secs(30);
    let plain = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (at, fails) = (plain.local_addr().unwrap(), Arc::new(AtomicBool::new(false)));
    let switch = fails.clone();
    let socket = Socket::of(Box::new(move || {
        let (socket, fails) = (TokioRuntime.wrap_udp_socket(plain.try_clone()?)?, switch.clone());
        Ok(Arc::new(Failing { socket, fails }))
    }));
    let streams = Streams::new(Mailbox::new(), 4);
    let listening = Quic::start_at(at, socket, (tls(2, 1), streams.clone(), patience), true).unwrap();
    fails.store(true, Ordering::Release);
    let other = UdpSocket::bind("127.0.0.1:0").unwrap();
    other.send_to(b"anything", at).unwrap();
    let how = |event| match event {
        Event::Quic { at, trouble } => Some((at, trouble.is_some())),
        _ => None,
    };
    assert_eq!(wait_for(&streams.mailbox, how), (at, true));
    assert_eq!(wait_for(&streams.mailbox, how), (at, false));

    let dialling = Streams::new(Mailbox::new(), 4);
    let quic = Quic::start(other, tls(1, 2), dialling.clone(), patience, false).unwrap();
    quic.keep_dialling(0, at);
    let opened = wait_for(&dialling.mailbox, |event| match event {
        Event::Opened(opened) => Some(opened),
        _ => None,
    });
    assert_eq!(opened.stream.proven().map(|proven| proven.node), Some(NodeId(2)));
    opened.stream.shut_down();
    drop((opened, quic, listening));
}

#[test]
fn when_the_engine_has_ended_the_port_is_free_whoever_holds_on_to_the_daemon() {
    let plain = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (at, streams) = (plain.local_addr().unwrap(), Streams::new(Mailbox::new(), 4));
    let quic = Quic::start(plain, tls(2, 1), streams.clone(), Duration::from_secs(30), true).unwrap();
    assert!(UdpSocket::bind(at).is_err());
    streams.end();
    let begun = monotonic();
    while UdpSocket::bind(at).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(60), "its port is not free");
        thread::sleep(Duration::from_millis(10));
    }
    drop(quic);
}
