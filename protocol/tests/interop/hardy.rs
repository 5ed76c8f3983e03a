//! hardy 0.4: TCPCLv4 by the letter, in the program of `interop/hardy-peer`. Its echo service answers over the same session.

use super::{
    host::{TcpclHost, bundle, read},
    peer::{Process, accept, connect, free, program},
};
use cosmosmesh_protocol::{
    bundle::Policy,
    convergence::tcpcl::{Acknowledgements, Role},
};
use std::{
    net::TcpListener,
    process::{Command, Stdio},
};

fn start(listen: u16, connect_to: Option<u16>) -> Process {
    let mut command = Command::new(program("hardy-peer"));
    command.arg("2").arg(format!("127.0.0.1:{listen}")).stdin(Stdio::piped()).stdout(Stdio::null());
    command.args(connect_to.map(|port| format!("127.0.0.1:{port}")));
    Process::start(&mut command)
}

/// Sends bundles of one and of many segments to the echo service, and takes the answers.
fn echo(mut host: TcpclHost) {
    let long: Vec<u8> = (0..20_000_u32).map(|at| at as u8).collect();
    for (token, payload) in [b"ping".as_slice(), &long].into_iter().enumerate() {
        host.send(token as u64, bundle("ipn:1.1", "ipn:2.7", payload));
        let answer = read(&host.receive(), Policy::Strict);
        assert_eq!(answer.payload(), payload);
        assert_eq!(answer.primary().source.to_string(), "ipn:2.7");
    }
    host.finish();
}

#[test]
#[ignore = "needs hardy-peer, which protocol/tests/interop/hardy-peer builds"]
fn hardy_takes_and_returns_our_bundles_on_our_connection() {
    let port = free().port();
    let _hardy = start(port, None);
    echo(TcpclHost::start(connect(port), Role::Active, "ipn:1.0", Acknowledgements::Strict));
}

#[test]
#[ignore = "needs hardy-peer, which protocol/tests/interop/hardy-peer builds"]
fn hardy_takes_and_returns_our_bundles_on_its_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let _hardy = start(free().port(), Some(listener.local_addr().expect("an address").port()));
    echo(TcpclHost::start(accept(&listener), Role::Passive, "ipn:1.0", Acknowledgements::Strict));
}
