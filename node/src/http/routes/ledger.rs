//! Requests about the node's log.

use super::{Answer, App, Fields, bad, check_fields, field};
use crate::door::Door;
use axum::extract::{Query, State};
use cosmosmesh_protocol::cbor;

/// Most entries that are told when nobody says how many.
const ENTRIES: u64 = 1000;

pub(super) async fn head(State(app): State<App>) -> Answer {
    app.wait(|door| door.log_head()).await
}

/// Entries as a CBOR sequence of byte strings, as the files of the archive hold them.
pub(super) async fn entries(State(app): State<App>, Query(fields): Query<Fields>) -> Answer {
    check_fields(&fields, &["first", "most"])?;
    let first = field(&fields, "first")?.unwrap_or(0);
    let most = field(&fields, "most")?.unwrap_or(ENTRIES);
    let written = move |door: &Door| {
        let mut bytes = Vec::new();
        door.log_entries(first, most)?.iter().for_each(|entry| cbor::put_bytes(&mut bytes, entry));
        Ok(bytes)
    };
    app.wait_for_bytes("application/cbor-seq", written).await
}

pub(super) async fn proof(State(app): State<App>, Query(fields): Query<Fields>) -> Answer {
    check_fields(&fields, &["index"])?;
    let index = field(&fields, "index")?.ok_or_else(|| bad("index", "an entry's number"))?;
    app.wait(move |door| door.log_proof(index)).await
}
