//! What a log promises.

use super::*;
use proptest::prelude::*;

fn header() -> Header {
    Header {
        version: "0".to_owned(),
        files: vec![SourceFile { name: "a.ron".to_owned(), text: "()".to_owned() }],
        scenario_hash: "00".to_owned(),
        seed: u64::MAX,
        until_ns: Some(7),
        civil_offset_ms: -3,
        links_alone: false,
        interfaces: vec![LoggedInterface {
            binding: "a/b=udp:127.0.0.1:1".to_owned(),
            asset: 0,
            radio: 1,
            peer: Some(2),
            mark: None,
            way: false,
            framing: "frames".to_owned(),
        }],
        clock: "realtime".to_owned(),
        policy: "best-effort".to_owned(),
        began_unix_ns: 1,
    }
}

fn frame(time: i64, bytes: &[u8]) -> LoggedFrame {
    LoggedFrame {
        time: SimTime(time),
        unix_ns: 5,
        interface: 0,
        sequence: 9,
        entrance: Entrance::Node(AssetIndex(3)),
        rssi_dbm: Some(-97),
        snr_quarter_db: None,
        bytes: bytes.to_vec(),
    }
}

/// A log with a frame in, a frame out, a grant and an end; and the bytes of each.
fn log(folder: &Path) -> (PathBuf, Vec<Entry>) {
    let path = folder.join("session.hil");
    let mut writer = JournalWriter::create(&path, &header()).unwrap();
    let out = LoggedFrame { entrance: Entrance::Air, rssi_dbm: None, ..frame(12, b"") };
    let end = LoggedEnd { time: SimTime(20), fingerprint: Fingerprint([7; 32]), reason: "done".to_owned() };
    writer.came_in(&frame(11, b"in"));
    writer.went_out(&out);
    writer.granted(SimTime(13));
    writer.finish(&end).unwrap();
    (path, vec![Entry::In(frame(11, b"in")), Entry::Out(out), Entry::Granted(SimTime(13)), Entry::End(end)])
}

fn read(path: &Path) -> Result<(Vec<Entry>, Tail), JournalError> {
    let (mut reader, found) = JournalReader::open(path)?;
    assert_eq!(found, header());
    let mut entries = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        entries.push(entry);
    }
    Ok((entries, reader.tail().unwrap()))
}

#[test]
fn a_log_reads_back_as_it_was_written_and_is_nobody_elses_to_read() {
    let folder = tempfile::tempdir().unwrap();
    let (path, entries) = log(folder.path());
    assert_eq!(read(&path).unwrap(), (entries, Tail::Whole));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        // A file that others could read is not written into: it is another one afterwards.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        log(folder.path());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn a_log_that_was_cut_anywhere_gives_its_whole_records_and_tells_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let (path, entries) = log(folder.path());
    let bytes = fs::read(&path).unwrap();
    let cut = folder.path().join("cut.hil");
    let mut last = None;
    for length in MAGIC.len()..bytes.len() {
        fs::write(&cut, &bytes[..length]).unwrap();
        match read(&cut) {
            Ok((found, tail)) => {
                assert!(entries.starts_with(&found) && found.len() < entries.len());
                let whole = length as u64 - if let Tail::Cut { bytes } = tail { bytes } else { 0 };
                assert!(last.is_none_or(|(count, at)| (count, at) <= (found.len(), whole)));
                last = Some((found.len(), whole));
            }
            Err(JournalError::Damaged { number: 0, .. }) => assert!(last.is_none(), "no whole header"),
            Err(error) => panic!("{length}: {error}"),
        }
    }
    assert_eq!(last.unwrap().0, entries.len() - 1);
}

#[test]
fn a_record_that_was_left_out_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = log(folder.path());
    let bytes = fs::read(&path).unwrap();
    let record = |at: usize| {
        let length = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        at..at + 4 + length + CHECK_BYTES
    };
    let header = record(MAGIC.len());
    let first = record(header.end);
    let without = [&bytes[..first.start], &bytes[first.end..]].concat();
    fs::write(&path, without).unwrap();
    let error = read(&path).unwrap_err();
    assert!(
        matches!(error, JournalError::Damaged { number: 1, what: "its checksum does not hold", .. }),
        "{error}"
    );
}

#[test]
fn another_file_is_not_a_log() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    for text in ["", "cosmosmesh", "cosmosmesh hil log 2\nxxxxxxxxxxxxxxx"] {
        fs::write(&path, text).unwrap();
        assert!(matches!(read(&path), Err(JournalError::NotALog { .. })));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// One changed byte anywhere after the first line is found, and never panics.
    #[test]
    fn a_changed_byte_is_found(place in 0.0_f64..1.0, with in 1_u8..=255) {
        let folder = tempfile::tempdir().unwrap();
        let (path, entries) = log(folder.path());
        let mut bytes = fs::read(&path).unwrap();
        let at = MAGIC.len() + ((bytes.len() - MAGIC.len()) as f64 * place) as usize;
        bytes[at] ^= with;
        fs::write(&path, bytes).unwrap();
        match read(&path) {
            Err(JournalError::Damaged { .. }) => {}
            // A length that became greater looks like a cut.
            Ok((found, Tail::Cut { .. })) => prop_assert!(entries.starts_with(&found) && found.len() < entries.len()),
            other => prop_assert!(false, "{:?}", other),
        }
    }
}
