//! Places where a test kills the process, to see what is left. Outside tests nothing is compiled.

/// Between the durable ledger entry and the change of state.
pub(crate) const RECORDED: &str = "recorded";
/// Between the change of state and the reply.
pub(crate) const EFFECTED: &str = "effected";

#[cfg(test)]
thread_local! {
    /// Where the thread's process is to die.
    pub(crate) static DIE_AT: std::cell::RefCell<Option<String>> =
        const { std::cell::RefCell::new(None) };
}

/// Dies here, if the test asked for it: `kill -9`, no destructor, no flush.
#[cfg(test)]
pub(crate) fn reach(place: &str) {
    if DIE_AT.with(|wanted| wanted.borrow().as_deref() == Some(place)) {
        let pid = std::process::id().to_string();
        let _ = std::process::Command::new("kill")
            .args(["-9", &pid])
            .status();
        loop {
            std::thread::park();
        }
    }
}

/// Nothing.
#[cfg(not(test))]
#[inline]
pub(crate) fn reach(_place: &str) {}
