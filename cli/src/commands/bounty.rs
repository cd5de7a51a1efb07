//! `waybill bounty`: what a sponsor, most often a vendor, adds to the share of a curator that brings consumers to a
//! container. The gateway's scheduler pays it line by line.

use crate::{context::Context, input, lookup, output};
use anchor_lang::prelude::Pubkey;
use anyhow::bail;
use clap::{Args, Subcommand};
use serde::Serialize;
use solana_signer::Signer;
use waybill_chain::{
    ix,
    settlement::{
        self,
        instructions::OpenBountyArgs,
        seeds::{find_bounty, find_earnings},
        state::{Bounty, BountyTerms},
    },
};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  waybill bounty open smollm2-135m-instruct CURATOR --gateway GATEWAY --top-up 250 --fund 100\n  waybill bounty list\n  waybill bounty fund BOUNTY 50\n  waybill bounty end BOUNTY      lines of the running epoch still count\n  waybill bounty close BOUNTY    returns the rest to this wallet's earnings, once the curator has had its time to claim"
)]
pub struct BountyArgs {
    #[command(subcommand)]
    command: BountyCommand,
}

#[derive(Debug, Subcommand)]
enum BountyCommand {
    /// Promise a curator an addition to its share; this wallet becomes the sponsor
    Open {
        /// Name or id of the container
        container: String,
        /// The curator's wallet
        #[arg(value_parser = input::address)]
        curator: Pubkey,
        /// Wallet of the gateway through which its consumers come
        #[arg(long, value_parser = input::address)]
        gateway: Pubkey,
        /// Basis points of what a line is worth, 1 to 1,000
        #[arg(long, value_name = "BPS")]
        top_up: u16,
        /// Basis points that the container itself must give its curator, or the bounty adds nothing
        #[arg(long, value_name = "BPS", default_value_t = 0)]
        min: u16,
        /// AIC to put behind it at once
        #[arg(long, value_name = "AIC", value_parser = output::parse_aic)]
        fund: Option<u64>,
    },
    /// Put more AIC behind a bounty of this wallet
    Fund {
        #[arg(value_parser = input::address)]
        bounty: Pubkey,
        #[arg(value_parser = output::parse_aic)]
        aic: u64,
    },
    /// End a bounty of this wallet with the running settlement epoch
    End {
        #[arg(value_parser = input::address)]
        bounty: Pubkey,
    },
    /// Return what an ended bounty has left to this wallet's earnings
    Close {
        #[arg(value_parser = input::address)]
        bounty: Pubkey,
    },
    /// List all bounties
    List,
    /// Show one bounty
    Show {
        #[arg(value_parser = input::address)]
        bounty: Pubkey,
    },
}

#[derive(Serialize)]
struct BountyLine {
    bounty: String,
    sponsor: String,
    curator: String,
    gateway: String,
    container: String,
    top_up_bps: u16,
    min_bps: u16,
    /// AIC base units.
    left_aic: u64,
    paid_aic: u64,
    /// Lines of this settlement epoch and later add nothing; none while it goes on.
    end_epoch: Option<u32>,
}

#[derive(Serialize)]
struct Returned {
    bounty: String,
    /// AIC base units.
    returned_aic: u64,
    signature: String,
}

impl BountyLine {
    fn of(address: &Pubkey, bounty: &Bounty) -> Self {
        Self {
            bounty: address.to_string(),
            sponsor: bounty.sponsor.to_string(),
            curator: bounty.curator.to_string(),
            gateway: bounty.gateway.to_string(),
            container: hex::encode(bounty.container),
            top_up_bps: bounty.terms.top_up_bps,
            min_bps: bounty.terms.min_bps,
            left_aic: bounty.amount_aic,
            paid_aic: bounty.paid_aic,
            end_epoch: (bounty.end_epoch > 0).then_some(bounty.end_epoch),
        }
    }

    fn text(&self) -> String {
        let end = self.end_epoch.map_or_else(String::new, |epoch| format!(", ends before settlement epoch {epoch}"));
        format!(
            "bounty {}\n{} bps on top of at least {} bps{end}\nleft {}, paid {}\ncurator    {}\ncontainer  {}\ngateway    {}\nsponsor    {}",
            self.bounty,
            self.top_up_bps,
            self.min_bps,
            output::aic(self.left_aic),
            output::aic(self.paid_aic),
            self.curator,
            self.container,
            self.gateway,
            self.sponsor
        )
    }
}

