//! Programs of peers: where they are, and processes that end with the test.

use super::host::{PATIENCE, clock};
use std::{
    env,
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command},
    thread,
    time::Duration,
};

/// A program of a peer, from the folder `COSMOSMESH_PEERS` or from `PATH`.
pub(crate) fn program(name: &str) -> PathBuf {
    let folders = env::var_os("COSMOSMESH_PEERS").into_iter().chain(env::var_os("PATH"));
    let found =
        folders.flat_map(|list| env::split_paths(&list).collect::<Vec<_>>()).map(|folder| folder.join(name));
    found.into_iter().find(|path| path.is_file()).unwrap_or_else(|| {
        panic!(
            "{name} is not installed: docs/INTEROP.md says how; its folder goes into PATH or COSMOSMESH_PEERS"
        )
    })
}

/// A process that ends with the test.
pub(crate) struct Process(pub(crate) Child);

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self(command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port of this machine that nobody listens on.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// Connects to a peer that may still be starting.
pub(crate) fn connect(port: u16) -> TcpStream {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let start = clock();
    loop {
        match TcpStream::connect(address) {
            Ok(stream) => return stream,
            Err(error) => assert!(start.elapsed() < PATIENCE, "{address}: {error}"),
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// Accepts the connection of a peer.
pub(crate) fn accept(listener: &TcpListener) -> TcpStream {
    listener.set_nonblocking(true).expect("nonblocking");
    let start = clock();
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false).expect("blocking");
                return stream;
            }
            Err(error) => assert!(start.elapsed() < PATIENCE, "the peer does not connect: {error}"),
        }
        thread::sleep(Duration::from_millis(20));
    }
}
