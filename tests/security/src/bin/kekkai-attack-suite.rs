//! Every attack as a SQL worker, and each subject's first as the other jailed kinds, started by whoever
//! runs this: attack, kind and outcome, separated by tabs. Ordinary users see no other's namespaces; that
//! nothing is left is looked at as root.

use kekkai_security::{Launcher, evil_worker, suite};
use kekkai_sys::ProcessKind;

fn main() {
    let program = evil_worker();
    let launcher = Launcher::new(&program);
    let mut subject = String::new();
    for attack in suite::attacks(&program) {
        let is_first = subject != attack.subject;
        subject.clone_from(&attack.subject);
        for kind in ProcessKind::JAILED {
            if !is_first && kind != ProcessKind::SqlWorker {
                continue;
            }
            let cell = suite::cell(&launcher, kind, &attack, "ordinary user");
            println!("{}\t{kind}\t{cell}", attack.name);
        }
    }
}
