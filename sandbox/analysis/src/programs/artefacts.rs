//! Compiled programs: made by a jailed compiler, named by the digest of what was compiled, believed only
//! with this server's own authentication code.
//!
//! Compiled code is what the processor runs, so a forged artefact would be a forged program. In memory an
//! artefact lies in a sealed memory file that every process shares and none can change. On disk it is
//! preceded by an HMAC-SHA-256 under a key that is derived from the server's TLS key and the digest of the
//! compiler: another server's artefact, or another compiler's, is no artefact here.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use kekkai_analysis_api::{RunError, RunErrorCode};
use kekkai_sys::{JailSpec, Layer, ProcessKind, memfd};
use kekkai_types::Digest;
use kekkai_worker_api::{COMPONENT_MAX, FromCompiler, ToCompiler};
use sha2::Sha256;
use tokio::sync::watch;
use zeroize::Zeroizing;

use crate::pool::Pool;

/// A compilation that takes longer is given up.
const COMPILE_LIMIT: Duration = Duration::from_secs(300);
/// Memory of the compiler, in MiB.
const COMPILER_MIB: u32 = 2048;
/// The largest artefact, in bytes.
const ARTEFACT_MAX: u64 = 512 * 1024 * 1024;
/// Artefacts that are kept in memory; the one used longest ago is forgotten first.
const KEPT_MAX: usize = 32;
/// Length of the authentication code before an artefact on disk.
const CODE_BYTES: usize = 32;

type Code = Hmac<Sha256>;

/// A compiled program, in memory that nobody can change.
#[derive(Debug)]
pub struct Artefact {
    /// Sealed.
    pub file: File,
}

