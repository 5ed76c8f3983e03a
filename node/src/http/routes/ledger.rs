//! Requests about the node's log.

use super::{Answer, App, Fields, Refused, bad, check_fields, field};
use crate::ledger::{LogHead, LogProof};
use axum::{
    extract::{Query, State},
    http::header,
    response::IntoResponse,
};
use cosmosmesh_protocol::cbor;

/// Most entries that are told when nobody says how many.
const ENTRIES: u64 = 1000;

pub(super) async fn head(State(app): State<App>) -> Answer<LogHead> {
    app.wait(|door| door.log_head()).await
}

/// Entries as a CBOR sequence of byte strings, as the files of the archive hold them.
pub(super) async fn entries(
    State(app): State<App>,
    Query(fields): Query<Fields>,
) -> Result<impl IntoResponse, Refused> {
    check_fields(&fields, &["first", "most"])?;
    let first = field(&fields, "first")?.unwrap_or(0);
    let most = field(&fields, "most")?.unwrap_or(ENTRIES);
    let entries = app.wait(move |door| door.log_entries(first, most)).await?.0;
    let mut bytes = Vec::new();
    entries.iter().for_each(|entry| cbor::put_bytes(&mut bytes, entry));
    Ok(([(header::CONTENT_TYPE, "application/cbor-seq")], bytes))
}

pub(super) async fn proof(State(app): State<App>, Query(fields): Query<Fields>) -> Answer<LogProof> {
    check_fields(&fields, &["index"])?;
    let index = field(&fields, "index")?.ok_or_else(|| bad("index", "an entry's number"))?;
    app.wait(move |door| door.log_proof(index)).await
}
