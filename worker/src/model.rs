//! Models on disk: which folder, which hash, and reading it so that what runs is what was verified.

use ort::{environment::Environment, session::Session};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use tokenizers::Tokenizer;
use waybill_protocol::ArtifactId;

use crate::runtime::{self, RuntimeError};

/// What a model does, numbered as in a container's stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelKind {
    Chat = 0,
    Embed = 1,
}

/// A model folder: `model.onnx`, `tokenizer.json` and, for chat, `tokenizer_config.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSpec {
    /// For logs and reports only; on the network a model is its artifact.
    pub name: String,
    pub folder: PathBuf,
    pub kind: ModelKind,
    /// SHA-256 that `model.onnx` must have; absent accepts the file as it is.
    #[serde(default)]
    pub artifact: Option<ArtifactId>,
    /// Most tokens of one sequence (chat) or one item (embed); absent takes the tokenizer configuration's
    /// `model_max_length`, and 256 for embeddings.
    #[serde(default)]
    pub max_tokens: Option<u32>,
}

impl ModelSpec {
    pub const SMOLLM2: &str = "d4f4dfa3f0ed9e7898bf5d2891b61bdf58fad52fb84d27f5cd796ccb3bb2b89b";
    pub const MINILM: &str = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6";
    pub const TINY: &str = "584d8045cb98b8317a61dfcea5b4a072805328428455076b9833c95da849470c";

    /// SmolLM2-135M-Instruct, 4-bit, in `models/smollm2`.
    pub fn smollm2(models: &Path) -> Self {
        Self::pinned("smollm2", models, ModelKind::Chat, Self::SMOLLM2)
    }

    /// all-MiniLM-L6-v2, int8 weights, in `models/minilm`.
    pub fn minilm(models: &Path) -> Self {
        Self::pinned("minilm", models, ModelKind::Embed, Self::MINILM)
    }

    /// The seeded test model with SmolLM2's signature, in `models/tiny`.
    pub fn tiny(models: &Path) -> Self {
        Self::pinned("tiny", models, ModelKind::Chat, Self::TINY)
    }

    fn pinned(name: &str, models: &Path, kind: ModelKind, artifact: &str) -> Self {
        let artifact = artifact.parse().ok();
        debug_assert!(artifact.is_some(), "a pinned hash is 64 hexadecimal digits");
        Self { name: name.into(), folder: models.join(name), kind, artifact, max_tokens: None }
    }

    /// Whether the folder holds a model file at all.
    pub fn is_present(&self) -> bool {
        self.folder.join("model.onnx").is_file()
    }
}

/// Why a model folder is not usable.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{} is artifact {found}, expected {expected}", path.display())]
    WrongArtifact { path: PathBuf, found: ArtifactId, expected: ArtifactId },
    #[error("{}: {reason}", path.display())]
    Malformed { path: PathBuf, reason: String },
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}

impl ModelError {
    pub(crate) fn malformed(path: &Path, reason: impl ToString) -> Self {
        Self::Malformed { path: path.to_path_buf(), reason: reason.to_string() }
    }
}

/// A verified model with its session and tokenizer.
pub(crate) struct OpenModel {
    pub artifact: ArtifactId,
    pub session: Session,
    pub tokenizer: Tokenizer,
}

/// Reads the model once, verifies those bytes, and opens a session from the same bytes.
pub(crate) fn open(spec: &ModelSpec, environment: &Environment, threads: usize) -> Result<OpenModel, ModelError> {
    let path = spec.folder.join("model.onnx");
    let bytes = read(&path)?;
    let artifact = ArtifactId(Sha256::digest(&bytes).into());
    if let Some(expected) = spec.artifact
        && expected != artifact
    {
        return Err(ModelError::WrongArtifact { path, found: artifact, expected });
    }
    let session = runtime::open(environment, &bytes, threads)?;
    drop(bytes);
    let path = spec.folder.join("tokenizer.json");
    let mut tokenizer = Tokenizer::from_bytes(read(&path)?).map_err(|e| ModelError::malformed(&path, e))?;
    // Some files carry truncation and padding to a fixed length, which would change inputs silently.
    tokenizer.with_truncation(None).map_err(|e| ModelError::malformed(&path, e))?.with_padding(None);
    Ok(OpenModel { artifact, session, tokenizer })
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, ModelError> {
    std::fs::read(path).map_err(|source| ModelError::Read { path: path.to_path_buf(), source })
}
