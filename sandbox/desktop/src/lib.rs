//! The workspace: what a researcher works in, drawn on the processor in a jail.
