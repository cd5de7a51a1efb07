//! `waybill channel`: a consumer's prepaid balance with one gateway, and the spending limit it grants that gateway.

use crate::{commands::wallet::require_aic, context::Context, input, output};
use anchor_lang::prelude::Pubkey;
use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde::Serialize;
use solana_keypair::Keypair;
use solana_signer::Signer;
use waybill_chain::{
    ix,
    settlement::{
        self,
        constants::{MAX_GRANT_PERIOD_S, MIN_GRANT_PERIOD_S, REVOKE_GRACE_S},
        state::{Channel, ChannelState, GatewayVault, GrantTerms},
    },
};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  waybill channel open --gateway 4Gw…x2P --deposit 500 --limit-usd 25 --period 1d\n  waybill channel deposit 8Ch…k1Z 100\n  waybill channel show 8Ch…k1Z\n  waybill channel close 8Ch…k1Z            then, after the grace: waybill channel finish-close 8Ch…k1Z\n\nAn API key spends from a channel only with a grant (--limit-usd)."
)]
pub struct ChannelArgs {
    #[command(subcommand)]
    command: ChannelCommand,
}

#[derive(Debug, Subcommand)]
enum ChannelCommand {
    /// Open a channel with a gateway and pay into it
    Open {
        /// The gateway's wallet
        #[arg(long, value_parser = input::address)]
        gateway: Pubkey,
        /// AIC to pay in at once
        #[arg(long, value_parser = output::parse_aic, value_name = "AIC")]
        deposit: u64,
        /// Grant the gateway this much per period, in US dollars
        #[arg(long, value_parser = input::usd, value_name = "USD")]
        limit_usd: Option<u64>,
        #[command(flatten)]
        terms: Terms,
    },
    /// Pay AIC into a channel; anyone may
    Deposit {
        #[arg(value_parser = input::address)]
        channel: Pubkey,
        #[arg(value_parser = output::parse_aic, value_name = "AIC")]
        amount: u64,
    },
    /// Grant the channel's gateway a spending limit, or replace it
    Grant {
        #[arg(value_parser = input::address)]
        channel: Pubkey,
        /// Most per period, in US dollars
        #[arg(long, value_parser = input::usd, value_name = "USD")]
        limit_usd: u64,
        #[command(flatten)]
        terms: Terms,
    },
    /// End the spending limit; work already served can be settled for another hour
    Revoke {
        #[arg(value_parser = input::address)]
        channel: Pubkey,
    },
    /// Begin to close a channel
    Close {
        #[arg(value_parser = input::address)]
        channel: Pubkey,
    },
    /// After the grace: return what is left to the consumer
    FinishClose {
        #[arg(value_parser = input::address)]
        channel: Pubkey,
    },
    /// List the channels of a consumer
    List {
        /// Whose [default: the wallet that signs]
        #[arg(long, value_parser = input::address)]
        consumer: Option<Pubkey>,
    },
    /// Show one channel
    Show {
        #[arg(value_parser = input::address)]
        channel: Pubkey,
    },
}

#[derive(Debug, Args)]
struct Terms {
    /// Length of the grant's period: 1h to 31d
    #[arg(long, value_parser = input::span, default_value = "1d", value_name = "SPAN")]
    period: u32,
    /// When the grant ends, from now: at most 366d
    #[arg(long, value_parser = input::span, default_value = "365d", value_name = "SPAN")]
    expires: u32,
    /// The curator that brought you: gets the curator's share
    #[arg(long, value_parser = input::address)]
    referrer: Option<Pubkey>,
}

impl Terms {
    fn grant(&self, limit_nc: u64, now: i64) -> anyhow::Result<GrantTerms> {
        if limit_nc == 0 {
            bail!("a grant of $0 buys nothing: name an amount above zero");
        }
        if !(MIN_GRANT_PERIOD_S..=MAX_GRANT_PERIOD_S).contains(&self.period) {
            bail!("--period is between 1h and 31d");
        }
        if !(1..=settlement::constants::MAX_GRANT_LIFE_S).contains(&i64::from(self.expires)) {
            bail!("--expires is at most 366d");
        }
        let expires = now + i64::from(self.expires);
        Ok(GrantTerms { limit_nc, period_s: self.period, expires, referrer: self.referrer.unwrap_or_default() })
    }
}

/// One channel. AIC in base units, limits in nano-credits, times in Unix seconds.
#[derive(Serialize)]
struct ChannelLine {
    channel: String,
    consumer: String,
    gateway: String,
    state: &'static str,
    balance_aic: u64,
    deposited_aic: u64,
    settled_nc: u64,
    settled_aic: u64,
    close_at: Option<i64>,
    grant: Option<GrantLine>,
    #[serde(skip)]
    now: i64,
}

