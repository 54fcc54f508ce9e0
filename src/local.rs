//! The development stack (`cargo dev`): all services around the function in one process, without an account and without
//! a network. The tests use the same parts.
//!
//! | module | owns |
//! |---|---|
//! | [`stack`] | the DynamoDB emulator, the SES stand-in, and the function's clients for them |
//! | `direct` | calls of these services inside the process |
//! | [`table`] | the table, created from `template.yaml` |
//! | [`ses`] | the SES stand-in |
//! | [`feedback`] | the delivery of its events about the mail to the function |
//! | `guard`, `relay` | the protection of the servers from browsers, and the proxy that adds it to DynamoDB |
//! | [`cors`] | the origins whose pages may call the API |
//! | [`demo`] | the demo tenants |
//! | [`issuer`] | development tokens, and their verification |
//! | [`gateway`] | HTTP request → event → handler → HTTP response |
//! | [`inbox`] | the page with the mail |
//! | [`overview`] | the page with a tenant's invitations |
//! | [`events`] | the page with the events |
//! | `reference` | the page with the API reference |
//! | [`stream`], [`pipe`] | the emulator's stream, and the pipe from it to the function |
//! | `pages` | the common parts of the pages |
//! | [`log`] | the lines of the log |
//! | [`serve`], [`invoke`] | the commands `cargo dev` and `cargo dev invoke` |
//! | [`banner`] | the output of `cargo dev` at its start |

pub mod banner;
pub mod cors;
pub mod demo;
mod direct;
pub mod events;
pub(crate) mod feedback;
pub(crate) mod gateway;
mod guard;
pub(crate) mod inbox;
pub mod invoke;
pub mod issuer;
pub mod log;
pub(crate) mod overview;
mod pages;
pub mod pipe;
mod reference;
mod relay;
pub mod serve;
pub mod ses;
pub mod stack;
pub mod stream;
pub(crate) mod table;
