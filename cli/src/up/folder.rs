//! The data folder of `waybill up`: chain, database, keys. One running network per folder.

use crate::services::{self, KeyOwner};
use anyhow::{Context as _, bail};
use std::{
    fs,
    path::{Path, PathBuf},
};
use waybill_gateway::Pepper;
use waybill_store::Store;

pub struct Folder {
    path: PathBuf,
    /// Held while the network runs.
    _lock: fs::File,
}

impl Folder {
    /// `--data-dir`, else `~/.local/share/waybill`.
    pub fn open(path: Option<PathBuf>) -> anyhow::Result<Self> {
        let path = match path {
            Some(path) => path,
            None => crate::context::home()?.join(".local/share/waybill"),
        };
        fs::create_dir_all(path.join("keys")).with_context(|| format!("cannot create {}", path.display()))?;
        let path = path.canonicalize()?;
        let lock =
            fs::File::create(path.join("lock")).with_context(|| format!("cannot write to {}", path.display()))?;
        if lock.try_lock().is_err() {
            bail!("another `waybill up` runs on {}; stop it or choose another --data-dir", path.display());
        }
        Ok(Self { path, _lock: lock })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn keys(&self) -> PathBuf {
        self.path.join("keys")
    }

    pub fn chain(&self) -> PathBuf {
        self.path.join("chain")
    }

    /// URL of the SQLite file.
    pub fn database(&self) -> String {
        format!("sqlite://{}?mode=rwc", self.path.join("waybill.db").display())
    }

    /// The secret under which API keys are hashed, made at the first start.
    pub fn pepper(&self) -> anyhow::Result<Pepper> {
        services::read_or_make_pepper(&self.keys().join("pepper"))
    }

    /// A demonstration key, made at the first start. Its secret lies beside the wallets, readable by the owner only.
    pub async fn api_key(
        &self,
        name: &str,
        store: &Store,
        pepper: &Pepper,
        owner: &KeyOwner,
    ) -> anyhow::Result<String> {
        let file = self.keys().join(name);
        if let Ok(text) = fs::read_to_string(&file) {
            let known = services::key_is_known(store, &text).await?;
            if known {
                return Ok(text);
            }
        }
        let text = services::create_api_key(store, pepper, owner, name, None).await?;
        services::write_secret(&file, &text)?;
        Ok(text)
    }
}
