//! A person's Chromium: their terminal's certificate, a virtual authenticator, and a record of all
//! that the pages asked for and complained about.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kekkai_demo::Info;
use kekkai_e2e::TestWorld;
use serde_json::{Value, json};
use tempfile::TempDir;
use thirtyfour::common::command::FormatRequestData;
use thirtyfour::extensions::cdp::{ChromeCommand, ChromeDevTools};
use thirtyfour::prelude::*;
use thirtyfour::{ChromeCapabilities, RequestData, SessionId};

/// What a page shows, it shows within this time.
const LIMIT: Duration = Duration::from_secs(20);
/// The width of a screenshot, in CSS pixels.
const WIDTH: u32 = 1280;
/// The least height of a screenshot, in CSS pixels.
const HEIGHT: u64 = 800;

/// What two languages' browsers differ in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reads {
    Japanese,
    English,
}

impl Reads {
    /// As in `lang` and `hreflang`.
    pub(crate) const fn tag(self) -> &'static str {
        match self {
            Self::Japanese => "ja",
            Self::English => "en",
        }
    }
}

/// Chromium, driven. Dropping it kills it.
pub(crate) struct Chromium {
    /// The WebDriver session.
    pub(crate) driver: WebDriver,
    tools: ChromeDevTools,
    origin: String,
    who: String,
    authenticator: Value,
    shots: u32,
    requests: Vec<Value>,
    // In this order: whoever writes into the home is gone before it is.
    process: Process,
    home: TempDir,
}

