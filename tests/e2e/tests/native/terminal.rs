//! A terminal with the native client: a display, a window, an authenticator, a token.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kekkai_demo::token_code;
use kekkai_e2e::TestWorld;
use kekkai_e2e::ocr::Page;
use kekkai_e2e::story::artefacts;

use crate::line::Line;
use crate::xvfb::{self, Client, Display};

/// X11's keysyms.
pub(crate) const ENTER: u32 = 0xff0d;
pub(crate) const TAB: u32 = 0xff09;
pub(crate) const CONTROL: u32 = 0xffe3;
pub(crate) const ALT: u32 = 0xffe9;
pub(crate) const SHIFT: u32 = 0xffe1;

/// What a screen shows, it shows within this time.
const LIMIT: Duration = Duration::from_secs(60);
/// Between two keys: a quick typist.
const KEY_PAUSE: Duration = Duration::from_millis(45);
/// The client's window: the rest of the display is nobody's.
const WINDOW: (u32, u32) = (1280, 800);

/// The software authenticator beside a terminal, ended with the test.
struct Authenticator(Child);

impl Drop for Authenticator {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A person's terminal. What it shows is in the person's language once the session is there; the client
/// itself speaks English here.
pub(crate) struct Terminal<'a> {
    world: &'a TestWorld,
    who: String,
    /// What its pictures are called.
    story: &'static str,
    display: Display,
    shots: u32,
    _client: Client,
    _authenticator: Authenticator,
}

impl<'a> Terminal<'a> {
    /// Where the world's people have theirs, or at the far end of a line.
    pub(crate) fn of(
        world: &'a TestWorld,
        who: &str,
        line: Option<&Line>,
        story: &'static str,
    ) -> Self {
        let folder = world.folder().join(format!("terminal-{who}"));
        std::fs::create_dir_all(&folder).unwrap();
        let info = world.facts();
        let person = info.person(who).unwrap();
        let socket = folder.join("authenticator");
        // An earlier terminal of theirs may have been here.
        let _ = std::fs::remove_file(&socket);
        let authenticator = Command::new(world.program("examples/ctaphid-authenticator"))
            .arg(&socket)
            .arg(&person.authenticator)
            .stdin(Stdio::null())
            .spawn()
            .expect("ctaphid-authenticator: cargo build --workspace --examples");
        let authenticator = Authenticator(authenticator);
        wait_for(&socket);
        let gateway = line.map_or(info.gateway.ssh, Line::gateway);
        let config = folder.join("kekkai-vdi.toml");
        let text = format!(
            "lang = \"en\"\nunprotected_display = \"accepted\"\n\
             [gateway]\naddress = \"{gateway}\"\nhost_keys = [\"{}\"]\norigin = \"{}\"\n\
             [terminal]\nkey = \"{}\"\n[authenticator]\ndevice = \"{}\"\n",
            fingerprint(&info.gateway.known_hosts),
            info.gateway.https,
            person.terminal.ssh_key.display(),
            socket.display(),
        );
        std::fs::write(&config, text).unwrap();
        let display = Display::start();
        let mut command = xvfb::command(&config);
        command.env("DISPLAY", &display.name);
        let mut command = match line {
            Some(line) => line.at_the_far_end(&command),
            None => command,
        };
        let client = Client(command.stdin(Stdio::null()).spawn().unwrap());
        display.window();
        Self {
            world,
            who: who.to_owned(),
            story,
            display,
            shots: 0,
            _client: client,
            _authenticator: authenticator,
        }
    }

    /// From the first screen to the desktop: name, finger, code.
    pub(crate) async fn sign_in_by_name(&mut self) {
        self.sign_in_as(&self.who.clone()).await;
    }

    /// The same for a person with several agreements.
    pub(crate) async fn sign_in_to(&mut self, agreement: &str) {
        self.sign_in_as(&format!("{}+{agreement}", self.who)).await;
    }

    async fn sign_in_as(&mut self, login: &str) {
        self.see("Your name").await;
        self.write(login);
        self.shoot("name");
        self.key(ENTER);
        self.give_code().await;
    }

    /// The finger takes no time here; then the token's code is asked for.
    pub(crate) async fn give_code(&mut self) {
        self.see("six digits").await;
        let info = self.world.facts();
        let code = token_code(info.person(&self.who).unwrap()).unwrap().code;
        self.write(&code);
        self.shoot("code");
        self.key(ENTER);
    }

