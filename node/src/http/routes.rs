//! What is answered to which request.

use super::{Response, request::Request};
use crate::{credential, door::Door, engine::Refusal, revocation};
use cosmosmesh_protocol::{
    convergence::mtcp,
    dtn::store::Priority,
    envelope::Purpose,
    id::{EndpointId, NodeId},
    node::{BundleSubmission, Submission},
};
use serde::Serialize;
use std::{str::FromStr, time::Duration};

/// Most messages that are told at once.
const MAX_MESSAGES: usize = 1000;
/// The lifetime of what does not say one, in seconds.
const LIFETIME_S: u64 = 86_400;

pub(super) fn answer(door: &Door, request: &Request) -> Response {
    let known = ROUTES.iter().filter(|(_, path, _)| *path == request.path);
    let mut methods = known.clone().map(|(method, ..)| *method);
    match known.clone().find(|(method, ..)| *method == request.method) {
        Some((_, _, route)) => route(door, request).unwrap_or_else(|refusal| refused(&refusal)),
        None => match methods.next() {
            Some(method) => Response::text(405, format!("{} takes {method}\n", request.path)),
            None => Response::text(404, "no such path\n"),
        },
    }
}

type Route = fn(&Door, &Request) -> Result<Response, Refusal>;

const ROUTES: &[(&str, &str, Route)] = &[
    ("GET", "/healthz", healthz),
    ("GET", "/readyz", readyz),
    ("GET", "/metrics", metrics),
    ("GET", "/v1/status", |door, _| Ok(Response::json(200, &door.health()))),
    ("GET", "/v1/peers", |door, _| Ok(Response::json(200, &door.peers()))),
    ("GET", "/v1/contacts", contacts),
    ("GET", "/v1/plan", |door, _| Ok(Response::json(200, &door.snapshot().plan))),
    ("POST", "/v1/send", send),
    ("POST", "/v1/send_many", send_many),
    ("POST", "/v1/bundle", bundle),
    ("GET", "/v1/inbox", inbox),
    ("POST", "/v1/take", take),
    ("POST", "/v1/learn", learn),
    ("POST", "/v1/revoke", revoke),
    ("POST", "/v1/shutdown", shutdown),
];

fn refused(refusal: &Refusal) -> Response {
    let status = match refusal.reason.as_str() {
        "stream_full" | "store_full" | "rate_exceeded" => 429,
        "busy" | "unanswered" | "store" => 503,
        _ => 400,
    };
    Response::json(status, refusal)
}

fn healthz(door: &Door, _request: &Request) -> Result<Response, Refusal> {
    Ok(if door.is_alive() {
        Response::text(200, "ok\n")
    } else {
        Response::text(503, "the engine does not answer\n")
    })
}

fn readyz(door: &Door, _request: &Request) -> Result<Response, Refusal> {
    let troubles = door.health().troubles;
    Ok(if troubles.is_empty() {
        Response::text(200, "ready\n")
    } else {
        Response::text(503, format!("{}\n", troubles.join("\n")))
    })
}

fn metrics(door: &Door, _request: &Request) -> Result<Response, Refusal> {
    let content = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(Response { status: 200, content, body: door.snapshot().open_metrics().into_bytes() })
}

/// A contact that is open now.
#[derive(Serialize)]
struct Contact {
    peer: u64,
    via: String,
    links: u32,
    addresses: Vec<String>,
}

fn contacts(door: &Door, _request: &Request) -> Result<Response, Refusal> {
    let up = door.peers().into_iter().filter(|peer| peer.links_up > 0);
    let contacts: Vec<Contact> = up
        .map(|peer| Contact {
            peer: peer.node,
            via: peer.via,
            links: peer.links_up,
            addresses: peer.addresses,
        })
        .collect();
    Ok(Response::json(200, &contacts))
}

fn send(door: &Door, request: &Request) -> Result<Response, Refusal> {
    let submission = submission(request, request.body.clone())?;
    door.submit(submission).map(|accepted| Response::json(200, &accepted))
}

/// Payloads one after another as CBOR byte strings, the way MTCP carries bundles.
fn send_many(door: &Door, request: &Request) -> Result<Response, Refusal> {
    let (mut parser, mut rest) = (mtcp::Parser::new(request.body.len() as u64), request.body.as_slice());
    let mut submissions = Vec::new();
    while let Some(payload) =
        parser.take(&mut rest).map_err(|error| Refusal::new("bad_body", error.to_string()))?
    {
        submissions.push(submission(request, payload)?);
    }
    if !parser.is_between_bundles() {
        return Err(Refusal::new("bad_body", "the last payload is cut off"));
    }
    Ok(Response::json(200, &door.submit_all(submissions)))
}

