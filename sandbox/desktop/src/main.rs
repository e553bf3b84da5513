//! The workspace's process.

fn main() {}
