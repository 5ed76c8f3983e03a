//! Who may ask what: requests for this machine, from no page of the web, with the daemon's token; each has a deadline.

use super::guests::Guest;
use crate::{engine::Refusal, token::Token};
use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use std::{net::IpAddr, sync::Arc, time::Duration};
use tokio::time::timeout;

/// How long a whole request may take: its body to come in, and its answer to be found. Longer than anything waits that it asks for.
const PATIENCE: Duration = Duration::from_secs(35);
/// What anybody on this machine may ask.
const OPEN: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// What is asked of a request before anything else is looked at.
pub(super) struct Guard(Token);

impl Guard {
    pub(super) const fn new(token: Token) -> Self {
        Self(token)
    }

    fn judge(&self, path: &str, headers: &HeaderMap) -> Result<(), (StatusCode, Refusal)> {
        let forbidden = |reason, problem| Err((StatusCode::FORBIDDEN, Refusal::new(reason, problem)));
        // A page of the web, read by a browser on this machine, may not send in this node's name: neither by its own origin,
        // nor by a name of its own that leads here.
        if headers.contains_key(header::ORIGIN) {
            return forbidden("origin", "not for pages of the web");
        }
        let mut hosts = headers.get_all(header::HOST).iter();
        match (hosts.next().and_then(|host| host.to_str().ok()), hosts.next()) {
            (Some(host), None) if Self::is_this_machine(host) => {}
            _ => return forbidden("host", "the host is not an address of this machine"),
        }
        if OPEN.contains(&path) {
            return Ok(());
        }
        let shown = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
        let shown = shown.and_then(|shown| shown.strip_prefix(b"Bearer "));
        match shown {
            Some(shown) if self.0.is(shown) => Ok(()),
            Some(_) => {
                Err((StatusCode::UNAUTHORIZED, Refusal::new("wrong_token", "not this daemon's token")))
            }
            None => {
                let problem =
                    "asked without the daemon's token, which is in the file `token` of its state folder";
                Err((StatusCode::UNAUTHORIZED, Refusal::new("no_token", problem)))
            }
        }
    }

    fn is_this_machine(host: &str) -> bool {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        };
        let name = name.trim_start_matches('[').trim_end_matches(']');
        name.eq_ignore_ascii_case("localhost")
            || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

pub(super) async fn check(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let judged = guard.judge(path, request.headers());
    if let Some(guest) = request.extensions().get::<Guest>() {
        guest.was_heard(judged.is_ok() && !OPEN.contains(&path));
    }
    let mut response = match judged {
        Ok(()) => match timeout(PATIENCE, next.run(request)).await {
            Ok(response) => response,
            Err(_) => {
                let problem = "the request took too long: it may have been taken, and may yet be done";
                (StatusCode::REQUEST_TIMEOUT, Json(Refusal::new("unanswered", problem))).into_response()
            }
        },
        Err((status, refusal)) => (status, Json(refusal)).into_response(),
    };
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    fn status(path: &str, given: &[(header::HeaderName, &str)]) -> u16 {
        let guard = Guard::new(Token::of(TOKEN).unwrap());
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        guard.judge(path, &headers).map_or_else(|(status, _)| status.as_u16(), |()| 200)
    }

    #[test]
    fn what_is_not_for_this_machine_is_refused() {
        let with = |host: &str| status("/metrics", &[(header::HOST, host)]);
        for host in ["127.0.0.1:7", "127.0.0.1", "localhost:7", "[::1]:7", "[::1]", "LOCALHOST:7"] {
            assert_eq!(with(host), 200, "{host}");
        }
        for host in ["evil.example", "evil.example:7", "10.0.0.1:7", "127.0.0.1.evil.example:7", ""] {
            assert_eq!(with(host), 403, "{host}");
        }
        assert_eq!(status("/metrics", &[]), 403);
        assert_eq!(status("/metrics", &[(header::HOST, "localhost:7"), (header::HOST, "localhost:7")]), 403);
        let origin = [(header::HOST, "localhost:7"), (header::ORIGIN, "http://evil.example")];
        assert_eq!(status("/metrics", &origin), 403);
    }

    #[test]
    fn what_is_more_than_health_and_metrics_is_for_who_shows_the_token() {
        let host = (header::HOST, "localhost:7");
        for path in OPEN {
            assert_eq!(status(path, std::slice::from_ref(&host)), 200, "{path}");
        }
        let shown = |words: &str| status("/v1/status", &[host.clone(), (header::AUTHORIZATION, words)]);
        assert_eq!(shown(&format!("Bearer {TOKEN}")), 200);
        for wrong in [TOKEN, "Bearer ", "Bearer 0011", "Basic 0011", &format!("Bearer {}0", &TOKEN[..63])] {
            assert_eq!(shown(wrong), 401, "{wrong}");
        }
        assert_eq!(status("/v1/shutdown", &[host]), 401);
    }
}
