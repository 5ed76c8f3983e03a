//! A connection on which a whole answer has to be taken in time: a byte now and then is no reading.

use std::{
    future::Future as _,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// A stream whose peer has so long to take what is written between two flushes: one answer.
pub(super) struct Deadlined<S> {
    stream: S,
    patience: Duration,
    /// Runs from the first write of an answer that had to wait.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<S> Deadlined<S> {
    pub(super) const fn new(stream: S, patience: Duration) -> Self {
        Self { stream, patience, waiting: None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Deadlined<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Deadlined<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match Pin::new(&mut this.stream).poll_write(cx, bytes) {
            Poll::Pending => {
                let patience = this.patience;
                let waiting = this.waiting.get_or_insert_with(|| Box::pin(sleep(patience)));
                ready!(waiting.as_mut().poll(cx));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
            written => written,
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // Called when nothing is left to be written.
        this.waiting = None;
        Pin::new(&mut this.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _, duplex},
        runtime::Builder,
        time::timeout,
    };

    /// Writes `length` bytes to somebody who takes `bytes` every 10 ms, and has 200 ms for all.
    fn write_to(length: usize, bytes: usize) -> io::Result<()> {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (near, mut far) = duplex(1024);
            let mut stream = Deadlined::new(near, Duration::from_millis(200));
            let reader = tokio::spawn(async move {
                let mut buffer = vec![0; bytes];
                while far.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                    sleep(Duration::from_millis(10)).await;
                }
            });
            let written = timeout(Duration::from_secs(20), async {
                stream.write_all(&vec![7; length]).await?;
                stream.flush().await
            });
            let written = written.await.expect("it ends by itself");
            reader.abort();
            written
        })
    }

    #[test]
    fn an_answer_is_written_to_who_reads_and_given_up_to_who_dawdles() {
        assert!(write_to(4096, 4096).is_ok());
        assert_eq!(write_to(1 << 20, 1).unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
