//! End to end: the real component, in the real host, against the simulated tenant.
//!
//! `harness` starts both; each other module is about one promise of the README.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod any_answer;
mod bad_input;
mod collection;
mod contract;
mod harness;
mod interruption;
mod network;
mod output;
mod permissions;
mod sandbox;
mod secrets;
mod signing;
mod synchronization;
