//! What is answered to which request.

mod ledger;
mod state;

use super::{
    MAX_WAITING,
    guard::{self, Guard},
};
use crate::{
    credential,
    door::{Door, Health, Waits},
    engine::{Own, Refusal},
    message::hex,
    metrics::PeerStatus,
    plan::PlanView,
    revocation,
    token::Token,
};
use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Query, State},
    http::{StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use cosmosmesh_protocol::{
    convergence::mtcp,
    dtn::store::Priority,
    envelope::Purpose,
    id::{EndpointId, NodeId},
    node::{BundleSubmission, Submission},
};
use serde::Serialize;
use std::{collections::BTreeMap, str::FromStr, sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task,
};

/// Most messages that are told at once.
const MAX_MESSAGES: usize = 1000;
/// The lifetime of what does not say one, in seconds.
const LIFETIME_S: u64 = 86_400;

/// What is asked of, and how many may wait for an answer.
#[derive(Clone)]
pub(super) struct App {
    door: Door,
    token: Arc<Token>,
    waiting: Arc<Semaphore>,
}

type Fields = BTreeMap<String, String>;
type Answer = Result<Response, Refused>;

/// An answer as it is written, and the place among those that wait, which is free when it is.
struct Written {
    bytes: Vec<u8>,
    _slot: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Written {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Tells when a request is given up.
struct Waiting(Waits);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.end();
    }
}

pub(super) fn app(door: Door, guard: Arc<Guard>, token: Arc<Token>) -> Router {
    let most = door.config.limits.bundle_bytes as usize;
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/v1/status", get(status))
        .route("/v1/peers", get(peers))
        .route("/v1/contacts", get(contacts))
        .route("/v1/plan", get(plan))
        .route("/v1/plan/next", post(next_horizon))
        .route("/v1/send", post(send))
        .route("/v1/send_many", post(send_many))
        .route("/v1/bundle", post(bundle))
        .route("/v1/inbox", get(inbox))
        .route("/v1/take", post(take))
        .route("/v1/learn", post(learn))
        .route("/v1/revoke", post(revoke))
        .route("/v1/log", get(ledger::head))
        .route("/v1/log/entries", get(ledger::entries))
        .route("/v1/log/proof", get(ledger::proof))
        .route("/v1/state", get(state::read).post(state::write))
        .route("/v1/state/changes", get(state::changes))
        .route("/v1/shutdown", post(shutdown))
        .fallback(|| async { (StatusCode::NOT_FOUND, "no such path\n") })
        .method_not_allowed_fallback(|| async { (StatusCode::METHOD_NOT_ALLOWED, "not by this method\n") })
        .layer(DefaultBodyLimit::max(most))
        .layer(middleware::from_fn_with_state(guard, guard::check))
        .with_state(App { door, token, waiting: Arc::new(Semaphore::new(MAX_WAITING)) })
}

/// A refusal as an answer.
pub(super) struct Refused(Refusal);

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = match self.0.reason.as_str() {
            "stream_full" | "store_full" | "rate_exceeded" => StatusCode::TOO_MANY_REQUESTS,
            "busy" | "unanswered" | "store" => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        };
        (status, Json(self.0)).into_response()
    }
}

impl App {
    /// Does what waits for the engine, the disk or a message, and puts the answer together, on a thread where that holds up nobody. Who goes away meanwhile
    /// soon leaves the place to another.
    async fn wait<T: Serialize>(
        &self,
        work: impl FnOnce(&Door) -> Result<T, Refusal> + Send + 'static,
    ) -> Answer {
        let written = move |door: &Door| {
            let json = serde_json::to_vec(&work(door)?);
            json.map_err(|error| Refusal::new("unanswered", error.to_string()))
        };
        self.wait_for_bytes("application/json", written).await
    }

