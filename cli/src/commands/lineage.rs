//! `waybill artifact licence`, `link`, `lineage` and `share`: on what terms others may derive from a model, and how the
//! vendors of a derived model share what it earns.

use crate::{context::Context, lookup, output};
use anchor_lang::prelude::Pubkey;
use anyhow::bail;
use serde::Serialize;
use solana_signer::Signer;
use waybill_chain::{
    Chain, coin, ix,
    market::{
        seeds::{find_artifact, find_ask, find_royalties},
        state::{Artifact, Ask, Licence, Role, Royalties},
    },
    settlement::{self, state::Earnings},
};
use waybill_mechanism::lineage::lineage_split;

const WHERE: &str = "`waybill artifact list` shows all";

#[derive(Serialize)]
struct Terms {
    hash: String,
    /// Whether others may link to it.
    open: bool,
    /// Nano-credits per 1,000 billable units: the most the vendor's ask counts in a new derivative.
    ceiling_nc: u64,
    changed: bool,
}

/// One vendor of a lineage.
#[derive(Serialize)]
struct Generation {
    name: String,
    hash: String,
    vendor: String,
    /// What the vendor asks in the present pricing epoch, nano-credits per 1,000 billable units.
    ask_nc: u64,
    /// The most that counts of it; none for the model's own vendor.
    ceiling_nc: Option<u64>,
    counted_nc: u64,
    /// Of the vendor's part of a payment.
    bps: u16,
}

#[derive(Serialize)]
struct Lineage {
    hash: String,
    pricing_epoch: u32,
    /// What all vendors ask together.
    total_nc: u64,
    generations: Vec<Generation>,
}

#[derive(Serialize)]
struct Shared {
    hash: String,
    pricing_epoch: u32,
    /// AIC base units.
    amount_aic: u64,
    signature: Option<String>,
}

async fn artifact(chain: &Chain, hash: &[u8; 32]) -> anyhow::Result<Artifact> {
    Ok(chain.expect("artifact", &find_artifact(hash).0, WHERE).await?)
}

/// Opens the model for derivatives at a ceiling, or closes it.
pub async fn licence(hash: [u8; 32], ceiling_nc: Option<u64>, context: &Context) -> anyhow::Result<()> {
    let wallet = context.wallet()?;
    let account = artifact(&context.chain, &hash).await?;
    own(&account, &wallet.pubkey())?;
    let new = Licence { open: ceiling_nc.is_some(), ceiling_nc: ceiling_nc.unwrap_or(0) };
    let changed = account.derivation != new;
    if changed {
        let ask: Option<Ask> = context.chain.account(&find_ask(&hash, Role::Vendor).0).await?;
        if ask.is_none() {
            bail!(
                "a licence needs the vendor's ask first: waybill ask post vendor {} NC, where 0 is legal",
                hex::encode(hash)
            );
        }
        let set = ix::lineage::set_ceiling(wallet.pubkey(), &hash, new.open, new.ceiling_nc);
        context.chain.send(&wallet, &[], &[set]).await?;
    }
    let terms = Terms { hash: hex::encode(hash), open: new.open, ceiling_nc: new.ceiling_nc, changed };
    output::print(context.json, &terms, |terms| {
        let now = if terms.changed { "now" } else { "already" };
        if terms.open {
            format!(
                "{} is {now} open for derivatives; its ask counts at most {} nc in those that link from here on",
                terms.hash, terms.ceiling_nc
            )
        } else {
            format!("{} is {now} closed for new derivatives; those that exist keep their terms", terms.hash)
        }
    })
}

/// Links a derivative to its parent, at no more than `max_ceiling_nc` or else the ceiling that stands now.
pub async fn link(
    derivative: [u8; 32],
    parent: [u8; 32],
    max_ceiling_nc: Option<u64>,
    context: &Context,
) -> anyhow::Result<()> {
    let wallet = context.wallet()?;
    let mine = artifact(&context.chain, &derivative).await?;
    own(&mine, &wallet.pubkey())?;
    if mine.ancestors().last().is_none_or(|last| last.artifact != parent) {
        let theirs = artifact(&context.chain, &parent).await?;
        if mine.is_derived() {
            bail!("{} is linked to another model already; a link is made once", mine.name);
        }
        if !theirs.derivation.open {
            bail!(
                "{} is not open for derivatives; its vendor {} opens it with `waybill artifact licence`",
                theirs.name,
                theirs.vendor
            );
        }
        let max = max_ceiling_nc.unwrap_or(theirs.derivation.ceiling_nc);
        let link = ix::lineage::link_license(wallet.pubkey(), &derivative, &parent, max);
        context.chain.send(&wallet, &[], &[link]).await?;
    }
    show(derivative, context).await
}

