//! What sign-in refuses, and that it counts.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use kekkai_authenticator::{Authenticator, Model, OTHER_AAGUID, Token};
use kekkai_policy_api::{Factor, KnownTerminal, SignInRefusal};
use kekkai_signin::{
    AllowedModel, AttemptError, EnrolmentError, Pending, Refused, Settings, SignIn, SignedIn,
    TerminalProved, Url,
};
use kekkai_types::{KeyText, PersonId, TerminalClass, TerminalId, Timestamp};
use serde_json::Value;

const ORIGIN: &str = "https://gateway.example:8443";
/// A time to begin at: the first second of a step.
const BEGIN: i64 = 1_800_000_000;
const STEP: i64 = 30;

struct World {
    _dir: tempfile::TempDir,
    path: std::path::PathBuf,
    settings: Settings,
    signin: SignIn,
    model: Model,
    now: Timestamp,
}

struct Person {
    id: PersonId,
    authenticator: Authenticator,
    token: Token,
}

fn at(seconds: i64) -> Timestamp {
    Timestamp(seconds * 1000)
}

fn terminal(id: &str, people: &[&str]) -> KnownTerminal {
    KnownTerminal {
        terminal: TerminalId::new(id).unwrap(),
        class: TerminalClass::Console,
        people: people.iter().map(|p| PersonId::new(*p).unwrap()).collect(),
        certificate_spki: None,
    }
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sign-in.sqlite");
        let model = Model::emulated().unwrap();
        let settings = Settings {
            rp_id: "gateway.example".into(),
            origin: Url::parse(ORIGIN).unwrap(),
            rp_name: "Kekkai".into(),
            models: vec![AllowedModel {
                aaguid: model.aaguid(),
                authority_pem: model.authority_pem().to_owned(),
                label: "emulated".into(),
            }],
            failures_max: 5,
            code_life_s: 120,
        };
        let signin = SignIn::open(&path, &KeyText::new([1; 32]), &settings).unwrap();
        Self {
            _dir: dir,
            path,
            settings,
            signin,
            model,
            now: at(BEGIN),
        }
    }

    fn reopen(&mut self) {
        self.signin = SignIn::open(&self.path, &KeyText::new([1; 32]), &self.settings).unwrap();
    }

    fn wait(&mut self, seconds: i64) {
        self.now = self.now.plus_ms(seconds * 1000);
    }

    fn enrol(&mut self, name: &str) -> Person {
        let authenticator = Authenticator::new(self.model.duplicate());
        self.enrol_with(name, authenticator).unwrap()
    }

    fn enrol_with(
        &mut self,
        name: &str,
        mut authenticator: Authenticator,
    ) -> Result<Person, EnrolmentError> {
        let id = PersonId::new(name).unwrap();
        let by = PersonId::new("staff").unwrap();
        let ticket = self.signin.create_ticket(&id, &by, self.now).unwrap();
        let token = Token::new(&ticket.totp_secret).unwrap();
        let place = terminal("t1", &[]);
        let options = self
            .signin
            .begin_enrolment(&ticket.ticket, &place, self.now)?;
        let options = serde_json::to_value(options).unwrap();
        let credential = authenticator.create(&options, ORIGIN).unwrap();
        let checked = self.signin.check_enrolment(
            &ticket.ticket,
            &place,
            &serde_json::from_value(credential).unwrap(),
            &code(&token, self.now),
            self.now,
        )?;
        assert_eq!((checked.model(), checked.made_by()), ("emulated", &by));
        self.signin.store_enrolment(checked)?;
        // The enrolment used this step up.
        self.wait(STEP);
        Ok(Person {
            id,
            authenticator,
            token,
        })
    }

    fn attempt(&self, person: &PersonId, place: &KnownTerminal) -> (TerminalProved, Pending) {
        let proved = TerminalProved::new(person.clone(), place).unwrap();
        let pending = self.signin.open_code(&proved, self.now).unwrap();
        (proved, pending)
    }

    /// The browser's side: type the code, touch the authenticator.
    fn approve(
        &self,
        person: &mut Person,
        place: &KnownTerminal,
        code: &str,
    ) -> Result<(), AttemptError> {
        let proved = TerminalProved::new(person.id.clone(), place).unwrap();
        let options = self.signin.begin_approval(&proved, code, self.now)?;
        let options = serde_json::to_value(options).unwrap();
        let assertion = person.authenticator.get(&options, ORIGIN).unwrap();
        self.finish(&proved, code, assertion)
    }

    fn finish(
        &self,
        proved: &TerminalProved,
        code: &str,
        assertion: Value,
    ) -> Result<(), AttemptError> {
        let assertion = serde_json::from_value(assertion).unwrap();
        self.signin
            .finish_approval(proved, code, &assertion, self.now)
    }

    fn sign_in(
        &self,
        person: &mut Person,
        place: &KnownTerminal,
    ) -> Result<SignedIn, AttemptError> {
        let (proved, pending) = self.attempt(&person.id, place);
        self.approve(person, place, &pending.code.to_string())?;
        let token = self
            .signin
            .check_token(&proved, &code(&person.token, self.now), self.now)?;
        let approved = self
            .signin
            .take_approval(&proved, &pending, self.now)?
            .unwrap();
        self.signin.complete(proved, approved, token)
    }

    fn failures(&self, person: &PersonId) -> u32 {
        self.signin.account(person).unwrap().failures
    }
}

