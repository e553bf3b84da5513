//! From connecting to the first result: the whole visiting environment against `ssh localhost` running
//! plain DataFusion on plain Parquet, in one run, on the same data; medians and their ratio.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a benchmark fails by panicking"
)]

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kekkai_e2e::{TestWorld, said, world_with};

const PATIENTS: u64 = 20_000;
const RUNS: usize = 7;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let researchers = u32::try_from(RUNS).unwrap() + 1;
    let world = runtime.block_on(world_with(|options| {
        options.patients = PATIENTS;
        options.extra_researchers = researchers;
    }));
    let mut ours = Vec::new();
    for n in 1..=RUNS + 1 {
        let start = Instant::now();
        let output = world.ssh(
            &format!("r{n}"),
            "sql SELECT sex, count(*) FROM patients GROUP BY sex",
        );
        assert!(output.status.success(), "{}", said(&output));
        ours.push(start.elapsed());
    }
    let sshd = Sshd::start(&world);
    let plain = plain_files(&world);
    let program = example("plain_sql");
    let mut theirs = Vec::new();
    for _ in 0..=RUNS {
        let start = Instant::now();
        let output = sshd
            .ssh()
            .arg(format!(
                "{} {} 'SELECT \"性別\", count(*) FROM patients GROUP BY 1'",
                program.display(),
                plain.display()
            ))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", said(&output));
        theirs.push(start.elapsed());
    }
    // The first of each warms the file cache.
    let (ours, theirs) = (median(&ours), median(&theirs));
    println!("connect to first result, {PATIENTS} patients, median of {RUNS}, dev profile");
    println!(
        "  kekkai: both factors, quote, key release, jail, encrypted data   {:>8.1} ms",
        ms(ours)
    );
    println!(
        "  ssh localhost + plain DataFusion + plain Parquet                 {:>8.1} ms",
        ms(theirs)
    );
    println!(
        "  ratio                                                            {:>8.2}",
        ours.as_secs_f64() / theirs.as_secs_f64()
    );
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn median(times: &[Duration]) -> Duration {
    let mut times = times.get(1..).unwrap().to_vec();
    times.sort();
    *times.get(times.len() / 2).unwrap()
}

fn example(name: &str) -> PathBuf {
    let me = std::env::current_exe().unwrap();
    let folder = me
        .ancestors()
        .find(|f| f.join("kekkai-policy").exists())
        .expect("a build");
    folder.join("examples").join(name)
}

fn plain_files(world: &TestWorld) -> PathBuf {
    let folder = world.folder().join("plain");
    let output = world
        .kekkai()
        .args([
            "sample",
            "--format",
            "parquet",
            "--seed",
            "7",
            "--patients",
            &PATIENTS.to_string(),
            "--out",
        ])
        .arg(&folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    folder
}

/// Stock sshd on a free loopback port, with keys of its own.
struct Sshd {
    child: Child,
    folder: PathBuf,
    port: u16,
}

impl Sshd {
    fn start(world: &TestWorld) -> Self {
        let folder = world.folder().join("sshd");
        std::fs::create_dir(&folder).unwrap();
        for key in ["host", "user"] {
            let status = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(folder.join(key))
                .status()
                .unwrap();
            assert!(status.success());
        }
        std::fs::copy(folder.join("user.pub"), folder.join("authorized")).unwrap();
        let port = kekkai_demo::free_address().unwrap().port();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {0}/host\nAuthorizedKeysFile {0}/authorized\n\
             PidFile {0}/pid\nUsePAM no\nStrictModes no\nPermitRootLogin yes\n",
            folder.display()
        );
        std::fs::write(folder.join("config"), config).unwrap();
        // sshd wants its empty folder for privilege separation; a package's start script makes it.
        let _ = std::fs::create_dir_all("/run/sshd");
        let child = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f"])
            .arg(folder.join("config"))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let start = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(
                start.elapsed() < Duration::from_secs(10),
                "sshd doesn't answer"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        Self {
            child,
            folder,
            port,
        }
    }

    fn ssh(&self) -> Command {
        let mut ssh = Command::new("ssh");
        ssh.args(["-F", "none", "-p", &self.port.to_string(), "-i"])
            .arg(self.folder.join("user"))
            .args([
                "-o",
                "StrictHostKeyChecking=no",
                "-o",
                "UserKnownHostsFile=/dev/null",
                "-o",
                "LogLevel=ERROR",
            ])
            .arg("127.0.0.1");
        ssh
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
