//! A whole deployment on loopback: laid out, started, provisioned; daemons can be killed and
//! started again one by one.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use kekkai_attest::{PolicyKey, ReferenceValues};
use kekkai_authenticator::{Authenticator, Model};
use kekkai_deploy::{Authority, Issued, ec_key_pair, ed25519_key_pair, random_key_file};
use kekkai_gateway_api::CreateEnrolment;
use kekkai_policy_api::{
    AddPerson, AddReference, AddTerminal, Enrolments, ExpectServer, RegisterAgreement,
    RegisterDataset,
};
use kekkai_service::tls::{TlsFiles, spki_of_file};
use kekkai_service::{CallError, Client};
use kekkai_types::{
    AgreementId, DatasetId, Digest, Lang, Peer, PeerKind, PersonId, Role, ServerId, TerminalClass,
    TerminalId,
};

use crate::configuration::{self, Further, Layout, Runs};
use crate::info::{Gateway, Info, Ledger, Pem, Person, Service, Terminal};
use crate::process::{Daemon, free_address};
use crate::{DemoError, io, person};

/// The analysis server's enrolment takes at most this long.
const ENROL_LIMIT: Duration = Duration::from_secs(60);
/// Marks a folder as a demo's: only such a folder is ever replaced.
const MARK: &str = ".kekkai-demo";

/// How to make a world.
#[derive(Debug, Clone)]
pub struct WorldOptions {
    /// The deployment's folder; an earlier demo there is replaced, anything else is left alone.
    pub dir: PathBuf,
    /// Patients in the sample.
    pub patients: u64,
    /// The sample's seed.
    pub seed: u64,
    /// The language of progress.
    pub lang: Lang,
    /// Researchers `r1`, `r2` … besides the named people: tests that sign in often need many tokens.
    pub extra_researchers: u32,
    /// The class of their terminals.
    pub extra_terminals: TerminalClass,
    /// A folder with the GiBleed Parquet files: makes a second dataset and agreement.
    pub gibleed: Option<PathBuf>,
    /// Texts that are put into the raw sample before ingest: table, column, text; one row each.
    pub planted: Vec<(String, String, String)>,
    /// Sessions may run programs: Python is compiled when the analysis server starts.
    pub programs: bool,
    /// There are desktops: hayashi and smith have browser terminals, kimura a VDI client, ogawa an on-site
    /// terminal.
    pub desktop: bool,
    /// Several analysis servers, in network namespaces; `None`: one, on loopback.
    pub places: Option<Places>,
    /// No progress on standard output.
    pub quiet: bool,
}

/// Where services are that aren't on loopback. Namespaces and addresses are there already.
#[derive(Debug, Clone)]
pub struct Places {
    /// The address of the policy service and the review service, in this namespace.
    pub services: IpAddr,
    /// Analysis servers: `a1`, which has sessions, then those that it spreads them over.
    pub analysis: Vec<Place>,
}

/// Where an analysis server is.
#[derive(Debug, Clone)]
pub struct Place {
    /// Its network namespace, by the name that `ip netns` gives it.
    pub namespace: String,
    /// Its address there.
    pub address: IpAddr,
    /// The policy service is told to expect it. Of another it knows nothing.
    pub is_expected: bool,
}

/// The four daemons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `kekkai-policy`.
    Policy,
    /// `kekkai-review`.
    Review,
    /// `kekkai-analysis`, started by `kekkai-measure`.
    Analysis,
    /// `kekkai-gateway`.
    Gateway,
}

impl Kind {
    /// In the order of starting.
    pub const ALL: [Self; 4] = [Self::Policy, Self::Review, Self::Analysis, Self::Gateway];

    /// The service's folder and name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Review => "review",
            Self::Analysis => "analysis",
            Self::Gateway => "gateway",
        }
    }
}

/// A deployment that runs. Dropping it kills its daemons.
pub struct World {
    layout: Layout,
    options: WorldOptions,
    daemons: Mutex<BTreeMap<Kind, Daemon>>,
    /// Further analysis servers.
    further: Mutex<BTreeMap<ServerId, Daemon>>,
}

