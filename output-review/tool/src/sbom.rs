//! The software bill of materials: CycloneDX, JSON.
//!
//! Asked for: `bomFormat` and a `specVersion` 1.4 to 1.7; `metadata.component`, named as the tool and with
//! the SHA-256 of the very component among its `hashes`; and `components`, each with a name and a
//! version, or an empty list for a tool that is built of nothing else. Whether the list is complete nobody can compute: reviewers read it, and the author signed it.

use kekkai_types::Digest;
use serde::Deserialize;

/// Components that a bill may name.
pub const SBOM_PARTS_MAX: usize = 5_000;
/// Characters of a name or version.
const WORD_MAX: usize = 200;
/// CycloneDX versions that are read.
const VERSIONS: [&str; 4] = ["1.4", "1.5", "1.6", "1.7"];

/// What a tool is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sbom {
    /// The tool's own version; empty where it has none.
    pub version: String,
    /// What is in it.
    pub parts: Vec<Part>,
}

/// Something that the tool is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its name, with its group if it has one.
    pub name: String,
    /// Its version.
    pub version: String,
    /// A package URL; empty where it has none.
    pub purl: String,
}

/// Why something is no bill of materials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SbomError {
    /// Not JSON of CycloneDX's shape.
    #[error("not CycloneDX JSON: line {line}, column {column}")]
    Malformed {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// Another format or version.
    #[error("\"bomFormat\" must be \"CycloneDX\" and \"specVersion\" 1.4 to 1.7")]
    Version,
    /// It is about something else.
    #[error("\"metadata.component.name\" must be the tool's name, \"{0}\"")]
    OtherTool(String),
    /// It is about another build.
    #[error("\"metadata.component.hashes\" must hold the component's SHA-256, {0}")]
    OtherBuild(Digest),
    /// A component without name or version; counted from 1.
    #[error("component {0} has no name or no version")]
    Nameless(usize),
    /// Too many, or too long words.
    #[error("more than {SBOM_PARTS_MAX} components, or a word of more than {WORD_MAX} characters")]
    TooLarge,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    bom_format: String,
    spec_version: String,
    metadata: RawMetadata,
    components: Vec<RawPart>,
}

#[derive(Deserialize)]
struct RawMetadata {
    component: RawPart,
}

#[derive(Deserialize)]
struct RawPart {
    #[serde(default)]
    group: String,
    name: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    purl: String,
    #[serde(default)]
    hashes: Vec<RawHash>,
}

#[derive(Deserialize)]
struct RawHash {
    alg: String,
    content: String,
}

impl Sbom {
    /// Parses the bill of a tool whose component has this digest. Fields that CycloneDX has and this does not read are ignored.
    pub fn parse(bytes: &[u8], tool: &str, component: &Digest) -> Result<Self, SbomError> {
        let raw: Raw = serde_json::from_slice(bytes).map_err(|error| SbomError::Malformed {
            line: error.line(),
            column: error.column(),
        })?;
        if raw.bom_format != "CycloneDX" || !VERSIONS.contains(&raw.spec_version.as_str()) {
            return Err(SbomError::Version);
        }
        if raw.metadata.component.name != tool {
            return Err(SbomError::OtherTool(tool.to_owned()));
        }
        let is_this_build = raw.metadata.component.hashes.iter().any(|hash| {
            hash.alg == "SHA-256" && hash.content.eq_ignore_ascii_case(&component.to_string())
        });
        if !is_this_build {
            return Err(SbomError::OtherBuild(*component));
        }
        if raw.components.len() > SBOM_PARTS_MAX {
            return Err(SbomError::TooLarge);
        }
        let parts = raw
            .components
            .into_iter()
            .enumerate()
            .map(|(index, part)| {
                if part.name.trim().is_empty() || part.version.trim().is_empty() {
                    return Err(SbomError::Nameless(index.saturating_add(1)));
                }
                let name = if part.group.is_empty() {
                    part.name
                } else {
                    format!("{}/{}", part.group, part.name)
                };
                Ok(Part {
                    name: word(&name)?,
                    version: word(&part.version)?,
                    purl: word(&part.purl)?,
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            version: word(&raw.metadata.component.version)?,
            parts,
        })
    }
}

/// A word of bounded length, without what a terminal or a page would obey.
fn word(text: &str) -> Result<String, SbomError> {
    if text.chars().count() > WORD_MAX {
        return Err(SbomError::TooLarge);
    }
    Ok(text.chars().filter(|c| !c.is_control()).collect())
}
