//! Where a command that works on a gateway's own records finds them.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use waybill_store::Store;

/// Where the gateway keeps its keys and receipts.
#[derive(Debug, Args)]
pub struct Place {
    /// The gateway's database: sqlite://PATH or postgres://…
    #[arg(long, env = "WAYBILL_DATABASE", value_name = "URL", required_unless_present = "data_dir")]
    pub database: Option<String>,
    /// Data folder of `waybill up`: stands for its database and pepper
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

impl Place {
    pub async fn open(&self) -> anyhow::Result<Store> {
        let url = match (&self.database, &self.data_dir) {
            (Some(url), _) => url.clone(),
            (None, Some(folder)) => {
                let file = folder.join("waybill.db");
                if !file.is_file() {
                    bail!("{} is no data folder of `waybill up`: it holds no waybill.db", folder.display());
                }
                format!("sqlite://{}?mode=rw", file.display())
            }
            (None, None) => bail!("name the gateway's --database, or the --data-dir of `waybill up`"),
        };
        Store::open(&url).await.context("opening the database")
    }
}
