//! The jailed processes that compile and run programs.
