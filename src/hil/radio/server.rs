//! Programs at an emulated radio: TCP, one thread to read and one to write for each.

use super::net::MeshNet;
use crate::hil::wire::WireError;
use cosmosmesh_node::transport::meshtastic::{StreamDecoder, ToRadio};
use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::mpsc::{Receiver, sync_channel},
    thread,
    time::Duration,
};

/// Messages that may wait for a program to read them.
const WAITING: usize = 512;
/// How long a program may take to read something.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long half a message waits for its other half.
const GAP: Duration = Duration::from_secs(2);

/// Offers a radio at an address of this machine; gives the address, with the port that it got.
///
/// # Errors
/// [`WireError`].
pub(in crate::hil) fn serve(address: &str, interface: u32, net: &MeshNet) -> Result<SocketAddr, WireError> {
    let malformed = || WireError::Address {
        found: address.to_owned(),
        allowed: "where an emulated radio listens is HOST:PORT of this machine, in figures, such as 127.0.0.1:4403",
    };
    let at: SocketAddr = address.parse().map_err(|_| malformed())?;
    // The protocol has no password.
    if !at.ip().is_loopback() {
        return Err(malformed());
    }
    let failed = |source| WireError::Io { what: format!("emulated radio at {at}"), source };
    let listener = TcpListener::bind(at).map_err(failed)?;
    let local = listener.local_addr().map_err(failed)?;
    let net = net.clone();
    let accepting = thread::Builder::new().name(format!("hil radio {local}"));
    accepting
        .spawn(move || {
            for stream in listener.incoming() {
                match stream {
                    Ok(stream) => welcome(stream, interface, &net),
                    // Such as too many open files: others may be closed meanwhile.
                    Err(_) => thread::sleep(Duration::from_millis(100)),
                }
            }
        })
        .map_err(failed)?;
    Ok(local)
}

fn welcome(stream: TcpStream, interface: u32, net: &MeshNet) {
    let prepared = stream
        .set_nodelay(true)
        .and_then(|()| stream.set_write_timeout(Some(PATIENCE)))
        .and_then(|()| stream.set_read_timeout(Some(GAP)))
        .and_then(|()| stream.try_clone());
    let Ok(writing) = prepared else { return };
    let (writer, messages) = sync_channel(WAITING);
    let client = net.attach(interface, writer);
    let net = net.clone();
    let started = thread::Builder::new()
        .name("hil radio write".to_owned())
        .spawn(move || write(writing, &messages))
        .and_then(|_| {
            let net = net.clone();
            thread::Builder::new().name("hil radio read".to_owned()).spawn(move || {
                read(stream, interface, client, &net);
                net.detach(interface, client);
            })
        });
    if started.is_err() {
        net.detach(interface, client);
    }
}

/// Until the channel ends: the program is gone, or was let go.
fn write(mut stream: TcpStream, messages: &Receiver<Vec<u8>>) {
    for message in messages {
        if stream.write_all(&message).is_err() {
            break;
        }
    }
    let _ = stream.shutdown(Shutdown::Both);
}

fn read(mut stream: TcpStream, interface: u32, client: u64, net: &MeshNet) {
    let mut decoder = StreamDecoder::<ToRadio>::default();
    let mut buffer = [0; 4096];
    loop {
        let mut rest: &[u8] = match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => &buffer[..length],
            Err(error)
                if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) =>
            {
                decoder.give_up();
                &[]
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(_) => return,
        };
        while let Some(message) = decoder.take(&mut rest) {
            net.said(interface, client, message);
        }
    }
}
