//! The service with a real ledger, a real database, and quotes that a test's own AK signs.

mod bench;
mod callers;
mod crash;
mod extracts;
mod keys;
mod ledger;
mod parts;
mod programs;
mod revoke;
mod screens;
mod story;
mod usage;
