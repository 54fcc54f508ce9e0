//! The source of a mail: the message as SES would assemble it, without the headers that the servers on its way add.

use std::fmt::Write;

use aws_sdk_sesv2::primitives::{DateTime, DateTimeFormat};
use base64::{Engine, prelude::BASE64_STANDARD};

use crate::local::ses::Mail;

/// The maximum length of a line in characters (RFC 5322). An encoded word has up to 75.
const BYTES_PER_WORD: usize = 42;

/// The message in the form of RFC 5322, with UTF-8 in its parts.
pub(super) fn source(mail: &Mail) -> String {
    let boundary = format!("--=_{}", mail.id);
    let mut text = String::new();
    let at = DateTime::from_millis(mail.at.as_millis()).fmt(DateTimeFormat::HttpDate).unwrap_or_default();
    let own = [
        ("Date", at.replace("GMT", "+0000")),
        ("Message-ID", format!("<{}@email.amazonses.com>", mail.id)),
        ("MIME-Version", "1.0".to_owned()),
    ];
    let headers = mail.headers.iter().map(|(name, value)| (name.as_str(), encoded(value)));
    for (name, value) in headers.chain(own) {
        // Writing to a string cannot fail.
        let _ = write!(text, "{name}: {value}\r\n");
    }
    let parts = [("plain", &mail.text), ("html", &mail.html)].into_iter().filter(|(_, part)| !part.is_empty());
    let parts: Vec<_> = parts.collect();
    if let [(kind, part)] = parts[..] {
        return text + &content(kind, part);
    }
    let _ = write!(text, "Content-Type: multipart/alternative; boundary=\"{boundary}\"\r\n\r\n");
    for (kind, part) in parts {
        let _ = write!(text, "--{boundary}\r\n{}", content(kind, part));
    }
    let _ = write!(text, "--{boundary}--\r\n");
    text
}

fn content(kind: &str, part: &str) -> String {
    let lines = part.lines().fold(String::new(), |lines, line| lines + line + "\r\n");
    format!("Content-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{lines}")
}

/// The value of a header: unchanged in ASCII, otherwise as encoded words (RFC 2047). Line ends become spaces.
fn encoded(value: &str) -> String {
    let value = value.replace(['\r', '\n'], " ");
    if value.is_ascii() {
        return value;
    }
    let mut words = vec![String::new()];
    for character in value.chars() {
        match words.last_mut() {
            Some(word) if word.len() + character.len_utf8() <= BYTES_PER_WORD => word.push(character),
            _ => words.push(character.to_string()),
        }
    }
    let words = words.into_iter().map(|word| format!("=?utf-8?B?{}?=", BASE64_STANDARD.encode(word)));
    words.collect::<Vec<_>>().join("\r\n ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::timestamp::Timestamp;

    fn mail(subject: &str, html: &str, text: &str) -> Mail {
        Mail {
            id: "1".to_owned(),
            at: Timestamp::from_millis(1_767_225_600_000),
            to: "a@example.com".to_owned(),
            from: "b@example.com".to_owned(),
            subject: subject.to_owned(),
            html: html.to_owned(),
            text: text.to_owned(),
            headers: BTreeMap::from([("Subject".to_owned(), subject.to_owned())]),
            tags: BTreeMap::new(),
        }
    }

    #[test]
    fn both_parts_are_alternatives_and_one_part_stands_alone() {
        let both = source(&mail("Hi", "<p>Grüße</p>", "Grüße\nAda"));
        for part in [
            "Subject: Hi\r\n",
            "Date: Thu, 01 Jan 2026 00:00:00 +0000\r\n",
            "multipart/alternative; boundary=\"--=_1\"\r\n\r\n----=_1\r\nContent-Type: text/plain",
            "\r\n\r\nGrüße\r\nAda\r\n----=_1\r\nContent-Type: text/html",
            "<p>Grüße</p>\r\n----=_1--\r\n",
        ] {
            assert!(both.contains(part), "{part:?} in {both:?}");
        }
        let alone = source(&mail("Hi", "", "text"));
        assert!(alone.contains("text/plain") && !alone.contains("multipart"), "{alone}");
    }

    #[test]
    fn a_header_is_ascii_in_lines_of_its_own() {
        let subject = "Grüße ".repeat(30) + "\r\nBcc: evil@example.com";
        let text = source(&mail(&subject, "", "text"));
        let (headers, _) = text.split_once("\r\n\r\n").unwrap();
        assert!(headers.is_ascii() && !headers.contains("\r\nBcc"), "{headers}");
        assert!(headers.lines().all(|line| line.len() <= 78 + "Subject: ".len()), "{headers}");
        let words = headers.split("=?utf-8?B?").skip(1).map(|word| word.split_once("?=").unwrap().0);
        let decoded = words.map(|word| String::from_utf8(BASE64_STANDARD.decode(word).unwrap()).unwrap());
        assert_eq!(decoded.collect::<String>(), subject.replace(['\r', '\n'], " "));
    }
}
