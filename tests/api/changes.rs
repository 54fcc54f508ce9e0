//! Events that the function generates from its table's stream, which the emulator records and a pipe delivers.

mod transitions;
mod unreadable;
