//! `waybill audit verifiers`: who may be drawn to judge the receipts of a determinism class.

use crate::{
    context::{Context, read_keypair},
    input, output,
};
use anchor_lang::prelude::Pubkey;
use anyhow::{Context as _, bail};
use clap::Subcommand;
use serde::Serialize;
use solana_signer::Signer;
use std::path::{Path, PathBuf};
use waybill_chain::{
    Chain, ix,
    market::{
        self,
        state::{Party, Role},
    },
    settlement::{
        self,
        constants::SEATS,
        state::{Seat, VerifierSet},
    },
};

#[derive(Debug, Subcommand)]
pub enum VerifiersCommand {
    /// List the seats of every class, or of one
    List {
        /// Only this determinism class
        #[arg(long)]
        class: Option<u16>,
    },
    /// Create the set of a class; anyone pays its rent
    Create { class: u16 },
    /// Take a seat, as a staked verifier; batches posted from now on may be judged by it
    Join {
        class: u16,
        /// Key file of the worker that will sign the verdicts: it signs too, which proves that it is there
        #[arg(long, value_name = "FILE")]
        node: PathBuf,
    },
    /// Give the seat up; audits of batches that were posted before still ask it
    Leave { class: u16 },
    /// End the seat of a verifier that lost its stake; anyone may
    Evict {
        class: u16,
        /// Wallet of the verifier
        #[arg(value_parser = input::address)]
        owner: Pubkey,
    },
}

/// The set of a class. Times are Unix seconds.
#[derive(Serialize)]
struct SetLine {
    class: u16,
    /// Seats that are held now.
    seats: Vec<SeatLine>,
}

#[derive(Clone, Serialize)]
struct SeatLine {
    seat: u8,
    owner: String,
    node: String,
    joined_at: i64,
}

/// What joining or leaving did.
#[derive(Serialize)]
struct Changed {
    class: u16,
    seat: Option<u8>,
    owner: String,
    /// Nothing when it was so already.
    signature: Option<String>,
}

pub async fn run(command: VerifiersCommand, context: &Context) -> anyhow::Result<()> {
    match command {
        VerifiersCommand::List { class } => list(class, context).await,
        VerifiersCommand::Create { class } => create(class, context).await,
        VerifiersCommand::Join { class, node } => join(class, &node, context).await,
        VerifiersCommand::Leave { class } => leave(class, context).await,
        VerifiersCommand::Evict { class, owner } => evict(class, owner, context).await,
    }
}

async fn list(class: Option<u16>, context: &Context) -> anyhow::Result<()> {
    let sets: Vec<(Pubkey, VerifierSet)> = context.chain.all(&settlement::ID).await?;
    let mut classes: Vec<u16> = sets.iter().map(|(_, set)| set.det_class).collect();
    classes.sort_unstable();
    classes.retain(|known| class.is_none_or(|class| class == *known));
    let mut lines = Vec::new();
    for class in classes {
        lines.push(SetLine { class, seats: held(&data(&context.chain, class).await?)? });
    }
    output::print(context.json, &lines, |lines| {
        let rows = lines.iter().flat_map(|set| {
            set.seats.iter().map(|seat| {
                let since = seat.joined_at.to_string();
                vec![set.class.to_string(), seat.seat.to_string(), seat.owner.clone(), seat.node.clone(), since]
            })
        });
        output::table(&["class", "seat", "verifier", "worker", "since"], rows)
    })
}

/// The raw account of a class's set.
async fn data(chain: &Chain, class: u16) -> anyhow::Result<Vec<u8>> {
    let data = chain.data(&settlement::seeds::find_verifier_set(class).0).await?;
    data.with_context(|| {
        format!("class {class} has no verifiers yet; `waybill audit verifiers create {class}` begins it")
    })
}

/// The seats that are held now.
fn held(set: &[u8]) -> anyhow::Result<Vec<SeatLine>> {
    let mut lines = Vec::new();
    for index in (0u8..).take(SEATS) {
        let Seat { owner, node, joined_at, left_at } = VerifierSet::seat(set, index)?;
        if owner != Pubkey::default() && left_at == 0 {
            lines.push(SeatLine { seat: index, owner: owner.to_string(), node: node.to_string(), joined_at });
        }
    }
    Ok(lines)
}

