//! Classes of containers, and how their traffic is shared: a function of the chain's accounts alone, so that a third party
//! with the same accounts has the same shares and recomputes every pick.

use crate::catalogue::{Model, View};
use market::state::StageKind;
use std::sync::Arc;
use waybill_mechanism::routing::{Contender, route_weight, shares};

/// Classes by the name that a request gives, and what their containers do.
pub const CLASSES: [(&str, StageKind); 2] = [("auto/chat", StageKind::Chat), ("auto/embed", StageKind::Embed)];
/// Price sensitivity of routing.
const THETA: u32 = 10;
/// Quality of every container until records of it are on chain: the neutral value, so that prices decide.
const NEUTRAL_QUALITY: u16 = 10_000;

/// A container of a class.
#[derive(Debug, Clone)]
pub struct ClassMember {
    pub model: Arc<Model>,
    /// Frozen price of its stage in nano-credits per 1,000 billable units.
    pub price_nc: u64,
    /// Of the class's traffic, in parts of `waybill_mechanism::routing::PARTS`.
    pub share: u64,
}

/// The kind of a class; `None` for a name that is none.
pub fn class_kind(name: &str) -> Option<StageKind> {
    CLASSES.iter().find(|(class, _)| *class == name).map(|(_, kind)| *kind)
}

impl View {
    /// The class's containers in a pricing epoch, with their shares.
    pub fn class(&self, kind: StageKind, pricing_epoch: u32) -> Vec<ClassMember> {
        class(self.models.values(), kind, pricing_epoch)
    }
}