/// An operator's clients.
pub struct Admin {
    /// Of the policy service.
    pub policy: Client,
    /// Of the gateway's administration port.
    pub gateway: Client,
}

impl Admin {
    /// As the demo's operator `kato`.
    pub fn connect(info: &Info) -> Result<Self, DemoError> {
        Self::connect_as(info, "kato")
    }

    /// As one of the demo's operators.
    pub fn connect_as(info: &Info, operator: &str) -> Result<Self, DemoError> {
        let operator = PersonId::new(operator)?;
        let pem = info
            .admin
            .get(&operator)
            .ok_or(DemoError::Bug("no operator"))?;
        let policy = info
            .services
            .get("policy")
            .ok_or(DemoError::Bug("no policy"))?;
        let files = TlsFiles {
            certificate: pem.certificate.clone(),
            key: pem.key.clone(),
            authority: pem.certificate.with_file_name("services.crt"),
        };
        Ok(Self {
            policy: Client::new(&files, policy.address.to_string(), PeerKind::Policy)?,
            gateway: Client::new(&files, info.gateway.admin.to_string(), PeerKind::Gateway)?,
        })
    }
}

struct Named {
    id: &'static str,
    name: &'static str,
    lang: Lang,
    roles: &'static [Role],
    class: TerminalClass,
}

/// The people of the story. yamada is registered, but on no roster.
const PEOPLE: &[Named] = &[
    Named {
        id: "sato",
        name: "佐藤 花子",
        lang: Lang::Ja,
        roles: &[Role::Researcher],
        class: TerminalClass::Console,
    },
    Named {
        id: "suzuki",
        name: "Suzuki Ken",
        lang: Lang::En,
        roles: &[Role::Researcher],
        class: TerminalClass::Console,
    },
    Named {
        id: "yoshida",
        name: "吉田 葵",
        lang: Lang::Ja,
        roles: &[Role::Researcher],
        class: TerminalClass::Console,
    },
    Named {
        id: "yamada",
        name: "Yamada Jun",
        lang: Lang::En,
        roles: &[Role::Researcher],
        class: TerminalClass::Console,
    },
    Named {
        id: "takahashi",
        name: "高橋 誠",
        lang: Lang::Ja,
        roles: &[Role::PrincipalInvestigator, Role::Researcher],
        class: TerminalClass::Browser,
    },
    Named {
        id: "tanaka",
        name: "田中 恵",
        lang: Lang::Ja,
        roles: &[Role::SecurityManager],
        class: TerminalClass::Browser,
    },
    Named {
        id: "kato",
        name: "加藤 学",
        lang: Lang::Ja,
        roles: &[Role::Operator],
        class: TerminalClass::Operator,
    },
    Named {
        id: "mori",
        name: "森 直子",
        lang: Lang::Ja,
        roles: &[Role::Operator],
        class: TerminalClass::Operator,
    },
    Named {
        id: "ito",
        name: "伊藤 結衣",
        lang: Lang::Ja,
        roles: &[Role::Reviewer],
        class: TerminalClass::Operator,
    },
    Named {
        id: "watanabe",
        name: "Watanabe Ren",
        lang: Lang::En,
        roles: &[Role::Reviewer],
        class: TerminalClass::Operator,
    },
    Named {
        id: "nakamura",
        name: "中村 修",
        lang: Lang::Ja,
        roles: &[Role::Auditor],
        class: TerminalClass::Operator,
    },
];

/// Researchers who work on desktops, where the world has them.
const DESKTOP_PEOPLE: &[Named] = &[
    Named {
        id: "hayashi",
        name: "林 美咲",
        lang: Lang::Ja,
        roles: &[Role::Researcher],
        class: TerminalClass::Browser,
    },
    Named {
        id: "smith",
        name: "Anna Smith",
        lang: Lang::En,
        roles: &[Role::Researcher],
        class: TerminalClass::Browser,
    },
    Named {
        id: "kimura",
        name: "木村 翔",
        lang: Lang::Ja,
        roles: &[Role::Researcher],
        class: TerminalClass::Vdi,
    },
    Named {
        id: "ogawa",
        name: "小川 由美",
        lang: Lang::Ja,
        roles: &[Role::Researcher],
        class: TerminalClass::Onsite,
    },
];

