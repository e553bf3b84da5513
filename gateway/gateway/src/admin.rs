//! The administration port: enrolment tickets and lock-outs, for staff with a certificate.

use std::sync::Arc;

use kekkai_gateway_api::{Account, CreateEnrolment, EnrolmentTicket, LookUpAccount, Unlock};
use kekkai_policy_api::{Action, Decide, Decided, Event, Resource};
use kekkai_service::{From, Routes};
use kekkai_signin::StorageError;
use kekkai_types::{Peer, PersonId, Refusal, Timestamp};

use crate::gateway::{Chain, Gateway};

/// The calls of the administration port.
pub(crate) fn routes(gateway: &Arc<Gateway>) -> Routes {
    let (create, unlock, look_up) = (gateway.clone(), gateway.clone(), gateway.clone());
    Routes::new()
        .call::<CreateEnrolment, _, _>(move |from, call| {
            create_enrolment(create.clone(), from, call)
        })
        .call::<Unlock, _, _>(move |from, call| lift(unlock.clone(), from, call))
        .call::<LookUpAccount, _, _>(move |from, call| account(look_up.clone(), from, call))
}

async fn create_enrolment(
    gateway: Arc<Gateway>,
    from: From,
    call: CreateEnrolment,
) -> Result<EnrolmentTicket, Refusal> {
    let by = staff(&from)?;
    decided(&gateway, &by, Action::EnrolCredential, &call.person).await?;
    let ticket = gateway
        .check(move |signin| signin.create_ticket(&call.person, &by, Timestamp::now()))
        .await
        .and_then(|ticket| ticket)
        .map_err(|error| storage(&error))?;
    Ok(EnrolmentTicket {
        ticket: ticket.ticket.to_string(),
        totp_secret: ticket.totp_secret.to_string(),
    })
}

async fn lift(gateway: Arc<Gateway>, from: From, call: Unlock) -> Result<(), Refusal> {
    let by = staff(&from)?;
    decided(&gateway, &by, Action::Unlock, &call.person).await?;
    gateway
        .record(Event::AccountUnlocked {
            person: call.person.clone(),
            by,
        })
        .await
        .map_err(kekkai_service::CallError::into_refusal)?;
    let name = call.person.to_string();
    let is_lifted = gateway
        .check(move |signin| signin.unlock(&call.person))
        .await
        .and_then(|lifted| lifted)
        .map_err(|error| storage(&error))?;
    if is_lifted {
        Ok(())
    } else {
        Err(Refusal::not_found(name))
    }
}

async fn account(
    gateway: Arc<Gateway>,
    from: From,
    call: LookUpAccount,
) -> Result<Account, Refusal> {
    staff(&from)?;
    let state = gateway
        .check(move |signin| signin.account(&call.person))
        .await
        .and_then(|state| state)
        .map_err(|error| storage(&error))?;
    Ok(Account {
        locked: state.locked,
        failures: state.failures,
        authenticators: state.authenticators,
        token: state.token,
    })
}

fn staff(from: &From) -> Result<PersonId, Refusal> {
    match &from.peer {
        Peer::Admin(person) => Ok(person.clone()),
        other => Err(Refusal::new("caller-not-allowed", other.to_uri())),
    }
}

async fn decided(
    gateway: &Gateway,
    by: &PersonId,
    action: Action,
    account: &PersonId,
) -> Result<(), Refusal> {
    let decide = Decide {
        person: by.clone(),
        terminal: gateway.config.admin.terminal.clone(),
        action,
        resource: Resource::Account(account.clone()),
    };
    match gateway.policy.call(&decide).await {
        Ok(Decided::Allowed) => Ok(()),
        Ok(Decided::Refused(reason)) => {
            let code = serde_json::to_value(reason)
                .ok()
                .and_then(|value| value.as_str().map(str::to_owned));
            Err(Refusal::new(
                code.as_deref().unwrap_or("refused"),
                account.as_str(),
            ))
        }
        Err(error) => Err(error.into_refusal()),
    }
}

fn storage(error: &StorageError) -> Refusal {
    tracing::error!(error = %Chain(error), "sign-in state failed");
    Refusal::new("internal", "sign-in state")
}
