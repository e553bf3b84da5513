//! Who can let a tool in: two reviewers, neither its author, on the very bytes that will run.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod common;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use common::{Page, Stage, Strike, ssh_key_of};
use kekkai_policy_api::Event;
use kekkai_review_api::{
    FetchTool, ListToolRequests, ListTools, SubmitTool, TOOL_NAMESPACE, ToolName, ToolRequest,
    ToolState, ToolSummary, WithdrawTool,
};
use kekkai_service::{CallError, Client};
use kekkai_types::{AgreementId, Digest, Lang, PersonId};
use ssh_key::{HashAlg, LineEnding};

/// A tool that does nothing; `version` makes other bytes of it.
fn component(version: u8) -> Vec<u8> {
    wat::parse_str(format!(
        r#"(component (import "wasi:io/poll@0.2.0" (instance))
            (core module $m (memory 1) (data (i32.const 0) "v{version}") (func (export "run")))
            (core instance $i (instantiate $m))
            (func (export "run") (canon lift (core func $i "run"))))"#
    ))
    .unwrap()
}

fn sbom(name: &str, component: &[u8]) -> String {
    let digest = Digest::of(component);
    format!(
        r#"{{"bomFormat": "CycloneDX", "specVersion": "1.5",
            "metadata": {{"component": {{"name": "{name}", "version": "1.2.3",
                "hashes": [{{"alg": "SHA-256", "content": "{digest}"}}]}}}},
            "components": [{{"name": "<b>libc", "version": "0.1", "purl": "pkg:generic/libc@0.1"}}]}}"#
    )
}

/// A request by `author`, signed with the key of `signer`'s terminal.
fn signed_by(signer: &str, author: &str, name: &str, version: u8) -> ToolRequest {
    let packed = kekkai_tool::pack(
        agreement(),
        PersonId::new(author).unwrap(),
        ToolName::new(name).unwrap(),
        "Risk ratio of two groups".to_owned(),
        component(version),
        sbom(name, &component(version)).into_bytes(),
    )
    .unwrap();
    let signature = ssh_key_of(signer)
        .sign(TOOL_NAMESPACE, HashAlg::Sha512, packed.text().as_bytes())
        .unwrap();
    packed
        .sign(signature.to_pem(LineEnding::LF).unwrap())
        .unwrap()
}

fn request() -> ToolRequest {
    signed_by("sato", "sato", "riskratio", 1)
}

fn agreement() -> AgreementId {
    AgreementId::new("a-2026-1").unwrap()
}

fn code(error: CallError) -> String {
    match error {
        CallError::Refused(refusal) => refusal.code,
        other => panic!("{other}"),
    }
}

struct Tools {
    stage: Stage,
    admin: Client,
}

impl Tools {
    async fn start() -> Self {
        let stage = Stage::start().await;
        let admin = stage.client_of("kekkai://admin/endo");
        Self { stage, admin }
    }

    async fn submit(&self, request: &ToolRequest) -> Result<ToolSummary, CallError> {
        self.admin
            .call(&SubmitTool {
                request: request.clone(),
            })
            .await
    }

    async fn vote(&self, person: &str, request: &ToolRequest, vote: &str) -> Page {
        let path = path(request);
        let page = self.stage.get(person, Lang::En, &path).await;
        assert_eq!(page.status, 200);
        let digest = page.hidden("digest");
        let form = format!("csrf=x&digest={digest}&vote={vote}&comment=because");
        self.post(person, request, &form).await
    }

    async fn post(&self, person: &str, request: &ToolRequest, form: &str) -> Page {
        let path = format!("{}/vote", path(request));
        self.stage
            .request(person, Lang::En, "POST", &path, form)
            .await
    }

    async fn admit(&self, request: &ToolRequest) {
        self.submit(request).await.unwrap();
        for reviewer in ["mori", "ueda"] {
            assert_eq!(self.vote(reviewer, request, "accept").await.status, 303);
        }
    }

    async fn names(&self) -> Vec<(String, Digest)> {
        let call = ListTools {
            agreement: agreement(),
        };
        let listed = self.stage.analysis.call(&call).await.unwrap();
        listed
            .into_iter()
            .map(|tool| (tool.name.into(), tool.digest))
            .collect()
    }

    async fn fetch(&self, name: &str) -> Result<Vec<u8>, CallError> {
        let call = FetchTool {
            agreement: agreement(),
            name: ToolName::new(name).unwrap(),
        };
        let fetched = self.stage.analysis.call(&call).await?;
        let component = STANDARD.decode(fetched.component).unwrap();
        assert_eq!(Digest::of(&component), fetched.digest);
        Ok(component)
    }