fn code(token: &Token, now: Timestamp) -> String {
    token.code(u64::try_from(now.0 / 1000).unwrap())
}

fn wrong_code(token: &Token, now: Timestamp) -> String {
    let seconds = now.0 / 1000;
    let near: Vec<String> = (-25..=2)
        .map(|step| token.code(u64::try_from(seconds + step * STEP).unwrap()))
        .collect();
    (0..1_000_000)
        .map(|n| format!("{n:06}"))
        .find(|code| !near.contains(code))
        .unwrap()
}

fn refused<T: std::fmt::Debug>(result: Result<T, AttemptError>) -> Refused {
    match result {
        Err(AttemptError::Refused(refused)) => refused,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn both_factors_at_ones_own_terminal_sign_in() {
    let mut world = World::new();
    let mut sato = world.enrol("sato");
    for _ in 0..3 {
        let signed_in = world
            .sign_in(&mut sato, &terminal("t1", &["sato"]))
            .unwrap();
        assert_eq!(signed_in.person(), &sato.id);
        assert_eq!(
            signed_in.factors(),
            [Factor::Biometric, Factor::Token, Factor::Terminal]
        );
        world.wait(STEP);
    }
    assert_eq!(world.failures(&sato.id), 0);
}

#[test]
fn token_without_approval_is_refused_and_counts() {
    let mut world = World::new();
    let sato = world.enrol("sato");
    let place = terminal("t1", &[]);
    let (proved, pending) = world.attempt(&sato.id, &place);
    let _token = world
        .signin
        .check_token(&proved, &code(&sato.token, world.now), world.now)
        .unwrap();
    assert!(
        world
            .signin
            .take_approval(&proved, &pending, world.now)
            .unwrap()
            .is_none()
    );
    let refused = refused::<()>(Err(world.signin.approval_missing(&proved)));
    assert_eq!(
        (refused.reason, refused.failures),
        (SignInRefusal::ApprovalMissing, 1)
    );
    assert_eq!(world.failures(&sato.id), 1);
}

#[test]
fn approval_without_token_is_refused_and_counts() {
    let mut world = World::new();
    let mut sato = world.enrol("sato");
    let place = terminal("t1", &[]);
    let (proved, pending) = world.attempt(&sato.id, &place);
    world
        .approve(&mut sato, &place, &pending.code.to_string())
        .unwrap();
    for wrong in ["", "1", &wrong_code(&sato.token, world.now)] {
        let refused = refused(world.signin.check_token(&proved, wrong, world.now));
        assert_eq!(refused.reason, SignInRefusal::TokenWrong);
    }
    assert_eq!(world.failures(&sato.id), 3);
}

#[test]
fn code_of_the_token_works_once_even_after_a_restart() {
    let mut world = World::new();
    let mut sato = world.enrol("sato");
    let place = terminal("t1", &[]);
    let shown = code(&sato.token, world.now);
    let _signed_in = world.sign_in(&mut sato, &place).unwrap();
    world.reopen();
    let (proved, _pending) = world.attempt(&sato.id, &place);
    let again = refused(world.signin.check_token(&proved, &shown, world.now));
    assert_eq!(
        (again.reason, again.failures),
        (SignInRefusal::TokenReplayed, 1)
    );
    // A code older than the last one that was used.
    let older = sato
        .token
        .code(u64::try_from(world.now.0 / 1000 - STEP).unwrap());
    let older = refused(world.signin.check_token(&proved, &older, world.now));
    assert_eq!(older.reason, SignInRefusal::TokenReplayed);
}

#[test]
fn old_code_that_was_never_used_is_refused() {
    let mut world = World::new();
    let sato = world.enrol("sato");
    let shown = code(&sato.token, world.now);
    world.wait(5 * STEP);
    let (proved, _pending) = world.attempt(&sato.id, &terminal("t1", &[]));
    let refused = refused(world.signin.check_token(&proved, &shown, world.now));
    assert_eq!(refused.reason, SignInRefusal::TokenWrong);
}

#[test]
fn approval_for_another_connection_is_refused_and_counts() {
    let mut world = World::new();
    let mut sato = world.enrol("sato");
    let kato = world.enrol("kato");
    let (here, there) = (terminal("t1", &[]), terminal("t2", &[]));
    let (_, katos) = world.attempt(&kato.id, &here);
    let (_, elsewhere) = world.attempt(&sato.id, &there);
    let wrong = [
        katos.code.to_string(),
        elsewhere.code.to_string(),
        "22222222".to_owned(),
        "no code".to_owned(),
    ];
    for (count, code) in (1..).zip(wrong) {
        let refused = refused(world.approve(&mut sato, &here, &code));
        assert_eq!(
            (refused.reason, refused.failures),
            (SignInRefusal::ApprovalForeign, count)
        );
    }
}

#[test]
fn approval_of_one_connection_lets_no_other_in() {
    let mut world = World::new();
    let mut sato = world.enrol("sato");
    let place = terminal("t1", &[]);
    let (_, first) = world.attempt(&sato.id, &place);
    let (second, second_pending) = world.attempt(&sato.id, &place);
    world
        .approve(&mut sato, &place, &first.code.to_string())
        .unwrap();
    assert!(
        world
            .signin
            .take_approval(&second, &second_pending, world.now)
            .unwrap()
            .is_none()
    );
    // Not even with the first one's code in hand: the code belongs to its attempt.
    assert!(
        world
            .signin
            .take_approval(&second, &first, world.now)
            .unwrap()
            .is_none()
    );
}

#[test]
fn code_is_approved_once_and_in_time_only() {
    let mut world = World::new();
    let mut sato = world.enrol("sato");
    let place = terminal("t1", &[]);
    let (proved, pending) = world.attempt(&sato.id, &place);
    let code = pending.code.to_string();
    world.approve(&mut sato, &place, &code).unwrap();
    let twice = refused(world.approve(&mut sato, &place, &code));
    assert_eq!(twice.reason, SignInRefusal::ApprovalForeign);
    let approved = world
        .signin
        .take_approval(&proved, &pending, world.now)
        .unwrap();
    assert!(approved.is_some());
    assert!(
        world
            .signin
            .take_approval(&proved, &pending, world.now)
            .unwrap()
            .is_none()
    );

    let (late, late_pending) = world.attempt(&sato.id, &place);
    world
        .approve(&mut sato, &place, &late_pending.code.to_string())
        .unwrap();
    world.wait(121);
    assert!(
        world
            .signin
            .take_approval(&late, &late_pending, world.now)
            .unwrap()
            .is_none()
    );
}

#[test]
fn assertion_without_user_verification_is_refused_and_counts() {
    let mut world = World::new();
    let mut sato = world.enrol("sato");
    let place = terminal("t1", &[]);
    let (_, pending) = world.attempt(&sato.id, &place);
    sato.authenticator.knobs.without_user_verification = true;
    let refused = refused(world.approve(&mut sato, &place, &pending.code.to_string()));
    assert_eq!(
        (refused.reason, refused.failures),
        (SignInRefusal::UserNotVerified, 1)
    );
}

#[test]
fn clone_whose_counter_goes_back_is_refused_and_counts() {
    let mut world = World::new();
    let mut sato = world.enrol("sato");
    let place = terminal("t1", &[]);
    let clone = sato.authenticator.to_json().unwrap();
    let _signed_in = world.sign_in(&mut sato, &place).unwrap();
    world.wait(STEP);
    let _signed_in = world.sign_in(&mut sato, &place).unwrap();
    world.wait(STEP);
    sato.authenticator = Authenticator::from_json(&clone).unwrap();
    let (_, pending) = world.attempt(&sato.id, &place);
    let refused = refused(world.approve(&mut sato, &place, &pending.code.to_string()));
    assert_eq!(
        (refused.reason, refused.failures),
        (SignInRefusal::CounterWentBack, 1)
    );
}

#[test]
fn assertion_that_was_made_for_something_else_is_refused() {
    let mut world = World::new();
    let mut sato = world.enrol("sato");
    let place = terminal("t1", &[]);
    let (_, pending) = world.attempt(&sato.id, &place);
    let code = pending.code.to_string();
    type Spoil = fn(&mut Authenticator);
    let spoils: [Spoil; 3] = [
        |a| a.knobs.rp_id = Some("evil.example".into()),
        |a| a.knobs.origin = Some("https://evil.example".into()),
        |a| a.knobs.without_user_presence = true,
    ];
    for spoil in spoils {
        spoil(&mut sato.authenticator);
        let refused = refused(world.approve(&mut sato, &place, &code));
        assert_eq!(refused.reason, SignInRefusal::AssertionInvalid);
        sato.authenticator.knobs = kekkai_authenticator::Knobs::default();
    }
    // A replayed answer: its challenge was taken.
    world.wait(STEP);
    world.signin.unlock(&sato.id).unwrap();
    let proved = TerminalProved::new(sato.id.clone(), &place).unwrap();
    let options = world
        .signin
        .begin_approval(&proved, &code, world.now)
        .unwrap();
    let options = serde_json::to_value(options).unwrap();
    let assertion = sato.authenticator.get(&options, ORIGIN).unwrap();
    world.finish(&proved, &code, assertion.clone()).unwrap();
    let refused = refused(world.finish(&proved, &code, assertion));
    assert_eq!(refused.reason, SignInRefusal::AssertionInvalid);
}

#[test]
fn signature_by_another_authenticator_is_refused() {
    let mut world = World::new();
    let sato = world.enrol("sato");
    let mut kato = world.enrol("kato");
    let place = terminal("t1", &[]);
    let (_, pending) = world.attempt(&sato.id, &place);
    let code = pending.code.to_string();
    // Sato's challenge, answered by Kato's authenticator as if it were Kato's.
    let proved = TerminalProved::new(sato.id.clone(), &place).unwrap();
    let katos = TerminalProved::new(kato.id.clone(), &place).unwrap();
    let options = serde_json::to_value(
        world
            .signin
            .begin_approval(&proved, &code, world.now)
            .unwrap(),
    )
    .unwrap();
    let katos = serde_json::to_value(
        world
            .signin
            .begin_approval(&katos, &code, world.now)
            .unwrap(),
    )
    .unwrap();
    let mut mixed = katos;
    mixed["publicKey"]["challenge"] = options["publicKey"]["challenge"].clone();
    let assertion = kato.authenticator.get(&mixed, ORIGIN).unwrap();
    let refused = refused(world.finish(&proved, &code, assertion));
    assert_eq!(refused.reason, SignInRefusal::AssertionInvalid);
    assert_eq!(refused.person, Some(sato.id));
}

#[test]
fn authenticator_off_the_allow_list_can_t_be_enrolled() {
    let mut world = World::new();
    let reason = |result: Result<Person, EnrolmentError>| match result {
        Err(EnrolmentError::Refused { reason, .. }) => reason,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("enrolled"),
    };
    // Another authority with the same AAGUID.
    let same_id = Authenticator::new(Model::emulated().unwrap());
    assert_eq!(
        reason(world.enrol_with("sato", same_id)),
        SignInRefusal::ModelNotAllowed
    );
    // Another model altogether.
    let other = Authenticator::new(Model::generate("other", OTHER_AAGUID).unwrap());
    assert_eq!(
        reason(world.enrol_with("sato", other)),
        SignInRefusal::ModelNotAllowed
    );
    // The allowed authority's batch, claiming another AAGUID.
    let mut claims = Authenticator::new(world.model.duplicate());
    claims.knobs.aaguid = Some(OTHER_AAGUID);
    assert_eq!(
        reason(world.enrol_with("sato", claims)),
        SignInRefusal::ModelNotAllowed
    );
    // The allowed model, without a finger.
    let mut no_finger = Authenticator::new(world.model.duplicate());
    no_finger.knobs.without_user_verification = true;
    assert_eq!(
        reason(world.enrol_with("sato", no_finger)),
        SignInRefusal::UserNotVerified
    );
    assert_eq!(
        world
            .signin
            .account(&PersonId::new("sato").unwrap())
            .unwrap()
            .authenticators,
        0
    );
}

#[test]
fn model_that_was_taken_off_the_list_signs_nobody_in() {
    let mut world = World::new();
    let mut sato = world.enrol("sato");
    let other = Model::generate("other", OTHER_AAGUID).unwrap();
    world.settings.models = vec![AllowedModel {
        aaguid: other.aaguid(),
        authority_pem: other.authority_pem().to_owned(),
        label: "other".into(),
    }];
    world.reopen();
    let place = terminal("t1", &[]);
    let (_, pending) = world.attempt(&sato.id, &place);
    let refused = refused(world.approve(&mut sato, &place, &pending.code.to_string()));
    assert_eq!(
        (refused.reason, refused.failures),
        (SignInRefusal::ModelNotAllowed, 1)
    );
}

#[test]
fn locked_account_refuses_the_right_credentials_until_staff_lifts_it() {
    let mut world = World::new();
    let mut sato = world.enrol("sato");
    let place = terminal("t1", &[]);
    // Of different kinds: every one counts.
    for n in 1..=5_u32 {
        let (proved, pending) = world.attempt(&sato.id, &place);
        let failed = match n % 3 {
            0 => refused(world.approve(&mut sato, &place, "22222222")),
            1 => refused(world.signin.check_token(&proved, "x", world.now)),
            _ => refused::<()>(Err(world.signin.approval_missing(&proved))),
        };
        world.signin.close_code(&pending);
        assert_eq!((failed.failures, failed.locked_now), (n, n == 5));
    }
    world.wait(10 * 365 * 24 * 3600);
    world.reopen();
    assert!(world.signin.account(&sato.id).unwrap().locked);
    let (proved, pending) = world.attempt(&sato.id, &place);
    let right = code(&sato.token, world.now);
    let token = refused(world.signin.check_token(&proved, &right, world.now));
    assert_eq!(
        (token.reason, token.locked_now),
        (SignInRefusal::Locked, false)
    );
    let finger = refused(world.approve(&mut sato, &place, &pending.code.to_string()));
    assert_eq!(finger.reason, SignInRefusal::Locked);
    // Enrolling anew doesn't lift it.
    let mut sato = world.enrol("sato");
    assert!(world.signin.account(&sato.id).unwrap().locked);
    assert!(world.signin.unlock(&sato.id).unwrap());
    let _signed_in = world.sign_in(&mut sato, &place).unwrap();
    assert_eq!(world.failures(&sato.id), 0);
}

#[test]
fn killed_between_counting_and_checking_leaves_the_count() {
    let mut world = World::new();
    let sato = world.enrol("sato");
    let place = terminal("t1", &[]);
    let (proved, _pending) = world.attempt(&sato.id, &place);
    let killed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        world.signin.refuse_after(&proved, || panic!("killed"))
    }));
    assert!(killed.is_err());
    world.reopen();
    assert_eq!(world.failures(&sato.id), 1);
}

