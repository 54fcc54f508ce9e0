//! The guard: the function's size and its instructions against what is committed in `benches/budget.json`.

use std::{fs, path::Path};

use serde::{Deserialize, Serialize};

use crate::{endpoints::Endpoints, instructions::Instructions, subject::Subject};

const BUDGET: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/budget.json");

/// How much more than committed may be executed. The counts of one binary differ by less than a hundredth.
const TOLERANCE: f64 = 1.05;

/// What the function may cost.
#[derive(Debug, Deserialize, Serialize)]
struct Budget {
    /// The most bytes that the binary may have.
    binary_bytes: u64,
    /// Instructions until it asks for its first event, connections included, without TLS.
    init_instructions: u64,
    /// Instructions of one warm create with mail, without TLS.
    create_instructions: u64,
}

/// Checks the function against its budget, and says so. Where `accept` is set, what is found becomes the budget.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "it is a command")]
pub async fn guard(accept: bool) -> Result<(), String> {
    let function = Subject::function();
    let endpoints = Endpoints::start(false).await;
    let instructions = Instructions::count(&function, &endpoints).await.ok_or("the guard needs valgrind")?;
    let found = Budget {
        binary_bytes: size(&function.artifact),
        init_instructions: instructions.init,
        create_instructions: instructions.warm,
    };
    if accept {
        // Rounded up, so that a fix does not have to raise it.
        let binary_bytes = found.binary_bytes.next_multiple_of(250_000);
        let text = serde_json::to_string_pretty(&Budget { binary_bytes, ..found }).expect("numbers");
        return fs::write(BUDGET, text + "\n").map_err(|error| format!("{BUDGET}: {error}"));
    }
    let text = fs::read_to_string(BUDGET).map_err(|error| format!("{BUDGET}: {error}"))?;
    let budget: Budget = serde_json::from_str(&text).map_err(|error| format!("{BUDGET}: {error}"))?;
    let mut over = false;
    for (what, found, most) in [
        ("bytes of the binary", found.binary_bytes, budget.binary_bytes),
        ("instructions of init", found.init_instructions, with_tolerance(budget.init_instructions)),
        ("instructions of a warm create", found.create_instructions, with_tolerance(budget.create_instructions)),
    ] {
        println!("{what}: {found}, of at most {most}");
        if found > most {
            over = true;
            eprintln!("over budget: {what}");
        }
    }
    if over { Err("what is meant to cost more is accepted with `.ci/guard --accept`".to_owned()) } else { Ok(()) }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "billions at most"
)]
fn with_tolerance(instructions: u64) -> u64 {
    (instructions as f64 * TOLERANCE) as u64
}

fn size(file: &Path) -> u64 {
    fs::metadata(file).expect("it was built").len()
}
