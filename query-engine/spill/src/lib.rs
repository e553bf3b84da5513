//! Spilled batches, encrypted under a key that dies with the process.
