//! Properties of the function. Properties of single parsers are in `src/`, next to their code.

#[path = "../../src/arbitrary.rs"]
mod arbitrary;
mod bodies;
