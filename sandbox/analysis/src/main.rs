//! `kekkai-analysis`: the analysis server's broker. `kekkai-measure` starts it.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use hkdf::Hkdf;
use kekkai_analysis::attester::Attester;
use kekkai_analysis::broker::{Broker, Parts};
use kekkai_analysis::config::{
    Config, DESKTOP, FONT_MONO, FONT_TEXT, PYTHON, SQL_WORKER, WASM_COMPILER, WASM_WORKER,
};
use kekkai_analysis::desktop::{DesktopHost, Recordings};
use kekkai_analysis::lease;
use kekkai_analysis::pool::Pool;
use kekkai_analysis::programs::{Artefacts, CompilerParts, Tools};
use kekkai_analysis::remeasure::Watch;
use kekkai_analysis::routes::{Server, routes};
use kekkai_analysis::session::ProgramHost;
use kekkai_analysis::spill::SpillPlace;
use kekkai_analysis::turns::Turns;
use kekkai_policy_api::{Event, Record};
use kekkai_recording::Recipient;
use kekkai_service::{Client, config, drain, log, serve, tls};
use kekkai_sys::{Layer, ProcessKind, Spawner, cgroup, harden, memfd, seccomp};
use kekkai_tpm::Tpm;
use kekkai_tpm::measured::{self, Measured};
use kekkai_types::PeerKind;
use sha2::Sha256;
use zeroize::Zeroizing;

/// The analysis server's broker. `kekkai-measure --config FILE` measures and starts it.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Only checks this configuration: to run, the server takes the one that was measured.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match &arguments.config {
        Some(path) => check_only(path),
        None => run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut text = format!("kekkai-analysis: {error}");
            let mut source = error.source();
            while let Some(cause) = source {
                text.push_str(&format!(": {cause}"));
                source = cause.source();
            }
            eprintln!("{text}");
            ExitCode::FAILURE
        }
    }
}

fn check_only(path: &Path) -> Result<(), Box<dyn Error>> {
    config::load::<Config>(path)?.check()?;
    eprintln!(
        "kekkai-analysis: the configuration is well-formed; start it by kekkai-measure --config FILE"
    );
    Ok(())
}

/// The order matters: what was measured is taken and the spawner forked while there is one thread and
/// nothing secret; then no dump, no debugger; then keys.
fn run() -> Result<(), Box<dyn Error>> {
    let measured = measured::take()?;
    let config: Config = config::parse(&measured.configuration, Path::new("analysis.toml"))?;
    config.check()?;
    let spawner = Spawner::start()?;
    harden::harden_this_process()?;
    log::init("kekkai-analysis");
    if !harden::lock_all_memory()? {
        tracing::warn!("only keys are locked, not all memory: set LimitMEMLOCK=infinity");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve_sessions(config, measured, spawner))
}

async fn serve_sessions(
    config: Config,
    mut measured: Measured,
    spawner: Spawner,
) -> Result<(), Box<dyn Error>> {
    let policy_key = config.tpm.policy_key()?;
    let connection = measured.connection.clone();
    let tpm = tokio::task::spawn_blocking(move || Tpm::open(&connection, &policy_key)).await??;
    for (name, image) in &measured.images {
        if !memfd::is_sealed(image.as_fd()) {
            return Err(format!("the image \"{name}\" is not sealed").into());
        }
    }
    let sql_worker = measured
        .images
        .remove(SQL_WORKER)
        .ok_or("no SQL worker was measured")?;
    let sql_pool = Pool::new(spawner.clone(), sql_worker, SQL_WORKER, config.spares);
    let programs = program_host(&config, &mut measured, &spawner)?;
    let spki = tls::spki_of_file(&config.tls.certificate)?;
    let policy = Client::new(&config.tls, &config.policy, PeerKind::Policy)?;
    let review = Client::new(&config.tls, &config.review, PeerKind::Review)?;
    let peers = config
        .peers
        .iter()
        .map(|(server, address)| {
            let client = Client::new(&config.tls, address, PeerKind::Analysis)?;
            Ok((server.clone(), client))
        })
        .collect::<Result<_, tls::TlsError>>()?;
    let watch = Watch::new(&config, measured.event_log);
    let attester = Arc::new(Attester::new(config.server.clone(), spki, tpm, watch));
    let desktops = desktop_host(&config, measured.images, &spawner, attester.is_emulated())?;
    for layer in &config.waived_layers {
        tracing::warn!(%layer, "a layer of the jail is waived by the configuration");
    }
    let groups = match cgroup::Host::prepare() {
        Ok(host) => Some(host),
        Err(error) => {
            tracing::warn!(%error, "sessions get no control group: a watchdog looks at them");
            None
        }
    };
    let spill = match config.spill() {
        Some((dir, bytes_max)) => {
            let place = SpillPlace::prepare(dir.clone(), bytes_max)
                .map_err(|error| format!("sessions can't spill into {dir:?}: {error}"))?;
            Some(place)
        }
        None => None,
    };
    let broker = Arc::new(Broker::new(Parts {
        server: config.server.clone(),
        data_dir: config.data_dir.clone(),
        sessions_max: config.sessions_max,
        threads_per_session: config.threads_per_session,
        turns: Turns::new(config.statements_at_once),
        waived: config.waived_layers.clone(),
        sql_pool,
        programs: programs.clone(),
        desktops: desktops.clone(),
        groups,
        spill,
        scripts_dir: config.state_dir.as_ref().map(|dir| dir.join("scripts")),
        shown_dir: config.state_dir.as_ref().map(|dir| dir.join("shown")),
        policy: policy.clone(),
        review,
        peers,
    }));

    let listener = tokio::net::TcpListener::bind(config.listen).await?;
    tracing::info!(listen = %listener.local_addr()?, emulated = attester.is_emulated(), "ready");
    tokio::spawn({
        let (attester, policy) = (attester.clone(), policy.clone());
        async move {
            attester.enrol(&policy).await;
            let version = env!("CARGO_PKG_VERSION").to_owned();
            let event = Event::ServiceStarted { version };
            if let Err(error) = policy.call(&Record { event }).await {
                tracing::warn!(%error, "the start could not be recorded");
            }
        }
    });
    tokio::spawn(lease::renew_forever(broker.clone(), policy.clone()));
    if let Some(programs) = programs {
        tokio::spawn(async move { programs.prepare().await });
    }
    if let Some(desktops) = desktops {
        desktops.warm();
    }

    // From here on this process executes nothing and makes no other: its spawner does, forked before.
    if config.waived_layers.contains(&Layer::Seccomp) {
        tracing::warn!("the broker's own list of system calls is waived");
    } else {
        let allowed = seccomp::install(ProcessKind::Broker)?;
        tracing::info!(allowed, "the broker's list of system calls is installed");
    }

    let router = routes(&Server {
        broker: broker.clone(),
        attester,
    })
    .router();
    // Sessions end first, so that calls that wait for their jobs are answered.
    let shutdown = async {
        drain::signal().await;
        broker.drain().await;
    };
    serve(listener, &config.tls, router, shutdown).await?;
    let event = Event::ServiceStopped;
    if let Err(error) = policy.call(&Record { event }).await {
        tracing::warn!(%error, "the stop could not be recorded");
    }
    Ok(())
}