pub async fn run(args: BountyArgs, context: &Context) -> anyhow::Result<()> {
    match args.command {
        BountyCommand::Open { container, curator, gateway, top_up, min, fund } => {
            let container = lookup::container(&context.chain, &container).await?.id;
            let terms = BountyTerms { top_up_bps: top_up, min_bps: min };
            open(OpenBountyArgs { gateway, container, curator, terms }, fund, context).await
        }
        BountyCommand::Fund { bounty, aic } => {
            let wallet = context.wallet()?;
            mine(&bounty, context).await?;
            context.chain.send(&wallet, &[], &[ix::bounty::fund_bounty(wallet.pubkey(), bounty, aic)]).await?;
            show(&bounty, context).await
        }
        BountyCommand::End { bounty } => {
            let wallet = context.wallet()?;
            if mine(&bounty, context).await?.end_epoch == 0 {
                context.chain.send(&wallet, &[], &[ix::bounty::end_bounty(wallet.pubkey(), bounty)]).await?;
            }
            show(&bounty, context).await
        }
        BountyCommand::Close { bounty } => close(&bounty, context).await,
        BountyCommand::List => list(context).await,
        BountyCommand::Show { bounty } => show(&bounty, context).await,
    }
}

/// Opens it, or finds the one of the same four parties with the same terms, and funds it.
async fn open(args: OpenBountyArgs, fund: Option<u64>, context: &Context) -> anyhow::Result<()> {
    let wallet = context.wallet()?;
    let sponsor = wallet.pubkey();
    let address = find_bounty(&args.gateway, &args.container, &args.curator, &sponsor).0;
    let known: Option<Bounty> = context.chain.account(&address).await?;
    if let Some(known) = &known
        && known.terms != args.terms
    {
        bail!(
            "bounty {address} exists with {} bps on top of at least {}; end and close it to promise something else",
            known.terms.top_up_bps,
            known.terms.min_bps
        );
    }
    let mut instructions = vec![];
    if known.is_none() {
        instructions.push(ix::bounty::open_bounty(sponsor, sponsor, args));
        instructions.extend(fund.map(|aic| ix::bounty::fund_bounty(sponsor, address, aic)));
    } else if fund.is_some() {
        bail!("bounty {address} is open already: `waybill bounty fund` adds to it");
    }
    if !instructions.is_empty() {
        context.chain.send(&wallet, &[], &instructions).await?;
    }
    show(&address, context).await
}

/// A bounty that this wallet sponsors.
async fn mine(address: &Pubkey, context: &Context) -> anyhow::Result<Bounty> {
    let wallet = context.wallet()?.pubkey();
    let bounty: Bounty = context.chain.expect("bounty", address, "`waybill bounty list` shows all").await?;
    if bounty.sponsor != wallet {
        bail!("bounty {address} is {}'s, this wallet is {wallet}", bounty.sponsor);
    }
    Ok(bounty)
}

async fn close(address: &Pubkey, context: &Context) -> anyhow::Result<()> {
    let wallet = context.wallet()?;
    let bounty = mine(address, context).await?;
    if bounty.end_epoch == 0 {
        bail!("end it first: waybill bounty end {address}");
    }
    let config = lookup::settle_config(&context.chain).await?;
    let closes_at = bounty.closes_at(&config).map_err(|error| anyhow::anyhow!(error.to_string()))?;
    let left = closes_at.saturating_sub(context.chain.unix_time().await?);
    if left > 0 {
        bail!("its curator may still claim for {}; close it after that", input::span_text(left));
    }
    let sponsor = wallet.pubkey();
    let mut instructions = Vec::new();
    if context.chain.data(&find_earnings(&sponsor, &config.mint).0).await?.is_none() {
        instructions.push(ix::settlement::open_earnings(sponsor, sponsor));
    }
    instructions.push(ix::bounty::close_bounty(sponsor, *address, bounty.rent_payer));
    let signature = context.chain.send(&wallet, &[], &instructions).await?;
    let returned =
        Returned { bounty: address.to_string(), returned_aic: bounty.amount_aic, signature: signature.to_string() };
    output::print(context.json, &returned, |returned| {
        format!(
            "{} is closed; {} returned to this wallet's earnings, `waybill earnings withdraw` pays them out",
            returned.bounty,
            output::aic(returned.returned_aic)
        )
    })
}

async fn show(address: &Pubkey, context: &Context) -> anyhow::Result<()> {
    let bounty: Bounty = context.chain.expect("bounty", address, "`waybill bounty list` shows all").await?;
    output::print(context.json, &BountyLine::of(address, &bounty), BountyLine::text)
}

async fn list(context: &Context) -> anyhow::Result<()> {
    let all: Vec<(Pubkey, Bounty)> = context.chain.all(&settlement::ID).await?;
    let mut lines: Vec<BountyLine> = all.iter().map(|(address, bounty)| BountyLine::of(address, bounty)).collect();
    lines.sort_by(|a, b| (&a.container, &a.curator).cmp(&(&b.container, &b.curator)));
    output::print(context.json, &lines, |lines| {
        let rows = lines.iter().map(|line| {
            vec![
                line.bounty.clone(),
                line.top_up_bps.to_string(),
                line.min_bps.to_string(),
                output::aic(line.left_aic),
                output::aic(line.paid_aic),
                line.end_epoch.map_or_else(String::new, |epoch| epoch.to_string()),
                line.curator.clone(),
                line.container.clone(),
            ]
        });
        output::table(&["bounty", "adds bps", "asks bps", "left", "paid", "ends", "curator", "container"], rows)
    })
}