async fn seat_of(chain: &Chain, class: u16, owner: &Pubkey) -> anyhow::Result<Option<SeatLine>> {
    let (seats, owner) = (held(&data(chain, class).await?)?, owner.to_string());
    Ok(seats.into_iter().find(|seat| seat.owner == owner))
}

async fn create(class: u16, context: &Context) -> anyhow::Result<()> {
    let address = settlement::seeds::find_verifier_set(class).0;
    if context.chain.data(&address).await?.is_none() {
        if context.chain.data(&market::seeds::find_det_class(class).0).await?.is_none() {
            bail!("there is no determinism class {class}; `waybill audit class list` shows all");
        }
        let wallet = context.wallet()?;
        context.chain.send(&wallet, &[], &[ix::audits::create_verifier_set(wallet.pubkey(), class)]).await?;
    }
    list(Some(class), context).await
}

async fn join(class: u16, node: &Path, context: &Context) -> anyhow::Result<()> {
    let (wallet, node) = (context.wallet()?, read_keypair(node)?);
    let owner = wallet.pubkey();
    let known = seat_of(&context.chain, class, &owner).await?;
    if let Some(other) = known.as_ref().filter(|seat| seat.node != node.pubkey().to_string()) {
        bail!("{owner} sits there with the worker {}: `waybill audit verifiers leave {class}` first", other.node);
    }
    let mut signature = None;
    if known.is_none() {
        let party = market::seeds::find_party(&owner, Role::Verifier).0;
        if context.chain.account::<Party>(&party).await?.is_none() {
            bail!("{owner} is no verifier yet; `waybill party register verifier --stake AIC` makes it one");
        }
        let join = ix::audits::join_verifiers(owner, node.pubkey(), class);
        signature = Some(context.chain.send(&wallet, &[&node], &[join]).await?.to_string());
    }
    let seat = seat_of(&context.chain, class, &owner).await?.map(|seat| seat.seat);
    print(context, &Changed { class, seat, owner: owner.to_string(), signature })
}

async fn leave(class: u16, context: &Context) -> anyhow::Result<()> {
    let wallet = context.wallet()?;
    let owner = wallet.pubkey();
    let mut signature = None;
    if let Some(seat) = seat_of(&context.chain, class, &owner).await? {
        let leave = ix::audits::leave_verifiers(owner, class, seat.seat);
        signature = Some(context.chain.send(&wallet, &[], &[leave]).await?.to_string());
    }
    print(context, &Changed { class, seat: None, owner: owner.to_string(), signature })
}

async fn evict(class: u16, owner: Pubkey, context: &Context) -> anyhow::Result<()> {
    let mut signature = None;
    if let Some(seat) = seat_of(&context.chain, class, &owner).await? {
        let wallet = context.wallet()?;
        let evict = ix::audits::evict_verifier(owner, class, seat.seat);
        signature = Some(context.chain.send(&wallet, &[], &[evict]).await?.to_string());
    }
    print(context, &Changed { class, seat: None, owner: owner.to_string(), signature })
}

fn print(context: &Context, changed: &Changed) -> anyhow::Result<()> {
    output::print(context.json, changed, |Changed { class, seat, owner, .. }| match seat {
        Some(seat) => format!("{owner} holds seat {seat} of class {class}"),
        None => format!("{owner} holds no seat of class {class}"),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_seats_that_are_held_are_listed_and_no_others() {
        let mut data = vec![0; VerifierSet::SPACE];
        let [first, second] = [1, 2].map(|byte| Pubkey::new_from_array([byte; 32]));
        let mut set =
            VerifierSet { version: 1, bump: 1, det_class: 1, seated: 0, seq: 0, rent_payer: first, _reserved: [0; 64] };
        assert!(held(&data).unwrap().is_empty());
        set.join(&mut data, first, second, 10).unwrap();
        set.join(&mut data, second, first, 20).unwrap();
        set.leave(&mut data, 0, &first, 30).unwrap();
        let seats = held(&data).unwrap();
        assert_eq!(seats.len(), 1);
        assert_eq!((seats[0].seat, seats[0].joined_at), (1, 20));
        assert_eq!((seats[0].owner.clone(), seats[0].node.clone()), (second.to_string(), first.to_string()));
        assert!(held(&data[..100]).is_err(), "a cut account is no set");
    }
}
