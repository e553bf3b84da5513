//! How a plan's scans go to another member: by what they read, never with what reads it.

use std::sync::{Arc, Weak};

use datafusion::common::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::physical_plan::{PhysicalExtensionCodec, PhysicalProtoConverterExtension};
use kekkai_engine::{ScanPart, Session};

/// The longest description of a scan, in bytes: a few thousand columns.
const PART_MAX: usize = 1024 * 1024;

/// Writes scans as [`ScanPart`]s, and makes scans of the own session's tables of them.
pub(crate) struct Codec {
    session: Weak<Session>,
}

impl Codec {
    pub(crate) fn new(session: Weak<Session>) -> Self {
        Self { session }
    }
}

impl std::fmt::Debug for Codec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Codec")
    }
}

impl PhysicalExtensionCodec for Codec {
    fn try_decode(
        &self,
        bytes: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
        _context: &TaskContext,
        _converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let foreign = || DataFusionError::Plan("refused: not a scan".to_owned());
        if !inputs.is_empty() || bytes.len() > PART_MAX {
            return Err(foreign());
        }
        let part: ScanPart = serde_json::from_slice(bytes).map_err(|_| foreign())?;
        let session = self.session.upgrade();
        let session =
            session.ok_or_else(|| DataFusionError::Internal("the session has ended".to_owned()))?;
        session.scan(&part)
    }

    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        bytes: &mut Vec<u8>,
        _converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        let part = ScanPart::of(&node).ok_or_else(|| {
            DataFusionError::NotImplemented(format!("{} on another server", node.name()))
        })?;
        serde_json::to_writer(bytes, &part)
            .map_err(|_| DataFusionError::Internal("a scan can't be written down".to_owned()))
    }
}