/// Two: nobody gives themselves a credential.
const OPERATORS: [&str; 2] = ["kato", "mori"];

impl World {
    /// Lays a deployment out, starts it, and provisions it.
    pub async fn start(options: WorldOptions) -> Result<Self, DemoError> {
        let dir = prepare(&options.dir)?;
        let layout = Layout::new(&dir, binaries()?, options.places.as_ref())?;
        let world = Self {
            layout,
            options,
            daemons: Mutex::new(BTreeMap::new()),
            further: Mutex::default(),
        };
        let start = world.say(
            "鍵・証明書・設定を作る",
            "making keys, certificates and configuration",
        );
        let (people, reference, further_references) = world.lay_out()?;
        world.said(start);
        let start = world.say("四つのサービスを起動する", "starting the four services");
        world.write_info(&people, Digest::of(b""), &[], &[])?;
        // The emulated TPM's authority exists once it was powered up; the policy service trusts it.
        world.spawn_daemon(Kind::Analysis, &[])?;
        wait_for_file(&world.dir().join("analysis/tpm/ca/authorities.pem"))?;
        for further in &world.layout.further {
            world.spawn_further(further)?;
            let folder = world.dir().join(&further.folder);
            wait_for_file(&folder.join("tpm/ca/authorities.pem"))?;
        }
        world.start_daemon(Kind::Policy)?;
        world.start_daemon(Kind::Review)?;
        let admin = Admin::connect(&world.info()?)?;
        world.register_people(&admin, &people).await?;
        let server = ServerId::new("a1")?;
        admin
            .policy
            .call(&ExpectServer {
                server: server.clone(),
            })
            .await?;
        let reference = admin.policy.call(&AddReference { reference }).await?;
        for reference in further_references {
            admin.policy.call(&AddReference { reference }).await?;
        }
        let expected = world.layout.further.iter().filter(|f| f.is_expected);
        let expected: Vec<ServerId> = expected.map(|f| f.server.clone()).collect();
        for server in &expected {
            let server = server.clone();
            admin.policy.call(&ExpectServer { server }).await?;
        }
        world.start_daemon(Kind::Gateway)?;
        world.wait_for_daemon(Kind::Analysis)?;
        world.said(start);
        let start = world.say(
            "解析サーバーのTPMを登録する(EK証明書、資格情報の活性化)",
            "enrolling the analysis server's TPM (EK certificate, credential activation)",
        );
        let mut servers = wait_for_enrolment(&admin, &server).await?;
        for server in &expected {
            servers = wait_for_enrolment(&admin, server).await?;
        }
        world.said(start);
        let datasets = world.ingest(&admin, &servers).await?;
        let agreements = world.register_agreements(&admin).await?;
        let start = world.say(
            "認証器とトークンを登録する",
            "enrolling authenticators and tokens",
        );
        let people = world.enrol_people(&admin, people).await?;
        world.write_info(&people, reference, &datasets, &agreements)?;
        world.said(start);
        Ok(world)
    }

    /// The deployment's folder.
    pub fn dir(&self) -> &Path {
        &self.layout.dir
    }

    /// `demo.json`.
    pub fn info(&self) -> Result<Info, DemoError> {
        Info::load(self.dir())
    }

    /// A program of the build.
    pub fn program(&self, name: &str) -> PathBuf {
        self.layout.binaries.join(name)
    }

    /// Starts a daemon that doesn't run, and waits until it answers.
    pub fn start_daemon(&self, kind: Kind) -> Result<(), DemoError> {
        self.start_daemon_with(kind, &[])
    }

    /// Starts a daemon with environment variables, and waits until it answers.
    pub fn start_daemon_with(
        &self,
        kind: Kind,
        environment: &[(&str, &str)],
    ) -> Result<(), DemoError> {
        self.spawn_daemon(kind, environment)?;
        self.wait_for_daemon(kind)
    }