#[derive(Serialize)]
struct GrantLine {
    limit_nc: u64,
    used_nc: u64,
    period_s: u32,
    expires: i64,
    referrer: Option<String>,
}

impl ChannelLine {
    fn of(address: &Pubkey, channel: &Channel, now: i64) -> Self {
        let grant = channel.grant;
        let referrer = (grant.referrer != Pubkey::default()).then(|| grant.referrer.to_string());
        Self {
            channel: address.to_string(),
            consumer: channel.consumer.to_string(),
            gateway: channel.gateway.to_string(),
            state: if channel.state == ChannelState::Open { "open" } else { "closing" },
            balance_aic: channel.balance_aic,
            deposited_aic: channel.deposited_aic,
            settled_nc: channel.settled_nc,
            settled_aic: channel.settled_aic,
            close_at: (channel.state == ChannelState::Closing).then_some(channel.close_at),
            grant: (grant.limit_nc > 0).then_some(GrantLine {
                limit_nc: grant.limit_nc,
                used_nc: grant.used_nc,
                period_s: grant.period_s,
                expires: grant.expires,
                referrer,
            }),
            now,
        }
    }

    fn text(&self) -> String {
        let mut lines = vec![
            format!("channel   {} ({})", self.channel, self.state),
            format!("consumer  {}", self.consumer),
            format!("gateway   {}", self.gateway),
            format!(
                "balance   {} AIC of {} paid in; {} settled",
                output::aic(self.balance_aic),
                output::aic(self.deposited_aic),
                output::usd(self.settled_nc)
            ),
        ];
        lines.push(match &self.grant {
            None => "grant     none: API keys cannot spend from it; `waybill channel grant` changes that".to_owned(),
            Some(grant) if grant.expires <= self.now => "grant     expired".to_owned(),
            Some(grant) => {
                let (limit, used) = (output::usd(grant.limit_nc), output::usd(grant.used_nc));
                let period = input::span_text(i64::from(grant.period_s));
                format!(
                    "grant     {limit} per {period}, {used} used; ends in {}",
                    input::span_text(grant.expires - self.now)
                )
            }
        });
        if let Some(at) = self.close_at {
            let wait = input::span_text(at - self.now);
            lines.push(format!("closes    in {wait}: waybill channel finish-close {}", self.channel));
        }
        lines.join("\n")
    }
}

pub async fn run(args: ChannelArgs, context: &Context) -> anyhow::Result<()> {
    match args.command {
        ChannelCommand::Open { gateway, deposit, limit_usd, terms } => {
            open(gateway, deposit, limit_usd, &terms, context).await
        }
        ChannelCommand::Deposit { channel, amount } => deposit(channel, amount, context).await,
        ChannelCommand::Grant { channel, limit_usd, terms } => {
            let consumer = consumer_of(&channel, context).await?;
            let terms = terms.grant(limit_usd, context.chain.unix_time().await?)?;
            let grant = ix::settlement::set_delegate(consumer.pubkey(), channel, terms);
            context.chain.send(&consumer, &[], &[grant]).await?;
            show(channel, context).await
        }
        ChannelCommand::Revoke { channel } => {
            let consumer = consumer_of(&channel, context).await?;
            let revoke = ix::settlement::revoke_delegate(consumer.pubkey(), channel);
            context.chain.send(&consumer, &[], &[revoke]).await?;
            if !context.json {
                eprintln!("the grant ends in {}", input::span_text(REVOKE_GRACE_S));
            }
            show(channel, context).await
        }
        ChannelCommand::Close { channel } => {
            let consumer = consumer_of(&channel, context).await?;
            let close = ix::settlement::request_close(consumer.pubkey(), channel);
            context.chain.send(&consumer, &[], &[close]).await?;
            show(channel, context).await
        }
        ChannelCommand::FinishClose { channel } => finish_close(channel, context).await,
        ChannelCommand::List { consumer } => list(consumer, context).await,
        ChannelCommand::Show { channel } => show(channel, context).await,
    }
}

async fn read(address: &Pubkey, context: &Context) -> anyhow::Result<Channel> {
    Ok(context.chain.expect("channel", address, "`waybill channel list` shows yours").await?)
}

/// This wallet, when it is the channel's consumer.
async fn consumer_of(address: &Pubkey, context: &Context) -> anyhow::Result<Keypair> {
    let (wallet, channel) = (context.wallet()?, read(address, context).await?);
    if channel.consumer != wallet.pubkey() {
        bail!(
            "the channel belongs to {}, this wallet is {}; --keypair names another",
            channel.consumer,
            wallet.pubkey()
        );
    }
    Ok(wallet)
}

