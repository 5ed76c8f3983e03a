//! The standards' names of numbers in a bundle.

use cosmosmesh_protocol::bundle::{BlockFlags, BlockKind, BundleFlags, ReportReason};

/// Bundle flags by their names here and on the command line (RFC 9171 §4.2.3).
pub(super) const BUNDLE_FLAGS: [(&str, BundleFlags); 9] = [
    ("is-fragment", BundleFlags::IS_FRAGMENT),
    ("administrative-record", BundleFlags::ADMINISTRATIVE_RECORD),
    ("must-not-fragment", BundleFlags::MUST_NOT_FRAGMENT),
    ("acknowledgement-requested", BundleFlags::ACKNOWLEDGEMENT_REQUESTED),
    ("status-time-requested", BundleFlags::STATUS_TIME_REQUESTED),
    ("report-reception", BundleFlags::REPORT_RECEPTION),
    ("report-forwarding", BundleFlags::REPORT_FORWARDING),
    ("report-delivery", BundleFlags::REPORT_DELIVERY),
    ("report-deletion", BundleFlags::REPORT_DELETION),
];

/// Block flags by name (RFC 9171 §4.2.4).
const BLOCK_FLAGS: [(&str, BlockFlags); 4] = [
    ("replicate", BlockFlags::REPLICATE),
    ("report-if-unprocessed", BlockFlags::REPORT_IF_UNPROCESSED),
    ("delete-bundle-if-unprocessed", BlockFlags::DELETE_BUNDLE_IF_UNPROCESSED),
    ("discard-if-unprocessed", BlockFlags::DISCARD_IF_UNPROCESSED),
];

/// Names of the flags that are set, and the bits that have none.
pub(super) fn bundle_flags(bits: u64) -> (Vec<&'static str>, u64) {
    named(bits, BUNDLE_FLAGS.map(|(name, flag)| (name, flag.0)))
}

/// As [`bundle_flags`], for a block.
pub(super) fn block_flags(bits: u64) -> (Vec<&'static str>, u64) {
    named(bits, BLOCK_FLAGS.map(|(name, flag)| (name, flag.0)))
}

fn named<const N: usize>(bits: u64, names: [(&'static str, u64); N]) -> (Vec<&'static str>, u64) {
    let set = names.iter().filter(|(_, bit)| bits & bit != 0);
    let rest = names.iter().fold(bits, |rest, (_, bit)| rest & !bit);
    (set.map(|(name, _)| *name).collect(), rest)
}

/// A block type (RFC 9171 §9.1, RFC 9172 §11.1).
pub(super) const fn block_type(kind: u64) -> &'static str {
    match BlockKind(kind) {
        BlockKind::PAYLOAD => "payload",
        BlockKind::PREVIOUS_NODE => "previous node",
        BlockKind::BUNDLE_AGE => "bundle age",
        BlockKind::HOP_COUNT => "hop count",
        BlockKind::BLOCK_INTEGRITY => "block integrity",
        BlockKind::BLOCK_CONFIDENTIALITY => "block confidentiality",
        BlockKind(0 | 2..=5 | 8 | 9) => "reserved or of version 6",
        BlockKind(192..=255) => "private or experimental",
        BlockKind(_) => "unassigned",
    }
}

/// A CRC type (RFC 9171 §4.2.1).
pub(super) const fn crc_type(code: u64) -> &'static str {
    match code {
        0 => "none",
        1 => "crc16-x25",
        2 => "crc32c",
        _ => "undefined",
    }
}

/// A security context (RFC 9173, section 6.1, and draft-ietf-dtn-bpsec-cose).
pub(super) const fn security_context(id: u64) -> &'static str {
    match id {
        0 => "reserved",
        1 => "BIB-HMAC-SHA2",
        2 => "BCB-AES-GCM",
        3 => "COSE",
        _ => "unassigned",
    }
}

/// The reason of a status report (RFC 9171 §9.5).
pub(super) const fn report_reason(reason: ReportReason) -> &'static str {
    match reason {
        ReportReason::NONE => "no additional information",
        ReportReason::LIFETIME_EXPIRED => "lifetime expired",
        ReportReason::UNIDIRECTIONAL => "forwarded over unidirectional link",
        ReportReason::CANCELLED => "transmission cancelled",
        ReportReason::DEPLETED_STORAGE => "depleted storage",
        ReportReason::UNAVAILABLE_DESTINATION => "destination endpoint id unavailable",
        ReportReason::NO_ROUTE => "no known route to destination",
        ReportReason::NO_TIMELY_CONTACT => "no timely contact with next node on route",
        ReportReason::UNINTELLIGIBLE_BLOCK => "block unintelligible",
        ReportReason::HOP_LIMIT_EXCEEDED => "hop limit exceeded",
        ReportReason::TRAFFIC_PARED => "traffic pared",
        ReportReason::UNSUPPORTED_BLOCK => "block unsupported",
        ReportReason(_) => "unassigned",
    }
}

/// A moment in DTN time, milliseconds since the year 2000 (RFC 9171 §4.2.6), in UTC as a person writes it; `None` beyond the year 9999.
pub(super) fn utc(dtn_ms: u64) -> Option<String> {
    let (days, ms) = (i64::try_from(dtn_ms / 86_400_000).ok()?, dtn_ms % 86_400_000);
    // Days since 1 March of year 0 in the proleptic Gregorian calendar, in which a year ends with its leap day.
    let days = days + 730_425;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    let (seconds, ms) = (ms / 1000, ms % 1000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    (year <= 9999)
        .then(|| format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_the_calendar() {
        let cases = [
            (0, "2000-01-01T00:00:00.000Z"),
            (5_097_600_000, "2000-02-29T00:00:00.000Z"),
            // 1 January 2026 is 9,497 days later.
            (9_497 * 86_400_000 + 61_001, "2026-01-01T00:01:01.001Z"),
        ];
        for (ms, text) in cases {
            assert_eq!(utc(ms).as_deref(), Some(text));
        }
        assert_eq!(utc(u64::MAX), None);
    }

    #[test]
    fn bits_without_a_name_are_told_apart() {
        assert_eq!(bundle_flags(0x8000_0000_0004_0001), (vec!["is-fragment", "report-deletion"], 1 << 63));
        assert_eq!(block_flags(0x08), (vec![], 8));
    }
}
