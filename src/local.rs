//! The development stack (`cargo dev`): everything around the function, in one process, without an account and
//! without a network. The tests run against the same parts.
//!
//! | module | owns |
//! |---|---|
//! | [`stack`] | the DynamoDB emulator and the SES stand-in, and how the function reaches them |
//! | `direct` | its short way to them |
//! | [`table`] | the table, made from `template.yaml` |
//! | [`ses`] | the SES stand-in |
//! | `guard`, `relay` | which requests the servers take, and the way through that to DynamoDB |
//! | [`demo`] | the tenants that are there from the start |
//! | [`issuer`] | development tokens, and their verification |
//! | [`gateway`] | HTTP request → event → handler → HTTP response |
//! | [`inbox`] | the page on which mail is read |
//! | [`overview`] | the page on which a tenant's invitations are read |
//! | `pages` | what the pages have in common |
//! | [`serve`], [`invoke`] | what `cargo dev` and `cargo dev invoke` do |
//! | [`banner`] | what `cargo dev` says |

pub mod banner;
pub mod demo;
mod direct;
pub mod gateway;
mod guard;
pub mod inbox;
pub mod invoke;
pub mod issuer;
pub mod overview;
mod pages;
mod relay;
pub mod serve;
pub mod ses;
pub mod stack;
pub mod table;
