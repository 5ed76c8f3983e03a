//! [`TraceWriter`]: the trace as a file of JSON lines.

use std::{
    fmt::Write as _,
    io::{self, Write},
};

use super::{Field, Record, Sink};

/// A sink that writes one JSON object per record and line:
///
/// ```json
/// {"t_ns":12000000000,"asset":"rover","kind":"frame_sent","peer":"relay","bytes":256,"airtime_ns":1024000}
/// ```
///
/// Assets are written by their names, spans as whole nanoseconds, reals in the shortest form that reads back to the same
/// number (`null` if not finite), digests in hexadecimal. Equal runs give equal bytes. Give it a buffered writer.
pub struct TraceWriter<W: Write> {
    out: W,
    names: Vec<String>,
    line: String,
    failure: Option<io::Error>,
}

impl<W: Write> TraceWriter<W> {
    /// Writes to `out`; `names` are the names of the assets by index.
    pub fn new(out: W, names: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let quote = |name: &str| serde_json::to_string(name).expect("a text always has a JSON form");
        let names = names.into_iter().map(|name| quote(name.as_ref())).collect();
        Self { out, names, line: String::new(), failure: None }
    }

    /// Ends the file and gives the writer back.
    ///
    /// # Errors
    ///
    /// The first error of the writer; nothing was written after it.
    pub fn finish(mut self) -> io::Result<W> {
        match self.failure {
            Some(failure) => Err(failure),
            None => self.out.flush().map(|()| self.out),
        }
    }
}

impl<W: Write> Sink for TraceWriter<W> {
    fn record(&mut self, record: &Record) {
        if self.failure.is_some() {
            return;
        }
        let Self { out, names, line, failure } = self;
        line.clear();
        line.push_str("{\"t_ns\":");
        push(line, record.time.as_nanos());
        push_field(line, names, "asset", Field::Asset(record.asset));
        push_field(line, names, "kind", Field::Word(record.kind.tag().1));
        record.kind.fields(&mut |name, field| push_field(line, names, name, field));
        line.push_str("}\n");
        *failure = out.write_all(line.as_bytes()).err();
    }
}

fn push(line: &mut String, value: impl std::fmt::Display) {
    write!(line, "{value}").expect("a string takes any text");
}

/// Names of fields and words are plain identifiers and need no escapes.
fn push_field(line: &mut String, names: &[String], name: &str, field: Field<'_>) {
    line.push_str(",\"");
    line.push_str(name);
    line.push_str("\":");
    match field {
        Field::Asset(asset) => match names.get(asset.get()) {
            Some(quoted) => line.push_str(quoted),
            None => push(line, asset.0),
        },
        Field::Span(span) => push(line, span.as_nanos()),
        Field::Count(count) => push(line, count),
        Field::Flag(flag) => push(line, flag),
        Field::Real(real) => push_real(line, real),
        Field::Reals(reals) => {
            for (index, &real) in reals.iter().enumerate() {
                line.push(if index == 0 { '[' } else { ',' });
                push_real(line, real);
            }
            line.push_str(if reals.is_empty() { "[]" } else { "]" });
        }
        Field::Word(word) => {
            line.push('"');
            line.push_str(word);
            line.push('"');
        }
        Field::Text(text) => line.push_str(&serde_json::Value::from(text).to_string()),
        Field::Pairs(pairs) => {
            line.push('[');
            for (index, (first, second)) in pairs.iter().enumerate() {
                let comma = if index == 0 { "" } else { "," };
                write!(line, "{comma}[{first},{second}]").expect("a string takes any text");
            }
            line.push(']');
        }
        Field::Digest(digest) => {
            line.push('"');
            digest.iter().for_each(|byte| write!(line, "{byte:02x}").expect("a string takes any text"));
            line.push('"');
        }
    }
}

fn push_real(line: &mut String, real: f64) {
    if real.is_finite() {
        // `Debug` keeps the decimal point of whole numbers and turns to exponents for very large and small ones.
        write!(line, "{real:?}").expect("a string takes any text");
    } else {
        line.push_str("null");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::{MessageKind, RecordKind},
        units::{AssetIndex, SimTime},
    };

    fn lines(kinds: Vec<RecordKind>) -> String {
        let mut writer = TraceWriter::new(Vec::new(), ["rover", "a \"relay\""]);
        for kind in kinds {
            writer.record(&Record { time: SimTime(12), asset: AssetIndex(0), kind });
        }
        String::from_utf8(writer.finish().expect("a vector takes any bytes")).expect("JSON is UTF-8")
    }

    #[test]
    fn a_line_is_a_json_object() {
        let text = lines(vec![
            RecordKind::FrameSent { peer: AssetIndex(1), bytes: 256, airtime: SimTime(5) },
            RecordKind::PlanLocal { round: 1, values: vec![1.0, 1e-300, f64::NAN] },
            RecordKind::PlanLocal { round: 2, values: vec![] },
            RecordKind::ReplicaDigest { digest: [0xab; 32] },
        ]);
        let expected = "{\"t_ns\":12,\"asset\":\"rover\",\"kind\":\"frame_sent\",\"peer\":\"a \\\"relay\\\"\",\
                        \"bytes\":256,\"airtime_ns\":5}";
        assert_eq!(text.lines().next(), Some(expected));
        let values: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect();
        assert_eq!(values[1]["values"], serde_json::json!([1.0, 1e-300, null]));
        assert_eq!(values[2]["values"], serde_json::json!([]));
        assert_eq!(values[3]["digest"], "ab".repeat(32));
    }

    #[test]
    fn messages_are_told_by_stream_and_number() {
        let kind = MessageKind::Telemetry;
        let text = lines(vec![RecordKind::Acknowledged { destination: AssetIndex(9), sequence: 3, kind }]);
        assert!(text.contains("\"destination\":9,\"stream\":\"telemetry\",\"sequence\":3"), "{text}");
    }

    #[test]
    fn the_first_error_of_the_writer_is_told_at_the_end() {
        let mut room = [0; 10];
        let mut writer = TraceWriter::new(&mut room[..], ["rover"]);
        let kind = RecordKind::SyncBytes { bytes: 1 };
        writer.record(&Record { time: SimTime(0), asset: AssetIndex(0), kind });
        assert_eq!(writer.finish().expect_err("ten bytes are too few").kind(), io::ErrorKind::WriteZero);
    }
}
