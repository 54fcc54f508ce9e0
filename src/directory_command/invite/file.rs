//! The rows of a file: CSV (RFC 4180) or JSON objects.

use std::path::Path;

use csv::{ErrorKind, ReaderBuilder, StringRecord};
use serde_json::{Map, Value};

use super::InviteError;
use crate::directory_command::reader::{BadRow, RawRow, RowReader};

/// The contents of a file.
pub(super) struct Input {
    pub(super) form: Form,
    pub(super) rows: Vec<Row>,
}

/// The form of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Form {
    Csv { delimiter: u8, header: Vec<String> },
    Json,
}

/// A row.
#[derive(Clone)]
pub(super) struct Row {
    /// The first line of the row, counted from 1.
    pub(super) line: u64,
    /// The fields by name, without the empty cells of a CSV file.
    pub(super) fields: Map<String, Value>,
    /// The cells of a CSV file.
    pub(super) cells: StringRecord,
}

/// An error in the file, at a line and possibly a column.
#[derive(Debug)]
pub(super) struct BadFile {
    pub(super) line: u64,
    pub(super) column: Option<String>,
    pub(super) reason: String,
}

impl BadFile {
    fn new(line: u64, reason: impl Into<String>) -> Self {
        Self { line, column: None, reason: reason.into() }
    }

    /// The error with the file's name.
    pub(super) fn of(self, file: &str) -> InviteError {
        let column = self.column.map_or_else(String::new, |column| format!(", column {column}"));
        InviteError::Invalid(format!("{file}: line {}{column}: {}", self.line, self.reason))
    }
}

impl Form {
    /// The usual file extension.
    pub(super) fn extension(&self) -> &'static str {
        match self {
            Self::Csv { .. } => "csv",
            Self::Json => "ndjson",
        }
    }
}

/// Reads the rows. Recognizes the form by the extension of `path`, else by the first character.
pub(super) fn read(content: &[u8], path: &Path) -> Result<Input, BadFile> {
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    let extension = path.extension().map(|it| it.to_string_lossy().to_ascii_lowercase());
    let is_json = match extension.as_deref() {
        Some("csv" | "tsv") => false,
        Some("json" | "jsonl" | "ndjson") => true,
        _ => matches!(content.trim_ascii_start().first(), Some(b'{' | b'[')),
    };
    if is_json { json(content) } else { csv(content) }
}

fn json(content: &[u8]) -> Result<Input, BadFile> {
    let row = |raw: Result<RawRow, BadRow>| {
        let raw = raw.map_err(|bad| BadFile::new(bad.line, bad.reason))?;
        let fields = serde_json::from_slice(&raw.json).map_err(|error| BadFile {
            line: raw.line + (error.line() as u64).saturating_sub(1),
            column: Some(error.column().to_string()),
            reason: "not a JSON object".to_owned(),
        })?;
        Ok(Row { line: raw.line, fields, cells: StringRecord::new() })
    };
    Ok(Input { form: Form::Json, rows: RowReader::new(content).map(row).collect::<Result<_, _>>()? })
}

fn csv(content: &[u8]) -> Result<Input, BadFile> {
    let delimiter = delimiter(content);
    let mut reader = ReaderBuilder::new().delimiter(delimiter).has_headers(false).from_reader(content);
    let (mut header, mut rows) = (Vec::new(), Vec::new());
    let (mut line, mut counted) = (1, 0);
    loop {
        let start = start_of_record(content, reader.position().byte());
        line += newlines(&content[counted..start]);
        counted = start;
        let mut cells = StringRecord::new();
        if !reader.read_record(&mut cells).map_err(|error| unreadable(&error, line, &header))? {
            break;
        }
        let end = start_of_record(content, reader.position().byte());
        if content[start..end].iter().fold(false, |is_open, byte| is_open ^ (*byte == b'"')) {
            return Err(BadFile::new(line, "a quotation mark is not closed"));
        }
        if header.is_empty() {
            header = names(&cells).map_err(|reason| BadFile::new(line, reason))?;
            continue;
        }
        let filled = header.iter().zip(&cells).filter(|(_, cell)| !cell.trim().is_empty());
        let fields = filled.map(|(name, cell)| (name.clone(), Value::from(cell))).collect();
        rows.push(Row { line, fields, cells });
    }
    Ok(Input { form: Form::Csv { delimiter, header }, rows })
}

/// The delimiter of the header. Spreadsheets use semicolons in locales with a decimal comma.
fn delimiter(content: &[u8]) -> u8 {
    let header = content.split(|byte| *byte == b'\n').next().unwrap_or_default();
    [b',', b';', b'\t'].into_iter().find(|delimiter| header.contains(delimiter)).unwrap_or(b',')
}

