//! Finds things on chain by what people call them.

use crate::{input, role};
use anchor_lang::prelude::Pubkey;
use anyhow::{Context as _, bail};
use waybill_chain::{
    Chain,
    market::{
        self,
        state::{Container, ContainerState, Role},
    },
    settlement::{self, state::SettleConfig},
};
use waybill_mechanism::amount;

/// The settlement program's parameters.
pub async fn settle_config(chain: &Chain) -> anyhow::Result<SettleConfig> {
    Ok(chain
        .expect("settlement configuration", &settlement::seeds::find_config().0, "run `waybill genesis` first")
        .await?)
}

/// The pricing epoch of the chain's present.
pub async fn pricing_epoch(chain: &Chain) -> anyhow::Result<u32> {
    let config = settle_config(chain).await?;
    let epoch = u32::try_from(chain.unix_time().await? / i64::from(config.epoch_s.max(1)))
        .context("the chain's clock is before 1970")?;
    Ok(amount::pricing_epoch(epoch))
}

/// A container by its id, or by the name consumers use; a retired one only when no active one has the name.
pub async fn container(chain: &Chain, wanted: &str) -> anyhow::Result<Container> {
    if let Ok(id) = input::hash(wanted) {
        return Ok(chain
            .expect("container", &market::seeds::find_container(&id).0, "`waybill container list` shows all")
            .await?);
    }
    let all: Vec<(Pubkey, Container)> = chain.all(&market::ID).await?;
    let mut named: Vec<Container> =
        all.into_iter().map(|(_, container)| container).filter(|container| container.name == wanted).collect();
    if named.iter().any(|container| container.state == ContainerState::Active) {
        named.retain(|container| container.state == ContainerState::Active);
    }
    let ids: Vec<String> = named.iter().map(|container| hex::encode(container.id)).collect();
    match (named.pop(), named.is_empty()) {
        (Some(container), true) => Ok(container),
        (None, _) => bail!("no container is called {wanted:?}; `waybill container list` shows all"),
        (Some(_), false) => {
            bail!("{} containers are called {wanted:?}; name one by its id: {}", ids.len(), ids.join(", "))
        }
    }
}

/// What an ask is about: an artifact's hash for vendor and OEM, a container by name or id for the weaver.
pub async fn subject(chain: &Chain, role: Role, wanted: &str) -> anyhow::Result<[u8; 32]> {
    match role {
        Role::Vendor | Role::Oem => {
            input::hash(wanted).map_err(anyhow::Error::msg).context("a vendor's or OEM's ask is about a model file")
        }
        Role::Weaver => Ok(container(chain, wanted).await?.id),
        _ => bail!("a {} posts no ask: only vendor, oem and weaver do", role::name(role)),
    }
}
