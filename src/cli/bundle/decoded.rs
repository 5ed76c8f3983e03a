//! What a block's data says, as JSON: of known types by their fields, of others in CBOR's diagnostic notation.

use cosmosmesh_protocol::{
    bundle::{BlockKind, StatusReport},
    id::{EndpointId, NodeId, is_dtn_name},
};
use serde_json::{Value as Json, json};

use super::{
    item::{Item, Items, Value},
    names,
};

/// Items of one block's data that are looked at.
const MAX_ITEMS: usize = 4096;
/// The longest text that is shown of data.
const MAX_TEXT: usize = 400;

/// The data of a block of type `kind`. `None`: it is not what its type demands.
pub(super) fn data(kind: BlockKind, data: &[u8], is_record: bool) -> Option<Json> {
    match kind {
        BlockKind::PREVIOUS_NODE => {
            single(data).and_then(|item| endpoint(&item)).map(|node| json!({ "node": node }))
        }
        BlockKind::BUNDLE_AGE => {
            single(data).and_then(|item| item.uint()).map(|age_ms| json!({ "age_ms": age_ms }))
        }
        BlockKind::HOP_COUNT => match single(data)?.array()? {
            [limit, count] => {
                let limit = limit.uint().filter(|limit| (1..=255).contains(limit))?;
                Some(json!({ "limit": limit, "count": count.uint()? }))
            }
            _ => None,
        },
        // Its own readers judge a security block; what cannot be read may be ciphertext.
        BlockKind::BLOCK_INTEGRITY | BlockKind::BLOCK_CONFIDENTIALITY => {
            Some(security(data).unwrap_or_else(|| any(data)))
        }
        BlockKind::PAYLOAD if is_record => Some(record(data).unwrap_or_else(|| any(data))),
        _ => Some(any(data)),
    }
}

fn single(data: &[u8]) -> Option<Item> {
    match Items::sequence(data, MAX_ITEMS)?.as_slice() {
        [item] if item.deterministic => Some(item.clone()),
        _ => None,
    }
}

/// An endpoint's name; `None` when it is malformed.
pub(super) fn endpoint(item: &Item) -> Option<String> {
    let [scheme, name] = item.array()? else { return None };
    match (scheme.uint()?, &name.value) {
        (1, Value::Uint(0)) => Some(EndpointId::Null.to_string()),
        (1, Value::Text(name)) if is_dtn_name(name) => {
            Some(EndpointId::Dtn(name.as_str().into()).to_string())
        }
        (2, Value::Array(parts)) => match parts.iter().map(Item::uint).collect::<Option<Vec<_>>>()?[..] {
            [node, service] => Some(EndpointId::Ipn { node: NodeId(node), service }.to_string()),
            [allocator, node, service] => Some(format!("ipn:{allocator}.{node}.{service}")),
            _ => None,
        },
        _ => None,
    }
}

/// An abstract security block (RFC 9172 §3.6).
fn security(data: &[u8]) -> Option<Json> {
    let items = Items::sequence(data, MAX_ITEMS)?;
    let [targets, context, flags, source, rest @ ..] = items.as_slice() else { return None };
    let targets: Vec<u64> = targets.array()?.iter().map(Item::uint).collect::<Option<_>>()?;
    let (parameters, results) = match (flags.uint()? & 1, rest) {
        (1, [parameters, results]) => (pairs(parameters)?, results),
        (0, [results]) => (Vec::new(), results),
        _ => return None,
    };
    let results = results.array()?.iter().zip(&targets);
    let results = results.map(|(set, target)| Some(json!({ "target": target, "results": pairs(set)? })));
    Some(json!({
        "targets": targets,
        "context": { "id": context.notation(), "name": names::security_context(context.uint().unwrap_or(u64::MAX)) },
        "source": endpoint(source)?,
        "parameters": parameters,
        "results": results.collect::<Option<Vec<_>>>()?,
    }))
}

fn pairs(item: &Item) -> Option<Vec<Json>> {
    let pair = |item: &Item| match item.array()? {
        [id, value] => Some(json!({ "id": id.notation(), "value": value.notation() })),
        _ => None,
    };
    item.array()?.iter().map(pair).collect()
}

