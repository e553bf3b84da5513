//! What operator staff do: each command is one recorded call with the person's own certificate.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use kekkai_gateway_api::{CreateEnrolment, LookUpAccount, Unlock};
use kekkai_policy_api as policy;
use kekkai_service::tls::TlsFiles;
use kekkai_service::{Client, config, tls};
use kekkai_types::{
    AgreementId, Lang, PeerKind, PersonId, Role, ServerId, TerminalClass, TerminalId,
};
use serde::Deserialize;

use crate::Outcome;

/// Whom to talk to, and as whom.
#[derive(Args, Clone)]
pub(crate) struct Connect {
    /// A TOML file with the services' addresses and your certificate: policy, gateway, review, [tls].
    #[arg(long, env = "KEKKAI_CONNECT")]
    pub(crate) connect: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Connection {
    policy: String,
    gateway: String,
    /// Only tools are handed to it.
    review: Option<String>,
    tls: TlsFiles,
}

impl Connect {
    fn read(&self) -> Result<Connection, Box<dyn std::error::Error>> {
        Ok(config::load(&self.connect)?)
    }

    /// A client of the policy service.
    pub(crate) fn policy(&self) -> Result<Client, Box<dyn std::error::Error>> {
        let connection = self.read()?;
        Ok(Client::new(
            &connection.tls,
            connection.policy,
            PeerKind::Policy,
        )?)
    }

    /// A client of the review service.
    pub(crate) fn review(&self) -> Result<Client, Box<dyn std::error::Error>> {
        let connection = self.read()?;
        let review = connection.review.ok_or_else(|| {
            format!(
                "\"{}\" names no review service: add review = \"HOST:PORT\"",
                self.connect.display()
            )
        })?;
        Ok(Client::new(&connection.tls, review, PeerKind::Review)?)
    }

