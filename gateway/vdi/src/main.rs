//! The native client.

fn main() {}
