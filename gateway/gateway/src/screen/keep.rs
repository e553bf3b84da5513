//! A desktop session's life at the gateway, whether somebody looks at it or not.

use std::sync::Arc;
use std::time::Duration;

use kekkai_analysis_api::WaitScreen;
use kekkai_service::CallError;
use kekkai_types::EndReason;

use crate::gateway::{Chain, Gateway};
use crate::sessions::LiveSession;

/// Between two questions when the first had no answer.
const WISH_PAUSE: Duration = Duration::from_millis(500);
/// Questions without an answer after which the analysis server is lost.
const WISH_TRIES: u32 = 3;

impl Gateway {
    /// Keeps a desktop session until it ends, and then ends it everywhere.
    pub(super) async fn keep_desktop(self: Arc<Self>, live: Arc<LiveSession>) {
        let Some(desk) = &live.desk else { return };
        let reason = tokio::select! {
            reason = live.ended() => reason,
            reason = desk.left_alone() => reason,
            reason = self.follow_wishes(&live) => reason,
        };
        self.close_session(&live, reason).await;
    }

    /// Does what the person asks of the gateway on their desktop: lock, leave. Resolves when the session
    /// is to end.
    async fn follow_wishes(&self, live: &LiveSession) -> EndReason {
        let mut seen = 0;
        let mut failures = 0;
        loop {
            let wait = WaitScreen {
                session: live.opened.session.clone(),
                seen,
            };
            match self.analysis.call(&wait).await {
                Ok(wish) if wish.number > seen => {
                    (seen, failures) = (wish.number, 0);
                    if wish.leave {
                        return EndReason::ClosedByUser;
                    }
                    if let (true, Some(desk)) = (wish.lock, &live.desk) {
                        desk.lock();
                    }
                    continue;
                }
                // Nothing new for as long as a question waits. Its answer at once would be a loop.
                Ok(_) => failures = 0,
                Err(error) => {
                    tracing::warn!(
                        session = %live.opened.session,
                        error = %Chain(&error),
                        "a screen's wishes not heard"
                    );
                    failures += 1;
                    // A refusal says that the server ended it: its lease tells why, in a second.
                    let is_refused = matches!(error, CallError::Refused(_));
                    if failures >= WISH_TRIES && !is_refused || failures >= 4 * WISH_TRIES {
                        return EndReason::ServerLost;
                    }
                }
            }
            tokio::time::sleep(WISH_PAUSE).await;
        }
    }
}
