//! From an error to a page that says what to do next.

use axum::http::StatusCode;
use axum::response::Response;
use kekkai_policy_api::EndReason;

use super::layout::{self, Part};
use super::text::{self, T};
use super::visitor::Visitor;
use crate::policy::PolicyError;
use crate::review::{FetchError, VoteError};
use crate::store::StoreError;

/// What went wrong, as a page shows it.
pub(super) struct Fault {
    status: StatusCode,
    what: T,
}

impl Fault {
    pub(super) const NOT_FOUND: Self = Self {
        status: StatusCode::NOT_FOUND,
        what: text::E_NOT_FOUND,
    };
    pub(super) const FORM: Self = Self {
        status: StatusCode::BAD_REQUEST,
        what: text::E_FORM,
    };
    const INTERNAL: Self = Self {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        what: text::E_INTERNAL,
    };

    pub(super) fn page(&self, visitor: &Visitor, part: Part) -> Response {
        layout::error(visitor, part, self.status, self.what)
    }
}

impl From<PolicyError> for Fault {
    fn from(error: PolicyError) -> Self {
        match error {
            PolicyError::Refused(reason) => {
                let status = match reason {
                    EndReason::NoAgreement | EndReason::NotOnRoster => StatusCode::NOT_FOUND,
                    EndReason::ServiceUnavailable => StatusCode::SERVICE_UNAVAILABLE,
                    _ => StatusCode::FORBIDDEN,
                };
                Self {
                    status,
                    what: text::refusal(reason),
                }
            }
            PolicyError::NoAnswer(cause) => {
                tracing::warn!(error = %cause, "no answer from the policy service");
                Self {
                    status: StatusCode::SERVICE_UNAVAILABLE,
                    what: text::E_UNAVAILABLE,
                }
            }
        }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "database");
        match error {
            StoreError::Altered { .. } => Self {
                status: StatusCode::CONFLICT,
                what: text::E_ALTERED,
            },
            _ => Self::INTERNAL,
        }
    }
}

impl From<VoteError> for Fault {
    fn from(error: VoteError) -> Self {
        let (status, what) = match error {
            VoteError::Policy(error) => return error.into(),
            VoteError::Store(error) => return error.into(),
            VoteError::NotFound => return Self::NOT_FOUND,
            VoteError::OwnOutput => (StatusCode::FORBIDDEN, text::E_OWN),
            VoteError::OtherBytes => (StatusCode::CONFLICT, text::E_OTHER_BYTES),
            VoteError::OtherRound => (StatusCode::CONFLICT, text::E_OTHER_ROUND),
            VoteError::VotedAlready => (StatusCode::CONFLICT, text::E_VOTED),
            VoteError::Over => (StatusCode::CONFLICT, text::E_OVER),
            VoteError::CommentMissing => (StatusCode::UNPROCESSABLE_ENTITY, text::E_COMMENT),
            VoteError::CommentTooLong => (StatusCode::UNPROCESSABLE_ENTITY, text::E_COMMENT_LONG),
            VoteError::Approval(error) => {
                tracing::error!(%error, "no approval");
                (StatusCode::CONFLICT, text::E_ALTERED)
            }
            VoteError::Bundle(error) => {
                tracing::error!(%error, "no release");
                return Self::INTERNAL;
            }
        };
        Self { status, what }
    }
}

impl From<FetchError> for Fault {
    fn from(error: FetchError) -> Self {
        match error {
            FetchError::NotFound => Self::NOT_FOUND,
            FetchError::Policy(error) => error.into(),
            FetchError::Store(error) => error.into(),
            FetchError::Bundle(error) => {
                tracing::error!(%error, "stored bundle");
                Self {
                    status: StatusCode::CONFLICT,
                    what: text::E_ALTERED,
                }
            }
        }
    }
}
