//! Bidders for promotion slots who look for a bid that serves them better than the truth.

use waybill_mechanism::amount::AmountError;
use waybill_mechanism::vcg::{Bid, Slot, gsp, vcg};

use crate::draws::Draws;

/// Values of the three slots, basis points.
const ALPHA_BPS: [u16; 3] = [10_000, 6_000, 3_000];
const RESERVE_NC: u64 = 50_000;

/// What the best lies gain over the truth.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Misreport {
    /// Bidders that were examined.
    pub bidders: u32,
    /// Bidders with a lie that gains more than the rounding of a price, 1 nc per event.
    pub tempted: u32,
    /// The largest gain of all, nc per event of the first slot.
    pub largest_gain_nc: f64,
    /// What all truthful bidders pay, nc per event of the first slot, mean over auctions.
    pub revenue_nc: f64,
}

/// Draws `auctions` auctions of 2 to 8 truthful bidders and tries for each of them every bid that could change its slot.
pub fn misreport(auctions: u32, second_price: bool, draws: &mut Draws) -> Result<Misreport, AmountError> {
    let sell = if second_price { gsp::<u64> } else { vcg::<u64> };
    let mut found = Misreport::default();
    for _ in 0..auctions {
        let n = 2 + draws.word() % 7;
        let bids: Vec<Bid<u64>> = (0..n)
            .map(|id| Bid {
                id,
                bid_nc: draws.log_between(50_000.0, 2_000_000.0) as u64,
                quality_bps: draws.between(5_000.0, 15_000.0) as u16,
            })
            .collect();
        let truth = sell(&ALPHA_BPS, RESERVE_NC, &bids)?;
        found.revenue_nc += truth.iter().zip(ALPHA_BPS).map(|(slot, alpha)| worth(slot.price_nc, alpha)).sum::<f64>();
        for bid in &bids {
            found.bidders += 1;
            let honest = utility(&truth, bid);
            let mut gain: f64 = 0.0;
            for claim in claims(bid, &bids) {
                let lied: Vec<Bid<u64>> = bids
                    .iter()
                    .map(|b| if b.id == bid.id { Bid { bid_nc: claim, ..b.clone() } } else { b.clone() })
                    .collect();
                gain = gain.max(utility(&sell(&ALPHA_BPS, RESERVE_NC, &lied)?, bid) - honest);
            }
            found.tempted += u32::from(gain > 1.0);
            found.largest_gain_nc = found.largest_gain_nc.max(gain);
        }
    }
    found.revenue_nc /= f64::from(auctions.max(1));
    Ok(found)
}

fn worth(price_nc: u64, alpha_bps: u16) -> f64 {
    price_nc as f64 * f64::from(alpha_bps) / 10_000.0
}

fn utility(slots: &[Slot<u64>], bid: &Bid<u64>) -> f64 {
    slots
        .iter()
        .zip(ALPHA_BPS)
        .find(|(slot, _)| slot.id == bid.id)
        .map_or(0.0, |(slot, alpha)| worth(bid.bid_nc, alpha) - worth(slot.price_nc, alpha))
}

/// Bids just below, at and just above every rank, and none at all.
fn claims(bid: &Bid<u64>, bids: &[Bid<u64>]) -> Vec<u64> {
    let quality = u128::from(bid.quality_bps);
    let mut claims = vec![0, RESERVE_NC];
    for rival in bids.iter().filter(|rival| rival.id != bid.id) {
        let level =
            u64::try_from(u128::from(rival.bid_nc) * u128::from(rival.quality_bps) / quality).unwrap_or(u64::MAX);
        claims.extend([level.saturating_sub(1), level, level.saturating_add(1)]);
    }
    claims
}
