//! Properties of the function. Those of single parsers are beside their code in `src/`.

#[path = "../../src/arbitrary.rs"]
mod arbitrary;
mod bodies;
