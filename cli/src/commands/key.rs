//! `waybill key`: API keys of a gateway, kept in its database. Only a hash of a key's secret is stored.

use crate::{
    context::{Context, read_keypair},
    input, output,
    place::Place,
    services::{self, KeyOwner},
};
use anchor_lang::prelude::Pubkey;
use anyhow::bail;
use clap::{Args, Subcommand};
use serde::Serialize;
use solana_signer::Signer;
use std::path::PathBuf;
use waybill_chain::settlement::state::Channel;
use waybill_gateway::SecretKey;
use waybill_protocol::{ChannelId, WalletId};
use waybill_store::{ApiKey, Store};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  waybill key create --channel 8Ch…k1Z --label laptop --limit-usd 5 --data-dir ~/.local/share/waybill\n  waybill key create --channel 8Ch…k1Z --label ci --database postgres://waybill@db/waybill --pepper /etc/waybill/pepper\n  waybill key list --data-dir ~/.local/share/waybill\n  waybill key revoke k3v9a0q2m7xw --data-dir ~/.local/share/waybill"
)]
pub struct KeyArgs {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Make a key for a channel; its secret is printed once and stored nowhere
    Create {
        /// The channel it spends from
        #[arg(long, value_parser = input::address)]
        channel: Pubkey,
        /// For people
        #[arg(long)]
        label: String,
        /// Most that this key may ever spend, in US dollars [default: what the channel has]
        #[arg(long, value_parser = input::usd, value_name = "USD")]
        limit_usd: Option<u64>,
        /// File with the secret under which keys are hashed, the gateway's
        #[arg(long, env = "WAYBILL_PEPPER", value_name = "FILE", required_unless_present = "data_dir")]
        pepper: Option<PathBuf>,
        #[command(flatten)]
        place: Place,
    },
    /// List the keys of a channel, or of all channels of a gateway
    List {
        /// Only this channel's
        #[arg(long, value_parser = input::address)]
        channel: Option<Pubkey>,
        /// The gateway's wallet [default: that of the data folder, else the wallet that signs]
        #[arg(long, value_parser = input::address)]
        gateway: Option<Pubkey>,
        #[command(flatten)]
        place: Place,
    },
    /// Revoke a key for good
    Revoke {
        /// The key's id: the 12 characters after `sk-wb-`
        id: String,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Serialize)]
struct Created {
    api_key: String,
    id: String,
    channel: String,
    label: String,
    limit_nc: Option<u64>,
}

#[derive(Serialize)]
struct KeyLine {
    id: String,
    label: String,
    channel: String,
    charged_nc: u64,
    limit_nc: Option<u64>,
    created_ms: u64,
    revoked_ms: Option<u64>,
}

#[derive(Serialize)]
struct Revoked {
    id: String,
}

pub async fn run(args: KeyArgs, context: &Context) -> anyhow::Result<()> {
    match args.command {
        KeyCommand::Create { channel, label, limit_usd, pepper, place } => {
            create(channel, label, limit_usd, pepper, &place, context).await
        }
        KeyCommand::List { channel, gateway, place } => list(channel, gateway, &place, context).await,
        KeyCommand::Revoke { id, place } => revoke(&id, &place, context).await,
    }
}

async fn create(
    address: Pubkey,
    label: String,
    limit_nc: Option<u64>,
    pepper: Option<PathBuf>,
    place: &Place,
    context: &Context,
) -> anyhow::Result<()> {
    let file = match (pepper, &place.data_dir) {
        (Some(file), _) => file,
        (None, Some(folder)) => folder.join("keys/pepper"),
        (None, None) => bail!("name the gateway's --pepper, or the --data-dir of `waybill up`"),
    };
    let pepper = services::read_pepper(&file)?;
    let channel: Channel = context.chain.expect("channel", &address, "`waybill channel open` makes one").await?;
    if channel.grant.limit_nc == 0 {
        bail!(
            "the channel grants its gateway nothing, so a key could not spend; `waybill channel grant {address} --limit-usd USD` first"
        );
    }
    let store = place.open().await?;
    let owner = KeyOwner { consumer: channel.consumer, gateway: channel.gateway, channel: address };
    let text = services::create_api_key(&store, &pepper, &owner, &label, limit_nc).await?;
    let id = SecretKey::parse(&text).map(|key| key.public_id).unwrap_or_default();
    let created = Created { api_key: text, id, channel: address.to_string(), label, limit_nc };
    output::print(context.json, &created, |created| format!("{}\nKeep it: it is shown this once.", created.api_key))
}

async fn list(
    channel: Option<Pubkey>,
    gateway: Option<Pubkey>,
    place: &Place,
    context: &Context,
) -> anyhow::Result<()> {
    let store = place.open().await?;
    let channels = match (channel, gateway, &place.data_dir) {
        (Some(channel), _, _) => vec![ChannelId(channel.to_bytes())],
        (None, Some(gateway), _) => channels_of(&store, &gateway).await?,
        (None, None, Some(folder)) => {
            channels_of(&store, &read_keypair(&folder.join("keys/gateway.json"))?.pubkey()).await?
        }
        (None, None, None) => channels_of(&store, &context.wallet()?.pubkey()).await?,
    };
    let mut lines = Vec::new();
    for channel in channels {
        lines.extend(store.api_keys_of(channel).await?.into_iter().map(KeyLine::of));
    }
    output::print(context.json, &lines, |lines| {
        let rows = lines.iter().map(|line| {
            let limit = line.limit_nc.map_or_else(|| "channel's".to_owned(), output::usd);
            let state = if line.revoked_ms.is_some() { "revoked" } else { "" };
            vec![
                line.id.clone(),
                line.label.clone(),
                output::usd(line.charged_nc),
                limit,
                state.to_owned(),
                line.channel.clone(),
            ]
        });
        output::table(&["id", "label", "charged", "limit", "", "channel"], rows)
    })
}

async fn channels_of(store: &Store, gateway: &Pubkey) -> anyhow::Result<Vec<ChannelId>> {
    let channels = store.channels_of_gateway(WalletId(gateway.to_bytes())).await?;
    Ok(channels.into_iter().map(|channel| channel.channel).collect())
}

impl KeyLine {
    fn of(key: ApiKey) -> Self {
        Self {
            id: key.public_id,
            label: key.label,
            channel: key.channel.to_string(),
            charged_nc: key.charged_nc,
            limit_nc: key.limit_nc,
            created_ms: key.created_ms,
            revoked_ms: key.revoked_ms,
        }
    }
}

async fn revoke(id: &str, place: &Place, context: &Context) -> anyhow::Result<()> {
    // Whoever pastes the whole key means the key.
    let id = SecretKey::parse(id).map_or_else(|| id.to_owned(), |key| key.public_id);
    let store = place.open().await?;
    let now = waybill_store::ledger::system_clock()();
    if !store.revoke_api_key(&id, now).await? {
        bail!("no key has the id {id:?}; `waybill key list` shows all");
    }
    output::print(context.json, &Revoked { id }, |revoked| {
        format!("{} is revoked; running gateways refuse it within moments", revoked.id)
    })
}