    fn gateway(&self) -> Result<Client, Box<dyn std::error::Error>> {
        let connection = self.read()?;
        Ok(Client::new(
            &connection.tls,
            connection.gateway,
            PeerKind::Gateway,
        )?)
    }
}

fn done(lang: Lang) {
    println!("{}", lang.pick("記録し、実行しました", "recorded and done"));
}

#[derive(Subcommand)]
pub(crate) enum Agreement {
    /// Check an agreement's file and register it.
    Register {
        #[command(flatten)]
        connect: Connect,
        /// TOML; see images/etc/agreement.example.toml.
        file: PathBuf,
    },
    /// Check an agreement's file; talks to nobody.
    Check {
        /// TOML.
        file: PathBuf,
    },
    /// End an agreement for good: running sessions end within 5 s.
    End {
        #[command(flatten)]
        connect: Connect,
        /// Which.
        agreement: AgreementId,
        /// Why, for the ledger.
        #[arg(long)]
        reason: String,
    },
}

fn read_agreement(file: &Path) -> Result<String, Box<dyn std::error::Error>> {
    let text = std::fs::read_to_string(file)
        .map_err(|e| format!("\"{}\" can't be read: {e}", file.display()))?;
    kekkai_policy::Agreement::parse(&text).map_err(|e| format!("{}:{e}", file.display()))?;
    Ok(text)
}

pub(crate) async fn agreement(command: Agreement, lang: Lang) -> Outcome {
    match command {
        Agreement::Register { connect, file } => {
            let toml = read_agreement(&file)?;
            let id = connect
                .policy()?
                .call(&policy::RegisterAgreement { toml })
                .await?;
            println!("{id}");
        }
        Agreement::Check { file } => {
            read_agreement(&file)?;
            println!(
                "{}",
                lang.pick("取決めとして正しい形です", "the agreement is well-formed")
            );
            return Ok(());
        }
        Agreement::End {
            connect,
            agreement,
            reason,
        } => {
            connect
                .policy()?
                .call(&policy::EndAgreement { agreement, reason })
                .await?;
        }
    }
    done(lang);
    Ok(())
}

#[derive(Args)]
pub(crate) struct RosterEntry {
    #[command(flatten)]
    connect: Connect,
    /// Which agreement.
    agreement: AgreementId,
    /// Whom.
    person: PersonId,
}

#[derive(Subcommand)]
pub(crate) enum Handler {
    /// Put a person on an agreement's roster.
    Add(RosterEntry),
    /// Take a person off: running sessions end within 5 s.
    Remove(RosterEntry),
}

pub(crate) async fn handler(command: Handler, lang: Lang) -> Outcome {
    match command {
        Handler::Add(RosterEntry {
            connect,
            agreement,
            person,
        }) => {
            connect
                .policy()?
                .call(&policy::AddHandler { agreement, person })
                .await?;
        }
        Handler::Remove(RosterEntry {
            connect,
            agreement,
            person,
        }) => {
            connect
                .policy()?
                .call(&policy::RemoveHandler { agreement, person })
                .await?;
        }
    }
    done(lang);
    Ok(())
}

#[derive(Args)]
pub(crate) struct PersonArg {
    #[command(flatten)]
    connect: Connect,
    /// Whom.
    person: PersonId,
}

#[derive(Subcommand)]
pub(crate) enum Person {
    /// Register a person, or change name, language and roles.
    Add {
        #[command(flatten)]
        connect: Connect,
        /// The id that signs in.
        person: PersonId,
        /// For the screens.
        #[arg(long)]
        name: String,
        /// ja or en.
        #[arg(long, default_value = "ja")]
        reads: Lang,
        /// researcher, principal-investigator, security-manager, operator, reviewer, auditor.
        #[arg(long = "role", required = true, value_parser = parse_role)]
        roles: Vec<Role>,
    },
    /// Make a ticket with which the person enrols an authenticator, and a token's secret.
    Enrol(PersonArg),
    /// Lift a lock-out.
    Unlock(PersonArg),
    /// Show whether the account is locked and what is enrolled.
    Show(PersonArg),
}

fn parse_role(text: &str) -> Result<Role, String> {
    serde_json::from_value(serde_json::Value::String(text.to_owned()))
        .map_err(|_| "expected researcher, principal-investigator, security-manager, operator, reviewer or auditor".to_owned())
}

fn parse_class(text: &str) -> Result<TerminalClass, String> {
    serde_json::from_value(serde_json::Value::String(text.to_owned()))
        .map_err(|_| "expected console, browser, vdi, onsite or operator".to_owned())
}

pub(crate) async fn person(command: Person, lang: Lang) -> Outcome {
    match command {
        Person::Add {
            connect,
            person,
            name,
            reads,
            roles,
        } => {
            let call = policy::AddPerson {
                person,
                name,
                lang: reads,
                roles,
            };
            connect.policy()?.call(&call).await?;
        }
        Person::Enrol(PersonArg { connect, person }) => {
            let ticket = connect.gateway()?.call(&CreateEnrolment { person }).await?;
            println!(
                "{}: /enrol/{}",
                lang.pick(
                    "登録ページ(24時間・一度だけ)",
                    "enrolment page (once, within 24 hours)"
                ),
                ticket.ticket
            );
            println!(
                "{}: {}",
                lang.pick(
                    "トークンの秘密(手渡しし、控えない)",
                    "the token's secret (hand it over, keep no copy)"
                ),
                ticket.totp_secret
            );
        }
        Person::Unlock(PersonArg { connect, person }) => {
            connect.gateway()?.call(&Unlock { person }).await?;
        }
        Person::Show(PersonArg { connect, person }) => {
            let account = connect.gateway()?.call(&LookUpAccount { person }).await?;
            println!("{}", serde_json::to_string_pretty(&account)?);
            return Ok(());
        }
    }
    done(lang);
    Ok(())
}

#[derive(Subcommand)]
pub(crate) enum Terminal {
    /// Register a terminal by its SSH key, its certificate, or both.
    Add {
        #[command(flatten)]
        connect: Connect,
        /// Its id.
        terminal: TerminalId,
        /// console, browser, vdi, onsite or operator.
        #[arg(long, value_parser = parse_class)]
        class: TerminalClass,
        /// An OpenSSH public key file.
        #[arg(long)]
        ssh_key: Option<PathBuf>,
        /// A certificate of the terminal authority, PEM.
        #[arg(long)]
        certificate: Option<PathBuf>,
        /// Who may use it; none: anyone on a roster that allows its class.
        #[arg(long = "for")]
        people: Vec<PersonId>,
    },
    /// Revoke a terminal for good: running sessions end within 5 s.
    Revoke {
        #[command(flatten)]
        connect: Connect,
        /// Which.
        terminal: TerminalId,
    },
}

pub(crate) async fn terminal(command: Terminal, lang: Lang) -> Outcome {
    match command {
        Terminal::Add {
            connect,
            terminal,
            class,
            ssh_key,
            certificate,
            people,
        } => {
            let ssh_key = ssh_key
                .map(|path| -> Result<String, Box<dyn std::error::Error>> {
                    let text = std::fs::read_to_string(&path)?;
                    let words: Vec<&str> = text.split_whitespace().take(2).collect();
                    Ok(words.join(" "))
                })
                .transpose()?;
            let certificate_spki = certificate
                .map(|path| tls::spki_of_file(&path))
                .transpose()?;
            let call = policy::AddTerminal {
                terminal,
                class,
                ssh_key,
                certificate_spki,
                people,
            };
            connect.policy()?.call(&call).await?;
        }
        Terminal::Revoke { connect, terminal } => {
            connect
                .policy()?
                .call(&policy::RevokeTerminal { terminal })
                .await?;
        }
    }
    done(lang);
    Ok(())
}

#[derive(Subcommand)]
pub(crate) enum Server {
    /// Let an analysis server enrol under this id, once.
    Expect {
        #[command(flatten)]
        connect: Connect,
        /// The id.
        server: ServerId,
    },
    /// List enrolled servers.
    List(Connect),
}

pub(crate) async fn server(command: Server, lang: Lang) -> Outcome {
    match command {
        Server::Expect { connect, server } => {
            connect
                .policy()?
                .call(&policy::ExpectServer { server })
                .await?;
            done(lang);
        }
        Server::List(connect) => {
            for server in connect.policy()?.call(&policy::Enrolments {}).await? {
                let trust = if server.emulated {
                    lang.pick(
                        "エミュレート:ハードウェアの信頼なし",
                        "emulated: no hardware trust",
                    )
                } else {
                    lang.pick("ハードウェアTPM", "hardware TPM")
                };
                println!("{}\t{}\t{trust}", server.server, server.ek_certificate);
            }
        }
    }
    Ok(())
}

pub(crate) async fn status(connect: &Connect, lang: Lang) -> Outcome {
    let state = connect.policy()?.call(&policy::ListState {}).await?;
    let rows: [(&str, &str, String); 9] = [
        (
            "取決め",
            "agreements",
            state
                .agreements
                .iter()
                .map(|(a, on)| format!("{a}{}", if *on { "" } else { " (ended)" }))
                .collect::<Vec<_>>()
                .join(" "),
        ),
        ("人", "people", join(&state.people)),
        ("端末", "terminals", join(&state.terminals)),
        (
            "データセット",
            "datasets",
            state
                .datasets
                .iter()
                .map(|(d, v)| format!("{d}/{v}"))
                .collect::<Vec<_>>()
                .join(" "),
        ),
        (
            "抽出データ",
            "extracts",
            state
                .extracts
                .iter()
                .map(|(agreement, extract, version)| format!("{extract}/{version} ({agreement})"))
                .collect::<Vec<_>>()
                .join(" "),
        ),
        ("解析サーバー", "servers", join(&state.servers)),
        ("参照値", "reference values", join(&state.references)),
        (
            "実行中のセッション",
            "running sessions",
            state.sessions.to_string(),
        ),
        (
            "台帳の記録",
            "ledger entries",
            state.ledger_size.to_string(),
        ),
    ];
    for (ja, en, value) in rows {
        println!("{}: {value}", lang.pick(ja, en));
    }
    Ok(())
}

fn join(items: &[impl ToString]) -> String {
    items
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" ")
}