/// What runs programs, where the images for it were measured.
fn program_host(
    config: &Config,
    measured: &mut Measured,
    spawner: &Spawner,
) -> Result<Option<Arc<ProgramHost>>, Box<dyn Error>> {
    let mut digests = BTreeMap::new();
    for measurement in &measured.event_log {
        digests.insert(measurement.name.clone(), measurement.digest);
    }
    let (worker, compiler) = match (
        measured.images.remove(WASM_WORKER),
        measured.images.remove(WASM_COMPILER),
    ) {
        (Some(worker), Some(compiler)) => (worker, compiler),
        _ => return Ok(None),
    };
    let python = match (measured.images.remove(PYTHON), digests.get(PYTHON)) {
        (Some(component), Some(digest)) => Some((*digest, component)),
        _ => None,
    };
    let dir = match &config.state_dir {
        Some(dir) => {
            let dir = dir.join("artefacts");
            std::fs::create_dir_all(&dir)?;
            Some(dir)
        }
        None => None,
    };
    let compiler_digest = digests
        .get(WASM_COMPILER)
        .ok_or("no compiler was measured")?;
    let identity = Zeroizing::new(std::fs::read(&config.tls.key)?);
    let mut key = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(Some(compiler_digest.as_bytes()), &identity)
        .expand(b"kekkai artefacts v1", &mut *key)
        .map_err(|_| "no key for artefacts")?;
    let waived = config.waived_layers.clone();
    Ok(Some(Arc::new(ProgramHost {
        pool: Pool::new(spawner.clone(), worker, WASM_WORKER, config.spares),
        artefacts: Artefacts::new(CompilerParts {
            // Compiling is rare: nothing waits for it.
            pool: Pool::new(spawner.clone(), compiler, WASM_COMPILER, 0),
            waived: waived.clone(),
            dir,
            key,
        }),
        python,
        tools: Tools::default(),
        waived,
    })))
}

/// What draws desktops, where the images for it were measured.
fn desktop_host(
    config: &Config,
    mut images: BTreeMap<String, File>,
    spawner: &Spawner,
    emulated: bool,
) -> Result<Option<Arc<DesktopHost>>, Box<dyn Error>> {
    let (image, text) = match (images.remove(DESKTOP), images.remove(FONT_TEXT)) {
        (Some(image), Some(text)) => (image, text),
        _ => return Ok(None),
    };
    let mut fonts = vec![(FONT_TEXT.to_owned(), text)];
    fonts.extend(
        images
            .remove(FONT_MONO)
            .map(|font| (FONT_MONO.to_owned(), font)),
    );
    let recordings = match &config.recording {
        Some(recording) => {
            let pem = std::fs::read_to_string(&recording.auditors_key)
                .map_err(|error| format!("{:?}: {error}", recording.auditors_key))?;
            let recipient = Recipient::from_pem(&pem)
                .map_err(|error| format!("{:?}: {error}", recording.auditors_key))?;
            Some(Recordings {
                dir: recording.dir.clone(),
                recipient,
            })
        }
        None => {
            tracing::warn!("no [recording]: no desktop begins, since nothing unrecorded is shown");
            None
        }
    };
    Ok(Some(Arc::new(DesktopHost {
        pool: Pool::new(spawner.clone(), image, DESKTOP, config.spares),
        fonts,
        waived: config.waived_layers.clone(),
        emulated,
        recordings,
    })))
}