/// An administrative record (RFC 9171 §6.1).
fn record(data: &[u8]) -> Option<Json> {
    if let Ok(report) = StatusReport::decode(data) {
        return Some(json!({ "record": "status report", "status_report": status_report(&report) }));
    }
    let item = single(data)?;
    let [kind, content] = item.array()? else { return None };
    Some(json!({ "record": kind.uint()?, "content": shortened(content.notation()) }))
}

fn status_report(report: &StatusReport) -> Json {
    let words = ["received", "forwarded", "delivered", "deleted"];
    let items = words.iter().zip(report.items).filter_map(|(word, item)| {
        item.map(|time| json!({ "status": word, "time": time.and_then(|time| names::utc(time.0)) }))
    });
    let fragment = report.bundle.fragment.zip(report.fragment_len);
    json!({
        "items": items.collect::<Vec<_>>(),
        "reason": { "code": report.reason.0, "name": names::report_reason(report.reason) },
        "source": report.bundle.source.to_string(),
        "creation": { "time_ms": report.bundle.creation.time.0, "sequence": report.bundle.creation.sequence },
        "fragment": fragment.map(|(fragment, length)| json!({ "offset": fragment.offset, "bytes": length })),
    })
}

/// Text when it is text, CBOR when it is whole CBOR, nothing otherwise: its bytes are shown beside.
fn any(data: &[u8]) -> Json {
    let text = std::str::from_utf8(data).ok();
    if let Some(text) = text.filter(|text| !text.is_empty() && !text.chars().any(is_unprintable)) {
        return json!({ "text": shortened(text.into()) });
    }
    match Items::sequence(data, MAX_ITEMS) {
        Some(items) if !items.is_empty() => {
            let items: Vec<String> = items.iter().map(Item::notation).collect();
            json!({ "cbor": shortened(items.join(", ")) })
        }
        _ => Json::Null,
    }
}

fn is_unprintable(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\t' | '\r')
}

fn shortened(text: String) -> String {
    match text.char_indices().nth(MAX_TEXT) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::bundle::input::unhex;

    /// RFC 9173, A.1.3.2: an integrity block over the payload.
    #[test]
    fn the_standards_integrity_block_is_explained() {
        let asb = "810101018202820201828201078203008181820158403bdc69b3a34a2b5d3a8554368bd1e808f606219d2a10a846eae3886ae4ecc83c4ee550fdfb1cc636b904e2f1a73e303dcd4b6ccece003e95e8164dcc89a156e1";
        let found = data(BlockKind::BLOCK_INTEGRITY, &unhex(asb.as_bytes()).unwrap(), false).unwrap();
        assert_eq!(found["targets"], json!([1]));
        assert_eq!(found["context"]["name"], "BIB-HMAC-SHA2");
        assert_eq!(found["source"], "ipn:2.1");
        assert_eq!(found["parameters"], json!([{ "id": "1", "value": "7" }, { "id": "3", "value": "0" }]));
        assert!(found["results"][0]["results"][0]["value"].as_str().unwrap().starts_with("h'3bdc69b3"));
    }

    #[test]
    fn data_that_its_type_does_not_allow_is_none() {
        for (kind, bytes) in [
            (BlockKind::HOP_COUNT, &[0x82, 0, 0][..]),
            (BlockKind::HOP_COUNT, &[0x82, 0x19, 1, 0, 0]),
            (BlockKind::BUNDLE_AGE, &[0x20]),
            (BlockKind::BUNDLE_AGE, &[1, 1]),
            (BlockKind::PREVIOUS_NODE, &[0x82, 1, 1]),
        ] {
            assert_eq!(data(kind, bytes, false), None, "{kind:?} {bytes:x?}");
        }
        assert_eq!(data(BlockKind(77), &[0x01], false), Some(json!({ "cbor": "1" })));
        assert_eq!(data(BlockKind::PAYLOAD, b"hello", false), Some(json!({ "text": "hello" })));
    }
}