    /// The same for an answer of another form.
    async fn wait_for_bytes(
        &self,
        form: &'static str,
        work: impl FnOnce(&Door) -> Result<Vec<u8>, Refusal> + Send + 'static,
    ) -> Answer {
        let slot = self.waiting.clone().try_acquire_owned();
        let slot = slot.map_err(|_| Refusal::new("busy", "too many requests wait"))?;
        let waits = Waits::default();
        let door = Door { waits: waits.clone(), ..self.door.clone() };
        let _waiting = Waiting(waits);
        let done = task::spawn_blocking(move || Ok(Written { bytes: work(&door)?, _slot: slot }));
        let done: Result<Written, Refusal> = done
            .await
            .map_err(|_| Refusal::new("unanswered", "it came to no end: its cause is in the log"))?;
        Ok(([(header::CONTENT_TYPE, form)], Bytes::from_owner(done?)).into_response())
    }
}

/// Who asks with 32 bytes of its own hears whether this daemon knows the token, before it shows it to whoever has this address.
async fn healthz(
    State(app): State<App>,
    Query(fields): Query<Fields>,
) -> Result<(StatusCode, String), Refused> {
    check_fields(&fields, &["ask"])?;
    let (status, mut text) = if app.door.is_alive() {
        (StatusCode::OK, "ok\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the engine does not answer\n".to_owned())
    };
    if let Some(asked) = fields.get("ask") {
        let asked = hex::bytes(asked).and_then(|bytes| bytes.try_into().ok());
        let asked = asked.ok_or_else(|| bad("ask", "64 hexadecimal digits"))?;
        if let Some(address) = app.door.addresses.control {
            text.push_str(&app.token.answer(address, &asked));
            text.push('\n');
        }
    }
    Ok((status, text))
}

async fn readyz(State(app): State<App>) -> (StatusCode, String) {
    let troubles = app.door.health().troubles;
    if troubles.is_empty() {
        (StatusCode::OK, "ready\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", troubles.join("\n")))
    }
}

async fn metrics(State(app): State<App>) -> impl IntoResponse {
    let content = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, content)], app.door.snapshot().open_metrics())
}

async fn status(State(app): State<App>) -> Json<Health> {
    Json(app.door.health())
}

async fn peers(State(app): State<App>) -> Json<Vec<PeerStatus>> {
    Json(app.door.peers())
}

/// A contact that is open now.
#[derive(Serialize)]
struct Contact {
    peer: u64,
    via: String,
    links: u32,
    addresses: Vec<String>,
}

async fn contacts(State(app): State<App>) -> Json<Vec<Contact>> {
    let up = app.door.peers().into_iter().filter(|peer| peer.links_up > 0);
    let contact = |peer: PeerStatus| Contact {
        peer: peer.node,
        via: peer.via,
        links: peer.links_up,
        addresses: peer.addresses,
    };
    Json(up.map(contact).collect())
}

async fn plan(State(app): State<App>) -> Json<Option<PlanView>> {
    Json(app.door.plan())
}

/// A later horizon of the plan, as the text of its file.
async fn next_horizon(State(app): State<App>, body: String) -> Answer {
    app.wait(move |door| door.replan(&body)).await
}

async fn send(State(app): State<App>, Query(fields): Query<Fields>, body: Bytes) -> Answer {
    let submission = submission(&fields, body.into())?;
    app.wait(move |door| door.submit(submission)).await
}

/// Payloads one after another as CBOR byte strings, the way MTCP carries bundles.
async fn send_many(State(app): State<App>, Query(fields): Query<Fields>, body: Bytes) -> Answer {
    let (mut parser, mut rest) = (mtcp::Parser::new(body.len() as u64), &*body);
    let mut submissions = Vec::new();
    while let Some(payload) =
        parser.take(&mut rest).map_err(|error| Refusal::new("bad_body", error.to_string()))?
    {
        submissions.push(submission(&fields, payload)?);
    }
    if !parser.is_between_bundles() {
        return Err(Refusal::new("bad_body", "the last payload is cut off").into());
    }
    app.wait(move |door| Ok(door.submit_all(submissions))).await
}

fn submission(fields: &Fields, payload: Vec<u8>) -> Result<Submission, Refusal> {
    check_fields(fields, &["to", "purpose", "lifetime_s", "priority"])?;
    let purpose = match fields.get("purpose").map_or("telemetry", String::as_str) {
        "telemetry" => Purpose::Telemetry,
        "command" => Purpose::Command,
        "event" => Purpose::Event,
        _ => return Err(bad("purpose", "telemetry, command or event")),
    };
    Ok(Submission {
        destination: NodeId(field(fields, "to")?.ok_or_else(|| bad("to", "a node's number"))?),
        purpose,
        priority: priority(fields)?,
        lifetime: lifetime(fields)?,
        payload,
    })
}

