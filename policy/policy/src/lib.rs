//! What an agreement says, and what follows from it: pure, without I/O and without a clock.
//!
//! The story: the producer and a user organisation write down what they agreed (取決め, R7) as TOML,
//! and [`Agreement::parse`] turns that text into terms or says at which line it can't. A person at a
//! terminal asks for a session: [`decide_open`] looks at the [`Facts`] and answers with an
//! [`Opening`], whose `Allow` carries what the session owes the agreement. While the session runs,
//! [`decide_lease`] asks the same questions again each second with the facts of that second, so that
//! a revocation ends it. Outside sessions, [`decide`] says who may vote, fetch or unlock.
//!
//! Each decision asks "may this person?" apart from "does the state allow it?", in this order: a
//! person who may not know that an agreement exists gets the same answer whether it does or not.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "tests"
    )
)]

mod agreement;
mod decide;
mod facts;
mod grant;
mod lease;
mod open;
mod usage;

pub use agreement::{
    AGREEMENT_BYTES_MAX, Agreement, AgreementError, Clock, DataItem, Day, Desktop, EndMeasure,
    Hours, Known, Organisation, Parties, People, Period, Place, ProvidedRows, Provision,
    ProvisionMethod, ROWS_PER_DAY_DEFAULT, ROWS_PER_MINUTE_DEFAULT, Sdc, THRESHOLD_DEFAULT,
    TableItem,
};
pub use decide::{Decision, Obligations, decide};
pub use facts::{AgreementFacts, Facts, PersonFacts, ServerFacts, SessionFacts, TerminalFacts};
pub use grant::{GrantError, grant};
pub use lease::{Lease, decide_lease};
pub use open::{OpenObligations, OpenRequest, Opening, decide_open, may_use};
pub use usage::{
    Counted, EXCESSIVE, Excess, Hour, Measure, PAST_DAYS, PAST_KEPT_HOURS, PROJECT_FLOORS,
    ROWS_FLOOR, RowBounds, Rows, STATEMENTS_FLOOR, UNUSUAL, Usage, Verdict, Whose,
};
