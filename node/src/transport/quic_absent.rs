//! QUIC, in a program that is built without it.

use super::stream::Streams;
use crate::tls::{Proven, TlsSetup};
use std::{
    convert::Infallible,
    io,
    net::{SocketAddr, UdpSocket},
    sync::Arc,
    time::Duration,
};

/// Not built in.
pub(crate) struct Quic(Infallible);

impl Quic {
    pub(crate) fn start(
        _: UdpSocket,
        _: Arc<TlsSetup>,
        _: Streams,
        _: Duration,
        _: bool,
    ) -> io::Result<Self> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "this program is built without the feature `quic`"))
    }

    pub(crate) fn keep_dialling(&self, _: usize, _: SocketAddr) {
        match self.0 {}
    }
}

/// There is none.
#[derive(Debug)]
pub(crate) struct QuicStream(Infallible);

impl QuicStream {
    pub(super) fn proven(&self) -> &Proven {
        match self.0 {}
    }

    pub(super) fn read(&self, _: &mut [u8]) -> io::Result<usize> {
        match self.0 {}
    }

    pub(super) fn write_all(&self, _: &[u8]) -> io::Result<()> {
        match self.0 {}
    }

    pub(super) fn end(&self) {
        match self.0 {}
    }

    pub(super) fn finish_writing(&self) {
        match self.0 {}
    }

    pub(super) fn shut_down(&self) {
        match self.0 {}
    }
}
