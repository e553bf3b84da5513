//! Policy, analysis and review as the gateway sees them: real mutual TLS, real calls, and a memory of
//! what was said.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request;
use kekkai_analysis_api::{
    CancelJob, End, Job, JobState, Launch, Launched, ListJobs, LogPart, SqlError, SqlErrorCode,
    StartQuery, SubmitOutput, WaitJob, Work,
};
use kekkai_policy_api::{
    CloseSession, ConsoleMode, Decide, Decided, EndReason, Event, KnownPerson, KnownTerminal,
    LeaseState, LookUpPerson, LookUpTerminal, OpenSession, OpenedSession, Record, Recorded,
    RenewLeases, View,
};
use kekkai_review_api::ListOutputs;
use kekkai_service::Routes;
use kekkai_types::{
    AgreementId, JobId, Lang, OutputId, Peer, PersonId, Refusal, Role, ServerId, SessionId,
    TerminalClass, TerminalId,
};
use tokio::net::TcpListener;

use super::pki::{Identity, Pki};
use super::runs::{self, Runs};
use super::screens::{self, Screens};

#[derive(Default)]
struct State {
    events: Vec<Event>,
    opened: Vec<OpenSession>,
    closed: Vec<(SessionId, EndReason)>,
    ended_at_analysis: Vec<SessionId>,
    leases: HashMap<SessionId, LeaseState>,
    terminals: HashMap<TerminalId, KnownTerminal>,
    keys: HashMap<String, TerminalId>,
    queries: Vec<String>,
    runs: Runs,
    screens: Screens,
}

pub struct World {
    state: Mutex<State>,
    pub is_mute: AtomicBool,
    pub ledger_fails: AtomicBool,
    pub policy_address: String,
    pub analysis_address: String,
    pub review_address: String,
}

