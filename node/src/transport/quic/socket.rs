//! The socket under QUIC, which can be spoken at again after it has failed.

use quinn::{AsyncUdpSocket, Endpoint, EndpointConfig, Runtime as _, ServerConfig, TokioRuntime};
use std::{io, net::UdpSocket, sync::Arc};

type Open = Box<dyn Fn() -> io::Result<Arc<dyn AsyncUdpSocket>> + Send>;

/// A bound socket. It stays bound whatever becomes of an endpoint at it.
pub(super) struct Socket(Open);

impl Socket {
    /// One of the system.
    pub(super) fn plain(socket: UdpSocket) -> Self {
        Self(Box::new(move || TokioRuntime.wrap_udp_socket(socket.try_clone()?)))
    }

    /// An endpoint at it. Inside of the runtime that is to drive it.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn endpoint(&self, server: Option<ServerConfig>) -> io::Result<Endpoint> {
        let (config, runtime) = (EndpointConfig::default(), Arc::new(TokioRuntime));
        Endpoint::new_with_abstract_socket(config, server, (self.0)()?, runtime)
    }

    #[cfg(test)]
    pub(super) fn of(open: Open) -> Self {
        Self(open)
    }
}
