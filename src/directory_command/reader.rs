//! Reads the rows of a file: lines of JSON objects (NDJSON), or one JSON array of objects. Holds one row at a time.

use std::io::{self, BufRead, Read};

/// The maximum length of a row, in bytes: DynamoDB's limit of an item (400 KB).
pub(crate) const MAX_ROW_BYTES: usize = 400 * 1024;

/// A row of the file, not parsed yet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RawRow {
    /// The first line of the row, counted from 1.
    pub line: u64,
    /// Its JSON.
    pub json: Vec<u8>,
    /// The position in the file after the row, in bytes.
    pub end: u64,
}

/// An error in the file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadRow {
    /// The line, counted from 1.
    pub line: u64,
    /// The error.
    pub reason: String,
}

/// An iterator over rows. It ends after an error.
#[derive(Debug)]
pub(crate) struct RowReader<R> {
    source: R,
    line: u64,
    offset: u64,
    form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Unknown,
    Lines,
    /// In an array, before its first row.
    Opened,
    /// In an array, after a row.
    Array,
    Ended,
}

/// The scanner's state in a row of an array.
#[derive(Default)]
struct Nesting {
    depth: usize,
    in_text: bool,
    escaped: bool,
}

impl<R: BufRead> RowReader<R> {
    /// A reader of the rows in `source`.
    pub(crate) fn new(source: R) -> Self {
        Self { source, line: 1, offset: 0, form: Form::Unknown }
    }

    fn next_row(&mut self) -> Result<Option<RawRow>, BadRow> {
        if self.form == Form::Unknown {
            self.recognize()?;
        }
        match self.form {
            Form::Lines => self.next_line(),
            Form::Opened | Form::Array => self.next_element(),
            Form::Unknown | Form::Ended => Ok(None),
        }
    }

    fn recognize(&mut self) -> Result<(), BadRow> {
        const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];
        let is_marked = self.source.fill_buf().map(|bytes| bytes.starts_with(&BYTE_ORDER_MARK));
        if is_marked.map_err(|error| self.unreadable(&error))? {
            self.source.consume(BYTE_ORDER_MARK.len());
        }
        self.form = match self.peek()? {
            Some(b'[') => Form::Opened,
            Some(_) => Form::Lines,
            None => Form::Ended,
        };
        if self.form == Form::Opened {
            self.take()?;
        }
        Ok(())
    }

    fn next_line(&mut self) -> Result<Option<RawRow>, BadRow> {
        loop {
            let mut json = Vec::new();
            let read = (&mut self.source).take(MAX_ROW_BYTES as u64 + 1).read_until(b'\n', &mut json);
            let read = read.map_err(|error| self.unreadable(&error))?;
            self.offset += read as u64;
            let line = self.line;
            self.line += 1;
            if read > MAX_ROW_BYTES {
                return Err(BadRow { line, reason: too_long() });
            }
            if read == 0 {
                return Ok(None);
            }
            if !json.trim_ascii().is_empty() {
                return Ok(Some(RawRow { line, json, end: self.offset }));
            }
        }
    }

    fn next_element(&mut self) -> Result<Option<RawRow>, BadRow> {
        let mut next = self.peek()?;
        if self.form == Form::Array && next == Some(b',') {
            self.take()?;
            next = self.peek()?;
        } else if next == Some(b']') {
            self.take()?;
            self.form = Form::Ended;
            return if self.peek()?.is_none() { Ok(None) } else { Err(self.bad("something follows the array")) };
        } else if self.form == Form::Array {
            return Err(self.bad("expected `,` or `]` after a row"));
        }
        self.form = Form::Array;
        if next != Some(b'{') {
            return Err(self.bad("expected a row, which is a JSON object"));
        }
        self.element().map(Some)
    }

    fn element(&mut self) -> Result<RawRow, BadRow> {
        let (line, mut json, mut nesting) = (self.line, Vec::new(), Nesting::default());
        loop {
            let byte = self.take()?.ok_or_else(|| BadRow { line, reason: "the row does not end".to_owned() })?;
            json.push(byte);
            if json.len() > MAX_ROW_BYTES {
                return Err(BadRow { line, reason: too_long() });
            }
            if nesting.ends_with(byte) {
                return Ok(RawRow { line, json, end: self.offset });
            }
        }
    }

    /// The next byte that is not white space. It is not consumed.
    fn peek(&mut self) -> Result<Option<u8>, BadRow> {
        loop {
            let next = self.source.fill_buf().map(|bytes| bytes.first().copied());
            match next.map_err(|error| self.unreadable(&error))? {
                Some(byte) if byte.is_ascii_whitespace() => drop(self.take()?),
                next => return Ok(next),
            }
        }
    }

    fn take(&mut self) -> Result<Option<u8>, BadRow> {
        let next = self.source.fill_buf().map(|bytes| bytes.first().copied());
        let next = next.map_err(|error| self.unreadable(&error))?;
        if let Some(byte) = next {
            self.source.consume(1);
            self.offset += 1;
            self.line += u64::from(byte == b'\n');
        }
        Ok(next)
    }

    fn bad(&self, reason: &str) -> BadRow {
        BadRow { line: self.line, reason: reason.to_owned() }
    }

    fn unreadable(&self, error: &io::Error) -> BadRow {
        self.bad(&format!("cannot read the file: {error}"))
    }
}

