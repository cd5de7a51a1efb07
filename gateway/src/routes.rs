//! Class requests: `auto/chat` names no container but a class of them, and the container is picked by hash from shares that
//! follow from the chain alone. Whoever has the request's order recomputes the pick.

use crate::market::Model;
use waybill_mechanism::routing;

/// Containers tried for one request.
const TRIES: usize = 3;
/// Picks looked at until so many different containers were found.
const MAX_ATTEMPTS: u8 = 32;

/// Containers that a class request may go to in one pricing epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    /// What the order names in place of a container.
    pub id: [u8; 32],
    /// Of all picks of the pricing epoch.
    pub seed: [u8; 32],
    /// In the order of their containers' ids.
    pub members: Vec<Member>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub model: Model,
    /// Parts of [`routing::PARTS`].
    pub share: u64,
}

impl Class {
    /// The containers to try for the request with this hash, in order: those of attempt 0, 1, 2 …, each once.
    pub fn route(&self, request_hash: &[u8; 32]) -> Vec<Model> {
        let shares: Vec<u64> = self.members.iter().map(|member| member.share).collect();
        let mut route: Vec<Model> = Vec::new();
        for attempt in 0..MAX_ATTEMPTS {
            let picked = routing::pick(request_hash, &self.seed, attempt, &shares);
            let Some(member) = picked.and_then(|index| self.members.get(index)) else { break };
            if route.iter().all(|known| known.container != member.model.container) {
                route.push(member.model.clone());
            }
            if route.len() == TRIES.min(self.members.len()) {
                break;
            }
        }
        route
    }

    /// The member whose price bounds what a request may cost, wherever it goes.
    pub fn dearest(&self) -> Option<&Model> {
        let price = |model: &Model| model.quote.map_or(0, |quote| quote.per_1k.max(quote.next_per_1k.unwrap_or(0)));
        self.members.iter().map(|member| &member.model).max_by_key(|model| price(model))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::market::{ModelKind, Quote};
    use waybill_protocol::{ArtifactId, ContainerId};

    fn class(prices: &[u64]) -> Class {
        let member = |(tag, price): (u8, &u64)| Member {
            model: Model {
                name: format!("m{tag}"),
                kind: ModelKind::Chat,
                container: ContainerId([tag; 32]),
                stage: 0,
                artifact: ArtifactId([tag; 32]),
                quote: Some(Quote { per_1k: *price, pricing_epoch: 1, next_per_1k: None }),
                context: None,
                created: 0,
                owned_by: String::new(),
            },
            share: routing::PARTS / prices.len() as u64,
        };
        Class { id: routing::class_id("auto/chat"), seed: [1; 32], members: (0..).zip(prices).map(member).collect() }
    }

    #[test]
    fn a_route_is_what_the_picks_of_growing_attempts_say_each_container_once() {
        let class = class(&[10, 30, 20, 25]);
        for request in 0..200u8 {
            let route = class.route(&[request; 32]);
            assert_eq!(route.len(), 3);
            let shares = [routing::PARTS / 4; 4];
            let mut expected: Vec<usize> = Vec::new();
            for attempt in 0..MAX_ATTEMPTS {
                let picked = routing::pick(&[request; 32], &class.seed, attempt, &shares).unwrap();
                if expected.len() < 3 && !expected.contains(&picked) {
                    expected.push(picked);
                }
            }
            let route: Vec<usize> = route.iter().map(|model| usize::from(model.container.0[0])).collect();
            assert_eq!(route, expected);
        }
    }

    #[test]
    fn the_dearest_member_bounds_the_price_and_an_empty_class_leads_nowhere() {
        assert_eq!(class(&[10, 30, 20]).dearest().unwrap().name, "m1");
        assert_eq!(class(&[10]).route(&[3; 32]).len(), 1);
        assert!(class(&[]).route(&[3; 32]).is_empty());
        assert!(class(&[]).dearest().is_none());
    }
}
