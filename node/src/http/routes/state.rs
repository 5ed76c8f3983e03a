//! Requests about shared state.

use super::{Answer, App, Fields, bad, check_fields, field};
use crate::{
    engine::Refusal,
    state::{Bytes, StateKind, StateQuery, StateWrite},
};
use axum::extract::{Query, State};
use std::time::Duration;

pub(super) async fn write(State(app): State<App>, body: axum::body::Bytes) -> Answer {
    let write: StateWrite =
        serde_json::from_slice(&body).map_err(|error| Refusal::new("bad_body", error.to_string()))?;
    app.wait(move |door| door.write_state(write)).await
}

pub(super) async fn read(State(app): State<App>, Query(fields): Query<Fields>) -> Answer {
    check_fields(&fields, &["kind", "name", "key", "after", "most"])?;
    let bytes = |name: &str| {
        let read = fields.get(name).map(|text| Bytes::read(text));
        read.map(|bytes| bytes.ok_or_else(|| bad(name, "text, or `hex:` and pairs of digits"))).transpose()
    };
    let kind = fields.get("kind").map(|word| word.parse::<StateKind>());
    let query = StateQuery {
        kind: kind.transpose().map_err(|()| bad("kind", "map, register, set or counter"))?,
        name: bytes("name")?,
        key: bytes("key")?,
        after: bytes("after")?,
        most: field(&fields, "most")?,
    };
    app.wait(move |door| door.read_state(query)).await
}

pub(super) async fn changes(State(app): State<App>, Query(fields): Query<Fields>) -> Answer {
    check_fields(&fields, &["after", "wait_ms"])?;
    let (after, patience) = (field(&fields, "after")?, field(&fields, "wait_ms")?.unwrap_or(0));
    app.wait(move |door| door.state_changes(after, Duration::from_millis(patience))).await
}