    /// Starts a daemon, and doesn't wait.
    pub fn spawn_daemon(&self, kind: Kind, environment: &[(&str, &str)]) -> Result<(), DemoError> {
        let name = kind.name();
        let folder = self.layout.dir.join(name);
        let config = folder.join(format!("{name}.toml")).display().to_string();
        let program = match kind {
            Kind::Analysis => self.program("kekkai-measure"),
            _ => self.program(&format!("kekkai-{name}")),
        };
        let namespace = match kind {
            Kind::Analysis => self.layout.namespace.as_str(),
            _ => "",
        };
        let daemon = Daemon::start_in(
            namespace,
            name,
            &program,
            &["--config", &config],
            &folder.join("log.jsonl"),
            environment,
        )?;
        self.daemons()?.insert(kind, daemon);
        Ok(())
    }

    fn spawn_further(&self, further: &Further) -> Result<(), DemoError> {
        let folder = self.layout.dir.join(&further.folder);
        let config = folder.join("analysis.toml").display().to_string();
        let daemon = Daemon::start_in(
            &further.namespace,
            &further.folder,
            &self.program("kekkai-measure"),
            &["--config", &config],
            &folder.join("log.jsonl"),
            &[],
        )?;
        let mut all = self.further.lock();
        let all = all.as_mut().map_err(|_| DemoError::Bug("poisoned lock"))?;
        all.insert(further.server.clone(), daemon);
        Ok(())
    }

    /// Waits until a daemon that was started answers.
    pub fn wait_for_daemon(&self, kind: Kind) -> Result<(), DemoError> {
        let address = self.layout.address(kind);
        match self.daemons()?.get_mut(&kind) {
            Some(daemon) => daemon.wait_for(address),
            None => Err(DemoError::Bug("waiting for a daemon that wasn't started")),
        }
    }

    /// `kill -9`.
    pub fn kill_daemon(&self, kind: Kind) -> Result<(), DemoError> {
        if let Some(daemon) = self.daemons()?.remove(&kind) {
            daemon.kill();
        }
        Ok(())
    }

    /// SIGTERM, and waits.
    pub fn stop_daemon(&self, kind: Kind) -> Result<(), DemoError> {
        let daemon = self.daemons()?.remove(&kind);
        if let Some(daemon) = daemon {
            daemon.stop();
        }
        Ok(())
    }

    /// A daemon's process, while it runs.
    pub fn pid(&self, kind: Kind) -> Result<Option<u32>, DemoError> {
        Ok(self.daemons()?.get(&kind).map(Daemon::pid))
    }

    /// Stops everything in the reverse order of starting.
    pub fn stop(&self) {
        if let Ok(mut further) = self.further.lock() {
            std::mem::take(&mut *further)
                .into_values()
                .for_each(Daemon::stop);
        }
        for kind in Kind::ALL.iter().rev() {
            let _ = self.stop_daemon(*kind);
        }
    }

