//! The client's end of a connection to a daemon's control.

use super::ClientError;
use crate::{
    key::{self, KeyError},
    message::hex,
    token::Token,
};
use std::{io, net::SocketAddr, time::Duration};
use ureq::Agent;

/// How long an answer may take: longer than a daemon lets anyone wait.
const PATIENCE: Duration = Duration::from_secs(70);
const DIAL_PATIENCE: Duration = Duration::from_secs(5);
/// A daemon gives an idle connection up after half a minute.
const STALE: Duration = Duration::from_secs(15);
/// More is never told at once.
const MAX_BODY_BYTES: u64 = 256 << 20;

/// Connections that are made when they are needed.
pub(super) struct Connection {
    address: SocketAddr,
    agent: Agent,
    authorization: Option<String>,
}

impl Connection {
    /// Asks whether anybody is there, and whether it knows the token.
    pub(super) fn open(address: SocketAddr, token: Option<&Token>) -> Result<Self, ClientError> {
        let config = Agent::config_builder()
            // Whatever the environment says: it is this machine.
            .proxy(None)
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_connect(Some(DIAL_PATIENCE))
            .timeout_global(Some(PATIENCE))
            .max_idle_age(STALE)
            .build();
        let mut connection = Self { address, agent: config.new_agent(), authorization: None };
        let Some(token) = token else {
            connection.request("GET", "/healthz", &[])?;
            return Ok(connection);
        };
        // The address may be another's by now: only who knows the token is shown it.
        let failed = |source: KeyError| ClientError::Connection { address, source: io::Error::other(source) };
        let asked = key::random().map_err(failed)?;
        let target = format!("/healthz?ask={}", hex::digits(&asked));
        let (_, body) = connection.request("GET", &target, &[])?;
        let expected = token.answer(address, &asked);
        if !body.split(|byte| *byte == b'\n').any(|line| line == expected.as_bytes()) {
            return Err(ClientError::Stranger { address });
        }
        connection.authorization = Some(format!("Bearer {}", token.digits()));
        Ok(connection)
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Status and body of the answer. Nothing is asked twice.
    pub(super) fn request(
        &self,
        method: &str,
        target: &str,
        body: &[u8],
    ) -> Result<(u16, Vec<u8>), ClientError> {
        let address = self.address;
        self.exchange(method, target, body)
            .map_err(|error| ClientError::Connection { address, source: into_io(error) })
    }

    fn exchange(&self, method: &str, target: &str, body: &[u8]) -> Result<(u16, Vec<u8>), ureq::Error> {
        let uri = format!("http://{}{target}", self.address);
        let mut response = if method == "GET" {
            let mut request = self.agent.get(uri);
            if let Some(words) = &self.authorization {
                request = request.header("authorization", words);
            }
            request.call()?
        } else {
            let mut request = self.agent.post(uri).content_type("application/octet-stream");
            if let Some(words) = &self.authorization {
                request = request.header("authorization", words);
            }
            request.send(body)?
        };
        let status = response.status().as_u16();
        let bytes = response.body_mut().with_config().limit(MAX_BODY_BYTES).read_to_vec()?;
        Ok((status, bytes))
    }
}

fn into_io(error: ureq::Error) -> io::Error {
    match error {
        ureq::Error::Io(error) => error,
        ureq::Error::Timeout(_) => io::ErrorKind::TimedOut.into(),
        other => io::Error::other(other),
    }
}

/// A text as part of a query.
pub(super) fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02x}"),
        })
        .collect()
}