impl<R: BufRead> Iterator for RowReader<R> {
    type Item = Result<RawRow, BadRow>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.next_row();
        if !matches!(next, Ok(Some(_))) {
            self.form = Form::Ended;
        }
        next.transpose()
    }
}

impl Nesting {
    /// Returns `true` if the object ends with this byte. Does not validate the object, which is parsed later.
    fn ends_with(&mut self, byte: u8) -> bool {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' if self.in_text => self.escaped = true,
            b'"' => self.in_text = !self.in_text,
            b'{' | b'[' if !self.in_text => self.depth += 1,
            b'}' | b']' if !self.in_text => self.depth -= 1,
            _ => {}
        }
        self.depth == 0
    }
}

fn too_long() -> String {
    format!("a row cannot be longer than {} KB", MAX_ROW_BYTES / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows as `line:json`, and errors as `line!reason`.
    fn rows(text: &str) -> Vec<String> {
        let show = |row: Result<RawRow, BadRow>| match row {
            Ok(row) => format!("{}:{}", row.line, String::from_utf8(row.json).unwrap().trim()),
            Err(bad) => format!("{}!{}", bad.line, bad.reason),
        };
        // A buffer of three bytes, so that rows span many buffers.
        RowReader::new(io::BufReader::with_capacity(3, text.as_bytes())).map(show).collect()
    }

    #[test]
    fn rows_of_line_files_and_arrays_have_their_first_line() {
        for (text, expected, reason) in [
            ("", vec![], "an empty file"),
            (" \n\n", vec![], "nothing but white space"),
            ("{}\n\n{\"a\":1}\r\n{}", vec!["1:{}", "3:{\"a\":1}", "4:{}"], "lines"),
            ("{\n}", vec!["1:{", "2:}"], "a row of a line file is one line"),
            ("[]", vec![], "an empty array"),
            ("[{},{}]", vec!["1:{}", "1:{}"], "an array on one line"),
            ("\n[\n {\"a\":[{}]},\n\n{\n}\n]\n", vec!["3:{\"a\":[{}]}", "5:{\n}"], "an array on many"),
            ("[{\"a\":\"}\\\"]\"}]", vec!["1:{\"a\":\"}\\\"]\"}"], "braces and quotes in a text"),
        ] {
            assert_eq!(rows(text), expected, "{reason}");
        }
        assert_eq!(RowReader::new("\u{feff}[{}]".as_bytes()).count(), 1, "a byte order mark");
    }

    #[test]
    fn a_malformed_array_is_an_error_with_its_line_and_ends_the_rows() {
        for (text, expected) in [
            ("[{}\n{}]", vec!["1:{}", "2!expected `,` or `]` after a row"]),
            ("[{},\n]", vec!["1:{}", "2!expected a row, which is a JSON object"]),
            ("[,{}]", vec!["1!expected a row, which is a JSON object"]),
            ("[1]", vec!["1!expected a row, which is a JSON object"]),
            ("[{},\n{\"a\":\n", vec!["1:{}", "2!the row does not end"]),
            ("[{}", vec!["1:{}", "1!expected `,` or `]` after a row"]),
            ("[{}]\n[{}]", vec!["1:{}", "2!something follows the array"]),
        ] {
            assert_eq!(rows(text), expected, "{text}");
        }
    }

    #[test]
    fn a_row_without_an_end_is_an_error_before_it_fills_the_memory() {
        for start in ["", "["] {
            let endless = start.as_bytes().chain(io::Read::take(io::repeat(b'{'), 10 << 20));
            let row = RowReader::new(io::BufReader::new(endless)).next().unwrap();
            assert_eq!(row, Err(BadRow { line: 1, reason: too_long() }));
        }
    }
}
