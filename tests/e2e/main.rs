//! End to end: the real component, in the real host, against the simulated tenant.
//!
//! `harness` starts both; each other module is about one promise of the README.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::expect_used,
    reason = "tests"
)]

mod any_answer;
mod bad_input;
mod browser;
mod changing;
mod circles;
mod collection;
mod contract;
mod exports;
mod exports_for_products;
mod faults;
mod fleet;
mod harness;
mod interruption;
mod killed;
mod network;
mod odd_answers;
mod output;
mod page;
mod page_requests;
mod permissions;
mod registry;
mod removals;
mod sandbox;
mod secrets;
mod serve;
mod served;
mod served_page;
mod signing;
mod swap;
mod synchronization;