async fn bundle(State(app): State<App>, Query(fields): Query<Fields>, body: Bytes) -> Answer {
    check_fields(&fields, &["to", "from", "lifetime_s", "priority"])?;
    let destination: EndpointId = field(&fields, "to")?.ok_or_else(|| bad("to", "an endpoint"))?;
    let source = field(&fields, "from")?.unwrap_or_else(|| app.door.own_endpoint(&destination));
    let mut submission = BundleSubmission::new(source, destination, lifetime(&fields)?, body.into());
    submission.priority = priority(&fields)?;
    app.wait(move |door| door.send_bundle(submission)).await
}

async fn inbox(State(app): State<App>, Query(fields): Query<Fields>) -> Answer {
    check_fields(&fields, &["after", "most", "wait_ms"])?;
    let most = field(&fields, "most")?.unwrap_or(MAX_MESSAGES).min(MAX_MESSAGES);
    let patience = Duration::from_millis(field(&fields, "wait_ms")?.unwrap_or(0));
    let after = field(&fields, "after")?;
    app.wait(move |door| door.inbox(after, most, patience)).await
}

async fn take(State(app): State<App>, Query(fields): Query<Fields>) -> Result<(), Refused> {
    check_fields(&fields, &["through"])?;
    let through = field(&fields, "through")?.ok_or_else(|| bad("through", "a message's number"))?;
    app.wait(move |door| door.take(through)).await.map(drop)
}

/// Statements of the authority, one a line.
async fn learn(State(app): State<App>, body: String) -> Answer {
    let statements = credential::parse(&body)
        .map_err(|line| Refusal::new("bad_body", format!("line {line} holds no statement")))?;
    app.wait(move |door| Ok(door.learn(statements))).await
}

async fn revoke(State(app): State<App>, Query(fields): Query<Fields>) -> Answer {
    check_fields(&fields, &["node", "cause", "own"])?;
    let node = NodeId(field(&fields, "node")?.ok_or_else(|| bad("node", "a node's number"))?);
    let cause = revocation::cause(fields.get("cause").map_or("", String::as_str))?;
    let own = if field(&fields, "own")?.unwrap_or(false) { Own::TakeBack } else { Own::Keep };
    app.wait(move |door| door.revoke(node, cause, own)).await
}

async fn shutdown(State(app): State<App>) {
    app.door.stop();
}

fn priority(fields: &Fields) -> Result<Priority, Refusal> {
    match fields.get("priority").map_or("normal", String::as_str) {
        "bulk" => Ok(Priority::Bulk),
        "normal" => Ok(Priority::Normal),
        "expedited" => Ok(Priority::Expedited),
        _ => Err(bad("priority", "bulk, normal or expedited")),
    }
}

fn lifetime(fields: &Fields) -> Result<Duration, Refusal> {
    let seconds = field(fields, "lifetime_s")?.unwrap_or(LIFETIME_S);
    if seconds == 0 || seconds > 365 * 86_400 {
        return Err(bad("lifetime_s", "1 to 31536000 seconds"));
    }
    Ok(Duration::from_secs(seconds))
}

fn field<T: FromStr>(fields: &Fields, name: &str) -> Result<Option<T>, Refusal> {
    let parsed = fields.get(name).map(|text| text.parse());
    parsed.transpose().map_err(|_| bad(name, "something else: it cannot be read"))
}

/// A misspelt field is not passed over.
fn check_fields(fields: &Fields, known: &[&str]) -> Result<(), Refusal> {
    match fields.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(Refusal::new("unknown_field", format!("`{name}`: known are {}", known.join(", ")))),
        None => Ok(()),
    }
}

fn bad(name: &str, allowed: &str) -> Refusal {
    Refusal::new("bad_field", format!("`{name}`: allowed: {allowed}"))
}