/// `chromedriver` and its Chromium in a process namespace of their own: the kernel ends the whole of
/// it with us, and with this. A chromedriver that is killed leaves its Chromium running.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a tool to its end.
pub(crate) fn run(command: &mut Command) -> Vec<u8> {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(
        output.status.success(),
        "{command:?} failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// A home whose NSS database trusts the web authority and holds a terminal's certificate.
fn home(info: &Info, terminal_of: Option<&str>) -> TempDir {
    let home = TempDir::with_prefix("kekkai-browser-").unwrap();
    let nss = home.path().join(".pki/nssdb");
    std::fs::create_dir_all(&nss).unwrap();
    let database = format!("sql:{}", nss.display());
    run(Command::new("certutil").args(["-N", "--empty-password", "-d", &database]));
    run(Command::new("certutil")
        .args(["-A", "-d", &database, "-n", "web", "-t", "C,,", "-i"])
        .arg(&info.gateway.web_authority));
    if let Some(who) = terminal_of {
        let pem = &info.person(who).unwrap().terminal.tls;
        let bag = home.path().join("terminal.p12");
        run(Command::new("openssl")
            .args([
                "pkcs12", "-export", "-name", "terminal", "-passout", "pass:x",
            ])
            .arg("-inkey")
            .arg(&pem.key)
            .arg("-in")
            .arg(&pem.certificate)
            .arg("-out")
            .arg(&bag));
        run(Command::new("pk12util")
            .args(["-d", &database, "-W", "x", "-K", "", "-i"])
            .arg(&bag));
        std::fs::remove_file(&bag).unwrap();
    }
    home
}

fn start_driver(home: &Path) -> (Process, u16) {
    let log = home.join("chromedriver.log");
    let out = std::fs::File::create(&log).unwrap();
    let child = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "--", "unshare", "--user"])
        .args(["--map-root-user", "--pid", "--mount-proc", "--fork"])
        .args(["--kill-child", "chromedriver", "--port=0"])
        .env("HOME", home)
        .env_remove("XDG_DATA_HOME")
        .stdin(Stdio::null())
        .stdout(out.try_clone().unwrap())
        .stderr(out)
        .spawn()
        .unwrap();
    let mut process = Process(child);
    let start = Instant::now();
    loop {
        let said = std::fs::read_to_string(&log).unwrap();
        let port = said
            .split("started successfully on port ")
            .nth(1)
            .and_then(|rest| rest.split('.').next())
            .and_then(|port| port.trim().parse().ok());
        if let Some(port) = port {
            return (process, port);
        }
        let ended = process.0.try_wait().unwrap();
        assert!(
            ended.is_none() && start.elapsed() < LIMIT,
            "chromedriver doesn't start: {said}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn capabilities(home: &Path, origin: &str, reads: Reads) -> ChromeCapabilities {
    let mut capabilities = DesiredCapabilities::chrome();
    let language = format!("--lang={}", reads.tag());
    let profile = format!("--user-data-dir={}", home.join("profile").display());
    let size = format!("--window-size={WIDTH},{HEIGHT}");
    for arg in [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--no-proxy-server",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        &language,
        &profile,
        &size,
    ] {
        capabilities.add_arg(arg).unwrap();
    }
    // What a managed terminal's policy AutoSelectCertificateForUrls sets: at this gateway, without
    // asking, the one certificate that there is.
    let choose = json!({ format!("{origin},*"): { "setting": { "filters": [{}] } } });
    let preferences = json!({
        "profile.content_settings.exceptions.auto_select_certificate": choose,
        "intl.accept_languages": reads.tag(),
        "intl.selected_languages": reads.tag(),
    });
    capabilities
        .add_experimental_option("prefs", preferences)
        .unwrap();
    capabilities
        .set_base_capability(
            "goog:loggingPrefs",
            json!({"browser": "ALL", "performance": "ALL"}),
        )
        .unwrap();
    capabilities
}

/// chromedriver's log of a kind, taken out: each line is given once.
#[derive(Debug)]
struct TakeLog(&'static str);

impl FormatRequestData for TakeLog {
    fn format_request(&self, session: &SessionId) -> RequestData {
        let mut request =
            ChromeCommand::ExecuteCdpCommand(String::new(), Value::Null).format_request(session);
        request.uri = format!("/session/{session}/se/log").into();
        request.body = Some(json!({ "type": self.0 }));
        request
    }
}

impl Chromium {
    /// The browser of a person's terminal, which has a fingerprint reader of Chromium's own.
    pub(crate) async fn at_terminal_of(world: &TestWorld, who: &str, reads: Reads) -> Self {
        let mut chromium = Self::start(world, Some(who), who, reads).await;
        chromium
            .command("WebAuthn.enable", json!({ "enableUI": false }))
            .await;
        let authenticator = json!({ "options": {
            "protocol": "ctap2",
            "ctap2Version": "ctap2_1",
            "transport": "internal",
            "hasResidentKey": true,
            "hasUserVerification": true,
            "isUserVerified": true,
            "automaticPresenceSimulation": true,
        }});
        let added = chromium
            .command("WebAuthn.addVirtualAuthenticator", authenticator)
            .await;
        chromium.authenticator = added["authenticatorId"].clone();
        chromium
    }

    /// The finger on the authenticator from now on: its owner's, or not.
    pub(crate) async fn finger_is_owners(&self, yes: bool) {
        let finger = json!({ "authenticatorId": self.authenticator, "isUserVerified": yes });
        self.command("WebAuthn.setUserVerified", finger).await;
    }

    /// A browser without a terminal's certificate.
    pub(crate) async fn elsewhere(world: &TestWorld, reads: Reads) -> Self {
        Self::start(world, None, "elsewhere", reads).await
    }

    async fn start(world: &TestWorld, terminal_of: Option<&str>, who: &str, reads: Reads) -> Self {
        let info = world.facts();
        let origin = info.gateway.https.trim_end_matches('/').to_owned();
        let home = home(&info, terminal_of);
        let (process, port) = start_driver(home.path());
        let capabilities = capabilities(home.path(), &origin, reads);
        let driver = WebDriver::new(format!("http://127.0.0.1:{port}"), capabilities)
            .await
            .unwrap();
        Self {
            tools: ChromeDevTools::new(driver.handle.clone()),
            driver,
            origin,
            who: who.to_owned(),
            authenticator: Value::Null,
            shots: 0,
            requests: Vec::new(),
            process,
            home,
        }
    }

    /// A command of the DevTools protocol.
    pub(crate) async fn command(&self, name: &str, parameters: Value) -> Value {
        self.tools
            .execute_cdp_with_params(name, parameters)
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Goes to a page by its address.
    pub(crate) async fn go(&self, path: &str) {
        self.driver
            .goto(format!("{}{path}", self.origin))
            .await
            .unwrap();
    }

    /// The element, once it is there.
    pub(crate) async fn find(&self, css: &str) -> WebElement {
        let found = self
            .driver
            .query(By::Css(css))
            .wait(LIMIT, Duration::from_millis(50))
            .first()
            .await;
        match found {
            Ok(element) => element,
            Err(error) => panic!(
                "{}: no \"{css}\" at {:?}: {error}\n{}",
                self.who,
                self.driver.current_url().await,
                self.text("body").await
            ),
        }
    }

    /// True when the page has such an element now.
    pub(crate) async fn has(&self, css: &str) -> bool {
        !self.driver.find_all(By::Css(css)).await.unwrap().is_empty()
    }

    /// What a person reads there.
    pub(crate) async fn text(&self, css: &str) -> String {
        // A page that is just being replaced takes its elements with it: then look again.
        for _ in 0..5 {
            let Ok(element) = self.driver.find(By::Css(css)).await else {
                return String::new();
            };
            if let Ok(text) = element.text().await {
                return text;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{}: \"{css}\" never stood still", self.who);
    }

    /// Clicks it.
    pub(crate) async fn click(&self, css: &str) {
        self.find(css).await.click().await.unwrap();
    }

    /// Types into it.
    pub(crate) async fn write(&self, css: &str, text: &str) {
        let field = self.find(css).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Waits until a script's form says how it went, and gives its words.
    pub(crate) async fn outcome(&self, kind: &str) -> String {
        let start = Instant::now();
        loop {
            let status = self.find("[role=status]").await;
            match status.attr("data-kind").await.unwrap().as_deref() {
                Some(said) if said == kind => return status.text().await.unwrap(),
                Some("waiting") | None => {}
                Some(other) => panic!(
                    "{}: {other} and not {kind}: {}",
                    self.who,
                    status.text().await.unwrap()
                ),
            }
            assert!(start.elapsed() < LIMIT, "{}: no outcome", self.who);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Where the browser is, without the origin.
    pub(crate) async fn path(&self) -> String {
        let url = self.driver.current_url().await.unwrap().to_string();
        url.strip_prefix(&self.origin).unwrap_or(&url).to_owned()
    }

    /// The same in dark colours.
    pub(crate) async fn shoot_dark(&mut self, name: &str, reads: Reads) {
        let dark = json!({ "features": [{ "name": "prefers-color-scheme", "value": "dark" }] });
        self.command("Emulation.setEmulatedMedia", dark).await;
        self.shoot(name, reads).await;
        let light = json!({ "features": [] });
        self.command("Emulation.setEmulatedMedia", light).await;
    }

    /// Looks the page over and keeps a picture of the whole of it.
    pub(crate) async fn shoot(&mut self, name: &str, reads: Reads) {
        self.look_over(reads).await;
        self.shots += 1;
        let height = self
            .script("return document.documentElement.scrollHeight")
            .await
            .as_u64()
            .unwrap()
            .max(HEIGHT);
        let size =
            json!({ "width": WIDTH, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.command("Emulation.setDeviceMetricsOverride", size)
            .await;
        let picture = self.driver.screenshot_as_png().await.unwrap();
        self.command("Emulation.clearDeviceMetricsOverride", json!({}))
            .await;
        assert!(
            picture.starts_with(b"\x89PNG") && picture.len() > 5_000,
            "{name}: an empty picture"
        );
        let file = format!("{}-{:02}-{name}.png", self.who, self.shots);
        std::fs::write(artefacts().join(file), picture).unwrap();
    }

    /// What every page promises: its language, a title, the demo's banner, nothing inline.
    async fn look_over(&self, reads: Reads) {
        let page = self
            .script(
                "const inline = [...document.querySelectorAll('*')].filter(e => e.matches('style, script:not([src]), [style]') \
                   || [...e.attributes].some(a => a.name.startsWith('on'))).map(e => e.outerHTML); \
                 return { lang: document.documentElement.lang, title: document.title, inline, \
                   banner: document.querySelector('#demo, .demo')?.textContent ?? '', \
                   wide: document.documentElement.scrollWidth > document.documentElement.clientWidth, \
                   nameless: [...document.querySelectorAll('input:not([type=hidden]), textarea')] \
                     .filter(e => e.labels.length === 0).map(e => e.outerHTML) }",
            )
            .await;
        let at = self.path().await;
        assert_eq!(page["lang"], reads.tag(), "{at}: the page's language");
        assert!(!page["title"].as_str().unwrap().is_empty(), "{at}: a title");
        assert_eq!(page["inline"], json!([]), "{at}: inline script or style");
        assert_eq!(page["nameless"], json!([]), "{at}: fields without a label");
        assert_eq!(page["wide"], json!(false), "{at}: wider than the window");
        let banner = page["banner"].as_str().unwrap();
        let expected = match reads {
            Reads::Japanese => "模擬",
            Reads::English => "emulated",
        };
        assert!(banner.contains(expected), "{at}: no banner of the demo");
    }

    /// Runs a script in the page and gives what it returns.
    pub(crate) async fn script(&self, text: &str) -> Value {
        let ret = self.driver.execute(text, Vec::new()).await.unwrap();
        ret.json().clone()
    }

    /// What the console was told since the last look: errors, warnings, violations.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        self.take_log("browser")
            .await
            .iter()
            .map(|line| format!("{} {}", line["level"], line["message"]))
            .collect()
    }

    async fn take_log(&self, kind: &'static str) -> Vec<Value> {
        let answer = self.driver.handle.cmd(TakeLog(kind)).await.unwrap();
        answer.value().unwrap()
    }

    /// DevTools' network events until now.
    pub(crate) async fn network(&mut self) -> &[Value] {
        for line in self.take_log("performance").await {
            let event: Value = serde_json::from_str(line["message"].as_str().unwrap()).unwrap();
            self.requests.push(event["message"].clone());
        }
        &self.requests
    }

    /// No complaint on the console, no request to anybody else, a strict policy on every page.
    pub(crate) async fn was_clean(&mut self) {
        let complaints = self.complaints().await;
        assert!(complaints.is_empty(), "{}: {complaints:?}", self.who);
        let (who, own) = (self.who.clone(), format!("{}/", self.origin));
        let mut pages = 0;
        for event in self.network().await {
            let parameters = &event["params"];
            if event["method"] == "Network.requestWillBeSent" {
                let url = parameters["request"]["url"].as_str().unwrap();
                // A new window begins with a page of Chromium's own, from its own files.
                let by = parameters["documentURL"].as_str().unwrap();
                let is_chromiums = ["data:,", "chrome:", "chrome-untrusted:"]
                    .iter()
                    .any(|scheme| by.starts_with(scheme));
                assert!(
                    is_chromiums || url.starts_with(&own),
                    "{who}: a request to {url}"
                );
            }
            let url = parameters["response"]["url"].as_str().unwrap_or_default();
            if event["method"] == "Network.responseReceived"
                && parameters["type"] == "Document"
                && url.starts_with(&own)
            {
                pages += 1;
                let policy = header(
                    &parameters["response"]["headers"],
                    "content-security-policy",
                );
                assert!(policy.contains("default-src 'none'"), "{url}: {policy}");
                assert!(!policy.contains("unsafe-"), "{url}: {policy}");
                assert!(policy.contains("frame-ancestors 'none'"), "{url}: {policy}");
            }
        }
        assert!(pages > 0, "{who}: the control: no page was recorded");
    }

    /// Closes the browser, whose pages behaved.
    pub(crate) async fn close(mut self) {
        self.was_clean().await;
        self.end().await;
    }

    /// Closes the browser; nothing of it may stay.
    pub(crate) async fn end(self) {
        let Self {
            driver,
            process,
            home,
            who,
            ..
        } = self;
        let profile = home.path().join("profile").display().to_string();
        assert!(
            processes_with(&profile) > 0,
            "the control: a browser that runs is seen"
        );
        // As a test that fails does: without a word to the browser.
        std::mem::forget(driver);
        drop(process);
        let start = Instant::now();
        while processes_with(&profile) > 0 {
            assert!(start.elapsed() < LIMIT, "{who}: Chromium stays");
            std::thread::sleep(Duration::from_millis(20));
        }
        drop(home);
    }
}

/// A header's value; headers' names have no case.
fn header(headers: &Value, name: &str) -> String {
    headers
        .as_object()
        .unwrap()
        .iter()
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str().unwrap().to_owned())
        .unwrap_or_default()
}

/// Processes with a text in their command line.
fn processes_with(text: &str) -> usize {
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| std::fs::read(entry.ok()?.path().join("cmdline")).ok())
        .filter(|line| String::from_utf8_lossy(line).contains(text))
        .count()
}

/// Where pictures are kept.
pub(crate) fn artefacts() -> PathBuf {
    kekkai_e2e::story::artefacts("browser")
}
