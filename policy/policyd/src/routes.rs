//! The calls, each on a thread that may wait for the disk.

use std::sync::Arc;

use kekkai_policy_api::{
    AddHandler, AddPerson, AddReference, AddTerminal, AdmitPart, AttestChallenge, BeginEnrolment,
    CloseSession, Decide, EndAgreement, Enrolments, ExpectServer, FinishEnrolment, ListState,
    LookUpPerson, LookUpTerminal, OpenSession, Record, RecordEnquiry, RegisterAgreement,
    RegisterDataset, RegisterExtract, ReleaseKeys, RemoveHandler, RenewLeases, RevokeTerminal,
    WithdrawReference,
};
use kekkai_service::{From, Routes};
use kekkai_types::{Call, Refusal, Timestamp};

use crate::{Service, refuse};

/// How a call is answered, given who asks and when.
type Answer<C> = fn(&Service, &From, C, Timestamp) -> Result<<C as Call>::Reply, Refusal>;

fn add<C: Call + 'static>(routes: Routes, service: &Arc<Service>, answer: Answer<C>) -> Routes
where
    C::Reply: 'static,
{
    let service = service.clone();
    routes.call(move |from: From, call: C| {
        let service = service.clone();
        async move {
            let work = move || answer(&service, &from, call, Timestamp::now());
            match tokio::task::spawn_blocking(work).await {
                Ok(reply) => reply,
                // It panicked: a bug, and whatever it held stays locked.
                Err(_) => Err(refuse::internal()),
            }
        }
    })
}

/// All calls of `kekkai-policy-api`.
pub fn routes(service: &Arc<Service>) -> Routes {
    let r = Routes::new();
    let r = add::<Record>(r, service, |s, from, call, now| {
        s.record(&from.peer, call, now)
    });
    let r = add::<LookUpPerson>(r, service, |s, _, call, now| s.look_up_person(&call, now));
    let r = add::<LookUpTerminal>(r, service, |s, _, call, now| s.look_up_terminal(&call, now));
    let r = add::<OpenSession>(r, service, |s, from, call, now| {
        s.open_session(&from.peer, call, now)
    });
    let r = add::<RenewLeases>(r, service, |s, from, call, now| {
        s.renew_leases(&from.peer, call, now)
    });
    let r = add::<CloseSession>(r, service, |s, from, call, now| {
        s.close_session(&from.peer, call, now)
    });
    let r = add::<Decide>(r, service, |s, from, call, now| {
        s.decide(&from.peer, call, now)
    });
    let r = add::<AttestChallenge>(r, service, |s, from, _, now| {
        s.challenge(&from.peer, &from.spki, now)
    });
    let r = add::<BeginEnrolment>(r, service, |s, from, call, now| {
        s.begin_enrolment(&from.peer, &call, now)
    });
    let r = add::<FinishEnrolment>(r, service, |s, from, call, now| {
        s.finish_enrolment(&from.peer, &call, now)
    });
    let r = add::<ReleaseKeys>(r, service, |s, from, call, now| {
        s.release_keys(&from.peer, &from.spki, &call, now)
    });
    let r = add::<AdmitPart>(r, service, |s, from, call, now| {
        s.admit_part(&from.peer, &call, now)
    });
    let r = add::<RegisterAgreement>(r, service, |s, from, call, now| {
        s.register_agreement(&from.peer, call, now)
    });
    let r = add::<EndAgreement>(r, service, |s, from, call, now| {
        s.end_agreement(&from.peer, call, now)
    });
    let r = add::<AddHandler>(r, service, |s, from, call, now| {
        s.add_handler(&from.peer, call, now)
    });
    let r = add::<RemoveHandler>(r, service, |s, from, call, now| {
        s.remove_handler(&from.peer, call, now)
    });
    let r = add::<AddPerson>(r, service, |s, from, call, now| {
        s.add_person(&from.peer, call, now)
    });
    let r = add::<AddTerminal>(r, service, |s, from, call, now| {
        s.add_terminal(&from.peer, call, now)
    });
    let r = add::<RevokeTerminal>(r, service, |s, from, call, now| {
        s.revoke_terminal(&from.peer, call, now)
    });
    let r = add::<RegisterDataset>(r, service, |s, from, call, now| {
        s.register_dataset(&from.peer, call, now)
    });
    let r = add::<RegisterExtract>(r, service, |s, from, call, now| {
        s.register_extract(&from.peer, call, now)
    });
    let r = add::<RecordEnquiry>(r, service, |s, from, call, now| {
        s.record_enquiry(&from.peer, call, now)
    });
    let r = add::<ExpectServer>(r, service, |s, from, call, now| {
        s.expect_server(&from.peer, call, now)
    });
    let r = add::<Enrolments>(r, service, |s, from, call, now| {
        s.enrolments(&from.peer, &call, now)
    });
    let r = add::<AddReference>(r, service, |s, from, call, now| {
        s.add_reference(&from.peer, call, now)
    });
    let r = add::<WithdrawReference>(r, service, |s, from, call, now| {
        s.withdraw_reference(&from.peer, &call, now)
    });
    add::<ListState>(r, service, |s, from, call, now| {
        s.list_state(&from.peer, &call, now)
    })
}
