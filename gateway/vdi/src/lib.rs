//! The native client: signs in, shows a session's screen, keeps nothing.
