//! Events: what the function makes of the stream of its table, which the emulator keeps and a pipe hands over.

mod transitions;
mod unreadable;
