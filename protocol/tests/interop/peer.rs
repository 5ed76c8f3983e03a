//! Other people's programs: where they are, and processes that end with the test. Tests of other packages include this file.

use std::{
    env,
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

/// How long a peer may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

#[expect(clippy::disallowed_methods, reason = "tests with peers run in real time")]
pub(crate) fn clock() -> Instant {
    Instant::now()
}

/// A program of a peer, from the folders of `COSMOSMESH_PEERS` or of `PATH`, if it is there.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let lists = env::var_os("COSMOSMESH_PEERS").into_iter().chain(env::var_os("PATH"));
    let folders = lists.flat_map(|list| env::split_paths(&list).collect::<Vec<_>>());
    folders.map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// A program that has to be there.
pub(crate) fn program(name: &str) -> PathBuf {
    find(name).unwrap_or_else(|| {
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

/// An address of this machine that nobody listens on.
pub(crate) fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port")
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
