//! What most commands need: the chain, a wallet in Solana's standard format and place, and how to print.

use crate::args::Global;
use anyhow::{Context as _, bail};
use solana_keypair::Keypair;
use std::path::{Path, PathBuf};
use waybill_chain::Chain;

pub struct Context {
    pub chain: Chain,
    pub json: bool,
    keypair: Option<PathBuf>,
}

impl Context {
    pub fn new(global: &Global) -> Self {
        Self { chain: Chain::connect(&global.rpc), json: global.json, keypair: global.keypair.clone() }
    }

    /// `--keypair`, else `~/.config/solana/id.json`.
    pub fn keypair_path(&self) -> anyhow::Result<PathBuf> {
        match &self.keypair {
            Some(path) => Ok(path.clone()),
            None => Ok(home()?.join(".config/solana/id.json")),
        }
    }

    /// The wallet that signs.
    pub fn wallet(&self) -> anyhow::Result<Keypair> {
        read_keypair(&self.keypair_path()?)
    }
}

pub fn home() -> anyhow::Result<PathBuf> {
    std::env::home_dir().context("no home directory: set HOME")
}

/// Reads a Solana keypair file: a JSON array of 64 numbers, secret key then public key.
pub fn read_keypair(path: &Path) -> anyhow::Result<Keypair> {
    let text = std::fs::read_to_string(path).with_context(|| {
        format!(
            "cannot read the wallet {}; create one with `waybill wallet new` or name one with --keypair",
            path.display()
        )
    })?;
    let bytes: Vec<u8> = serde_json::from_str(&text)
        .with_context(|| format!("{} is no Solana keypair file: expected a JSON array of 64 bytes", path.display()))?;
    if bytes.len() != 64 {
        bail!("{} is no Solana keypair file: it holds {} bytes, expected 64", path.display(), bytes.len());
    }
    Keypair::try_from(bytes.as_slice())
        .map_err(|_| anyhow::anyhow!("{} is damaged: its public key does not belong to its secret key", path.display()))
}

/// Writes a new keypair file, readable by its owner only. Never overwrites.
pub fn write_keypair(path: &Path, key: &Keypair) -> anyhow::Result<()> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot create {} (an existing wallet is never overwritten)", path.display()))?;
    file.write_all(serde_json::to_string(&key.to_bytes().to_vec())?.as_bytes())?;
    file.sync_all()?;
    Ok(())
}

/// Reads a keypair file or creates it.
pub fn ensure_keypair(path: &Path) -> anyhow::Result<Keypair> {
    if path.exists() {
        return read_keypair(path);
    }
    let key = Keypair::new();
    write_keypair(path, &key)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use solana_signer::Signer;

    #[test]
    fn a_wallet_is_written_once_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/id.json");
        let key = ensure_keypair(&path).unwrap();
        assert_eq!(ensure_keypair(&path).unwrap().pubkey(), key.pubkey());
        assert!(write_keypair(&path, &Keypair::new()).is_err());
    }

    #[test]
    fn a_file_of_the_wrong_size_or_with_a_foreign_public_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("id.json");
        for (content, complaint) in [
            ("[1,2,3]".to_owned(), "3 bytes"),
            ("{}".to_owned(), "no Solana keypair file"),
            (format!("{:?}", vec![7; 64]), "damaged"),
        ] {
            std::fs::write(&path, content).unwrap();
            assert!(format!("{:#}", read_keypair(&path).unwrap_err()).contains(complaint));
        }
    }
}
