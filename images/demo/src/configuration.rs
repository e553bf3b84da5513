//! The demo's configuration files, agreements and data.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kekkai_attest::Enrolled;
use kekkai_policy_api::RegisterDataset;

use crate::world::ports;
use crate::{DemoError, io};

/// Where everything is.
pub(crate) struct Layout {
    pub(crate) dir: PathBuf,
    pub(crate) binaries: PathBuf,
    pub(crate) policy: SocketAddr,
    pub(crate) review: SocketAddr,
    pub(crate) analysis: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) ssh: SocketAddr,
    pub(crate) https: SocketAddr,
}

impl Layout {
    pub(crate) fn new(dir: &Path, binaries: PathBuf) -> Result<Self, DemoError> {
        let [policy, review, analysis, admin, ssh, https] = ports()?;
        Ok(Self {
            dir: dir.to_owned(),
            binaries,
            policy,
            review,
            analysis,
            admin,
            ssh,
            https,
        })
    }

    /// Where browsers find the gateway. WebAuthn needs a name: `localhost` is one.
    pub(crate) fn origin(&self) -> String {
        format!("https://localhost:{}", self.https.port())
    }

    fn tls(&self, service: &str) -> String {
        let dir = self.dir.join(service);
        let dir = dir.display();
        format!(
            "[tls]\ncertificate = \"{dir}/tls.crt\"\nkey = \"{dir}/tls.key\"\nauthority = \"{dir}/services.crt\"\n"
        )
    }
}

/// Writes the four services' files.
pub(crate) fn write(layout: &Layout, aaguid: &str, pcr_policy: &[u8]) -> Result<(), DemoError> {
    let pcr_policy = STANDARD.encode(pcr_policy);
    for (name, text) in [
        ("policy", policy(layout)),
        ("review", review(layout)),
        ("analysis", analysis(layout, &pcr_policy)),
        ("gateway", gateway(layout, aaguid)),
    ] {
        let path = layout.dir.join(name).join(format!("{name}.toml"));
        std::fs::write(&path, text).map_err(io(format!("{name}.toml")))?;
    }
    std::fs::create_dir_all(layout.dir.join("analysis/data")).map_err(io("the data folder"))
}

fn policy(layout: &Layout) -> String {
    let dir = layout.dir.display();
    format!(
        "listen = \"{}\"\nstate_dir = \"{dir}/policy/state\"\n\n\
         [ledger]\ndir = \"{dir}/policy/ledger\"\nkey = \"{dir}/policy/ledger.skey\"\nwitness = \"{dir}/witness/witness.jsonl\"\n\n\
         [attestation]\npcr_policy_key = \"{dir}/offline/pcr-policy.pub\"\n\n\
         [[attestation.tpm_roots]]\ncertificate = \"{dir}/analysis/tpm/ca.pem\"\nemulated = true\n\n{}",
        layout.policy,
        layout.tls("policy")
    )
}

fn review(layout: &Layout) -> String {
    let dir = layout.dir.join("review");
    let dir = dir.display();
    format!(
        "listen = \"{}\"\npolicy = \"{}\"\nstate_dir = \"{dir}/state\"\n\
         signing_key = \"{dir}/release.key\"\nstorage_key = \"{dir}/storage.key\"\n\n{}",
        layout.review,
        layout.policy,
        layout.tls("review")
    )
}

fn analysis(layout: &Layout, pcr_policy: &str) -> String {
    let dir = layout.dir.join("analysis");
    let (dir, binaries) = (dir.display(), layout.binaries.display());
    format!(
        "server = \"a1\"\nlisten = \"{}\"\npolicy = \"{}\"\nreview = \"{}\"\n\
         data_dir = \"{dir}/data\"\nstate_dir = \"{dir}/state\"\n\n\
         [measure]\nbinary = \"{binaries}/kekkai-analysis\"\n\n\
         [images]\nsql_worker = \"{binaries}/kekkai-sql-worker\"\n\n\
         [tpm]\nemulated = \"{dir}/tpm\"\npolicy_key = \"{pcr_policy}\"\n\n{}",
        layout.analysis,
        layout.policy,
        layout.review,
        layout.tls("analysis")
    )
}

fn gateway(layout: &Layout, aaguid: &str) -> String {
    let dir = layout.dir.join("gateway");
    let dir = dir.display();
    format!(
        "demo = true\nstate_dir = \"{dir}/state\"\nstorage_key = \"{dir}/storage.key\"\n\n\
         [ssh]\nlisten = \"{}\"\nhost_key = \"{dir}/host_key\"\n\n\
         [https]\nlisten = \"{}\"\npublic_url = \"{}\"\nrp_id = \"localhost\"\n\
         certificate = \"{dir}/web.crt\"\nkey = \"{dir}/web.key\"\nterminal_authority = \"{dir}/terminals.crt\"\n\n\
         [admin]\nlisten = \"{}\"\n\n\
         [services]\npolicy = \"{}\"\nanalysis = \"{}\"\nreview = \"{}\"\n\n\
         [[models]]\naaguid = \"{aaguid}\"\nauthority = \"{dir}/model.crt\"\n\
         label = \"Kekkai demonstration authenticator\"\nemulated = true\n\n{}",
        layout.ssh,
        layout.https,
        layout.origin(),
        layout.admin,
        layout.policy,
        layout.analysis,
        layout.review,
        layout.tls("gateway")
    )
}