    async fn states(&self) -> Vec<ToolState> {
        let call = ListToolRequests { agreement: None };
        let listed = self.admin.call(&call).await.unwrap();
        listed.into_iter().map(|summary| summary.state).collect()
    }

    /// The reason of the last refusal in the ledger.
    fn refusal(&self) -> (Option<PersonId>, String) {
        let events = self.stage.world.lock().unwrap().events();
        match events.last() {
            Some(Event::ToolRefused { author, reason, .. }) => (author.clone(), reason.clone()),
            other => panic!("{other:?}"),
        }
    }
}

fn path(request: &ToolRequest) -> String {
    format!("/review/tool/{}", request.manifest.digest())
}

#[tokio::test]
async fn two_reviewers_let_in_exactly_the_signed_bytes() {
    let tools = Tools::start().await;
    let request = request();
    let summary = tools.submit(&request).await.unwrap();
    assert_eq!(summary.state, ToolState::Waiting);
    assert_eq!(summary.author.as_str(), "sato");
    assert_eq!(tools.names().await, []);
    assert_eq!(tools.vote("mori", &request, "accept").await.status, 303);
    assert_eq!(tools.names().await, []);
    assert_eq!(
        code(tools.fetch("riskratio").await.unwrap_err()),
        "not-found"
    );
    assert_eq!(tools.vote("ueda", &request, "accept").await.status, 303);
    let digest = Digest::of(&component(1));
    assert_eq!(tools.names().await, [("riskratio".to_owned(), digest)]);
    assert_eq!(tools.fetch("riskratio").await.unwrap(), component(1));
    assert_eq!(
        code(tools.fetch("tableone").await.unwrap_err()),
        "not-found"
    );
    let other = FetchTool {
        agreement: AgreementId::new("other").unwrap(),
        name: ToolName::new("riskratio").unwrap(),
    };
    assert_eq!(
        code(tools.stage.analysis.call(&other).await.unwrap_err()),
        "not-found"
    );

    // Each step was in the ledger before it was in the database.
    assert_eq!(
        tools.stage.ledger(),
        [
            "tool-submitted",
            "tool-voted",
            "tool-voted",
            "tool-admitted"
        ]
    );
    let world = tools.stage.world.lock().unwrap();
    assert_eq!(world.at("tool-submitted").tools, Vec::<String>::new());
    assert_eq!(world.at("tool-voted").tools, ["waiting"]);
    assert_eq!(world.at("tool-admitted").tools, ["half-voted"]);
    let Some(Event::ToolAdmitted {
        reviewers,
        digest: named,
        ..
    }) = world.events().last().cloned()
    else {
        panic!("{:?}", world.events().last());
    };
    assert_eq!(reviewers.each_ref().map(PersonId::as_str), ["mori", "ueda"]);
    assert_eq!(named, digest);
}

#[tokio::test]
async fn author_cannot_vote_on_own_tool_and_nobody_votes_twice() {
    let tools = Tools::start().await;
    // Hara is a reviewer who also did research.
    let request = signed_by("hara", "hara", "riskratio", 1);
    tools.submit(&request).await.unwrap();
    let form = format!(
        "csrf=x&digest={}&vote=accept&comment=",
        request.manifest.digest()
    );
    for lenient in [false, true] {
        tools.stage.world.lock().unwrap().lenient = lenient;
        assert_eq!(tools.post("hara", &request, &form).await.status, 403);
        let last = tools.stage.world.lock().unwrap().events().pop();
        let Some(Event::RequestRefused { request, .. }) = last else {
            panic!("{last:?}");
        };
        assert!(request.ends_with("own-output"), "{request}");
    }
    assert_eq!(tools.post("mori", &request, &form).await.status, 303);
    assert_eq!(tools.post("mori", &request, &form).await.status, 409);
    assert_eq!(
        tools.post("sato", &request, &form).await.status,
        303,
        "lenient"
    );
    assert_eq!(
        tools.post("ueda", &request, &form).await.status,
        409,
        "decided"
    );
}