async fn show(address: Pubkey, context: &Context) -> anyhow::Result<()> {
    let channel = read(&address, context).await?;
    let line = ChannelLine::of(&address, &channel, context.chain.unix_time().await?);
    output::print(context.json, &line, ChannelLine::text)
}

async fn list(consumer: Option<Pubkey>, context: &Context) -> anyhow::Result<()> {
    let consumer = match consumer {
        Some(consumer) => consumer,
        None => context.wallet()?.pubkey(),
    };
    let now = context.chain.unix_time().await?;
    let channels: Vec<(Pubkey, Channel)> = context.chain.all(&settlement::ID).await?;
    let mine = channels.iter().filter(|(_, channel)| channel.consumer == consumer);
    let mut lines: Vec<ChannelLine> = mine.map(|(address, channel)| ChannelLine::of(address, channel, now)).collect();
    lines.sort_by(|a, b| a.channel.cmp(&b.channel));
    output::print(context.json, &lines, |lines| {
        let rows = lines.iter().map(|line| {
            let grant = line.grant.as_ref().map_or_else(|| "none".to_owned(), |grant| output::usd(grant.limit_nc));
            vec![
                line.channel.clone(),
                line.state.to_owned(),
                output::aic(line.balance_aic),
                grant,
                line.gateway.clone(),
            ]
        });
        output::table(&["channel", "state", "balance, AIC", "grant", "gateway"], rows)
    })
}

async fn open(
    gateway: Pubkey,
    deposit: u64,
    limit_nc: Option<u64>,
    terms: &Terms,
    context: &Context,
) -> anyhow::Result<()> {
    let consumer = context.wallet()?;
    let owner = consumer.pubkey();
    let vault = ix::settlement::gateway_vault(&gateway).0;
    if context.chain.account::<GatewayVault>(&vault).await?.is_none() {
        bail!("{gateway} is no gateway on this chain; `waybill party list --role gateway` shows who is");
    }
    let now = context.chain.unix_time().await?;
    let grant = limit_nc.map(|limit_nc| terms.grant(limit_nc, now)).transpose()?;
    let slot = context.chain.health().await?;
    let (channel, open) = ix::settlement::open_channel(owner, owner, gateway, slot, grant);
    let mut instructions = vec![open];
    if deposit > 0 {
        require_aic(context, &owner, deposit).await?;
        instructions.push(ix::transfer_aic(&owner, &ix::aic_account(&channel), deposit));
        instructions.push(ix::settlement::sync_deposit(channel));
    }
    context.chain.send(&consumer, &[], &instructions).await?;
    show(channel, context).await
}

async fn deposit(address: Pubkey, amount: u64, context: &Context) -> anyhow::Result<()> {
    let wallet = context.wallet()?;
    let from = wallet.pubkey();
    if amount == 0 {
        bail!("0 AIC cannot be paid in: name an amount above zero");
    }
    read(&address, context).await?;
    require_aic(context, &from, amount).await?;
    let instructions =
        [ix::transfer_aic(&from, &ix::aic_account(&address), amount), ix::settlement::sync_deposit(address)];
    context.chain.send(&wallet, &[], &instructions).await?;
    show(address, context).await
}

#[derive(Serialize)]
struct Closed {
    channel: String,
    consumer: String,
    /// AIC base units that went back.
    returned: u64,
    signature: String,
}

async fn finish_close(address: Pubkey, context: &Context) -> anyhow::Result<()> {
    let wallet = context.wallet()?;
    let channel = read(&address, context).await?;
    let now = context.chain.unix_time().await?;
    if channel.state == ChannelState::Open {
        bail!("the channel is open; `waybill channel close {address}` begins to close it");
    }
    if now < channel.close_at {
        bail!("the grace lasts for another {}", input::span_text(channel.close_at - now));
    }
    let returned = context.chain.token_balance(&ix::aic_account(&address)).await?;
    let account = ix::create_aic_account(&wallet.pubkey(), &channel.consumer);
    let close = ix::settlement::close_channel(channel.consumer, address, channel.rent_payer);
    let signature = context.chain.send(&wallet, &[], &[account, close]).await.context("closing the channel")?;
    let closed = Closed {
        channel: address.to_string(),
        consumer: channel.consumer.to_string(),
        returned,
        signature: signature.to_string(),
    };
    output::print(context.json, &closed, |closed| {
        format!("closed; {} AIC are back with {}", output::aic(closed.returned), closed.consumer)
    })
}