    fn daemons(&self) -> Result<std::sync::MutexGuard<'_, BTreeMap<Kind, Daemon>>, DemoError> {
        self.daemons
            .lock()
            .map_err(|_| DemoError::Bug("poisoned lock"))
    }

    fn say(&self, ja: &str, en: &str) -> Instant {
        if !self.options.quiet {
            use std::io::Write;
            print!("  · {} … ", self.options.lang.pick(ja, en));
            let _ = std::io::stdout().flush();
        }
        Instant::now()
    }

    fn said(&self, start: Instant) {
        if !self.options.quiet {
            println!("{:.1} s", start.elapsed().as_secs_f64());
        }
    }

    /// Keys, certificates, configuration; the people with their terminals; reference values.
    fn lay_out(&self) -> Result<(Vec<Person>, ReferenceValues, Vec<ReferenceValues>), DemoError> {
        let dir = &self.layout.dir;
        let authorities = dir.join("authority");
        let services = Authority::create(&authorities, "services")?;
        let terminals = Authority::create(&authorities, "terminals")?;
        let web = Authority::create(&authorities, "web")?;
        let offline = dir.join("offline");
        ec_key_pair(&offline, "recovery")?;
        // In earnest it is made on a machine of its own, which has no network.
        ec_key_pair(&offline, "offline")?;
        let pcr = ec_key_pair(&offline, "pcr-policy")?;
        let admin = dir.join("admin");
        self.trusted_copy(&services, &admin)?;
        for operator in OPERATORS {
            services.issue_peer(&Peer::Admin(PersonId::new(operator)?), &admin, operator)?;
            configuration::write_connection(&self.layout, operator)?;
        }
        for kind in Kind::ALL {
            let folder = dir.join(kind.name());
            std::fs::create_dir_all(folder.join("state")).map_err(io("a service's folder"))?;
            self.trusted_copy(&services, &folder)?;
            let peer = match kind {
                Kind::Policy => Peer::Policy,
                Kind::Review => Peer::Review,
                Kind::Gateway => Peer::Gateway,
                Kind::Analysis => Peer::Analysis(ServerId::new("a1")?),
            };
            services.issue_peer(&peer, &folder, "tls")?;
        }
        for further in &self.layout.further {
            let folder = dir.join(&further.folder);
            self.trusted_copy(&services, &folder)?;
            services.issue_peer(&Peer::Analysis(further.server.clone()), &folder, "tls")?;
        }
        let policy = dir.join("policy");
        let (skey, vkey) = kekkai_ledger::generate_key("ledger.kekkai.internal/demo")
            .map_err(|_| DemoError::Bug("ledger key"))?;
        kekkai_deploy::create_private(&policy.join("ledger.skey"), skey.as_bytes())?;
        std::fs::write(policy.join("ledger.vkey"), format!("{vkey}\n"))
            .map_err(io("ledger.vkey"))?;
        std::fs::create_dir_all(dir.join("witness")).map_err(io("the witness folder"))?;
        let gateway = dir.join("gateway");
        random_key_file(&gateway.join("storage.key"))?;
        web.issue_web(&["localhost", "127.0.0.1"], &gateway, "web")?;
        std::fs::copy(terminals.certificate(), gateway.join("terminals.crt"))
            .map_err(io("terminals.crt"))?;
        ssh_keygen(&gateway.join("host_key"))?;
        let review = dir.join("review");
        random_key_file(&review.join("storage.key"))?;
        ed25519_key_pair(&review, "release")?;
        let model = Model::emulated()?;
        std::fs::write(gateway.join("model.crt"), model.authority_pem())
            .map_err(io("model.crt"))?;
        configuration::write(
            &self.layout,
            &model.aaguid(),
            &pcr.public_sec1,
            Runs {
                programs: self.options.programs,
                desktop: self.options.desktop,
            },
        )?;
        let people = self.make_people(&terminals, &model)?;
        let policy_key = offline.join("pcr-policy.key");
        let reference = self.measure(&policy_key)?;
        let expected = self.layout.further.iter().filter(|f| f.is_expected);
        let further = expected
            .map(|further| self.measure_in(&further.folder, &policy_key))
            .collect::<Result<_, _>>()?;
        Ok((people, reference, further))
    }

    fn trusted_copy(&self, services: &Authority, folder: &Path) -> Result<(), DemoError> {
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::copy(services.certificate(), folder.join("services.crt")))
            .map_err(io("services.crt"))?;
        Ok(())
    }

    fn make_people(&self, terminals: &Authority, model: &Model) -> Result<Vec<Person>, DemoError> {
        let mut all: Vec<(PersonId, String, Lang, Vec<Role>, TerminalClass)> = Vec::new();
        let more: &[Named] = match self.options.desktop {
            true => DESKTOP_PEOPLE,
            false => &[],
        };
        for p in PEOPLE.iter().chain(more) {
            all.push((
                PersonId::new(p.id)?,
                p.name.to_owned(),
                p.lang,
                p.roles.to_vec(),
                p.class,
            ));
        }
        for n in 1..=self.options.extra_researchers {
            let id = PersonId::new(format!("r{n}"))?;
            all.push((
                id,
                format!("Researcher {n}"),
                Lang::En,
                vec![Role::Researcher],
                self.options.extra_terminals,
            ));
        }
        let mut people = Vec::new();
        for (person, name, lang, roles, class) in all {
            let terminal = TerminalId::new(format!("t-{person}"))?;
            let folder = self.layout.dir.join("terminals").join(terminal.as_str());
            let Issued { certificate, key } =
                terminals.issue_peer(&Peer::Terminal(terminal.clone()), &folder, "tls")?;
            let ssh_key = folder.join("ssh_key");
            ssh_keygen(&ssh_key)?;
            let authenticator = folder.join("authenticator.json");
            Authenticator::new(model.duplicate()).save(&authenticator)?;
            people.push(Person {
                person,
                name,
                lang,
                roles,
                totp_secret: None,
                authenticator,
                terminal: Terminal {
                    terminal,
                    class,
                    ssh_key,
                    tls: Pem { certificate, key },
                },
            });
        }
        Ok(people)
    }

    /// Reference values of what is on the disk now, signed by the producer's PCR policy key.
    pub fn measure(&self, policy_key: &Path) -> Result<ReferenceValues, DemoError> {
        self.measure_in("analysis", policy_key)
    }

    fn measure_in(&self, folder: &str, policy_key: &Path) -> Result<ReferenceValues, DemoError> {
        let program = self.program("kekkai-measure");
        let config = self.layout.dir.join(folder).join("analysis.toml");
        let output = Command::new(&program)
            .arg("--config")
            .arg(&config)
            .args(["--print-reference", "demo"])
            .output()
            .map_err(io("kekkai-measure can't be started"))?;
        let failed = |message: String| DemoError::Program {
            program: "kekkai-measure".to_owned(),
            message,
        };
        if !output.status.success() {
            return Err(failed(String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        let unsigned: ReferenceValues =
            serde_json::from_slice(&output.stdout).map_err(|e| failed(e.to_string()))?;
        let pem = std::fs::read_to_string(policy_key).map_err(io("the PCR policy key"))?;
        let key = PolicyKey::from_pem(&pem).map_err(|e| failed(e.to_string()))?;
        unsigned.sign(&key).map_err(|e| failed(e.to_string()))
    }

    async fn register_people(&self, admin: &Admin, people: &[Person]) -> Result<(), DemoError> {
        for p in people {
            let call = AddPerson {
                person: p.person.clone(),
                name: p.name.clone(),
                lang: p.lang,
                roles: p.roles.clone(),
            };
            admin.policy.call(&call).await?;
            let public = std::fs::read_to_string(p.terminal.ssh_key.with_extension("pub"))
                .map_err(io("an ssh public key"))?;
            let words: Vec<&str> = public.split_whitespace().take(2).collect();
            let call = AddTerminal {
                terminal: p.terminal.terminal.clone(),
                class: p.terminal.class,
                ssh_key: Some(words.join(" ")),
                certificate_spki: Some(spki_of_file(&p.terminal.tls.certificate)?),
                // The administration command is used at kato's terminal by both operators.
                people: match p.person.as_str() {
                    "kato" => OPERATORS
                        .iter()
                        .map(|o| PersonId::new(*o))
                        .collect::<Result<_, _>>()?,
                    _ => vec![p.person.clone()],
                },
            };
            admin.policy.call(&call).await?;
        }
        Ok(())
    }

    async fn enrol_people(
        &self,
        admin: &Admin,
        mut people: Vec<Person>,
    ) -> Result<Vec<Person>, DemoError> {
        let info = self.info()?;
        let other = Admin::connect_as(&info, "mori")?;
        for p in &mut people {
            let call = CreateEnrolment {
                person: p.person.clone(),
            };
            let by = if p.person.as_str() == "kato" {
                &other
            } else {
                admin
            };
            let ticket = by.gateway.call(&call).await?;
            p.totp_secret = Some(ticket.totp_secret.clone());
            let authenticator = Authenticator::load(&p.authenticator)?;
            person::enrol(&info, p, authenticator, &ticket.ticket).await?;
        }
        Ok(people)
    }

    async fn ingest(
        &self,
        admin: &Admin,
        servers: &[kekkai_attest::Enrolled],
    ) -> Result<Vec<(DatasetId, u32)>, DemoError> {
        let mut datasets = Vec::new();
        let start = self.say(
            &format!(
                "標本データ({} 人)を作り、仮名化・検査・暗号化して取り込む",
                self.options.patients
            ),
            &format!(
                "making the sample ({} patients); pseudonymizing, checking, encrypting it",
                self.options.patients
            ),
        );
        let raw = self.layout.dir.join("raw/sample");
        configuration::sample(&raw, self.options.patients, self.options.seed)?;
        for (table, column, text) in &self.options.planted {
            configuration::plant(&raw, table, column, text)?;
        }
        let registered = configuration::ingest_sample(&self.layout, &raw, servers)?;
        datasets.push(register(admin, registered).await?);
        self.said(start);
        if let Some(source) = &self.options.gibleed {
            let registered = configuration::ingest_gibleed(&self.layout, source, servers)?;
            datasets.push(register(admin, registered).await?);
        }
        Ok(datasets)
    }

    async fn register_agreements(&self, admin: &Admin) -> Result<Vec<AgreementId>, DemoError> {
        let extra: Vec<String> = (1..=self.options.extra_researchers)
            .map(|n| format!("r{n}"))
            .collect();
        let desktop: Vec<&str> = match self.options.desktop {
            true => DESKTOP_PEOPLE.iter().map(|named| named.id).collect(),
            false => Vec::new(),
        };
        let mut agreements = Vec::new();
        // For `kekkai extract`, which reads the text that was registered.
        let folder = self.layout.dir.join("agreements");
        std::fs::create_dir_all(&folder).map_err(io("the agreements' folder"))?;
        let with_gibleed = self.options.gibleed.is_some();
        for toml in configuration::agreements(&self.layout, &extra, &desktop, with_gibleed)? {
            let call = RegisterAgreement { toml };
            let id = admin.policy.call(&call).await?;
            std::fs::write(folder.join(format!("{id}.toml")), call.toml)
                .map_err(io("an agreement"))?;
            agreements.push(id);
        }
        Ok(agreements)
    }

    fn write_info(
        &self,
        people: &[Person],
        reference: Digest,
        datasets: &[(DatasetId, u32)],
        agreements: &[AgreementId],
    ) -> Result<(), DemoError> {
        let dir = &self.layout.dir;
        let mut services = BTreeMap::new();
        for kind in Kind::ALL {
            let folder = dir.join(kind.name());
            let service = Service {
                address: self.layout.service_address(kind),
                config: folder.join(format!("{}.toml", kind.name())),
                state: folder.join("state"),
                log: folder.join("log.jsonl"),
                pid: self.pid(kind)?,
            };
            services.insert(kind.name().to_owned(), service);
        }
        let known_hosts = dir.join("known_hosts");
        let host_key = std::fs::read_to_string(dir.join("gateway/host_key.pub"))
            .map_err(io("the host key"))?;
        let port = self.layout.ssh.port();
        std::fs::write(
            &known_hosts,
            format!("[127.0.0.1]:{port} {host_key}[localhost]:{port} {host_key}"),
        )
        .map_err(io("known_hosts"))?;
        let vkey =
            std::fs::read_to_string(dir.join("policy/ledger.vkey")).map_err(io("ledger.vkey"))?;
        let mut admin = BTreeMap::new();
        for operator in OPERATORS {
            let pem = Pem {
                certificate: dir.join(format!("admin/{operator}.crt")),
                key: dir.join(format!("admin/{operator}.key")),
            };
            let connect = format!(
                "policy = \"{}\"\ngateway = \"{}\"\nreview = \"{}\"\n\n[tls]\ncertificate = \"{}\"\nkey = \"{}\"\nauthority = \"{}\"\n",
                self.layout.policy,
                self.layout.admin,
                self.layout.review,
                pem.certificate.display(),
                pem.key.display(),
                dir.join("admin/services.crt").display()
            );
            std::fs::write(dir.join(format!("admin/{operator}.toml")), connect)
                .map_err(io("an operator's connection file"))?;
            admin.insert(PersonId::new(operator)?, pem);
        }
        Info {
            notice: "DEMONSTRATION: authenticators and TPM are emulated; no hardware trust"
                .to_owned(),
            gateway: Gateway {
                ssh: self.layout.ssh,
                https: self.layout.origin(),
                admin: self.layout.admin,
                known_hosts,
                web_authority: dir.join("authority/web.crt"),
            },
            services,
            admin,
            people: people.to_vec(),
            datasets: datasets.to_vec(),
            agreements: agreements.to_vec(),
            ledger: Ledger {
                dir: dir.join("policy/ledger"),
                vkey: vkey.trim().to_owned(),
                witness: dir.join("witness/witness.jsonl"),
            },
            release_key: dir.join("review/release.pub"),
            reference,
            keys: dir.join("offline"),
            raw: dir.join("raw"),
            data: dir.join("analysis/data"),
        }
        .save(dir)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn register(admin: &Admin, call: RegisterDataset) -> Result<(DatasetId, u32), DemoError> {
    admin.policy.call(&call).await?;
    Ok((call.catalog.id, call.catalog.version))
}

async fn wait_for_enrolment(
    admin: &Admin,
    server: &ServerId,
) -> Result<Vec<kekkai_attest::Enrolled>, DemoError> {
    let start = Instant::now();
    loop {
        let servers = admin.policy.call(&Enrolments {}).await?;
        if servers.iter().any(|s| s.server == *server) {
            return Ok(servers);
        }
        if start.elapsed() > ENROL_LIMIT {
            return Err(DemoError::Call(CallError::Unavailable {
                peer: server.to_string(),
                reason: "the analysis server didn't enrol in time".to_owned(),
            }));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn wait_for_file(path: &Path) -> Result<(), DemoError> {
    let start = Instant::now();
    while !path.exists() {
        if start.elapsed() > ENROL_LIMIT {
            return Err(DemoError::Program {
                program: "kekkai-measure".to_owned(),
                message: format!(
                    "\"{}\" didn't appear: see analysis/log.jsonl",
                    path.display()
                ),
            });
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// An empty folder of our own: an earlier demo is removed, anything else is refused.
fn prepare(dir: &Path) -> Result<PathBuf, DemoError> {
    if dir.join(MARK).exists() {
        std::fs::remove_dir_all(dir).map_err(io("the earlier demo can't be removed"))?;
    }
    std::fs::create_dir_all(dir).map_err(io("the demo's folder can't be created"))?;
    let is_empty = std::fs::read_dir(dir)
        .map_err(io("the demo's folder can't be read"))?
        .next()
        .is_none();
    if !is_empty {
        return Err(DemoError::Program {
            program: "kekkai demo".to_owned(),
            message: format!(
                "\"{}\" is not empty and holds no demo: choose another --state",
                dir.display()
            ),
        });
    }
    let dir = std::fs::canonicalize(dir).map_err(io("the demo's folder"))?;
    std::fs::write(dir.join(MARK), b"").map_err(io("the demo's folder"))?;
    Ok(dir)
}

/// Where the build put its programs: beside this one, or one folder up for tests.
fn binaries() -> Result<PathBuf, DemoError> {
    let me = std::env::current_exe().map_err(io("this program's place"))?;
    me.ancestors()
        .skip(1)
        .take(3)
        .find(|folder| folder.join("kekkai-policy").exists())
        .map(Path::to_owned)
        .ok_or_else(|| DemoError::Program {
            program: "kekkai-policy".to_owned(),
            message: "not built yet: run make build".to_owned(),
        })
}

fn ssh_keygen(path: &Path) -> Result<(), DemoError> {
    let output = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "kekkai-demo", "-f"])
        .arg(path)
        .output()
        .map_err(io("ssh-keygen can't be started"))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(DemoError::Program {
            program: "ssh-keygen".to_owned(),
            message: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}

/// The address that answers first once a daemon is up.
impl Layout {
    fn address(&self, kind: Kind) -> SocketAddr {
        match kind {
            Kind::Gateway => self.ssh,
            other => self.service_address(other),
        }
    }

    fn service_address(&self, kind: Kind) -> SocketAddr {
        match kind {
            Kind::Policy => self.policy,
            Kind::Review => self.review,
            Kind::Analysis => self.analysis,
            Kind::Gateway => self.admin,
        }
    }
}

/// A free loopback port for each door.
pub(crate) fn ports<const N: usize>() -> Result<[SocketAddr; N], DemoError> {
    let mut ports = [SocketAddr::from(([127, 0, 0, 1], 0)); N];
    for port in &mut ports {
        *port = free_address()?;
    }
    Ok(ports)
}