#[test]
fn stranger_gets_the_same_options_and_the_same_answer() {
    let mut world = World::new();
    let _sato = world.enrol("sato");
    let place = terminal("t1", &[]);
    let shape = |name: &str| {
        let person = PersonId::new(name).unwrap();
        let proved = TerminalProved::new(person, &place).unwrap();
        let options = world
            .signin
            .begin_approval(&proved, "ABCD-2345", world.now)
            .unwrap();
        let mut options = serde_json::to_value(options).unwrap();
        let key = &mut options["publicKey"];
        let id = key["allowCredentials"][0]["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let challenge = key["challenge"].as_str().unwrap().len();
        key["challenge"] = challenge.into();
        key["allowCredentials"][0]["id"] = id.len().into();
        (options, id)
    };
    let (sato, _) = shape("sato");
    let (nobody, id) = shape("nobody");
    assert_eq!(sato, nobody);
    assert_eq!(
        shape("nobody").1,
        id,
        "a stranger's credential doesn't change between calls"
    );
    assert_ne!(shape("other").1, id);

    let nobody = PersonId::new("nobody").unwrap();
    let (proved, _pending) = world.attempt(&nobody, &place);
    for _ in 0..10 {
        let refused = refused(world.signin.check_token(&proved, "123456", world.now));
        assert_eq!(
            refused,
            Refused {
                person: None,
                reason: SignInRefusal::UnknownPerson,
                failures: 0,
                locked_now: false
            }
        );
    }
}

#[test]
fn another_persons_terminal_is_refused_and_locks_nobody_out() {
    let mut world = World::new();
    let mut sato = world.enrol("sato");
    let katos = terminal("t2", &["kato"]);
    let (proved, pending) = world.attempt(&sato.id, &katos);
    let right = code(&sato.token, world.now);
    let token = refused(world.signin.check_token(&proved, &right, world.now));
    assert_eq!((token.reason, token.failures), (SignInRefusal::Terminal, 0));
    let finger = refused(world.approve(&mut sato, &katos, &pending.code.to_string()));
    assert_eq!(
        (finger.reason, finger.failures),
        (SignInRefusal::Terminal, 0)
    );
    // And the code was not used up by it.
    let _signed_in = world
        .sign_in(&mut sato, &terminal("t1", &["sato"]))
        .unwrap();
}

#[test]
fn browser_needs_both_factors_and_uses_the_code_up() {
    let mut world = World::new();
    let mut sato = world.enrol("sato");
    let place = terminal("t1", &[]);
    let mut attempt = |world: &World, code: &str, finger: bool| {
        sato.authenticator.knobs.without_user_verification = !finger;
        let proved = TerminalProved::new(sato.id.clone(), &place).unwrap();
        let options = world.signin.begin_browser(&proved, world.now).unwrap();
        let options = serde_json::to_value(options).unwrap();
        let assertion = sato.authenticator.get(&options, ORIGIN).unwrap();
        let assertion = serde_json::from_value(assertion).unwrap();
        world
            .signin
            .finish_browser(proved, &assertion, code, world.now)
    };
    let token = code(&sato.token, world.now);
    let wrong = wrong_code(&sato.token, world.now);
    assert_eq!(
        refused(attempt(&world, &wrong, true)).reason,
        SignInRefusal::TokenWrong
    );
    assert_eq!(
        refused(attempt(&world, &token, false)).reason,
        SignInRefusal::UserNotVerified
    );
    let used = refused(attempt(&world, &token, true));
    assert_eq!(
        (used.reason, used.failures),
        (SignInRefusal::TokenReplayed, 3)
    );
    world.wait(STEP);
    let next = code(&sato.token, world.now);
    let _signed_in = attempt(&world, &next, true).unwrap();
}

#[test]
fn ticket_enrols_once_and_wears_out() {
    let mut world = World::new();
    let id = PersonId::new("sato").unwrap();
    let by = PersonId::new("staff").unwrap();
    let place = terminal("t1", &[]);
    let ticket = world.signin.create_ticket(&id, &by, world.now).unwrap();
    assert_eq!(format!("{ticket:?}"), "Ticket(…)");
    let try_wrong = |world: &World| {
        let mut authenticator = Authenticator::new(world.model.duplicate());
        let options = world
            .signin
            .begin_enrolment(&ticket.ticket, &place, world.now)?;
        let options = serde_json::to_value(options).unwrap();
        let credential = authenticator.create(&options, ORIGIN).unwrap();
        world
            .signin
            .check_enrolment(
                &ticket.ticket,
                &place,
                &serde_json::from_value(credential).unwrap(),
                "000000x",
                world.now,
            )
            .map(|_| ())
    };
    for _ in 0..5 {
        assert!(matches!(
            try_wrong(&world),
            Err(EnrolmentError::Refused { .. })
        ));
    }
    assert!(matches!(try_wrong(&world), Err(EnrolmentError::NoTicket)));

    let other = world.signin.create_ticket(&id, &by, world.now).unwrap();
    let elsewhere = terminal("t2", &["kato"]);
    for (ticket, place, now) in [
        ("wrong", &place, world.now),
        (other.ticket.as_str(), &elsewhere, world.now),
        (
            other.ticket.as_str(),
            &place,
            world.now.plus_ms(24 * 3600 * 1000),
        ),
    ] {
        assert!(matches!(
            world.signin.begin_enrolment(ticket, place, now),
            Err(EnrolmentError::NoTicket)
        ));
    }
    let mut sato = world.enrol("sato");
    let _signed_in = world.sign_in(&mut sato, &place).unwrap();
    assert!(
        world
            .signin
            .begin_enrolment(&other.ticket, &place, world.now)
            .is_err(),
        "a newer ticket voids the older one"
    );
}

#[test]
fn state_on_disk_holds_no_secret_in_the_clear() {
    let mut world = World::new();
    let id = PersonId::new("sato").unwrap();
    let by = PersonId::new("staff").unwrap();
    let ticket = world.signin.create_ticket(&id, &by, world.now).unwrap();
    world.enrol("kato");
    let secret = totp_bytes(&ticket.totp_secret);
    for entry in std::fs::read_dir(world.path.parent().unwrap()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        for needle in [
            secret.as_slice(),
            ticket.totp_secret.as_bytes(),
            ticket.ticket.as_bytes(),
        ] {
            assert!(!bytes.windows(needle.len()).any(|w| w == needle));
        }
    }
}

fn totp_bytes(base32: &str) -> Vec<u8> {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let (mut out, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for c in base32.bytes() {
        let value = alphabet.iter().position(|a| *a == c).unwrap();
        bits = (bits << 5) | u32::try_from(value).unwrap();
        count += 5;
        if count >= 8 {
            count -= 8;
            out.push(u8::try_from((bits >> count) & 0xff).unwrap());
        }
    }
    out
}

#[test]
fn connections_challenge_is_answered_on_that_connection_only() {
    let mut world = World::new();
    let mut sato = world.enrol("sato");
    let place = terminal("v1", &[]);
    let id = sato.id.clone();
    let begin = |world: &World| {
        let proved = TerminalProved::new(id.clone(), &place).unwrap();
        let options = world.signin.begin_connection(&proved, world.now).unwrap();
        (proved, serde_json::to_value(options).unwrap())
    };
    let (one, options) = begin(&world);
    let (other, _) = begin(&world);
    let assertion = sato.authenticator.get(&options, ORIGIN).unwrap();
    let assertion = serde_json::from_value(assertion).unwrap();
    let token = code(&sato.token, world.now);
    let finish = |world: &World, proved, token: &str| {
        world
            .signin
            .finish_connection(proved, &assertion, token, world.now)
    };
    assert_eq!(
        refused(finish(&world, other, &token)).reason,
        SignInRefusal::AssertionInvalid
    );
    // A right code was used up by that.
    world.wait(STEP);
    let token = code(&sato.token, world.now);
    assert!(finish(&world, one, &token).is_ok());

    // A connection that went away leaves nothing to answer.
    let proved = TerminalProved::new(sato.id.clone(), &place).unwrap();
    let options = world.signin.begin_connection(&proved, world.now).unwrap();
    let options = serde_json::to_value(options).unwrap();
    let assertion = sato.authenticator.get(&options, ORIGIN).unwrap();
    let assertion = serde_json::from_value(assertion).unwrap();
    world.signin.forget_connection(&proved);
    world.wait(STEP);
    let token = code(&sato.token, world.now);
    let late = world
        .signin
        .finish_connection(proved, &assertion, &token, world.now);
    assert_eq!(refused(late).reason, SignInRefusal::AssertionInvalid);
}

#[test]
fn codes_and_challenges_are_bounded_at_one_terminal() {
    let world = World::new();
    let place = terminal("t1", &[]);
    let person = |n: usize| PersonId::new(format!("p{n}")).unwrap();
    let mut kept = Vec::new();
    for n in 0..kekkai_signin::CODES_PER_TERMINAL_MAX {
        kept.push(world.attempt(&person(n), &place));
        world.signin.begin_browser(&kept[n].0, world.now).unwrap();
    }
    let one_more = TerminalProved::new(person(99), &place).unwrap();
    assert!(matches!(
        world.signin.open_code(&one_more, world.now),
        Err(AttemptError::Busy)
    ));
    assert!(matches!(
        world.signin.begin_browser(&one_more, world.now),
        Err(AttemptError::Busy)
    ));
    let elsewhere = TerminalProved::new(person(99), &terminal("t2", &[])).unwrap();
    assert!(world.signin.open_code(&elsewhere, world.now).is_ok());
}
