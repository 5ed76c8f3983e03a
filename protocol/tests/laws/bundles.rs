//! Bundles, what they carry, and their fragments.

use super::{Verdict, carrier, header, keys, pieces, run};
use cosmosmesh_protocol::{
    bundle::{
        AdministrativeRecord, BlockFlags, BlockKind, Bpdu, Bundle, BundleError, CustodySignal, Disposition,
        Policy, ReportReason, Status, StatusReport, reassemble,
    },
    envelope::{Parsed, seal},
    id::NodeId,
    identity::Directory,
    time::DtnTime,
};

pub(super) fn bundle(bytes: &[u8]) -> Verdict {
    let bundle = Bundle::decode(bytes).map_err(|error| error.reason())?;
    judged(bytes, &bundle);
    assert!(Bundle::decode_with(bytes, Policy::Lenient).is_ok(), "lenient accepts what strict accepts");
    Ok(())
}

pub(super) fn lenient_bundle(bytes: &[u8]) -> Verdict {
    let bundle = Bundle::decode_with(bytes, Policy::Lenient).map_err(|error| error.reason())?;
    judged(bytes, &bundle);
    // What strict would say of the content needs no second reading; of the form, it has something against indefinite lengths.
    let strict = Bundle::decode(bytes).err();
    let is_form = |error: &BundleError| matches!(error.reason(), "non_canonical" | "malformed_block");
    if !strict.as_ref().is_some_and(is_form) {
        assert_eq!(bundle.check(Policy::Strict).err(), strict);
    }
    Ok(())
}

/// What is accepted is the only encoding of what it says, and can be split and joined again.
fn judged(bytes: &[u8], bundle: &Bundle) {
    assert_eq!(bundle.encode(), bytes, "one encoding");
    assert_eq!(bundle.encoded_len(), bytes.len());
    if bundle.payload().len() > 1
        && bundle.primary().fragment.is_none()
        && let Ok(parts) = bundle.clone().fragment(bundle.payload().len().div_ceil(2))
    {
        let whole = reassemble(&parts).expect("its own fragments");
        assert_eq!(whole.payload(), bundle.payload());
    }
}

pub(super) fn status_report(bytes: &[u8]) -> Verdict {
    let report = StatusReport::decode(bytes).map_err(|error| error.reason())?;
    let again = StatusReport::decode(&report.encode()).expect("its own bytes");
    assert_eq!(again, report);
    Ok(())
}

/// The payload of an administrative bundle: reports, tunnels, custody signals.
pub(super) fn record(bytes: &[u8]) -> Verdict {
    let record = AdministrativeRecord::decode(bytes).map_err(|error| error.reason())?;
    assert_eq!(AdministrativeRecord::decode(&record.encode()), Ok(record.clone()), "its own bytes");
    match record {
        AdministrativeRecord::Encapsulated(bpdu) => {
            assert!(bpdu.bundle.len() <= bytes.len());
            lenient_bundle(&bpdu.bundle)
        }
        AdministrativeRecord::CustodySignal(signal) => {
            assert!(signal.spans.len() <= bytes.len());
            Ok(())
        }
        AdministrativeRecord::StatusReport(_) => Ok(()),
    }
}

/// Fragments put together: either they are refused, or the whole is as long as they say, and made of their bytes.
pub(super) fn fragments(bytes: &[u8]) -> Verdict {
    let read = |piece| Bundle::decode_with(piece, Policy::Lenient).map_err(|error| error.reason());
    let parts: Vec<Bundle> = pieces(bytes).map(read).collect::<Result<_, _>>()?;
    let whole = reassemble(&parts).map_err(|error| error.reason())?;
    let total = parts[0].primary().fragment.map(|fragment| fragment.total);
    assert_eq!(Some(whole.payload().len() as u64), total);
    for part in &parts {
        let offset = part.primary().fragment.expect("a fragment").offset as usize;
        assert_eq!(whole.payload().get(offset..offset + part.payload().len()), Some(part.payload()));
    }
    Ok(())
}

pub(super) fn envelope(bytes: &[u8]) -> Verdict {
    let parsed = Parsed::parse(bytes).map_err(|error| error.reason())?;
    let directory = Directory::from_iter([(NodeId(1), keys(1).public().clone())]);
    parsed.verify(&directory).map(drop).map_err(|error| error.reason())
}

pub(super) fn bundles() -> Vec<Vec<u8>> {
    let mut rich = carrier(3, b"telemetry");
    rich.set_previous_node(&"dtn://relay/".parse().expect("an endpoint"));
    rich.set_age_ms(70_000);
    rich.push_block(BlockKind(192), BlockFlags::REPLICATE, vec![0x83, 1, 2, 3]);
    vec![carrier(2, b"hello").encode(), rich.encode()]
}

pub(super) fn status_reports() -> Vec<Vec<u8>> {
    let bundle = carrier(2, b"");
    let time = Some(DtnTime(850_000_000_500));
    vec![StatusReport::new(bundle.id(), 9, Status::Deleted, time, ReportReason::HOP_LIMIT_EXCEEDED).encode()]
}

pub(super) fn records() -> Vec<Vec<u8>> {
    let retransmission_time = DtnTime(850_000_060_000);
    let bpdu = Bpdu { transmission_id: 7, retransmission_time, bundle: carrier(2, b"hello").encode() };
    let signal = CustodySignal::new(Disposition::ACCEPTED, [1, 2, 3, 9, 1 << 40]);
    let mut records = status_reports();
    records.extend([bpdu.encode(), signal.encode()]);
    records
}

/// Bundles for node 2 in parts, the last one first, some of them twice.
pub(super) fn fragment_runs() -> Vec<Vec<u8>> {
    let mut parts = carrier(2, &[7; 200]).fragment(90).expect("it may be split");
    parts.reverse();
    parts.push(parts[0].clone());
    let parts: Vec<Vec<u8>> = parts.iter().map(Bundle::encode).collect();
    vec![run(parts.iter().map(Vec::as_slice))]
}

pub(super) fn envelopes() -> Vec<Vec<u8>> {
    vec![seal(&keys(1), &header(2), b"hello")]
}