    /// The display, as PNG.
    pub(crate) fn picture(&self) -> Vec<u8> {
        let rgb = self.display.pixels();
        let (width, height) = WINDOW;
        let picture = image::RgbImage::from_fn(width, height, |x, y| {
            let at = usize::try_from(y * u32::from(xvfb::WIDTH) + x).unwrap();
            let [_, red, green, blue] = rgb[at].to_be_bytes();
            image::Rgb([red, green, blue])
        });
        let mut bytes = std::io::Cursor::new(Vec::new());
        picture
            .write_to(&mut bytes, image::ImageFormat::Png)
            .unwrap();
        bytes.into_inner()
    }

    /// What can be read on the display now, looked at in another way at each attempt.
    pub(crate) async fn page(&self, attempt: usize) -> Page {
        let picture = self.picture();
        tokio::task::spawn_blocking(move || Page::read_again(&picture, "jpn+eng", attempt))
            .await
            .unwrap()
    }

    /// Waits until a text can be read, and gives the place of it.
    pub(crate) async fn see(&self, text: &str) -> (i16, i16) {
        *self.see_all(text).await.first().unwrap()
    }

    async fn see_all(&self, text: &str) -> Vec<(i16, i16)> {
        let start = Instant::now();
        for attempt in 0.. {
            let page = self.page(attempt).await;
            let all = page.find_all(text);
            if !all.is_empty() {
                let place = |length: u16| i16::try_from(length).unwrap();
                return all.iter().map(|(x, y)| (place(*x), place(*y))).collect();
            }
            if start.elapsed() > LIMIT {
                std::fs::write(artefacts("native").join("not-seen.png"), self.picture()).unwrap();
                panic!("\"{text}\" is not on the screen:\n{}", page.text());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        unreachable!("attempts do not end by themselves")
    }

    pub(crate) async fn click(&self, text: &str) {
        self.click_at(self.see(text).await);
    }

    /// Clicks on the lowest place where a text stands.
    pub(crate) async fn click_last(&self, text: &str) {
        self.click_at(*self.see_all(text).await.last().unwrap());
    }

    pub(crate) fn click_at(&self, (x, y): (i16, i16)) {
        self.display.move_pointer(x, y);
        std::thread::sleep(KEY_PAUSE);
        self.display.button(1);
        std::thread::sleep(KEY_PAUSE);
    }

    /// Types, key by key.
    pub(crate) fn write(&self, text: &str) {
        for character in text.chars() {
            self.key(character.into());
        }
    }

    pub(crate) fn key(&self, keysym: u32) {
        self.display.stroke(keysym);
        std::thread::sleep(KEY_PAUSE);
    }

    /// A key while another is held.
    pub(crate) fn press(&self, held: u32, keysym: u32) {
        self.display.chord(held, keysym);
        std::thread::sleep(KEY_PAUSE);
    }

    /// A key while two others are held.
    pub(crate) fn press_both(&self, held: [u32; 2], keysym: u32) {
        self.display.chord_of(&held, keysym);
        std::thread::sleep(KEY_PAUSE);
    }

    pub(crate) fn chord(&self, held: u32, character: char) {
        self.press(held, character.into());
    }

    /// Keeps a picture.
    pub(crate) fn shoot(&mut self, name: &str) {
        self.shots += 1;
        let file = format!("{}-{:02}-{name}.png", self.story, self.shots);
        std::fs::write(artefacts("native").join(file), self.picture()).unwrap();
    }
}

fn wait_for(path: &Path) {
    let start = Instant::now();
    while !path.exists() {
        assert!(start.elapsed() < LIMIT, "{} isn't there", path.display());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// As the terminal's administrator finds it out.
fn fingerprint(known_hosts: &Path) -> String {
    let output = Command::new("ssh-keygen")
        .args(["-l", "-f"])
        .arg(known_hosts)
        .output()
        .expect("ssh-keygen: install the package openssh-client");
    let said = String::from_utf8(output.stdout).unwrap();
    said.split_whitespace()
        .find(|word| word.starts_with("SHA256:"))
        .unwrap_or_else(|| panic!("no host key: {said}"))
        .to_owned()
}