/// The containers of one stage of this kind with a frozen price for the pricing epoch, by id, with their shares. A container
/// without a snapshot of the pricing epoch before is a newcomer.
pub fn class<'a>(
    models: impl IntoIterator<Item = &'a Arc<Model>>,
    kind: StageKind,
    pricing_epoch: u32,
) -> Vec<ClassMember> {
    let member = |model: &'a Arc<Model>| {
        let [stage] = model.stages.as_slice() else { return None };
        let snapshot = stage.snapshot(pricing_epoch).filter(|_| stage.kind == kind)?;
        let before = pricing_epoch.checked_sub(1).and_then(|epoch| stage.snapshot(epoch));
        Some((model.clone(), snapshot.price_nc, before.is_none()))
    };
    let mut members: Vec<(Arc<Model>, u64, bool)> = models.into_iter().filter_map(member).collect();
    members.sort_by_key(|(model, ..)| model.container);
    let cheapest = members.iter().map(|(_, price, _)| *price).min().unwrap_or(0);
    let contenders: Vec<Contender> = members
        .iter()
        .map(|(model, price_nc, is_newcomer)| Contender {
            weight: route_weight(NEUTRAL_QUALITY, *price_nc, NEUTRAL_QUALITY, cheapest, THETA).unwrap_or(0),
            owner: model.weaver.to_bytes(),
            nest: model.stages.first().map_or([0; 32], |stage| stage.artifact),
            is_newcomer: *is_newcomer,
        })
        .collect();
    let shares = shares(&contenders);
    members
        .into_iter()
        .zip(shares)
        .map(|((model, price_nc, _), share)| ClassMember { model, price_nc, share })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::catalogue::Stage;
    use anchor_lang::prelude::Pubkey;
    use market::state::{Payees, SplitSnapshot};
    use waybill_mechanism::routing::{CAP, EXPLORATION, PARTS, class_id, epoch_seed, pick};

    const NOW: u32 = 7;

    fn snapshot(pricing_epoch: u32, price_nc: u64) -> SplitSnapshot {
        let none = Pubkey::default();
        SplitSnapshot {
            version: 1,
            bump: 1,
            stage: 0,
            pricing_epoch,
            container: [0; 32],
            artifact: [0; 32],
            price_nc,
            base_nc: 1,
            bps: [0, 0, 10_000, 0, 0, 0],
            payees: Payees { vendor: none, oem: none, weaver: none },
            rent_payer: none,
            derived: false,
            _reserved: [0; 63],
        }
    }

    /// A chat container of one stage whose price was frozen for these pricing epochs.
    fn model(tag: u8, price_nc: u64, frozen: &[u32]) -> Arc<Model> {
        let stage = Stage {
            kind: StageKind::Chat,
            artifact: [tag; 32],
            artifact_name: String::new(),
            licence: String::new(),
            size: 1,
            market: 1,
            derived: false,
            snapshots: frozen.iter().map(|epoch| snapshot(*epoch, price_nc)).collect(),
        };
        Arc::new(Model {
            name: format!("m{tag}"),
            container: [tag; 32],
            weaver: Pubkey::new_from_array([tag; 32]),
            stages: vec![stage],
        })
    }

    fn shares_of(models: &[Arc<Model>]) -> Vec<(u8, u64)> {
        class(models, StageKind::Chat, NOW).iter().map(|member| (member.model.container[0], member.share)).collect()
    }

    /// The third party has the four frozen prices and writes the formula down again, in other code.
    #[test]
    fn a_third_party_recomputes_shares_and_picks_from_the_frozen_prices() {
        let prices = [(4u8, 24_000u64), (1, 21_689), (3, 22_800), (2, 19_900)];
        let models: Vec<Arc<Model>> = prices.iter().map(|(tag, price)| model(*tag, *price, &[NOW - 1, NOW])).collect();
        let members = class(&models, StageKind::Chat, NOW);

        let mut sorted = prices;
        sorted.sort_unstable();
        let weight = |price: u64| (19_900.0 / price as f64).powi(10);
        let total: f64 = sorted.iter().map(|(_, price)| weight(*price)).sum();
        let mut expected: Vec<f64> = sorted.iter().map(|(_, price)| weight(*price) / total).collect();
        // The cheapest would get more than 40 %: it gets 40, and the others share the rest as before.
        assert!(expected[1] > 0.4);
        let others = 1.0 - expected[1];
        expected
            .iter_mut()
            .enumerate()
            .for_each(|(i, share)| *share = if i == 1 { 0.4 } else { *share * 0.6 / others });
        for (member, expected) in members.iter().zip(&expected) {
            assert!((member.share as f64 / PARTS as f64 - expected).abs() < 1e-5, "{expected} {}", member.share);
        }

        let seed = epoch_seed(b"localnet", NOW);
        let shares: Vec<u64> = members.iter().map(|member| member.share).collect();
        let mut counts = [0u32; 4];
        for request in 0u32..20_000 {
            let mut hash = [0; 32];
            hash[..4].copy_from_slice(&request.to_le_bytes());
            let picked = pick(&hash, &seed, 0, &shares).unwrap();
            assert_eq!(pick(&hash, &seed, 0, &shares), Some(picked), "the same request goes the same way");
            counts[picked] += 1;
        }
        for (count, expected) in counts.iter().zip(&expected) {
            assert!((f64::from(*count) / 20_000.0 - expected).abs() < 0.02, "{counts:?} {expected}");
        }
    }

    #[test]
    fn only_priced_containers_of_the_kind_take_part_and_newcomers_share_the_exploration() {
        let settled = [1, 2, 3].map(|tag| model(tag, 20_000, &[NOW - 1, NOW]));
        let (fresh, unpriced) = (model(8, 15_000, &[NOW]), model(9, 15_000, &[NOW - 1]));
        let mut models = settled.to_vec();
        models.extend([fresh.clone(), unpriced]);
        let shares = shares_of(&models);
        assert_eq!(shares.last(), Some(&(8, EXPLORATION)));
        assert_eq!(shares.len(), 4);
        assert_eq!(class(&models, StageKind::Embed, NOW).len(), 0);
        // Where all are new, they compete as if none was.
        assert_eq!(shares_of(&[fresh]), [(8, PARTS)]);
        assert!(shares_of(&settled).iter().all(|(_, share)| *share <= CAP));
    }

    #[test]
    fn classes_have_names_and_ids() {
        assert_eq!(class_kind("auto/chat"), Some(StageKind::Chat));
        assert_eq!(class_kind("someone/auto"), None);
        assert_ne!(class_id("auto/chat"), class_id("auto/embed"));
    }
}