/// Prints who shares in what the model earns.
pub async fn show(hash: [u8; 32], context: &Context) -> anyhow::Result<()> {
    let lineage = read(&context.chain, &hash).await?;
    output::print(context.json, &lineage, |lineage| {
        let rows = lineage.generations.iter().map(|generation| {
            vec![
                generation.name.clone(),
                generation.ask_nc.to_string(),
                generation.ceiling_nc.map_or_else(String::new, |nc| nc.to_string()),
                generation.counted_nc.to_string(),
                generation.bps.to_string(),
                generation.vendor.clone(),
                generation.hash.clone(),
            ]
        });
        let table =
            output::table(&["model", "ask nc", "at most", "counts", "bps of the part", "vendor", "sha256"], rows);
        format!("{table}\ntogether {} nc per 1,000 units in pricing epoch {}", lineage.total_nc, lineage.pricing_epoch)
    })
}

async fn read(chain: &Chain, hash: &[u8; 32]) -> anyhow::Result<Lineage> {
    let own = artifact(chain, hash).await?;
    let pricing_epoch = lookup::pricing_epoch(chain).await?;
    let mut generations = Vec::new();
    for ancestor in own.ancestors() {
        let account = artifact(chain, &ancestor.artifact).await?;
        generations.push(generation(chain, &account, Some(ancestor.ceiling_nc), pricing_epoch).await?);
    }
    generations.push(generation(chain, &own, None, pricing_epoch).await?);
    let asks: Vec<u64> = generations.iter().map(|generation| generation.counted_nc).collect();
    let split = lineage_split(0, &asks)?;
    for (generation, bps) in generations.iter_mut().zip(split.bps) {
        generation.bps = bps;
    }
    let total_nc = asks.iter().fold(0u64, |sum, ask| sum.saturating_add(*ask));
    Ok(Lineage { hash: hex::encode(hash), pricing_epoch, total_nc, generations })
}

async fn generation(
    chain: &Chain,
    artifact: &Artifact,
    ceiling_nc: Option<u64>,
    pricing_epoch: u32,
) -> anyhow::Result<Generation> {
    let ask: Option<Ask> = chain.account(&find_ask(&artifact.hash, Role::Vendor).0).await?;
    let ask_nc = ask.map_or(0, |ask| ask.at(pricing_epoch));
    Ok(Generation {
        name: artifact.name.clone(),
        hash: hex::encode(artifact.hash),
        vendor: artifact.vendor.to_string(),
        ask_nc,
        ceiling_nc,
        counted_nc: ceiling_nc.map_or(ask_nc, |ceiling| ask_nc.min(ceiling)),
        bps: 0,
    })
}

/// Shares what claims credited to the model's royalty table of a pricing epoch.
pub async fn share(hash: [u8; 32], pricing_epoch: Option<u32>, context: &Context) -> anyhow::Result<()> {
    let wallet = context.wallet()?;
    let chain = &context.chain;
    let pricing_epoch = match pricing_epoch {
        Some(epoch) => epoch,
        None => lookup::pricing_epoch(chain).await?,
    };
    let address = find_royalties(&hash, pricing_epoch).0;
    let table: Royalties =
        chain.expect("royalty table", &address, "the model is not derived, or was not served then").await?;
    let mint = coin::seeds::find_mint().0;
    let earnings = |owner: &Pubkey| settlement::seeds::find_earnings(owner, &mint).0;
    let pot: Option<Earnings> = chain.account(&earnings(&address)).await?;
    let amount_aic = pot.map_or(0, |pot| pot.amount_aic);
    let mut signature = None;
    if amount_aic > 0 {
        let owners: Vec<Pubkey> = table.rows().iter().map(|row| row.owner).collect();
        let accounts: Vec<Option<Earnings>> = chain.accounts(&owners.iter().map(earnings).collect::<Vec<_>>()).await?;
        let mut missing: Vec<Pubkey> =
            owners.iter().zip(&accounts).filter(|(_, account)| account.is_none()).map(|(owner, _)| *owner).collect();
        missing.sort_unstable();
        missing.dedup();
        for owner in missing {
            chain.send(&wallet, &[], &[ix::settlement::open_earnings(wallet.pubkey(), owner)]).await?;
        }
        let sent = chain.send(&wallet, &[], &[ix::lineage::share_royalties(address, &table)]).await?;
        signature = Some(sent.to_string());
    }
    let shared = Shared { hash: hex::encode(hash), pricing_epoch, amount_aic, signature };
    output::print(context.json, &shared, |shared| {
        format!("shared {} of pricing epoch {}", output::aic(shared.amount_aic), shared.pricing_epoch)
    })
}

fn own(artifact: &Artifact, wallet: &Pubkey) -> anyhow::Result<()> {
    if artifact.vendor != *wallet {
        bail!("{} belongs to the vendor {}, this wallet is {wallet}", artifact.name, artifact.vendor);
    }
    Ok(())
}
