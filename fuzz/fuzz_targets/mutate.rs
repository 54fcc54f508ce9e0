//! Mutates events, mostly as JSON, so that the result is still an event.

use libfuzzer_sys::fuzzer_mutate;
use serde_json::{Map, Value, json};

/// Strings that have a meaning in some part of the function.
const TEXTS: [&str; 36] = [
    "",
    "default",
    "no-mail",
    "all",
    "inviters",
    "acme",
    "ada",
    "member",
    "admin",
    "nobody",
    "Accepted",
    "Revoked",
    "GET",
    "POST",
    "PUT",
    "DELETE",
    "application/json",
    "text/plain",
    "2.0",
    "$default",
    "grace@example.com",
    "ada@example.com",
    "x@@example.com",
    "\r\nBcc: a@example.com",
    "{{link}}{{{code}}}",
    "<script>",
    "\u{0}\u{1b}",
    "\u{202e}\u{2066}",
    "a#b",
    "{invitationId}",
    "https://app.example.com/{invitationId}",
    "https://app.example.com/#{invitationToken}",
    "/api/organization-invitations/0mjuohs00k3x9abp7q2rs/message",
    "/api/organization-invitations/0mjuohs00k3x9abp7q2rs/token/verify",
    "/api/my-account/organization-invitations",
    "/api/my-account/organization-invitations/0mjuohs00k3x9abp7q2rs/status",
];

/// Keys that the function reads.
const KEYS: [&str; 36] = [
    "inviterId",
    "invitee",
    "organizationId",
    "expiresAt",
    "organizationRoleIds",
    "messagePayload",
    "link",
    "code",
    "locale",
    "uiLocales",
    "status",
    "acceptedUserId",
    "token",
    "sub",
    "email",
    "email_verified",
    "tenant_id",
    "scope",
    "groups",
    "cognito:groups",
    "authorizer",
    "jwt",
    "claims",
    "lambda",
    "body",
    "isBase64Encoded",
    "headers",
    "content-type",
    "idempotency-key",
    "rawPath",
    "rawQueryString",
    "version",
    "http",
    "method",
    "stage",
    "$serde_json::private::RawValue",
];

/// Query strings.
const QUERIES: [&str; 6] = [
    "page_size=1",
    "page_size=1&cursor=x",
    "invitee=Grace%40example.com",
    "organizationId=acme&inviterId=ada",
    "%",
    "&&=",
];

/// Mutates the first `size` bytes of `data` and returns the new size, in bytes.
pub fn event(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let mut dice = Dice(u64::from(seed) << 1 | 1);
    let changed = match serde_json::from_slice::<Value>(&data[..size]) {
        Ok(mut event) if !dice.one_in(8) => {
            (0..=dice.up_to(2)).for_each(|_| change(&mut event, &mut dice));
            event.to_string().into_bytes()
        }
        _ => return fuzzer_mutate(data, size, max_size),
    };
    // A result that is too long is discarded.
    if changed.len() > max_size {
        return size;
    }
    data[..changed.len()].copy_from_slice(&changed);
    changed.len()
}

/// Changes `value`, a part of it, or the JSON document inside a string.
fn change(value: &mut Value, dice: &mut Dice) {
    if dice.one_in(6) {
        *value = replacement(value, dice);
        return;
    }
    match value {
        Value::Object(fields) => change_fields(fields, dice),
        Value::Array(values) if !values.is_empty() => {
            let position = dice.up_to(values.len() - 1);
            match dice.up_to(3) {
                0 => drop(values.remove(position)),
                1 => values.push(values[position].clone()),
                _ => change(&mut values[position], dice),
            }
        }
        Value::String(text) => match serde_json::from_str::<Value>(text) {
            Ok(mut inner @ (Value::Object(_) | Value::Array(_))) => {
                change(&mut inner, dice);
                *text = inner.to_string();
            }
            _ => *text = changed_text(text, dice),
        },
        _ => *value = replacement(value, dice),
    }
}

fn change_fields(fields: &mut Map<String, Value>, dice: &mut Dice) {
    let keys: Vec<String> = fields.keys().cloned().collect();
    let key = keys.get(dice.up_to(keys.len())).cloned();
    match (dice.up_to(7), key) {
        (0, Some(key)) => drop(fields.remove(&key)),
        (1, Some(key)) => {
            let value = fields.remove(&key).unwrap_or_default();
            fields.insert(dice.pick(&KEYS).to_owned(), value);
        }
        (2, _) | (_, None) => {
            let value = replacement(&Value::Null, dice);
            fields.insert(dice.pick(&KEYS).to_owned(), value);
        }
        (_, Some(key)) => change(&mut fields[&key], dice),
    }
}

/// A replacement for `value`, often of another type.
fn replacement(value: &Value, dice: &mut Dice) -> Value {
    match dice.up_to(13) {
        0 => Value::Null,
        1 => dice.one_in(2).into(),
        2 => json!(dice.up_to(50)),
        3 => json!(-1.5e300),
        4 => json!(4_102_444_800_000_u64),
        5 => json!([value]),
        6 => json!({ (dice.pick(&KEYS)): value }),
        7 => json!([]),
        8 => json!({}),
        9 => vec![value.clone(); 1 + dice.up_to(60)].into(),
        10 => value.to_string().into(),
        11 => dice.pick(&QUERIES).into(),
        12 => "x".repeat(1 << dice.up_to(10)).into(),
        _ => dice.pick(&TEXTS).into(),
    }
}

fn changed_text(text: &str, dice: &mut Dice) -> String {
    let characters: Vec<char> = text.chars().collect();
    let (before, after) = characters.split_at(dice.up_to(characters.len()));
    let join = |parts: [&[char]; 2], between: &str| {
        format!("{}{between}{}", String::from_iter(parts[0]), String::from_iter(parts[1]))
    };
    match dice.up_to(4) {
        0 => join([before, after.get(1..).unwrap_or_default()], ""),
        1 => join([before, after], dice.pick(&TEXTS)),
        2 => text.to_uppercase(),
        3 => format!("{text}{text}"),
        _ => dice.pick(&TEXTS).to_owned(),
    }
}

/// Pseudo-random numbers from libFuzzer's seed (xorshift64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number from 0 to `most`, inclusive.
    fn up_to(&mut self, most: usize) -> usize {
        (self.roll() >> 16) as usize % (most + 1)
    }

    fn one_in(&mut self, sides: usize) -> bool {
        self.up_to(sides - 1) == 0
    }

    fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.up_to(choices.len() - 1)]
    }
}
