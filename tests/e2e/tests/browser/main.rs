//! Headless Chromium with a virtual authenticator does what people do in a browser: enrolment, the
//! approval of an ssh sign-in, and staff's review from sign-in to vote, in both languages (issue 2,
//! Shows 3). Pictures of the pages are kept under `artefacts/browser`, or `$KEKKAI_ARTEFACTS/browser`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod chromium;
mod desk;
mod desktop;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chromium::{Chromium, Reads, run};
use kekkai_demo::{Kind, token_code};
use kekkai_e2e::{Answer, TestWorld, said, world};
use kekkai_policy_api::{Event, SignInRefusal};
use serde_json::{Value, json};

/// The model that Chromium's virtual authenticators say they are.
const VIRTUAL: &str = "01020304-0506-0708-0102-030405060708";
const VIRTUAL_LABEL: &str = "Chromium virtual authenticator";

/// The operator makes a ticket; the person's new token is programmed. Gives the page's path.
fn ticket(world: &TestWorld, who: &str) -> String {
    let output = world
        .kekkai()
        .args(["--lang", "en", "person", "enrol", who, "--connect"])
        .arg(world.dir().join("admin/kato.toml"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    let after = |label: &str| {
        let line = text.lines().find(|line| line.contains(label)).unwrap();
        line.rsplit(": ").next().unwrap().trim().to_owned()
    };
    let mut info = world.facts();
    let person = info
        .people
        .iter_mut()
        .find(|p| p.person.as_str() == who)
        .unwrap();
    person.totp_secret = Some(after("secret"));
    // Steps that the old token's codes were used in say nothing about the new one's.
    let _ = std::fs::remove_file(person.authenticator.with_extension("step"));
    info.save(world.dir()).unwrap();
    after("/enrol/")
}

/// What the person's token shows.
fn code(world: &TestWorld, who: &str) -> String {
    token_code(world.facts().person(who).unwrap()).unwrap().code
}

/// The batch certificate of the virtual authenticator, from a registration that the page sent.
async fn batch_certificate(chromium: &mut Chromium) -> Vec<u8> {
    let sent = chromium
        .network()
        .await
        .iter()
        .filter(|event| event["method"] == "Network.requestWillBeSent")
        .filter_map(|event| event["params"]["request"]["postData"].as_str())
        .filter_map(|body| serde_json::from_str::<Value>(body).ok())
        .find_map(|body| {
            let object = body["credential"]["response"]["attestationObject"].as_str()?;
            Some(URL_SAFE_NO_PAD.decode(object).unwrap())
        })
        .expect("the page sent a registration");
    let find = |needle: &[u8]| sent.windows(needle.len()).position(|w| w == needle);
    let aaguid: Vec<u8> = (0..16).map(|n| n % 8 + 1).collect();
    assert!(
        find(&aaguid).is_some(),
        "the virtual authenticator's AAGUID"
    );
    let x5c = find(b"x5c").expect("a batch certificate");
    let at = x5c + find_der(&sent[x5c..]);
    let length = usize::from(u16::from_be_bytes([sent[at + 2], sent[at + 3]])) + 4;
    sent[at..at + length].to_vec()
}

/// Where a DER sequence of more than 255 bytes begins.
fn find_der(bytes: &[u8]) -> usize {
    bytes.windows(2).position(|w| w == [0x30, 0x82]).unwrap()
}

/// Puts Chromium's virtual authenticators on this demo's allow-list. Their batch certificates sign
/// themselves, each anew, all with one key: the authority is a certificate of that key and name.
fn allow_model(world: &TestWorld, batch: &[u8]) {
    let folder = world.folder().join("virtual-model");
    std::fs::create_dir_all(&folder).unwrap();
    let path = |name: &str| folder.join(name);
    std::fs::write(path("batch.der"), batch).unwrap();
    std::fs::write(
        path("authority.ext"),
        "basicConstraints = critical, CA:TRUE, pathlen:0\nkeyUsage = critical, keyCertSign\n",
    )
    .unwrap();
    run(Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt"])
        .args(["ec_paramgen_curve:P-256", "-nodes", "-days", "30"])
        .args(["-subj", "/CN=Kekkai test", "-keyout"])
        .arg(path("test.key"))
        .arg("-out")
        .arg(path("test.crt")));
    let authority = world.dir().join("gateway/virtual-model.crt");
    run(Command::new("openssl")
        .args(["x509", "-inform", "DER", "-clrext", "-days", "30", "-in"])
        .arg(path("batch.der"))
        .arg("-CA")
        .arg(path("test.crt"))
        .arg("-CAkey")
        .arg(path("test.key"))
        .arg("-CAcreateserial")
        .arg("-extfile")
        .arg(path("authority.ext"))
        .arg("-out")
        .arg(&authority));
    let config = world.dir().join("gateway/gateway.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let model = format!(
        "[[models]]\naaguid = \"{VIRTUAL}\"\nauthority = \"{}\"\nlabel = \"{VIRTUAL_LABEL}\"\nemulated = true\n\n",
        authority.display()
    );
    std::fs::write(
        &config,
        text.replacen("[[models]]", &format!("{model}[[models]]"), 1),
    )
    .unwrap();
    world.stop_daemon(Kind::Gateway).unwrap();
    world.start_daemon(Kind::Gateway).unwrap();
}

async fn send_enrolment(chromium: &Chromium, world: &TestWorld, who: &str) {
    chromium
        .write("input[name=token_code]", &code(world, who))
        .await;
    chromium.click("main form button").await;
}

/// Enrols at the page, in the browser that the person goes on with.
async fn enrol(chromium: &mut Chromium, world: &TestWorld, who: &str, reads: Reads) {
    let path = ticket(world, who);
    chromium.go(&path).await;
    assert!(chromium.text("main").await.contains(who));
    send_enrolment(chromium, world, who).await;
    chromium.outcome("done").await;
    chromium.shoot("enrolled", reads).await;
    world
        .wait_for_event("the enrolment", |event| {
            matches!(event, Event::CredentialEnrolled { person, model, .. }
                if person.as_str() == who && model == VIRTUAL_LABEL)
        })
        .await;
}

/// Signs in with both factors.
async fn sign_in(chromium: &mut Chromium, world: &TestWorld, who: &str, reads: Reads) {
    chromium.go("/").await;
    assert_eq!(chromium.path().await, "/sign-in", "not signed in yet");
    chromium.shoot("sign-in", reads).await;
    chromium.write("input[name=person]", who).await;
    chromium
        .write("input[name=token_code]", &code(world, who))
        .await;
    chromium.click("main form button").await;
    chromium.find("#person").await;
    chromium.shoot("home", reads).await;
}

/// A person's browser with an authenticator off the list, refused; then the model is put on the list.
async fn with_allowed_model(world: &TestWorld, who: &str, reads: Reads) -> Chromium {
    let mut chromium = Chromium::at_terminal_of(world, who, reads).await;
    let path = ticket(world, who);
    chromium.go(&path).await;
    chromium.shoot("enrol", reads).await;
    send_enrolment(&chromium, world, who).await;
    chromium.outcome("refused").await;
    chromium.shoot("enrolment-refused", reads).await;
    world
        .wait_for_event("the model's refusal", |event| {
            matches!(event, Event::SignInRefused { person: Some(person), reason, .. }
                if person.as_str() == who && *reason == SignInRefusal::ModelNotAllowed)
        })
        .await;
    // Chromium tells the console of any answer of 4xx; of nothing else here.
    let complaints = chromium.complaints().await;
    assert!(
        complaints.len() == 1 && complaints[0].contains("403"),
        "{complaints:?}"
    );
    let batch = batch_certificate(&mut chromium).await;
    allow_model(world, &batch);
    chromium
}

/// The researcher's part: an authenticator off the list, then one on it, then ssh.
async fn researcher(world: &TestWorld) -> String {
    let reads = Reads::English;
    let mut chromium = with_allowed_model(world, "r1", reads).await;
    enrol(&mut chromium, world, "r1", reads).await;

    let output = approve_and_submit(world, &mut chromium, reads).await;
    bites(&mut chromium).await;
    chromium.end().await;
    output
}

/// Stock ssh shows a code; the browser approves it; the token's code opens the session.
async fn approve_and_submit(world: &TestWorld, chromium: &mut Chromium, reads: Reads) -> String {
    let (shown, answer) = (world.folder().join("shown"), world.folder().join("answer"));
    let script = format!(
        "printf '%s' \"$CODE\" > '{0}.new' && mv '{0}.new' '{0}'\n\
         n=0; while [ ! -e '{1}' ] && [ $n -lt 600 ]; do sleep 0.1; n=$((n+1)); done\ncat '{1}'",
        shown.display(),
        answer.display()
    );
    let mut ssh = world
        .ssh_with("r1", &Answer::Script(&script))
        .arg("127.0.0.1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = "sql SELECT d.disease_name, p.sex, count(*) AS admissions FROM dpc d \
                 JOIN patients p ON d.person_id = p.person_id \
                 GROUP BY d.disease_name, p.sex ORDER BY admissions DESC LIMIT 24;\n\
                 submit 1 --title \"Admissions by disease and sex\" --purpose \"Table 1 of the study\"\nexit\n";
    ssh.stdin
        .take()
        .unwrap()
        .write_all(lines.as_bytes())
        .unwrap();
    wait_for(&shown);
    let connection = std::fs::read_to_string(&shown).unwrap();
    assert_eq!(connection.len(), 9, "a connection code: {connection}");

    chromium.go("/approve").await;
    chromium.write("input[name=person]", "r1").await;
    chromium.write("input[name=code]", &connection).await;
    chromium.shoot("approve", reads).await;
    chromium.finger_is_owners(false).await;
    chromium.click("main form button").await;
    let told = chromium.outcome("refused").await;
    assert!(told.contains("cancelled"), "another's finger: {told}");
    chromium.finger_is_owners(true).await;
    chromium.click("main form button").await;
    chromium.outcome("done").await;
    chromium.shoot("approved", reads).await;
    std::fs::write(answer.with_extension("new"), code(world, "r1") + "\n").unwrap();
    std::fs::rename(answer.with_extension("new"), &answer).unwrap();

    let output = ssh.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    world
        .events()
        .into_iter()
        .find_map(|event| match event {
            Event::OutputSubmitted { output, author, .. } if author.as_str() == "r1" => {
                Some(output.to_string())
            }
            _ => None,
        })
        .unwrap_or_else(|| panic!("nothing was submitted: {}", said(&output)))
}

/// The controls of "clean": a script that somebody managed to put into a page doesn't run, a picture
/// from elsewhere isn't loaded, and the records that the other checks read show both.
async fn bites(chromium: &mut Chromium) {
    chromium.was_clean().await;
    let ran = chromium
        .script(
            "const s = document.createElement('script'); s.textContent = 'window.planted = true'; \
             document.body.append(s); \
             const i = new Image(); i.src = 'https://third-party.invalid/x.png'; document.body.append(i); \
             return window.planted === true",
        )
        .await;
    assert_eq!(ran, json!(false), "an inline script ran");
    let start = Instant::now();
    let mut complaints = Vec::new();
    while complaints.len() < 2 {
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "the control: the console shows violations, not only {complaints:?}"
        );
        complaints.extend(chromium.complaints().await);
    }
    assert!(
        complaints
            .iter()
            .all(|c| c.contains("Content Security Policy")),
        "{complaints:?}"
    );
    let is_seen = chromium.network().await.iter().any(|event| {
        let url = event["params"]["request"]["url"].as_str();
        url.is_some_and(|url| url.contains("third-party.invalid"))
    });
    assert!(is_seen, "the control: a request to elsewhere is recorded");
}

fn wait_for(path: &Path) {
    let start = Instant::now();
    while !path.exists() {
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "ssh showed no code"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What a reviewer must find on the pages, in their language.
struct Words {
    queue: &'static str,
    findings: &'static str,
    table: &'static str,
    voted: &'static str,
}

const JAPANESE: Words = Words {
    queue: "審査待ち一覧",
    findings: "自動検査の結果",
    table: "持ち出される表",
    voted: "あなたの投票",
};
const ENGLISH: Words = Words {
    queue: "Review queue",
    findings: "Findings",
    table: "The table as it will leave",
    voted: "The review of this output is over.",
};

/// From sign-in to the vote.
async fn reviewer(world: &TestWorld, who: &str, output: &str, reads: Reads, words: &Words) {
    let mut chromium = Chromium::at_terminal_of(world, who, reads).await;
    enrol(&mut chromium, world, who, reads).await;
    sign_in(&mut chromium, world, who, reads).await;
    chromium.click("main a[href='/review/']").await;
    chromium.find("table.list").await;
    assert_eq!(chromium.text("h1").await, words.queue);
    chromium.shoot("queue", reads).await;

    chromium
        .click(&format!("a[href='/review/output/{output}']"))
        .await;
    chromium.find("form.vote").await;
    let page = chromium.text("main").await;
    for text in [
        words.findings,
        words.table,
        "Table 1 of the study",
        "disease_name",
    ] {
        assert!(page.contains(text), "{who}: no \"{text}\" in {page}");
    }
    assert!(chromium.has("table.data").await, "the table itself");
    chromium.shoot("output", reads).await;
    chromium.click("a[href*='counts=1']").await;
    chromium.find("a[href*='counts=0'], a[href$='/']").await;
    chromium.shoot("contributors", reads).await;
    chromium.shoot_dark("dark", reads).await;
    other_language_and_back(&mut chromium, reads).await;

    chromium.click("input[name=vote][value=accept]").await;
    chromium
        .write("textarea[name=comment]", "確認済み checked")
        .await;
    chromium.click("form.vote button").await;
    let start = Instant::now();
    while !chromium.text("main").await.contains(words.voted) {
        assert!(
            start.elapsed() < Duration::from_secs(15),
            "no answer to the vote"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(!chromium.has("form.vote").await, "one vote each");
    chromium.shoot("voted", reads).await;
    chromium.close().await;
}

/// The page's own switch, there and back.
async fn other_language_and_back(chromium: &mut Chromium, reads: Reads) {
    let other = match reads {
        Reads::Japanese => Reads::English,
        Reads::English => Reads::Japanese,
    };
    for reads in [other, reads] {
        chromium
            .click(&format!("a[hreflang={}]", reads.tag()))
            .await;
        chromium.find(&format!("html[lang={}]", reads.tag())).await;
        chromium.shoot(&format!("in-{}", reads.tag()), reads).await;
    }
}

/// The principal investigator finds the release, fetches it, and it verifies.
async fn investigator(world: &TestWorld, output: &str) {
    let reads = Reads::Japanese;
    let mut chromium = Chromium::at_terminal_of(world, "takahashi", reads).await;
    let downloads = world.folder().join("downloads");
    std::fs::create_dir_all(&downloads).unwrap();
    let allow = json!({ "behavior": "allow", "downloadPath": downloads });
    chromium.command("Browser.setDownloadBehavior", allow).await;
    enrol(&mut chromium, world, "takahashi", reads).await;
    sign_in(&mut chromium, world, "takahashi", reads).await;
    chromium.click("main a[href='/release/']").await;
    chromium.find("table.list").await;
    assert!(chromium.text("main").await.contains("持出し許可"));
    chromium.shoot("releases", reads).await;
    chromium
        .click(&format!("a[href='/release/{output}/bundle']"))
        .await;
    let bundle = downloads.join(format!("{output}.kekkai-release.json"));
    wait_for(&bundle);
    let verified = world
        .kekkai()
        .args(["release", "verify"])
        .arg(&bundle)
        .arg("--key")
        .arg(world.facts().release_key)
        .output()
        .unwrap();
    assert!(verified.status.success(), "{}", said(&verified));

    chromium.click("a.brand").await;
    chromium.click("header form button").await;
    chromium.find("input[name=person]").await;
    chromium.go("/release/").await;
    assert_eq!(chromium.path().await, "/sign-in", "signed out is out");
    chromium.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_do_their_part_in_a_real_browser_in_both_languages() {
    let world = world(1, false).await;

    // A browser that shows no terminal's certificate gets one page, whatever it asks for.
    let mut stranger = Chromium::elsewhere(&world, Reads::Japanese).await;
    for path in ["/sign-in", "/approve", "/review/"] {
        stranger.go(path).await;
        assert!(!stranger.has("form").await, "{path} is open to strangers");
    }
    stranger.shoot("no-terminal", Reads::Japanese).await;
    let refused = stranger.complaints().await;
    assert!(refused.iter().all(|c| c.contains("403")), "{refused:?}");
    stranger.close().await;

    let output = researcher(&world).await;
    let released = |world: &TestWorld| {
        world.events().iter().any(|event| {
            matches!(event, Event::OutputReleased { output: o, .. } if o.as_str() == output)
        })
    };
    reviewer(&world, "ito", &output, Reads::Japanese, &JAPANESE).await;
    assert!(!released(&world), "one vote releases nothing");
    reviewer(&world, "watanabe", &output, Reads::English, &ENGLISH).await;
    assert!(released(&world), "two votes release");
    investigator(&world, &output).await;
    world
        .wait_for_event("the fetch", |event| {
            matches!(event, Event::BundleFetched { output: o, person, .. }
                if o.as_str() == output && person.as_str() == "takahashi")
        })
        .await;
}
