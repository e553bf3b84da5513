//! Leases: a session lives only while the policy service says so, asked each second.

use std::sync::Arc;
use std::time::Duration;

use kekkai_policy_api::{EndReason, LeaseState, RenewLeases};
use kekkai_service::Client;

use crate::broker::Broker;
use crate::session::Session;

/// Between two renewals.
pub const RENEW_EVERY: Duration = Duration::from_secs(1);
/// Without an answer for this long a session is ended. With the process's death it takes less than 5 s.
pub const SILENCE_MAX: Duration = Duration::from_secs(4);

/// Renews leases for as long as the broker lives.
pub async fn renew_forever(broker: Arc<Broker>, policy: Client) {
    let mut tick = tokio::time::interval(RENEW_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        tick.tick().await;
        let sessions = broker.leased();
        if sessions.is_empty() {
            continue;
        }
        // One slow call must not keep the next look at the clock waiting.
        let renewal = tokio::time::timeout(RENEW_EVERY, renew(&policy, &sessions));
        if renewal.await.is_err() {
            tracing::warn!("leases are not renewed: no answer in time");
        }
        let silent = sessions
            .iter()
            .filter(|s| s.unconfirmed_for() >= SILENCE_MAX);
        let ends = silent.map(|session| session.end(EndReason::ServiceUnavailable));
        join_all(ends).await;
    }
}

async fn renew(policy: &Client, sessions: &[Arc<Session>]) {
    let ids = sessions
        .iter()
        .map(|session| session.id().clone())
        .collect();
    let answer = match policy.call(&RenewLeases { sessions: ids }).await {
        Ok(answer) => answer,
        Err(error) => {
            tracing::warn!(%error, "leases are not renewed");
            return;
        }
    };
    for session in sessions {
        match answer.get(session.id()) {
            Some(LeaseState::Live) => session.confirm(),
            Some(LeaseState::Ended(reason)) => {
                // Not waited for here: the others' leases come first.
                let (session, reason) = (session.clone(), *reason);
                tokio::spawn(async move { session.end(reason).await });
            }
            // Not answered is not renewed.
            None => {}
        }
    }
}

/// Runs all to their end, at once.
async fn join_all(futures: impl Iterator<Item = impl Future<Output = ()>>) {
    let mut futures: Vec<_> = futures.map(Box::pin).collect();
    std::future::poll_fn(|cx| {
        futures.retain_mut(|future| future.as_mut().poll(cx).is_pending());
        match futures.is_empty() {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
}