fn submission(request: &Request, payload: Vec<u8>) -> Result<Submission, Refusal> {
    check_fields(request, &["to", "purpose", "lifetime_s", "priority"])?;
    let purpose = match request.query.get("purpose").map_or("telemetry", String::as_str) {
        "telemetry" => Purpose::Telemetry,
        "command" => Purpose::Command,
        "event" => Purpose::Event,
        _ => return Err(bad("purpose", "telemetry, command or event")),
    };
    Ok(Submission {
        destination: NodeId(field(request, "to")?.ok_or_else(|| bad("to", "a node's number"))?),
        purpose,
        priority: priority(request)?,
        lifetime: lifetime(request)?,
        payload,
    })
}

fn bundle(door: &Door, request: &Request) -> Result<Response, Refusal> {
    check_fields(request, &["to", "from", "lifetime_s", "priority"])?;
    let destination: EndpointId = field(request, "to")?.ok_or_else(|| bad("to", "an endpoint"))?;
    let source = field(request, "from")?.unwrap_or_else(|| door.own_endpoint(&destination));
    let mut submission = BundleSubmission::new(source, destination, lifetime(request)?, request.body.clone());
    submission.priority = priority(request)?;
    door.send_bundle(submission).map(|accepted| Response::json(200, &accepted))
}

fn inbox(door: &Door, request: &Request) -> Result<Response, Refusal> {
    check_fields(request, &["after", "most", "wait_ms"])?;
    let most = field(request, "most")?.unwrap_or(MAX_MESSAGES).min(MAX_MESSAGES);
    let patience = Duration::from_millis(field(request, "wait_ms")?.unwrap_or(0));
    let messages = door.inbox(field(request, "after")?, most, patience)?;
    Ok(Response::json(200, &messages))
}

fn take(door: &Door, request: &Request) -> Result<Response, Refusal> {
    check_fields(request, &["through"])?;
    door.take(field(request, "through")?.ok_or_else(|| bad("through", "a message's number"))?)?;
    Ok(Response::text(200, ""))
}

/// Statements of the authority, one a line.
fn learn(door: &Door, request: &Request) -> Result<Response, Refusal> {
    let text = std::str::from_utf8(&request.body).unwrap_or_default();
    let statements = credential::parse(text)
        .map_err(|line| Refusal::new("bad_body", format!("line {line} holds no statement")))?;
    Ok(Response::json(200, &door.learn(statements)))
}

fn revoke(door: &Door, request: &Request) -> Result<Response, Refusal> {
    check_fields(request, &["node", "cause"])?;
    let node = NodeId(field(request, "node")?.ok_or_else(|| bad("node", "a node's number"))?);
    let cause = revocation::cause(request.query.get("cause").map_or("", String::as_str))?;
    door.revoke(node, cause).map(|revocation| Response::json(200, &revocation))
}

fn shutdown(door: &Door, _request: &Request) -> Result<Response, Refusal> {
    door.stop();
    Ok(Response::text(200, ""))
}

fn priority(request: &Request) -> Result<Priority, Refusal> {
    match request.query.get("priority").map_or("normal", String::as_str) {
        "bulk" => Ok(Priority::Bulk),
        "normal" => Ok(Priority::Normal),
        "expedited" => Ok(Priority::Expedited),
        _ => Err(bad("priority", "bulk, normal or expedited")),
    }
}

fn lifetime(request: &Request) -> Result<Duration, Refusal> {
    let seconds = field(request, "lifetime_s")?.unwrap_or(LIFETIME_S);
    if seconds == 0 || seconds > 365 * 86_400 {
        return Err(bad("lifetime_s", "1 to 31536000 seconds"));
    }
    Ok(Duration::from_secs(seconds))
}

fn field<T: FromStr>(request: &Request, name: &str) -> Result<Option<T>, Refusal> {
    let parsed = request.query.get(name).map(|text| text.parse());
    parsed.transpose().map_err(|_| bad(name, "something else: it cannot be read"))
}

/// A misspelt field is not passed over.
fn check_fields(request: &Request, known: &[&str]) -> Result<(), Refusal> {
    match request.query.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(Refusal::new("unknown_field", format!("`{name}`: known are {}", known.join(", ")))),
        None => Ok(()),
    }
}

fn bad(name: &str, allowed: &str) -> Refusal {
    Refusal::new("bad_field", format!("`{name}`: allowed: {allowed}"))
}
