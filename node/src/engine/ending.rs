//! The end of the engine, whatever it ends by.

use crate::{mailbox::Mailbox, transport::stream::Streams};
use std::{net::SocketAddr, sync::Arc};

/// Ends what works for the engine when it is dropped: also when the engine has panicked, nobody listens, dials, or waits for an answer after it.
pub(super) struct Ending {
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) streams: Streams,
    pub(super) listeners: Vec<SocketAddr>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.mailbox.abandon();
        if !self.streams.stopping.is_stopping() {
            self.streams.stop(&self.listeners);
        }
        self.streams.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{engine::Command, inbox::InboxNumber, mailbox::reply, transport::StreamKind};
    use std::{
        net::{TcpListener, TcpStream},
        sync::mpsc::RecvTimeoutError,
        thread,
        time::Duration,
    };

    #[test]
    fn after_a_panic_nobody_listens_and_nobody_waits_for_an_answer() {
        let mailbox = Mailbox::new();
        let streams = Streams::new(mailbox.clone(), 4);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        streams.listen(listener, StreamKind::Tcpcl).unwrap();
        let (asked, answer) = reply();
        assert!(mailbox.post_command(Command::Take(InboxNumber(1), asked), Duration::ZERO));
        let ending = Ending { mailbox: mailbox.clone(), streams, listeners: vec![address] };
        let ended = thread::spawn(move || {
            let _ending = ending;
            panic!("a defect, in a test");
        });
        assert!(ended.join().is_err());
        assert_eq!(answer.recv_timeout(Duration::from_secs(30)), Err(RecvTimeoutError::Disconnected));
        let (asked, _) = reply();
        assert!(
            !mailbox.post_command(Command::Take(InboxNumber(1), asked), Duration::ZERO),
            "no more are taken"
        );
        let gone = || TcpStream::connect(address).is_err();
        assert!(
            (0..3000).any(|_| gone() || {
                thread::sleep(Duration::from_millis(10));
                false
            }),
            "its port is free"
        );
    }
}