#[tokio::test]
async fn votes_on_tools_are_blind_and_one_refusal_is_enough() {
    let tools = Tools::start().await;
    let request = request();
    tools.submit(&request).await.unwrap();
    tools.vote("mori", &request, "refuse").await;
    let page = tools
        .stage
        .get("ueda", Lang::En, &path(&request))
        .await
        .text();
    assert!(
        !page.contains("because") && !page.contains("mori"),
        "{page}"
    );
    tools.vote("ueda", &request, "accept").await;
    assert_eq!(tools.states().await, [ToolState::Rejected]);
    assert_eq!(tools.stage.ledger().last().unwrap(), "tool-rejected");
    assert_eq!(tools.names().await, []);
    let page = tools
        .stage
        .get("kato", Lang::En, &path(&request))
        .await
        .text();
    assert!(page.contains("because") && page.contains("mori"), "{page}");
    // The same bytes don't come twice; other ones may.
    assert_eq!(
        code(tools.submit(&request).await.unwrap_err()),
        "tool-decided"
    );
    let other = signed_by("sato", "sato", "riskratio", 2);
    assert!(tools.submit(&other).await.is_ok());
}

#[tokio::test]
async fn refusal_needs_a_comment_and_a_vote_the_request_that_was_shown() {
    let tools = Tools::start().await;
    let request = request();
    tools.submit(&request).await.unwrap();
    let digest = request.manifest.digest();
    let other = Digest::of(b"other");
    for (form, status) in [
        (format!("csrf=x&digest={digest}&vote=refuse&comment="), 422),
        (format!("csrf=x&digest={other}&vote=accept&comment="), 409),
        (format!("csrf=x&digest={digest}&vote=maybe&comment="), 400),
        (format!("digest={digest}&vote=accept"), 400),
    ] {
        let page = tools.post("mori", &request, &form).await;
        assert_eq!(page.status, status, "{form}");
    }
    assert_eq!(tools.states().await, [ToolState::Waiting]);
}

#[tokio::test]
async fn every_refusal_is_recorded_with_its_reason_and_stores_nothing() {
    let tools = Tools::start().await;
    let mut altered = request();
    let mut bytes = component(1);
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    altered.component = STANDARD.encode(&bytes);
    let mut renamed = request();
    renamed.manifest.name = ToolName::new("tableone").unwrap();
    let mut unsigned = request();
    unsigned.signature = String::new();
    let cases = [
        (altered, "tool-altered", None),
        (renamed, "tool-not-signed", None),
        (unsigned, "tool-signature", None),
        (
            signed_by("stranger", "sato", "riskratio", 1),
            "tool-signer-unknown",
            Some("sato"),
        ),
        // Hara signs, and says that it was Sato.
        (
            signed_by("hara", "sato", "riskratio", 1),
            "tool-signer-not-author",
            Some("sato"),
        ),
        (
            signed_by("mori", "mori", "riskratio", 1),
            "tool-author-not-on-roster",
            Some("mori"),
        ),
        (
            signed_by("sato", "sato", "miner", 1),
            "tool-not-agreed",
            Some("sato"),
        ),
    ];
    for (request, expected, author) in cases {
        assert_eq!(code(tools.submit(&request).await.unwrap_err()), expected);
        let (named, reason) = tools.refusal();
        assert!(reason.starts_with(expected), "{reason}");
        assert_eq!(named.as_ref().map(PersonId::as_str), author, "{expected}");
    }
    assert_eq!(tools.states().await, []);
    // While the ledger can't hear of a refusal, nobody learns anything else either.
    let mut tools = tools;
    tools.stage.stop_policy().await;
    let refused = code(tools.submit(&request()).await.unwrap_err());
    assert_eq!(refused, "service-unavailable");
    tools.stage.start_policy().await;
    tools.stage.world.lock().unwrap().ended = true;
    assert_eq!(
        code(tools.submit(&request()).await.unwrap_err()),
        "agreement-ended"
    );
}

