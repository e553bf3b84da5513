//! A member that is gone, told apart from a statement that fails there.
//!
//! A failure *of* a member comes as the failure that it was: out of memory there is out of memory. What the
//! transport says for itself (a connection that broke, a stream that ended early) means that the member is
//! lost, and the statement with it: what it had computed is nowhere else.

use datafusion::common::DataFusionError;
use kekkai_analysis_api::{SqlError, SqlErrorCode};
use kekkai_types::ServerId;

/// Before the name, in what one member tells another of a third. An error's words are all that survives the way.
const LOST: &str = "kekkai server lost: ";

/// Another member is gone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{LOST}{0}")]
struct Lost(ServerId);

/// The failure of a statement that needed `server`, as it goes to whoever asked.
pub(crate) fn lost(server: &ServerId) -> DataFusionError {
    DataFusionError::External(Box::new(Lost(server.clone())))
}

/// An error from `server`, or from the way to it.
pub(crate) fn explain(error: DataFusionError, server: &ServerId) -> DataFusionError {
    match root(&error) {
        DataFusionError::External(cause) if cause.is::<tonic::Status>() => lost(server),
        DataFusionError::External(cause) => match third(&cause.to_string()) {
            Some(third) => lost(&third),
            // Not one of DataFusion's own: the decoder of what came, which had too little of it.
            None => lost(server),
        },
        _ => error,
    }
}

/// An error as the leader's person is told it.
pub(crate) fn tell(error: DataFusionError) -> DataFusionError {
    let DataFusionError::External(cause) = root(&error) else {
        return error;
    };
    match third(&cause.to_string()) {
        Some(server) => DataFusionError::External(Box::new(SqlError {
            code: SqlErrorCode::ServerLost,
            name: server.to_string(),
            at: None,
            candidates: Vec::new(),
            hint: None,
        })),
        None => error,
    }
}

fn third(words: &str) -> Option<ServerId> {
    let (_, name) = words.split_once(LOST)?;
    ServerId::new(name).ok()
}

fn root(error: &DataFusionError) -> &DataFusionError {
    match error {
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => root(inner),
        DataFusionError::Shared(inner) => root(inner),
        DataFusionError::Collection(errors) => errors.first().map_or(error, root),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(name: &str) -> ServerId {
        ServerId::new(name).unwrap()
    }

    fn told(error: DataFusionError) -> SqlError {
        match tell(error) {
            DataFusionError::External(error) => *error.downcast::<SqlError>().unwrap(),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn broken_transport_names_the_member() {
        let broken = DataFusionError::External(Box::new(tonic::Status::unavailable("h2")));
        let told = told(explain(broken, &server("a2")));
        assert_eq!(
            (told.code, told.name.as_str()),
            (SqlErrorCode::ServerLost, "a2")
        );
    }

    #[test]
    fn a_third_members_loss_keeps_its_name_on_the_way() {
        // As it arrives: its words, in a box of another type.
        let arrived = DataFusionError::External(lost(&server("a3")).to_string().into());
        let told = told(DataFusionError::Shared(
            explain(arrived, &server("a2")).into(),
        ));
        assert_eq!(
            (told.code, told.name.as_str()),
            (SqlErrorCode::ServerLost, "a3")
        );
    }

    #[test]
    fn a_failure_of_the_statement_stays_what_it_is() {
        let full = DataFusionError::ResourcesExhausted("pool".to_owned());
        let same = tell(explain(full, &server("a2")));
        assert!(matches!(same, DataFusionError::ResourcesExhausted(_)));
    }
}
