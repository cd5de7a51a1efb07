//! A market's book on the whole network: what the gateway reports as demand, and what leaves the book before it clears.

use crate::{
    ALONE,
    network::{Network, QUICK_PLAN, read_key, ready_to_run},
};
use anchor_lang::prelude::Pubkey;
use serde_json::Value;
use solana_signer::Signer;
use waybill_chain::market::{
    seeds::{find_container, find_market, find_observation, find_offer, find_snapshot},
    state::{Container, Market, Observation, Offer, SplitSnapshot},
};

/// The shortest epochs that exist: a pricing epoch takes four minutes.
const EPOCH_S: i64 = 10;
const PRICING_S: i64 = 24 * EPOCH_S;

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("no {field} in {value}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_book_clears_on_reported_demand_and_without_workers_that_are_gone() {
    if !ready_to_run() {
        return;
    }
    let _alone = ALONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let terms = QUICK_PLAN.replace("\nepoch_s = 20", &format!("\nepoch_s = {EPOCH_S}"));
    assert_ne!(terms, QUICK_PLAN);
    let network = Network::up_on(folder.path(), &terms);
    let chain = &network.chain;
    let key = |name: &str| folder.path().join(format!("data/keys/{name}.json"));

    // The first worker's operator takes its delegation back; the offer stays where it was.
    let worker: Pubkey = text(&network.process.ready["workers"][0], "worker").parse().unwrap();
    let book = find_market(1).0;
    let offer = find_offer(&book, &worker).0;
    let payer = chain.account::<Offer>(&offer).await.unwrap().unwrap().rent_payer;
    let rent = chain.lamports(&offer).await.unwrap();
    assert_eq!(chain.account::<Market>(&book).await.unwrap().unwrap().owners, 1);
    network.waybill(&key("operator-1"), &["worker", "revoke", &worker.to_string()]);

    // The other one serves, in one pricing epoch.
    let now = chain.unix_time().await.unwrap();
    if now % PRICING_S > PRICING_S - 60 {
        network.until_time((now / PRICING_S + 1) * PRICING_S).await;
    }
    let pricing_epoch = u32::try_from(chain.unix_time().await.unwrap() / PRICING_S).unwrap();
    let mut charged_nc = 0;
    for i in 0..5 {
        charged_nc += network.embed(&format!("parcel {i} of a day's demand")).await.nc;
    }

    let before = chain.lamports(&payer).await.unwrap();
    network.until_gone("an offer of nobody", &offer).await;
    assert_eq!(chain.lamports(&payer).await.unwrap(), before + rent, "its rent is back");
    assert_eq!(chain.account::<Market>(&book).await.unwrap().unwrap().owners, 0);

    // In the next pricing epoch the gateway reports the units of this one.
    let models = network.process.ready["models"].as_array().unwrap();
    let embed = models.iter().find(|model| model["kind"] == "embed").unwrap();
    let id: [u8; 32] = hex::decode(text(embed, "container")).unwrap().try_into().unwrap();
    let container: Container = chain.account(&find_container(&id).0).await.unwrap().unwrap();
    let gateway = read_key(&key("gateway")).pubkey();
    let report = find_observation(&find_market(container.stages[0].market).0, &gateway).0;
    network.until_time(i64::from(pricing_epoch + 1) * PRICING_S).await;
    let observed = network.until_there::<Observation>("the gateway's report", &report).await;
    let snapshot = find_snapshot(&id, 0, pricing_epoch).0;
    let snapshot: SplitSnapshot = chain.account(&snapshot).await.unwrap().unwrap();
    let units = charged_nc * 1_000 / snapshot.price_nc;
    assert_eq!((observed.pricing_epoch, observed.units), (pricing_epoch + 1, units));
}