/// The position of the next record. The reader's position may be before the line break and empty lines.
fn start_of_record(content: &[u8], position: u64) -> usize {
    let position = usize::try_from(position).unwrap_or(usize::MAX).min(content.len());
    let is_break = |byte: &&u8| matches!(byte, b'\r' | b'\n');
    position + content[position..].iter().take_while(is_break).count()
}

fn newlines(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| u64::from(*byte == b'\n')).sum()
}

fn names(cells: &StringRecord) -> Result<Vec<String>, String> {
    let names: Vec<String> = cells.iter().map(|name| name.trim().to_owned()).collect();
    for (position, name) in names.iter().enumerate() {
        if name.is_empty() {
            return Err(format!("column {} has no name", position + 1));
        }
        if names[..position].contains(name) {
            return Err(format!("two columns are named `{name}`"));
        }
    }
    Ok(names)
}

fn unreadable(error: &csv::Error, line: u64, header: &[String]) -> BadFile {
    match error.kind() {
        ErrorKind::UnequalLengths { expected_len, len, .. } => {
            BadFile::new(line, format!("it has {len} cells, and the header has {expected_len}"))
        }
        ErrorKind::Utf8 { err, .. } => {
            let column = header.get(err.field()).map(|name| format!("`{name}`"));
            BadFile { line, column, reason: "not UTF-8".to_owned() }
        }
        _ => BadFile::new(line, "cannot be read"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows as their line and their fields.
    fn rows(name: &str, text: &[u8]) -> Result<Vec<(u64, String)>, String> {
        let input = read(text, Path::new(name)).map_err(|bad| bad.of("f").to_string())?;
        Ok(input.rows.into_iter().map(|row| (row.line, Value::Object(row.fields).to_string())).collect())
    }

    #[test]
    fn rows_have_their_first_line_and_their_fields_by_name() {
        let row = |line: u64, a: &str| (line, format!(r#"{{"a":"{a}","b":"x"}}"#));
        let plain = vec![row(2, "1"), row(3, "2")];
        for (name, text, expected, reason) in [
            ("f.csv", "a,b\n1,x\n2,x", plain.clone(), "lines"),
            (
                "f.csv",
                "\u{feff}a,b\r\n1,x\r\n2,x\r\n",
                plain.clone(),
                "a byte order mark, and the line ends of RFC 4180",
            ),
            ("-", "a;b\n1;x\n2;x\n", plain.clone(), "semicolons"),
            ("f.tsv", "a\tb\n1\tx\n2\tx\n", plain.clone(), "tabs"),
            ("f.csv", " a , b \n\n1,x\n\r\n\n2,x\n", vec![row(3, "1"), row(6, "2")], "empty lines"),
            ("f.csv", "a,b\r\n\"1,\r\n\"\"2\",x\r\n3,x", vec![row(2, r#"1,\r\n\"2"#), row(4, "3")], "quoted"),
            ("f.csv", "a,b,c\n1,x,\n2,x, ", plain, "empty cells are absent"),
            ("f.csv", "", vec![], "an empty file"),
            ("f.csv", "a,b\n", vec![], "no rows"),
            ("f.ndjson", "\n{\"b\":\"x\",\"a\":\"1\"}\n", vec![row(2, "1")], "JSON lines"),
            ("-", " [\n{\"a\":\"1\",\"b\":\"x\"}]", vec![row(2, "1")], "a JSON array, by its first character"),
        ] {
            assert_eq!(rows(name, text.as_bytes()), Ok(expected), "{reason}");
        }
    }

    #[test]
    fn an_error_has_the_line_and_the_column() {
        for (name, text, expected) in [
            ("f.csv", &b"a,b\n1,x\n2\n"[..], "f: line 3: it has 1 cells, and the header has 2"),
            ("f.csv", b"a,b\r\n\r\n1,\xff\n", "f: line 3, column `b`: not UTF-8"),
            ("f.csv", b"a,b\n1,x\n2,\"y\n3,x\n", "f: line 3: a quotation mark is not closed"),
            ("f.csv", b"a,a\n", "f: line 1: two columns are named `a`"),
            ("f.csv", b"a,\n", "f: line 1: column 2 has no name"),
            ("f.ndjson", b"{}\n{\"a\":}\n", "f: line 2, column 6: not a JSON object"),
            ("f.ndjson", b"5\n", "f: line 1, column 1: not a JSON object"),
            ("f.json", b"[{}\n{}]", "f: line 2: expected `,` or `]` after a row"),
        ] {
            assert_eq!(rows(name, text).unwrap_err(), expected);
        }
    }
}