impl World {
    pub async fn start(pki: &Pki) -> Arc<Self> {
        let mut listeners = Vec::new();
        for _ in 0..3 {
            listeners.push(TcpListener::bind("127.0.0.1:0").await.unwrap());
        }
        let address = |n: usize| listeners[n].local_addr().unwrap().to_string();
        let world = Arc::new(Self {
            state: Mutex::default(),
            is_mute: AtomicBool::new(false),
            ledger_fails: AtomicBool::new(false),
            policy_address: address(0),
            analysis_address: address(1),
            review_address: address(2),
        });
        let terminals = [
            ("t1", TerminalClass::Console, &[][..]),
            ("t2", TerminalClass::Console, &["kato"][..]),
            ("desk", TerminalClass::Operator, &[][..]),
            ("b1", TerminalClass::Browser, &[][..]),
            ("b2", TerminalClass::Browser, &[][..]),
            ("v1", TerminalClass::Vdi, &[][..]),
            ("v2", TerminalClass::Vdi, &["kato"][..]),
        ];
        for (terminal, class, people) in terminals {
            let terminal = TerminalId::new(terminal).unwrap();
            world.lock().terminals.insert(
                terminal.clone(),
                KnownTerminal {
                    terminal,
                    class,
                    people: people.iter().map(|p| PersonId::new(*p).unwrap()).collect(),
                    certificate_spki: None,
                },
            );
        }
        let server = ServerId::new("a1").unwrap();
        let peers = [Peer::Policy, Peer::Analysis(server), Peer::Review];
        let routers = [policy(&world), analysis(&world), review(&world)];
        for ((listener, peer), router) in listeners.into_iter().zip(peers).zip(routers) {
            let name = format!("{:?}", peer.kind()).to_lowercase();
            let files = pki.services.issue(&pki.dir, &name, &peer);
            tokio::spawn(async move {
                kekkai_service::serve(listener, &files, router, std::future::pending())
                    .await
                    .unwrap();
            });
        }
        world
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn events(&self) -> Vec<Event> {
        self.lock().events.clone()
    }

    pub fn opened(&self) -> Vec<OpenSession> {
        self.lock().opened.clone()
    }

    pub fn closed(&self) -> Vec<(SessionId, EndReason)> {
        self.lock().closed.clone()
    }

    pub fn ended_at_analysis(&self) -> Vec<SessionId> {
        self.lock().ended_at_analysis.clone()
    }

    pub fn queries(&self) -> Vec<String> {
        self.lock().queries.clone()
    }

    /// What programs do at the analysis server.
    pub fn runs<T>(&self, look: impl FnOnce(&mut Runs) -> T) -> T {
        look(&mut self.lock().runs)
    }

    /// Desktops at the analysis server.
    pub fn screens<T>(&self, look: impl FnOnce(&mut Screens) -> T) -> T {
        look(&mut self.lock().screens)
    }

    pub fn know_key(&self, public_key: &str, terminal: &str) {
        let mut words = public_key.split_whitespace();
        let key = format!("{} {}", words.next().unwrap(), words.next().unwrap());
        self.lock()
            .keys
            .insert(key, TerminalId::new(terminal).unwrap());
    }

    pub fn know_certificate(&self, terminal: &str, identity: &Identity) {
        let terminal = TerminalId::new(terminal).unwrap();
        if let Some(known) = self.lock().terminals.get_mut(&terminal) {
            known.certificate_spki = Some(identity.spki);
        }
    }

    pub fn revoke(&self, terminal: &str) {
        self.lock()
            .terminals
            .remove(&TerminalId::new(terminal).unwrap());
    }

    pub fn end_all(&self, reason: EndReason) {
        for lease in self.lock().leases.values_mut() {
            *lease = LeaseState::Ended(reason);
        }
    }
}

fn known(person: &PersonId) -> Option<KnownPerson> {
    let (name, lang, role) = match person.as_str() {
        "sato" => ("佐藤 花子", Lang::Ja, Role::Researcher),
        "kato" => ("Kato Taro", Lang::En, Role::Researcher),
        "ono" => ("小野 次郎", Lang::Ja, Role::Operator),
        // An operator who is named in the project: the policy service refuses.
        "ota" => ("Ota Ken", Lang::En, Role::Operator),
        "mori" => ("森 由紀", Lang::Ja, Role::Reviewer),
        name if name.starts_with("visitor") => ("Visitor", Lang::En, Role::Researcher),
        _ => return None,
    };
    Some(KnownPerson {
        person: person.clone(),
        name: name.into(),
        lang,
        roles: vec![role],
        agreements: vec![AgreementId::new("g1").unwrap()],
    })
}

fn policy(world: &Arc<World>) -> Router {
    let w = || world.clone();
    let (record, person, terminal, open, renew, close) = (w(), w(), w(), w(), w(), w());
    let _ = person;
    Routes::new()
        .call::<Record, _, _>(move |_, call| {
            let world = record.clone();
            async move {
                if world.ledger_fails.load(Ordering::SeqCst) {
                    return Err(Refusal::new("ledger-unavailable", ""));
                }
                let mut state = world.lock();
                state.events.push(call.event);
                Ok(Recorded {
                    index: u64::try_from(state.events.len()).unwrap(),
                    ..Recorded::default()
                })
            }
        })
        .call::<LookUpPerson, _, _>(move |_, call| async move { Ok(known(&call.person)) })
        .call::<LookUpTerminal, _, _>(move |_, call| {
            let world = terminal.clone();
            async move {
                let state = world.lock();
                let id = match &call {
                    LookUpTerminal::SshKey(key) => state.keys.get(key).cloned(),
                    LookUpTerminal::Id(id) => Some(id.clone()),
                };
                Ok(id.and_then(|id| state.terminals.get(&id).cloned()))
            }
        })
        .call::<OpenSession, _, _>(move |_, call| {
            let world = open.clone();
            async move {
                let mut state = world.lock();
                state.opened.push(call.clone());
                if call.person.as_str() == "kato" {
                    return Err(Refusal::new("not-on-roster", ""));
                }
                let class = state.terminals.get(&call.terminal).map(|t| t.class);
                let session = SessionId::random().unwrap();
                state.leases.insert(session.clone(), LeaseState::Live);
                Ok(OpenedSession {
                    session,
                    agreement: call.agreement.unwrap_or(AgreementId::new("g1").unwrap()),
                    title: "糖尿病の研究".into(),
                    console: ConsoleMode::Statistics,
                    class: class.unwrap(),
                    idle_limit_s: 600,
                    desktop: match call.view {
                        View::Console => None,
                        View::Desktop => Some(state.screens.times),
                    },
                })
            }
        })
        .call::<RenewLeases, _, _>(move |_, call| {
            let world = renew.clone();
            async move {
                if world.is_mute.load(Ordering::SeqCst) {
                    std::future::pending::<()>().await;
                }
                let state = world.lock();
                let leases: BTreeMap<_, _> = call
                    .sessions
                    .into_iter()
                    .filter_map(|id| Some((id.clone(), *state.leases.get(&id)?)))
                    .collect();
                Ok(leases)
            }
        })
        .call::<CloseSession, _, _>(move |_, call| {
            let world = close.clone();
            async move {
                let mut state = world.lock();
                state.leases.remove(&call.session);
                state.closed.push((call.session, call.reason));
                Ok(())
            }
        })
        .call::<Decide, _, _>(|_, call| async move {
            Ok(
                if call.person.as_str() == "ono" && call.terminal.as_str() == "desk" {
                    Decided::Allowed
                } else {
                    Decided::Refused(EndReason::RoleNotAllowed)
                },
            )
        })
        .router()
}

fn job(sql: &str) -> Job {
    let state = match sql {
        "SELECT nonsense" => JobState::Failed(SqlError {
            code: SqlErrorCode::ColumnUnknown,
            name: "nonsense".into(),
            at: Some((1, 8)),
            candidates: vec!["sex".into()],
            hint: None,
        }),
        "SELECT slow;" => JobState::Running {
            rows_read: 10,
            rows_total: 100,
        },
        _ => JobState::Done(None),
    };
    Job {
        job: JobId::new("1").unwrap(),
        work: Work::Query(sql.to_owned()),
        elapsed_ms: 12,
        state,
        log: LogPart::default(),
    }
}

fn analysis(world: &Arc<World>) -> Router {
    let w = || world.clone();
    let (end, start, wait, list) = (w(), w(), w(), w());
    screens::routes(world, runs::routes(world, Routes::new()))
        .call::<Launch, _, _>(|_, _| async move {
            Ok(Launched {
                server: ServerId::new("a1").unwrap(),
                emulated: true,
                catalogs: Vec::new(),
                waived: Vec::new(),
            })
        })
        .call::<End, _, _>(move |_, call| {
            let world = end.clone();
            async move {
                world.lock().ended_at_analysis.push(call.session);
                Ok(())
            }
        })
        .call::<StartQuery, _, _>(move |_, call| {
            let world = start.clone();
            async move {
                world.lock().queries.push(call.sql);
                Ok(JobId::new("1").unwrap())
            }
        })
        .call::<WaitJob, _, _>(move |_, call| {
            let world = wait.clone();
            async move {
                if Runs::is_one(&call.job) {
                    return runs::wait(&world, &call).await;
                }
                let sql = world.lock().queries.last().cloned().unwrap_or_default();
                let job = job(&sql);
                if let JobState::Running { .. } = job.state {
                    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
                }
                Ok(job)
            }
        })
        .call::<ListJobs, _, _>(move |_, _| {
            let world = list.clone();
            async move {
                let state = world.lock();
                let queries = state.queries.iter().map(|sql| job(sql));
                Ok(queries.chain(state.runs.list()).collect())
            }
        })
        .call::<CancelJob, _, _>({
            let world = world.clone();
            move |_, call| {
                let world = world.clone();
                async move {
                    if Runs::is_one(&call.job) {
                        world.lock().runs.cancel(&call.job);
                    } else {
                        world.lock().queries.push("SELECT cancelled".into());
                    }
                    Ok(())
                }
            }
        })
        .call::<SubmitOutput, _, _>(|_, _| async move { Ok(OutputId::new("o1").unwrap()) })
        .router()
}

/// Review answers with what it was told, so that tests see what passes.
fn review(_: &Arc<World>) -> Router {
    async fn echo(request: Request) -> String {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        let mut lines: Vec<String> = parts
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap_or("?")))
            .collect();
        lines.sort();
        format!(
            "{} {}\n{}\n\n{}",
            parts.method,
            parts.uri,
            lines.join("\n"),
            String::from_utf8_lossy(&body)
        )
    }
    Routes::new()
        .call::<ListOutputs, _, _>(|_, _| async move { Ok(Vec::new()) })
        .router()
        .route("/review/", axum::routing::any(echo))
        .route("/review/{*path}", axum::routing::any(echo))
        .route("/release/{*path}", axum::routing::any(echo))
}
