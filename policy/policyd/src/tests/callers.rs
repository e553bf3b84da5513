//! Every call of the API is answered, and only to those whom the API names.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use kekkai_policy_api as api;
use kekkai_service::From;
use kekkai_types::{Call, Peer, PeerKind};
use tower::ServiceExt as _;

use super::bench::*;

/// The names and paths of all calls, as the API's own source declares them.
fn declared() -> Vec<(String, String)> {
    let sources = [
        include_str!("../../../policy-api/src/admin.rs"),
        include_str!("../../../policy-api/src/session.rs"),
    ];
    sources
        .iter()
        .flat_map(|text| text.split("\ncall!(").skip(1))
        .filter_map(|rest| {
            let (name, rest) = rest.split_once(',')?;
            let path = rest.split('"').nth(1)?;
            Some((name.trim().to_owned(), path.to_owned()))
        })
        .collect()
}

fn peers() -> [Peer; 6] {
    [
        Peer::Gateway,
        Peer::Policy,
        analysis(),
        Peer::Review,
        admin(),
        Peer::Terminal(terminal("t1")),
    ]
}

macro_rules! callers {
    ($($call:ident)*) => {
        vec![$((stringify!($call), api::$call::PATH, api::$call::callers())),*]
    };
}

fn all() -> Vec<(&'static str, &'static str, &'static [PeerKind])> {
    callers![
        Record LookUpPerson LookUpTerminal OpenSession RenewLeases CloseSession Decide
        AttestChallenge BeginEnrolment FinishEnrolment ReleaseKeys AdmitPart RegisterAgreement EndAgreement
        AddHandler RemoveHandler AddPerson AddTerminal RevokeTerminal RegisterDataset RegisterExtract RecordEnquiry ExpectServer
        Enrolments AddReference WithdrawReference ListState
    ]
}

#[test]
fn every_call_is_answered_and_refused_to_everybody_else() {
    let all = all();
    let mut names: Vec<_> = all
        .iter()
        .map(|(name, path, _)| ((*name).to_owned(), (*path).to_owned()))
        .collect();
    let mut wanted = declared();
    names.sort();
    wanted.sort();
    assert_eq!(names, wanted, "a call of the API has no row here");

    let (_dir, bench, service) = full();
    let size = bench.entries().len();
    let router = crate::routes(&Arc::new(service)).router();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        for (name, path, callers) in all {
            for peer in peers() {
                let mut request = Request::post(path).body(Body::from("not json")).unwrap();
                let from = From {
                    peer: peer.clone(),
                    spki: spki(),
                };
                request.extensions_mut().insert(from);
                let reply = router.clone().oneshot(request).await.unwrap();
                let expected = if callers.contains(&peer.kind()) {
                    StatusCode::BAD_REQUEST
                } else {
                    StatusCode::FORBIDDEN
                };
                assert_eq!(reply.status(), expected, "{name} by {}", peer.to_uri());
            }
        }
    });
    assert_eq!(bench.entries().len(), size);
}

#[test]
fn administration_looks_at_the_peer_itself_too() {
    let (_dir, _bench, service) = full();
    for peer in [
        Peer::Gateway,
        Peer::Policy,
        analysis(),
        Peer::Review,
        Peer::Terminal(terminal("t1")),
    ] {
        let refused = service
            .list_state(&peer, &api::ListState {}, NOON)
            .unwrap_err();
        assert_eq!(refused.code, "caller-not-allowed");
        let call = add_person("x", kekkai_types::Role::Operator);
        assert_eq!(
            service.add_person(&peer, call, NOON).unwrap_err().code,
            "caller-not-allowed"
        );
        if !matches!(peer, Peer::Analysis(_)) {
            let refused = service.challenge(&peer, &spki(), NOON).unwrap_err();
            assert_eq!(refused.code, "caller-not-allowed");
        }
    }
}
