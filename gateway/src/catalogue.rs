//! The chain's catalogue as the gateway's [`Market`].

use crate::market::{ChannelView, Grant, Market, Model, ModelKind, Network, Node, Placement, Quote};
use crate::routes::{Class, Member};
use anchor_lang::prelude::Pubkey;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use waybill_chain::market::state::StageKind;
use waybill_chain::settlement::state::{Channel, ChannelState};
use waybill_chain::{Catalogue, View, catalogue, routing};
use waybill_mechanism::routing::{class_id, epoch_seed};
use waybill_protocol::{ArtifactId, ChannelId, ContainerId, WalletId, WorkerId};

/// A catalogue that watches this gateway's channels. A view older than `max_age` is not healthy: no new work is sold on it.
pub struct ChainMarket {
    catalogue: Arc<Catalogue>,
    network: Network,
    max_age: Duration,
}

impl ChainMarket {
    /// `None` until the catalogue has read the chain once.
    pub fn new(catalogue: Arc<Catalogue>, max_age: Duration) -> Option<Self> {
        let view = catalogue.view()?;
        let network = Network { domain: view.settle.domain, epoch_s: view.settle.epoch_s };
        Some(Self { catalogue, network, max_age })
    }
}

impl Market for ChainMarket {
    fn network(&self) -> Network {
        self.network
    }

    fn model(&self, name: &str) -> Option<Model> {
        let view = self.catalogue.view()?;
        view.models.get(name).and_then(|model| sold(&view, model))
    }

    fn models(&self) -> Vec<Model> {
        let Some(view) = self.catalogue.view() else { return Vec::new() };
        let mut models: Vec<Model> = view.models.values().filter_map(|model| sold(&view, model)).collect();
        models.sort_by(|a, b| a.name.cmp(&b.name));
        models
    }

    fn placements(&self) -> Vec<Placement> {
        let Some(view) = self.catalogue.view() else { return Vec::new() };
        let placed = view.placements().into_iter().map(|placement| Placement {
            position: placement.position,
            payer: WalletId(placement.payer.to_bytes()),
            container: ContainerId(placement.container),
            auction: WalletId(placement.auction.to_bytes()),
        });
        placed.collect()
    }

    fn class(&self, name: &str) -> Option<Class> {
        let view = self.catalogue.view()?;
        let pricing_epoch = view.pricing_epoch();
        let members = view.class(routing::class_kind(name)?, pricing_epoch);
        let members = members
            .into_iter()
            .filter_map(|member| Some(Member { model: sold(&view, &member.model)?, share: member.share }))
            .collect();
        let seed = epoch_seed(&self.network.domain, pricing_epoch);
        Some(Class { id: class_id(name), seed, members })
    }

    fn channel(&self, id: &ChannelId) -> Option<ChannelView> {
        self.catalogue.view()?.channels.get(&Pubkey::from(id.0)).map(channel)
    }

    fn node(&self, worker: &WorkerId) -> Option<Node> {
        let view = self.catalogue.view()?;
        let node = &view.nodes.get(&Pubkey::from(worker.0))?.node;
        let alive = !node.revoked && view.now_ms() / 1000 < node.expires;
        alive.then_some(Node { det_class: node.det_class })
    }

    fn rate(&self) -> u64 {
        self.catalogue.view().map_or(0, |view| view.rate)
    }

    fn now_ms(&self) -> u64 {
        let machine = || {
            u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis())
                .unwrap_or(u64::MAX)
        };
        self.catalogue.view().map_or_else(machine, |view| u64::try_from(view.now_ms()).unwrap_or(0))
    }

    fn healthy(&self) -> bool {
        self.catalogue.fresh(self.max_age).is_some()
    }
}

/// The container's stage that answers consumers. Containers of several stages need a workflow and are not sold yet.
fn sold(view: &View, model: &catalogue::Model) -> Option<Model> {
    let [stage] = model.stages.as_slice() else { return None };
    let kind = match stage.kind {
        StageKind::Chat => ModelKind::Chat,
        StageKind::Embed => ModelKind::Embedding,
        _ => return None,
    };
    let pricing_epoch = view.pricing_epoch();
    let price = |epoch| stage.snapshot(epoch).map(|snapshot| snapshot.price_nc);
    let quote =
        price(pricing_epoch).map(|per_1k| Quote { per_1k, pricing_epoch, next_per_1k: price(pricing_epoch + 1) });
    Some(Model {
        name: model.name.clone(),
        kind,
        container: ContainerId(model.container),
        stage: 0,
        artifact: ArtifactId(stage.artifact),
        quote,
        context: None,
        created: 0,
        owned_by: model.weaver.to_string(),
    })
}

fn channel(account: &Channel) -> ChannelView {
    let grant = account.grant;
    ChannelView {
        consumer: WalletId(account.consumer.to_bytes()),
        gateway: WalletId(account.gateway.to_bytes()),
        balance_aic: account.balance_aic,
        settled_nc: account.settled_nc,
        grant: (grant.limit_nc > 0).then_some(Grant {
            limit_nc: grant.limit_nc,
            period_s: grant.period_s,
            expires: grant.expires,
            referrer: WalletId(grant.referrer.to_bytes()),
            period_start: grant.period_start,
            used_nc: grant.used_nc,
        }),
        closing: account.state != ChannelState::Open,
    }
}
