//! Showing a screen: recorded before the first frame, and recorded when it ends.

use std::sync::Arc;
use std::time::Duration;

use kekkai_analysis_api::{AttachScreen, Viewer};
use kekkai_policy_api::Event;
use kekkai_types::{EndReason, PersonId, TerminalId};

use super::relay::relay;
use super::seat::{Lost, Place, WatchPlace};
use super::{Admission, Area, Close, FAREWELL_LIMIT, Inlet, Outlet};
use crate::gateway::{Chain, Gateway};
use crate::sessions::LiveSession;

/// Leases are renewed once a second.
const LEASE_WORD: Duration = Duration::from_millis(1500);
/// A watcher draws in an area of its own; this one is not looked at.
const WATCHER_AREA: (u16, u16, u16) = (1280, 800, 100);

/// Shows the session's person their desktop, until either side ends it.
pub(crate) async fn show(
    gateway: &Arc<Gateway>,
    admission: Admission,
    area: Area,
    address: &str,
    inlet: &mut impl Inlet,
    outlet: &mut impl Outlet,
) -> Close {
    let live = &admission.live;
    let session = &live.opened.session;
    if let Some(reason) = live.end_reason() {
        return said(outlet, Close::Ended(reason)).await;
    }
    let Some(place) = Place::take(live) else {
        return said(outlet, Close::ServerGone).await;
    };
    let attached = Event::ScreenAttached {
        session: session.clone(),
        terminal: live.terminal.clone(),
        address: address.to_owned(),
        mark: None,
    };
    // Record before effect: nothing is shown that the ledger doesn't know of.
    if let Err(error) = gateway.record(attached).await {
        tracing::error!(%session, error = %Chain(&error), "screen not recorded, so not shown");
        let close = unless_over(live, Close::ServerGone).await;
        return said(outlet, close).await;
    }
    let attach = AttachScreen {
        session: session.clone(),
        viewer: Viewer::Researcher,
        size: area.triple(),
    };
    let lock_after = live.desk.as_ref().map(super::Desk::lock_after);
    let close = tokio::select! {
        biased;
        reason = live.ended() => Close::Ended(reason),
        lost = place.lost() => match lost {
            Lost::Replaced => Close::Replaced,
            Lost::Locked => Close::Locked,
        },
        close = attached_relay(gateway, &attach, lock_after, live, inlet, outlet) => close,
    };
    // First of all, since a client goes on showing its last frame until it hears of it.
    said(outlet, close).await;
    if let Close::OutOfProtocol(what) = close {
        refused(gateway, live, &live.person.person, &live.terminal, what).await;
    }
    let detached = Event::ScreenDetached {
        session: session.clone(),
        reason: close.detached().to_owned(),
    };
    if let Err(error) = gateway.record(detached).await {
        tracing::error!(%session, error = %Chain(&error), "end of a screen not recorded");
    }
    place.leave(match close {
        Close::Locked => EndReason::Idle,
        _ => EndReason::Disconnected,
    });
    close
}

async fn said(outlet: &mut impl Outlet, close: Close) -> Close {
    let _ = tokio::time::timeout(FAREWELL_LIMIT, outlet.close(close)).await;
    close
}

/// Staff at a registered terminal, allowed by the policy service to look at this session.
pub(crate) struct Guest {
    pub(crate) person: PersonId,
    pub(crate) terminal: TerminalId,
}

/// Shows staff a researcher's desktop. `is_over` resolves when they may not look any longer.
pub(crate) async fn watch(
    gateway: &Arc<Gateway>,
    live: &Arc<LiveSession>,
    guest: Guest,
    is_over: impl Future<Output = ()> + Send,
    inlet: &mut impl Inlet,
    outlet: &mut impl Outlet,
) -> Close {
    let session = &live.opened.session;
    let Some(_place) = WatchPlace::take(live) else {
        return said(outlet, Close::WatchOver).await;
    };
    let watched = Event::SessionWatched {
        session: session.clone(),
        by: guest.person.clone(),
        terminal: guest.terminal.clone(),
    };
    if let Err(error) = gateway.record(watched).await {
        tracing::error!(%session, error = %Chain(&error), "watcher not recorded, so not let in");
        return said(outlet, Close::ServerGone).await;
    }
    let attach = AttachScreen {
        session: session.clone(),
        viewer: Viewer::Watcher(guest.person.clone()),
        size: WATCHER_AREA,
    };
    let close = tokio::select! {
        biased;
        _ = live.ended() => Close::WatchOver,
        () = is_over => Close::WatchOver,
        close = attached_relay(gateway, &attach, None, live, inlet, outlet) => match close {
            Close::Ended(_) => Close::WatchOver,
            other => other,
        },
    };
    said(outlet, close).await;
    if let Close::OutOfProtocol(what) = close {
        refused(gateway, live, &guest.person, &guest.terminal, what).await;
    }
    let ended = Event::SessionWatchEnded {
        session: session.clone(),
        by: guest.person,
    };
    if let Err(error) = gateway.record(ended).await {
        tracing::error!(%session, error = %Chain(&error), "end of a watch not recorded");
    }
    close
}

async fn attached_relay(
    gateway: &Gateway,
    attach: &AttachScreen,
    lock_after: Option<Duration>,
    live: &LiveSession,
    inlet: &mut impl Inlet,
    outlet: &mut impl Outlet,
) -> Close {
    let close = match gateway.analysis.stream(attach).await {
        Ok(stream) => relay(stream, &attach.viewer, lock_after, live, inlet, outlet).await,
        Err(error) => {
            tracing::warn!(session = %attach.session, error = %Chain(&error), "no screen");
            Close::ServerGone
        }
    };
    match close {
        Close::ServerGone => unless_over(live, close).await,
        other => other,
    }
}

/// What failed may be a session that ended elsewhere: its lease tells soon.
async fn unless_over(live: &LiveSession, close: Close) -> Close {
    match tokio::time::timeout(LEASE_WORD, live.ended()).await {
        Ok(reason) => Close::Ended(reason),
        Err(_) => close,
    }
}

async fn refused(
    gateway: &Gateway,
    live: &LiveSession,
    person: &PersonId,
    terminal: &TerminalId,
    what: &str,
) {
    let event = Event::RequestRefused {
        person: Some(person.clone()),
        session: Some(live.opened.session.clone()),
        terminal: Some(terminal.clone()),
        request: format!("screen: {what}"),
    };
    if let Err(error) = gateway.record(event).await {
        tracing::error!(error = %Chain(&error), "refused input not recorded");
    }
}