#[tokio::test]
async fn only_operators_bring_in_and_only_analysis_servers_fetch() {
    let tools = Tools::start().await;
    tools.admit(&request()).await;
    let submit = SubmitTool { request: request() };
    let requests = ListToolRequests { agreement: None };
    let withdraw = WithdrawTool {
        agreement: agreement(),
        name: ToolName::new("riskratio").unwrap(),
    };
    // Certificates of people who are no operators.
    for person in ["sato", "mori", "nobody"] {
        let client = tools.stage.client_of(&format!("kekkai://admin/{person}"));
        assert_eq!(
            code(client.call(&submit).await.unwrap_err()),
            "role-not-allowed"
        );
        assert_eq!(
            code(client.call(&requests).await.unwrap_err()),
            "role-not-allowed"
        );
        assert_eq!(
            code(client.call(&withdraw).await.unwrap_err()),
            "role-not-allowed"
        );
    }
    let list = ListTools {
        agreement: agreement(),
    };
    let fetch = FetchTool {
        agreement: agreement(),
        name: ToolName::new("riskratio").unwrap(),
    };
    for uri in [
        "kekkai://gateway",
        "kekkai://policy",
        "kekkai://terminal/t1",
        "kekkai://review",
    ] {
        let client = tools.stage.client_of(uri);
        for refused in [
            client.call(&submit).await.map(|_| ()),
            client.call(&requests).await.map(|_| ()),
            client.call(&withdraw).await.map(|_| ()),
            client.call(&list).await.map(|_| ()),
            client.call(&fetch).await.map(|_| ()),
        ] {
            assert_eq!(code(refused.unwrap_err()), "caller-not-allowed", "{uri}");
        }
    }
    assert_eq!(
        code(tools.admin.call(&fetch).await.unwrap_err()),
        "caller-not-allowed"
    );
    assert_eq!(
        code(tools.stage.analysis.call(&submit).await.unwrap_err()),
        "caller-not-allowed"
    );
    assert_eq!(tools.states().await, [ToolState::Admitted]);
}

#[tokio::test]
async fn newer_version_replaces_the_older_one_only_after_its_own_review() {
    let tools = Tools::start().await;
    tools.admit(&request()).await;
    let newer = signed_by("sato", "sato", "riskratio", 2);
    tools.submit(&newer).await.unwrap();
    let third = signed_by("sato", "sato", "riskratio", 3);
    assert_eq!(code(tools.submit(&third).await.unwrap_err()), "tool-waits");
    assert!(
        tools.submit(&newer).await.is_ok(),
        "the same request changes nothing"
    );
    tools.vote("mori", &newer, "accept").await;
    assert_eq!(tools.fetch("riskratio").await.unwrap(), component(1));
    tools.vote("ueda", &newer, "accept").await;
    assert_eq!(tools.fetch("riskratio").await.unwrap(), component(2));
    assert_eq!(tools.names().await.len(), 1);
    assert_eq!(
        tools.states().await,
        [ToolState::Admitted, ToolState::Replaced]
    );
    // The older one does not come back.
    assert_eq!(
        code(tools.submit(&request()).await.unwrap_err()),
        "tool-decided"
    );
}

