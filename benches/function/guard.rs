//! The guard: compares the function's size and instruction counts with the committed budget in `benches/budget.json`.

use std::{fs, path::Path};

use serde::{Deserialize, Serialize};

use crate::{endpoints::Endpoints, instructions::Instructions, subject::Subject};

const BUDGET: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/budget.json");

/// The accepted ratio of measured to committed instructions. Counts of one binary differ by less than 1%.
const TOLERANCE: f64 = 1.05;

/// The budget of the function.
#[derive(Debug, Deserialize, Serialize)]
struct Budget {
    /// The maximum size of the binary, in bytes.
    binary_bytes: u64,
    /// Instructions from the start until the function asks for its first event, with connections to both services but
    /// without TLS.
    init_instructions: u64,
    /// Instructions of one warm create with mail, without TLS.
    create_instructions: u64,
}

/// Checks the function against its budget, and prints the result. With `accept`, writes the measured values as the new
/// budget.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "the guard is a command")]
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
        // Rounded up, so that a small fix does not need a new budget.
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
        println!("{what}: {found}, limit {most}");
        if found > most {
            over = true;
            eprintln!("over budget: {what}");
        }
    }
    if over { Err("over budget; `.ci/guard --accept` sets a new budget".to_owned()) } else { Ok(()) }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "the counts are at most billions"
)]
fn with_tolerance(instructions: u64) -> u64 {
    (instructions as f64 * TOLERANCE) as u64
}

fn size(file: &Path) -> u64 {
    fs::metadata(file).expect("the binary is built").len()
}
