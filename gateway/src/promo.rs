//! Promotion in the API: which models hold a slot, what is said about it, and when a request goes through one. The order
//! of models never depends on it: sponsored models are shown beside the list, with their payer, and a request goes
//! through a slot only when it says so itself.

use crate::market::{Market, Model, ModelKind, Placement};
use serde::Serialize;

/// Most sponsored models that are shown.
const MAX_SHOWN: usize = 3;
/// Where a list that mixes them in shows them, counted from 1: at most one among the first three.
const PLACES: [u32; MAX_SHOWN] = [1, 4, 7];
/// Names that let the gateway choose; only a request that opts in gets a sponsored model for them.
const AUTO: [(&str, ModelKind); 2] = [("auto/chat", ModelKind::Chat), ("auto/embed", ModelKind::Embedding)];

/// What must be said of everything that promotion placed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Label {
    /// For people, beside the item.
    pub label: &'static str,
    pub slot: u8,
    /// Who pays.
    pub payer: String,
    /// The auction's account, where everybody can see what was bid and paid.
    pub auction: String,
}

impl From<&Placement> for Label {
    fn from(placement: &Placement) -> Self {
        Self {
            label: "Sponsored",
            slot: placement.position,
            payer: placement.payer.to_string(),
            auction: placement.auction.to_string(),
        }
    }
}

impl Label {
    /// The value of `X-Waybill-Sponsored`.
    pub fn header(&self) -> String {
        format!("slot={}; payer={}; auction={}", self.slot, self.payer, self.auction)
    }
}

/// A sponsored model of a listing.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Shown<'a> {
    pub id: &'a str,
    #[serde(flatten)]
    pub label: Label,
    /// Its place in a list that mixes sponsored models in.
    pub place: u32,
}

/// The sponsored models to show beside the list, best slot first.
pub fn shown<'a>(models: &'a [Model], placements: &[Placement]) -> Vec<Shown<'a>> {
    let mut placements: Vec<&Placement> = placements.iter().collect();
    placements.sort_by_key(|placement| (placement.position, placement.auction));
    let found = placements
        .into_iter()
        .filter_map(|placement| Some((models.iter().find(|model| model.container == placement.container)?, placement)));
    found
        .zip(PLACES)
        .map(|((model, placement), place)| Shown { id: &model.name, label: placement.into(), place })
        .collect()
}

/// The slot that a model holds now.
pub fn placement(market: &dyn Market, model: &Model) -> Option<Placement> {
    market.placements().into_iter().find(|placement| placement.container == model.container)
}

/// The sponsored model for a request that lets the gateway choose: the one in the best slot that can be sold. Only for
/// requests that opt in.
pub fn chosen(market: &dyn Market, name: &str) -> Option<Model> {
    let (_, kind) = AUTO.into_iter().find(|(auto, _)| *auto == name)?;
    let models = market.models();
    let mut placements = market.placements();
    placements.sort_by_key(|placement| (placement.position, placement.auction));
    placements.iter().find_map(|placement| {
        models
            .iter()
            .find(|model| model.container == placement.container && model.kind == kind && model.quote.is_some())
            .cloned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use waybill_protocol::{ArtifactId, ContainerId, WalletId};

    fn model(n: u8) -> Model {
        Model {
            name: format!("m{n}"),
            kind: ModelKind::Chat,
            container: ContainerId([n; 32]),
            stage: 0,
            artifact: ArtifactId([n; 32]),
            quote: None,
            context: None,
            created: 0,
            owned_by: String::new(),
        }
    }

    fn held(container: u8, position: u8, auction: u8) -> Placement {
        Placement {
            position,
            payer: WalletId([1; 32]),
            container: ContainerId([container; 32]),
            auction: WalletId([auction; 32]),
        }
    }

    #[test]
    fn at_most_three_are_shown_and_one_of_them_among_the_first_three() {
        let models: Vec<Model> = (0..9).map(model).collect();
        let slots: Vec<Placement> =
            [(1, 2), (2, 2), (1, 1), (2, 1), (3, 1)].iter().zip(4u8..).map(|((p, a), c)| held(c, *p, *a)).collect();
        let shown = shown(&models, &slots);
        let seen: Vec<_> = shown.iter().map(|item| (item.id, item.label.slot, item.place)).collect();
        assert_eq!(seen, [("m6", 1, 1), ("m4", 1, 4), ("m7", 2, 7)]);
        assert_eq!(shown.iter().filter(|item| item.place <= 3).count(), 1);
    }

    #[test]
    fn a_slot_of_a_model_that_is_not_sold_here_is_not_shown() {
        assert!(shown(&[model(1)], &[held(2, 1, 1)]).is_empty());
    }

    #[test]
    fn a_label_names_slot_payer_and_auction() {
        let label = Label::from(&held(1, 2, 3));
        let (payer, auction) = (WalletId([1; 32]), WalletId([3; 32]));
        assert_eq!(label.header(), format!("slot=2; payer={payer}; auction={auction}"));
    }
}
