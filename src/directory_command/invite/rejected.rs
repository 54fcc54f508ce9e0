//! The file of rejected rows: the form of the input plus two columns. After correction it is the next input.

use std::{
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

use csv::WriterBuilder;
use serde_json::{Value, json};

use super::{
    InviteError, Options,
    file::{Form, Row},
};
use crate::directory_command::{CommandError, display_name};

/// The columns of the error, which are ignored in an input. Not `code`, which is a variable of the mail.
pub(super) const ERROR_CODE: &str = "errorCode";
pub(super) const ERROR_MESSAGE: &str = "errorMessage";

/// A row that the API rejected.
pub(super) struct Rejected<'r> {
    pub(super) row: &'r Row,
    pub(super) code: String,
    pub(super) message: String,
}

/// The path of the file; `extension` is the default for an input without an extension.
pub(super) fn path(options: &Options, extension: &str) -> Result<PathBuf, InviteError> {
    let path = options.rejected.clone().unwrap_or_else(|| beside(&options.file, extension));
    if path == options.file || is_same_file(&path, &options.file) {
        return Err(InviteError::Invalid("--rejected: the input would be overwritten".to_owned()));
    }
    Ok(path)
}

/// Returns `true` if both paths name the same existing file.
fn is_same_file(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

fn beside(input: &Path, extension: &str) -> PathBuf {
    let text = |part: &OsStr| part.to_string_lossy().into_owned();
    let stem = input.file_stem().map(text).filter(|stem| stem != "-");
    let extension = input.extension().map_or_else(|| extension.to_owned(), text);
    let name = stem.map_or_else(String::new, |stem| format!("{stem}."));
    input.with_file_name(format!("{name}rejected.{extension}"))
}

/// Writes the rows. Without rejected rows, empties an existing file and creates none.
pub(super) fn write(path: &Path, form: &Form, rejected: &[Rejected<'_>]) -> Result<(), CommandError> {
    if rejected.is_empty() && !path.exists() {
        return Ok(());
    }
    let content = match form {
        Form::Csv { delimiter, header } => csv(*delimiter, header, rejected).map_err(io::Error::other),
        Form::Json => Ok(json_lines(rejected)),
    };
    let written = content.and_then(|content| fs::write(path, content));
    written.map_err(|reason| CommandError::File { name: display_name(path), reason })
}

fn csv(delimiter: u8, header: &[String], rejected: &[Rejected<'_>]) -> Result<Vec<u8>, csv::Error> {
    let kept = |cells: &mut dyn Iterator<Item = &str>| -> Vec<String> {
        let of_input =
            header.iter().zip(cells).filter(|(name, _)| !matches!(name.as_str(), ERROR_CODE | ERROR_MESSAGE));
        of_input.map(|(_, cell)| cell.to_owned()).collect()
    };
    let mut writer = WriterBuilder::new().delimiter(delimiter).from_writer(Vec::new());
    let mut names = kept(&mut header.iter().map(String::as_str));
    names.extend([ERROR_CODE, ERROR_MESSAGE].map(str::to_owned));
    writer.write_record(names)?;
    for Rejected { row, code, message } in rejected {
        let mut cells = kept(&mut row.cells.iter());
        cells.extend([code.clone(), message.clone()]);
        writer.write_record(cells)?;
    }
    writer.into_inner().map_err(|error| error.into_error().into())
}

fn json_lines(rejected: &[Rejected<'_>]) -> Vec<u8> {
    let line = |Rejected { row, code, message }: &Rejected<'_>| {
        let mut fields = row.fields.clone();
        fields.insert(ERROR_CODE.to_owned(), json!(code));
        fields.insert(ERROR_MESSAGE.to_owned(), json!(message));
        format!("{}\n", Value::Object(fields))
    };
    rejected.iter().map(line).collect::<String>().into_bytes()
}