#[tokio::test]
async fn withdrawn_tool_is_gone_and_its_bytes_with_it() {
    let tools = Tools::start().await;
    tools.admit(&request()).await;
    let withdraw = WithdrawTool {
        agreement: agreement(),
        name: ToolName::new("riskratio").unwrap(),
    };
    let gone = tools.admin.call(&withdraw).await.unwrap();
    assert_eq!(gone.len(), 1);
    assert_eq!(tools.stage.ledger().last().unwrap(), "tool-withdrawn");
    assert_eq!(tools.names().await, []);
    assert_eq!(
        code(tools.fetch("riskratio").await.unwrap_err()),
        "not-found"
    );
    assert_eq!(
        code(tools.admin.call(&withdraw).await.unwrap_err()),
        "not-found"
    );
    let kept: u32 = tools
        .stage
        .intruder()
        .query_row(
            "SELECT COUNT(*) FROM tools WHERE component IS NOT NULL",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(kept, 0);
}

#[tokio::test]
async fn killed_between_record_and_effect_the_ledger_knows_more_never_less() {
    for strike in [
        Strike::Before("tool-submitted"),
        Strike::After("tool-submitted"),
        Strike::Before("tool-admitted"),
        Strike::After("tool-admitted"),
    ] {
        let mut tools = Tools::start().await;
        let request = request();
        tools.stage.world.lock().unwrap().strike = Some(strike);
        let is_submission = matches!(
            strike,
            Strike::Before("tool-submitted") | Strike::After("tool-submitted")
        );
        if is_submission {
            assert!(tools.submit(&request).await.is_err());
            tools.stage.reap().await;
            assert!(tools.stage.snapshot().tools.is_empty());
            tools.stage.start_review().await;
            tools.admit(&request).await;
        } else {
            tools.submit(&request).await.unwrap();
            tools.vote("mori", &request, "accept").await;
            let digest = request.manifest.digest();
            let form = format!("csrf=x&digest={digest}&vote=accept&comment=");
            let path = format!("{}/vote", path(&request));
            let _ = tools
                .stage
                .try_request("ueda", Lang::En, "POST", &path, &form)
                .await;
            tools.stage.reap().await;
            assert_eq!(tools.stage.snapshot().tools, ["half-voted"]);
            tools.stage.start_review().await;
            let began = std::time::Instant::now();
            while tools.states().await != [ToolState::Admitted] {
                assert!(began.elapsed() < common::PATIENCE);
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        }
        assert_eq!(tools.fetch("riskratio").await.unwrap(), component(1));
        let admitted = tools.stage.ledger();
        assert!(admitted.contains(&"tool-admitted".to_owned()), "{strike:?}");
    }
}

#[tokio::test]
async fn tool_that_was_changed_in_the_database_never_runs() {
    for change in [
        "UPDATE tools SET state = 'admitted'",
        "UPDATE tools SET state = 'admitted', standing = (SELECT standing FROM tools WHERE name = 'tableone')",
        "UPDATE tools SET component = (SELECT component FROM tools WHERE name = 'riskratio') WHERE name = 'tableone'",
        "UPDATE tools SET head = (SELECT head FROM tools WHERE name = 'riskratio') WHERE name = 'tableone'",
        "UPDATE tools SET name = 'riskratio' WHERE name = 'tableone'",
        "DELETE FROM tool_votes",
    ] {
        let tools = Tools::start().await;
        // One waits, the other was admitted.
        tools.submit(&request()).await.unwrap();
        let admitted = signed_by("sato", "sato", "tableone", 2);
        tools.admit(&admitted).await;
        tools.stage.intruder().execute(change, []).unwrap();
        assert!(tools.fetch("riskratio").await.is_err(), "{change}");
        // Of the admitted one, its own bytes or nothing; without its votes, nothing.
        let fetched = tools.fetch("tableone").await;
        let is_own = fetched.as_ref().is_ok_and(|bytes| *bytes == component(2));
        assert!(is_own || fetched.is_err(), "{change}");
        assert!(fetched.is_err() || !change.starts_with("DELETE"));
    }
}

#[tokio::test]
async fn what_waits_of_a_tool_is_unreadable_at_rest() {
    let mut tools = Tools::start().await;
    tools.admit(&request()).await;
    tools.stage.terminate().await;
    for entry in std::fs::read_dir(tools.stage.dir.path().join("state")).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        for sentinel in ["Risk ratio", "CycloneDX", "because", "\0asm"] {
            let found = bytes
                .windows(sentinel.len())
                .any(|window| window == sentinel.as_bytes());
            assert!(!found, "{sentinel}");
        }
    }
}

#[tokio::test]
async fn page_shows_what_reviewers_need_and_no_word_becomes_markup() {
    let tools = Tools::start().await;
    let request = request();
    tools.submit(&request).await.unwrap();
    let fingerprint = ssh_key_of("sato").fingerprint(HashAlg::Sha256).to_string();
    for lang in [Lang::En, Lang::Ja] {
        let page = tools.stage.get("mori", lang, &path(&request)).await;
        assert_eq!(page.status, 200);
        let text = page.text();
        for shown in [
            "wasi:io/poll@0.2.0",
            "&lt;b&gt;libc",
            "pkg:generic/libc@0.1",
            "1.2.3",
            &fingerprint,
            "t-sato",
            "endo",
            &Digest::of(&component(1)).to_string(),
            &request.manifest.digest().to_string(),
            &component(1).len().to_string(),
        ] {
            assert!(text.contains(shown), "{shown}");
        }
        assert!(!text.contains("<b>libc") && !text.contains("<script"));
        let queue = tools.stage.get("mori", lang, "/review/").await.text();
        assert!(queue.contains(&path(&request)));
        let said = lang.pick("持込みを待つツール", "Tools that wait to be let in");
        assert!(queue.contains(said));
    }
    let english = tools
        .stage
        .get("mori", Lang::En, &path(&request))
        .await
        .text();
    let english = english
        .replace("aria-hidden=\"true\">結<", "")
        .replace("hreflang=\"ja\" lang=\"ja\">日本語<", "");
    let leaked: String = english
        .chars()
        .filter(|c| matches!(c, 'ぁ'..='ヿ' | '一'..='鿿'))
        .collect();
    assert_eq!(leaked, "");
    // Researchers and strangers have no such page.
    for person in ["sato", "ito", "nobody"] {
        let page = tools.stage.get(person, Lang::En, &path(&request)).await;
        assert_eq!(page.status, 403, "{person}");
    }
    for path in [
        "/review/tool/x",
        &format!("/review/tool/{}", Digest::of(b"x")),
    ] {
        assert_eq!(tools.stage.get("mori", Lang::En, path).await.status, 404);
    }
}
