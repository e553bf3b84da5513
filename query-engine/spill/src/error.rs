//! Why spilling fails. Nothing here quotes what was spilled.

use std::error::Error;
use std::io;

/// Why something can't be spilled, or read back.
#[derive(Debug, thiserror::Error)]
pub enum SpillError {
    /// The caller's statement needs more disk than the session has.
    #[error("the session's {bytes_max} bytes of disk are used up")]
    Quota {
        /// What the session has.
        bytes_max: u64,
    },
    /// The operator's disk: full or broken.
    #[error("a block can't be written")]
    Write(#[source] io::Error),
    /// The operator's disk.
    #[error("a block can't be read")]
    Read(#[source] io::Error),
    /// The file holds something else than what was written there: somebody changed it.
    #[error("a block is not what was written")]
    Changed,
    /// The file that came has a name, is no regular file, or holds something.
    #[error("the file to spill into must be an empty regular file without a name")]
    NotFresh,
    /// No randomness to make a key of.
    #[error("no randomness for a key")]
    NoKey,
    /// 2³² files were made in one session.
    #[error("the session has made too many files")]
    TooManyFiles,
    /// A bug: the library's, which writes to a file in two places or after its end; or ours.
    #[error("bug: {0}")]
    Bug(&'static str),
}

impl SpillError {
    /// The spill error that lies below another error, as the libraries wrap it.
    pub fn below<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref::<Self>() {
                return Some(found);
            }
            next = match error.downcast_ref::<io::Error>() {
                // Its `source` is the source of what it holds.
                Some(error) => match error.get_ref() {
                    Some(held) => Some(held as &(dyn Error + 'static)),
                    None => error.source(),
                },
                None => error.source(),
            };
        }
        None
    }
}

impl From<SpillError> for io::Error {
    fn from(error: SpillError) -> Self {
        Self::other(error)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::error::ArrowError;
    use datafusion::error::DataFusionError;

    use super::*;

    #[test]
    fn spill_error_is_found_below_what_libraries_wrap_it_in() {
        let quota = || io::Error::from(SpillError::Quota { bytes_max: 7 });
        let wrapped = [
            DataFusionError::IoError(quota()),
            DataFusionError::from(ArrowError::from(quota())),
            DataFusionError::External(Box::new(quota())),
            DataFusionError::Shared(Arc::new(
                DataFusionError::from(ArrowError::from(quota())).context("while sorting"),
            )),
        ];
        for error in wrapped {
            let found = SpillError::below(&error);
            assert!(
                matches!(found, Some(SpillError::Quota { bytes_max: 7 })),
                "{error:?}"
            );
        }
        let other = DataFusionError::IoError(io::ErrorKind::NotFound.into());
        assert!(SpillError::below(&other).is_none());
    }
}
