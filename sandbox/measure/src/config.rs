//! The part of `analysis.toml` that says what is measured. The analysis server parses the whole file
//! strictly; this program reads its own sections and leaves the rest alone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kekkai_tpm::TpmConfig;
use serde::Deserialize;

/// The most session images.
const IMAGES_MAX: usize = 32;

/// What is measured and executed.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The configuration's text, read once: what is measured and handed on is what was parsed.
    pub text: String,
    /// The name under which the configuration is measured: always `analysis.toml`.
    pub name: &'static str,
    /// The binary to execute.
    pub binary: PathBuf,
    /// Session images by name, in the order of measurement.
    pub images: BTreeMap<String, PathBuf>,
    /// Which TPM.
    pub tpm: TpmConfig,
}

/// The `[measure]` section.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measure {
    /// The analysis server's binary, an absolute path.
    pub binary: PathBuf,
}

/// Our sections; the others are the analysis server's.
#[derive(Deserialize)]
struct Sections {
    measure: Measure,
    images: BTreeMap<String, PathBuf>,
    tpm: TpmConfig,
}

/// Why a configuration can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("\"{}\" can't be read", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// Not TOML, or not what is expected; says line and column.
    #[error("\"{}\": {problem}", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What, where.
        problem: String,
    },
    /// A relative path depends on where the program is started.
    #[error("\"{}\" must be an absolute path", .0.display())]
    Relative(PathBuf),
    /// More than 32 session images, or none.
    #[error("there must be 1 to {IMAGES_MAX} session images, not {0}")]
    Images(usize),
    /// The `[tpm]` section.
    #[error("[tpm]")]
    Tpm(#[source] kekkai_tpm::TpmError),
}

impl Plan {
    /// Reads a configuration file.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(text, path)
    }

    fn parse(text: String, path: &Path) -> Result<Self, ConfigError> {
        let sections: Sections = toml::from_str(&text).map_err(|error| ConfigError::Malformed {
            path: path.to_owned(),
            problem: error.to_string(),
        })?;
        if sections.images.is_empty() || sections.images.len() > IMAGES_MAX {
            return Err(ConfigError::Images(sections.images.len()));
        }
        for file in sections.images.values().chain([&sections.measure.binary]) {
            if !file.is_absolute() {
                return Err(ConfigError::Relative(file.clone()));
            }
        }
        sections.tpm.kind().map_err(ConfigError::Tpm)?;
        sections.tpm.policy_key().map_err(ConfigError::Tpm)?;
        Ok(Self {
            text,
            name: "analysis.toml",
            binary: sections.measure.binary,
            images: sections.images,
            tpm: sections.tpm,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "server = \"a1\"\n[measure]\nbinary = \"/usr/bin/kekkai-analysis\"\n\
        [images]\nkekkai-sql-worker = \"/usr/bin/kekkai-sql-worker\"\n[tpm]\nemulated = \"/var/lib/t\"\n";

    fn parse(text: &str) -> Result<Plan, ConfigError> {
        // An uncompressed point in form; whether it is on the curve is the TPM's business.
        let key = format!("policy_key = \"BA{}=\"\n", "A".repeat(85));
        Plan::parse(format!("{text}{key}"), Path::new("analysis.toml"))
    }

    #[test]
    fn sections_of_the_analysis_server_are_left_alone() {
        let plan = parse(GOOD).unwrap();
        assert_eq!(
            plan.images.keys().collect::<Vec<_>>(),
            ["kekkai-sql-worker"]
        );
        assert!(plan.text.starts_with("server"));
    }

    #[test]
    fn mistake_is_named_with_its_line() {
        let text = GOOD.replace("binary =", "binray =");
        let error = parse(&text).unwrap_err().to_string();
        assert!(
            error.contains("line 3") && error.contains("binray"),
            "{error}"
        );
    }

    #[test]
    fn relative_path_two_tpms_and_no_image_are_refused() {
        let relative = GOOD.replace("/usr/bin/kekkai-sql", "kekkai-sql");
        assert!(matches!(parse(&relative), Err(ConfigError::Relative(_))));
        let two = GOOD.replace("[tpm]\n", "[tpm]\ndevice = \"/dev/tpmrm0\"\n");
        assert!(matches!(parse(&two), Err(ConfigError::Tpm(_))));
        let none = GOOD.replace("kekkai-sql-worker = \"/usr/bin/kekkai-sql-worker\"\n", "");
        assert!(matches!(parse(&none), Err(ConfigError::Images(0))));
    }
}
