//! Requests to bring a tool in: packed by its author, opened and judged by the review service.
//!
//! A worked story. Sato wrote `riskratio.wasm`. `kekkai tool pack` puts it into one file with a software
//! bill of materials and a manifest; the manifest names both by digest, and Sato signs it with the SSH
//! key of the terminal that the deployment knows as Sato's (`ssh-keygen -Y sign`, so that agents and
//! hardware keys work). Months later anybody can check with stock `ssh-keygen -Y verify` who answered for
//! these bytes. [`open`] believes nothing of it: every digest is computed again, the signature verified,
//! the component's imports compared with the allow-list, the bill of materials parsed. Who owns the key,
//! and whether the agreement lets them bring this tool, the policy service decides afterwards.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "tests"
    )
)]

mod error;
mod open;
mod pack;
mod sbom;
mod signature;

pub use error::ToolError;
pub use open::{Opened, open};
pub use pack::{Packed, REQUEST_MAX, pack, parse};
pub use sbom::{Part, SBOM_PARTS_MAX, Sbom, SbomError};
pub use signature::Signer;

#[cfg(test)]
mod tests;
