//! Generators for property tests.
//!
//! Every run uses the same cases. `PROPTEST_RNG_SEED` selects other cases and `PROPTEST_CASES` their number. Each case
//! that failed becomes a row of a table test.

use proptest::{
    collection::{hash_map, vec},
    prelude::*,
    test_runner::RngSeed,
};
use serde_json::Value;

/// The proptest settings of all properties.
pub(crate) fn cases() -> ProptestConfig {
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    match config.rng_seed {
        RngSeed::Random => ProptestConfig { rng_seed: RngSeed::Fixed(20_260_101), ..config },
        RngSeed::Fixed(_) => config,
    }
}

/// Any text, often with a part that is special in HTML, a header, a key or a template.
pub(crate) fn text() -> impl Strategy<Value = String> {
    let special = prop::sample::select(vec![
        "\r\n",
        "{{",
        "}}",
        "{{{",
        "<b>",
        "\"",
        "'",
        "&",
        "\\",
        "#",
        "\0",
        "\u{202e}",
        "\u{2066}",
        "\u{200b}",
        "\u{2028}",
        "😀",
        "e\u{301}",
        "@",
        "[",
        "]",
        ",",
        " ",
        "%",
        "{invitationId}",
    ]);
    let piece = prop_oneof![3 => ".{0,6}".prop_map(String::from), 1 => special.prop_map(str::to_owned)];
    vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

/// Any JSON value that survives a round trip.
pub(crate) fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i32>().prop_map(|half| (f64::from(half) / 2.0).into()),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            hash_map(text(), inner, 0..6).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}