/// Why there is no artefact.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The compiler refuses the component.
    #[error("the component is refused: {0}")]
    Refused(RunError),
    /// The compiler's process.
    #[error("no compiler")]
    Worker(#[from] crate::worker::WorkerError),
    /// It said something out of turn, or nothing in time.
    #[error("the compiler {0}")]
    Misbehaved(&'static str),
    /// Memory files.
    #[error("no memory for an artefact")]
    Memory(#[source] std::io::Error),
}

impl CompileError {
    /// As the person hears of it.
    pub fn into_run_error(self) -> RunError {
        match self {
            Self::Refused(error) => error,
            other => {
                tracing::error!(error = %crate::explain(&other), "no artefact");
                RunError {
                    code: RunErrorCode::Internal,
                    name: "compiler".to_owned(),
                    line: 0,
                }
            }
        }
    }
}

/// How far a compilation is, in permille, or that it is over.
type Progress = watch::Sender<u16>;

/// What the cache is made from.
pub struct CompilerParts {
    /// Jailed compilers.
    pub pool: Pool<ToCompiler, FromCompiler>,
    /// Layers of the jail that the configuration gives up.
    pub waived: std::collections::BTreeSet<Layer>,
    /// Where artefacts are kept; `None`: in memory only.
    pub dir: Option<PathBuf>,
    /// For the authentication code.
    pub key: Zeroizing<[u8; 32]>,
}

/// The cache of compiled programs.
pub struct Artefacts {
    parts: CompilerParts,
    kept: Mutex<Kept>,
    /// One compilation at a time: each takes all processors.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Kept {
    by_digest: BTreeMap<Digest, (u64, Arc<Artefact>)>,
    clock: u64,
}

/// Where an artefact came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// It was in memory.
    Memory,
    /// It was on disk, and authentic.
    Disk,
    /// It was compiled now; true: one on disk was not authentic.
    Compiled(bool),
}

impl Artefacts {
    /// An empty cache.
    pub fn new(parts: CompilerParts) -> Self {
        Self {
            parts,
            kept: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// The compiled form of a component, which is `digest`'s preimage and lies in sealed memory.
    pub async fn get(
        &self,
        digest: &Digest,
        component: &File,
        is_language: bool,
        progress: &Progress,
    ) -> Result<(Arc<Artefact>, Source), CompileError> {
        if let Some(artefact) = self.kept(digest) {
            return Ok((artefact, Source::Memory));
        }
        let _turn = self.turn.lock().await;
        // Whoever had the turn before may have made it.
        if let Some(artefact) = self.kept(digest) {
            return Ok((artefact, Source::Memory));
        }
        let path = self.path(digest, is_language);
        let mut was_forged = false;
        if let Some(path) = &path {
            match self.read(path, digest, is_language).await {
                Ok(Some(artefact)) => {
                    let artefact = self.keep(digest, artefact);
                    return Ok((artefact, Source::Disk));
                }
                Ok(None) => {}
                Err(Unbelievable) => {
                    tracing::error!(path = %path.display(), "an artefact on disk is not authentic");
                    was_forged = true;
                    let _ = tokio::fs::remove_file(path).await;
                }
            }
        }
        let artefact = self.compile(component, is_language, progress).await?;
        let artefact = self.keep(digest, artefact);
        if let Some(path) = path {
            self.write(path, digest, is_language, artefact.clone())
                .await;
        }
        Ok((artefact, Source::Compiled(was_forged)))
    }

    fn kept(&self, digest: &Digest) -> Option<Arc<Artefact>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.clock = kept.clock.wrapping_add(1);
        let clock = kept.clock;
        let (used, artefact) = kept.by_digest.get_mut(digest)?;
        *used = clock;
        Some(artefact.clone())
    }

    fn keep(&self, digest: &Digest, artefact: Artefact) -> Arc<Artefact> {
        let artefact = Arc::new(artefact);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.clock = kept.clock.wrapping_add(1);
        let clock = kept.clock;
        kept.by_digest.insert(*digest, (clock, artefact.clone()));
        if kept.by_digest.len() > KEPT_MAX {
            let oldest = kept.by_digest.iter().min_by_key(|(_, (used, _))| *used);
            if let Some(oldest) = oldest.map(|(digest, _)| *digest) {
                kept.by_digest.remove(&oldest);
            }
        }
        artefact
    }

    fn path(&self, digest: &Digest, is_language: bool) -> Option<PathBuf> {
        let kind = if is_language { "language" } else { "tool" };
        let dir = self.parts.dir.as_ref()?;
        Some(dir.join(format!("{digest}.{kind}")))
    }

    fn code(&self, digest: &Digest, is_language: bool) -> Option<Code> {
        let mut code = Code::new_from_slice(&*self.parts.key).ok()?;
        code.update(b"kekkai artefact v1\0");
        code.update(digest.as_bytes());
        code.update(&[u8::from(is_language)]);
        Some(code)
    }

    /// Reads an artefact into sealed memory while its code is computed: what is believed is what was
    /// copied, whatever happens to the file meanwhile.
    async fn read(
        &self,
        path: &Path,
        digest: &Digest,
        is_language: bool,
    ) -> Result<Option<Artefact>, Unbelievable> {
        let Some(mut code) = self.code(digest, is_language) else {
            return Ok(None);
        };
        let path = path.to_owned();
        let read = move || -> Result<Option<Artefact>, Unbelievable> {
            let mut file = match File::open(path) {
                Ok(file) => file,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                Err(_) => return Err(Unbelievable),
            };
            let mut expected = [0; CODE_BYTES];
            file.read_exact(&mut expected).map_err(|_| Unbelievable)?;
            let sealed = memfd::seal("artefact", &mut file, ARTEFACT_MAX, |bytes| {
                code.update(bytes);
            });
            let sealed = sealed.map_err(|_| Unbelievable)?;
            // In constant time, though the code is no secret.
            code.verify_slice(&expected).map_err(|_| Unbelievable)?;
            Ok(Some(Artefact {
                file: File::from(sealed),
            }))
        };
        tokio::task::spawn_blocking(read)
            .await
            .unwrap_or(Err(Unbelievable))
    }

    /// Writes an artefact for the next start. Failing costs the next start a compilation.
    async fn write(
        &self,
        path: PathBuf,
        digest: &Digest,
        is_language: bool,
        artefact: Arc<Artefact>,
    ) {
        let Some(mut code) = self.code(digest, is_language) else {
            return;
        };
        let write = move || -> std::io::Result<()> {
            let mut from = artefact.file.try_clone()?;
            from.seek(SeekFrom::Start(0))?;
            let mut bytes = Vec::new();
            from.read_to_end(&mut bytes)?;
            code.update(&bytes);
            let part = path.with_extension("part");
            let mut file = File::create(&part)?;
            file.write_all(&code.finalize().into_bytes())?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            std::fs::rename(&part, &path)
        };
        match tokio::task::spawn_blocking(write).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "an artefact is not kept"),
            Err(_) => tracing::error!("bug: keeping an artefact panicked"),
        }
    }

    async fn compile(
        &self,
        component: &File,
        is_language: bool,
        progress: &Progress,
    ) -> Result<Artefact, CompileError> {
        let bytes = component.metadata().map_err(CompileError::Memory)?.len();
        if bytes > COMPONENT_MAX {
            return Err(CompileError::Refused(RunError {
                code: RunErrorCode::NotAComponent,
                name: format!("{bytes} bytes, at most {COMPONENT_MAX}"),
                line: 0,
            }));
        }
        let spec = JailSpec {
            kind: ProcessKind::WasmCompiler,
            memory_mib: COMPILER_MIB,
            waived: self.parts.waived.clone(),
        };
        let (mut sender, mut receiver, life) = self.parts.pool.take(&spec).await?.into_parts();
        let output = memfd::unsealed("artefact").map_err(CompileError::Memory)?;
        let input = reopened(component).map_err(CompileError::Memory)?;
        let exchange = async {
            let message = ToCompiler::Compile { bytes, is_language };
            let descriptors = [input.as_fd(), output.as_fd()];
            sender
                .send(&message, &descriptors)
                .await
                .map_err(|_| CompileError::Misbehaved("takes no work"))?;
            loop {
                match receiver.receive().await {
                    Ok(Some(FromCompiler::Progress { permille })) => {
                        progress.send_replace(permille.min(1000));
                    }
                    Ok(Some(FromCompiler::Compiled { bytes })) => return Ok(bytes),
                    Ok(Some(FromCompiler::Refused { error })) => {
                        return Err(CompileError::Refused(bounded(error)));
                    }
                    Ok(Some(FromCompiler::Jailed { .. })) => {
                        return Err(CompileError::Misbehaved("spoke out of turn"));
                    }
                    Ok(None) | Err(_) => return Err(CompileError::Misbehaved("is gone")),
                }
            }
        };
        let outcome = tokio::time::timeout(COMPILE_LIMIT, exchange).await;
        // It must be gone before the artefact is read: nothing writes to it any more.
        life.kill().await;
        let written = outcome.map_err(|_| CompileError::Misbehaved("takes too long"))??;
        let seal = move || -> std::io::Result<OwnedFd> {
            let mut output = File::from(output);
            let found = output.metadata()?.len();
            if found != written || found > ARTEFACT_MAX {
                return Err(std::io::Error::other("another length than was said"));
            }
            output.seek(SeekFrom::Start(0))?;
            memfd::seal("artefact", &mut output, ARTEFACT_MAX, |_| ())
        };
        let sealed = tokio::task::spawn_blocking(seal)
            .await
            .map_err(|_| CompileError::Misbehaved("left nothing"))?
            .map_err(CompileError::Memory)?;
        Ok(Artefact {
            file: File::from(sealed),
        })
    }
}

/// What lies on the disk is not what this server wrote.
struct Unbelievable;

/// A descriptor of the same memory with a place of its own to read from.
fn reopened(file: &File) -> std::io::Result<File> {
    let mut copy = file.try_clone()?;
    copy.seek(SeekFrom::Start(0))?;
    Ok(copy)
}

/// A compiler's error is text from a jail: short, and without control characters.
fn bounded(error: RunError) -> RunError {
    RunError {
        name: crate::plain(&error.name, 200),
        ..error
    }
}
