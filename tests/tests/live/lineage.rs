//! A derived model on the whole network: linked with the command line, served by a real worker, every vendor of its
//! lineage paid, and its curator paid a bounty.

use crate::{
    ALONE,
    network::{Books, Network, read_key, ready_to_run},
};
use serde_json::Value;
use solana_keypair::Keypair;
use solana_signer::Signer;
use std::path::{Path, PathBuf};
use waybill_chain::{
    ix,
    market::{
        seeds::find_royalties,
        state::{Role, Royalties},
    },
};

const AIC: u64 = 1_000_000_000;
/// Seconds of a pricing epoch of the quick plan.
const PRICING_S: i64 = 24 * 20;

/// A staked vendor that the demonstration does not have.
async fn vendor(network: &Network, folder: &Path) -> (Keypair, PathBuf) {
    let (wallet, file) = network.purse(folder, "root", 700 * AIC).await;
    let owner = wallet.pubkey();
    let stake =
        [ix::market::register_party(owner, owner, Role::Vendor), ix::market::add_stake(owner, Role::Vendor, 600 * AIC)];
    network.chain.send(&wallet, &[], &stake).await.unwrap();
    (wallet, file)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_derived_model_is_served_and_every_vendor_of_its_lineage_is_paid() {
    if !ready_to_run() {
        return;
    }
    let _alone = ALONE.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let network = Network::up(folder.path());
    let key = |name: &str| folder.path().join(format!("data/keys/{name}.json"));
    let (root, root_file) = vendor(&network, folder.path()).await;

    // The root: registered, with an ask, and open for derivatives at less than it asks.
    let model = folder.path().join("root.onnx");
    std::fs::write(&model, "the model that the other one was tuned from").unwrap();
    let model = model.to_str().unwrap();
    let registered =
        network.waybill(&root_file, &["artifact", "register", model, "--name", "root", "--licence", "MIT"]);
    let root_hash = text(&registered["hash"]);
    network.waybill(&root_file, &["ask", "post", "vendor", &root_hash, "1500"]);
    network.waybill(&root_file, &["artifact", "licence", &root_hash, "--ceiling", "300"]);

    // The demonstration's embedding model becomes its derivative, and a container of its own serves it.
    let artifacts = network.waybill(&root_file, &["artifact", "list"]);
    let embed = network.model("embed");
    let artifact = artifacts.as_array().unwrap().iter().find(|line| line["name"] == embed.as_str()).unwrap();
    let hash = text(&artifact["hash"]);
    let lineage = network.waybill(&key("vendor"), &["artifact", "link", &hash, &root_hash]);
    assert_eq!(lineage["generations"][0]["counted_nc"], 300);
    let manifest = folder.path().join("container.toml");
    let stage = format!("artifact = \"{hash}\"\nkind = \"embed\"\nmarket = 1\nweight_bps = 10000\n");
    std::fs::write(&manifest, format!("name = \"derived\"\nbeta_bps = 500\n\n[[stage]]\n{stage}")).unwrap();
    network.waybill(&key("weaver"), &["container", "publish", manifest.to_str().unwrap()]);
    network.waybill(&key("weaver"), &["ask", "post", "weaver", "derived", "100"]);

    // The root's vendor adds to what the curator gets for bringing consumers to it, from the weaver's 5 % on.
    let party = |name: &str| read_key(&key(name)).pubkey();
    let (gateway, curator) = (party("gateway"), party("curator"));
    let (of, by) = (gateway.to_string(), curator.to_string());
    let open = ["bounty", "open", "derived", &by, "--gateway", &of, "--top-up", "1000", "--min", "500"];
    let opened = network.waybill(&root_file, &[&open[..], &["--fund", "50"]].concat());
    let bounty = text(&opened["bounty"]);
    assert_eq!((&opened["left_aic"], &opened["end_epoch"]), (&(50 * AIC).into(), &Value::Null));
    assert_eq!(network.waybill(&root_file, &open)["bounty"], opened["bounty"], "the same promise is one bounty");
    network.waybill(&root_file, &["bounty", "fund", &bounty, "10"]);
    let others = network.refused(&key("weaver"), &["bounty", "fund", &bounty, "1"]);
    assert!(others.contains(&root.pubkey().to_string()), "{others}");

    let charge = network.embed_by("derived", "a parcel that two vendors send").await;
    // All of it is settled, shared out and topped up: nothing moves any more.
    let now = u32::try_from(network.chain.unix_time().await.unwrap() / PRICING_S).unwrap();
    let artifact: [u8; 32] = hex::decode(&hash).unwrap().try_into().unwrap();
    let pots = [now - 1, now, now + 1].map(|epoch| find_royalties(&artifact, epoch).0);
    let paid = |charged_nc: u64| {
        move |books: &Books| {
            let shared = books.earnings.iter().filter(|e| pots.contains(&e.owner)).all(|pot| pot.amount_aic == 0);
            let added: u64 = books.batches.iter().map(|batch| batch.aic / 10).sum();
            let swept = books.posted_nc() == charged_nc && books.swept_nc() == charged_nc;
            swept && shared && books.bounties[0].paid_aic == added
        }
    };
    let books = network.until("the first batch pays vendors and curator", paid(charge.nc)).await;
    let earned = |owner| books.earnings.iter().find(|e| e.owner == owner).map_or(0, |e| e.total_in_aic);

    // The table's address keeps nothing, and the root has its part of what it took in.
    let tables: Vec<(_, Royalties)> = network.chain.all(&waybill_chain::market::ID).await.unwrap();
    let table = tables.iter().find(|(address, _)| earned(*address) > 0).map(|(_, table)| table).unwrap();
    assert_eq!(hex::encode(table.artifact), hash);
    let address = find_royalties(&table.artifact, table.pricing_epoch).0;
    let pot = books.earnings.iter().find(|e| e.owner == address).unwrap();
    assert_eq!(pot.amount_aic, 0, "everything is shared out");
    assert_eq!(earned(root.pubkey()), table.split(pot.total_in_aic).unwrap().parts[0]);
    books.assert_conserved();

    // Later batches pay the same, whose claims and sweep go in one transaction because all earnings are open.
    let again = network.embed_by("derived", "another parcel that two vendors send").await;
    let books = network.until("the second batch pays vendors and curator", paid(charge.nc + again.nc)).await;
    books.assert_conserved();

    // A tenth of the requests' worth on top, paid out of the bounty alone.
    let [promised] = books.bounties.as_slice() else { panic!("one bounty") };
    assert_eq!(promised.amount_aic + promised.paid_aic, 60 * AIC);
    let shown = network.waybill(&root_file, &["bounty", "show", &bounty]);
    assert_eq!(shown["paid_aic"], promised.paid_aic);
    assert_eq!(network.waybill(&root_file, &["bounty", "list"]).as_array().unwrap().len(), 1);

    // What the settlement has shared is not shared again by hand.
    let epoch = table.pricing_epoch.to_string();
    let shared = network.waybill(&root_file, &["artifact", "share", &hash, "--pricing-epoch", &epoch]);
    assert_eq!((&shared["amount_aic"], &shared["signature"]), (&0.into(), &Value::Null));

    // The bounty ends with the running epoch, and its curator keeps its time to claim.
    let early = network.refused(&root_file, &["bounty", "close", &bounty]);
    assert!(early.contains("waybill bounty end"), "{early}");
    let ended = network.waybill(&root_file, &["bounty", "end", &bounty]);
    assert!(ended["end_epoch"].as_u64().is_some());
    assert_eq!(network.waybill(&root_file, &["bounty", "end", &bounty])["end_epoch"], ended["end_epoch"]);
    let early = network.refused(&root_file, &["bounty", "close", &bounty]);
    assert!(early.contains("may still claim for"), "{early}");

    // The weaver moves the curator's share by a step, its vendor closes the root for new derivatives.
    let moved = network.waybill(&key("weaver"), &["container", "set-beta", "derived", "600"]);
    assert_eq!(network.waybill(&key("weaver"), &["container", "set-beta", "derived", "600"]), moved);
    let far = network.refused(&key("weaver"), &["container", "set-beta", "derived", "900"]);
    assert!(far.contains("in steps"), "{far}");
    let closed = network.waybill(&root_file, &["artifact", "licence", &root_hash, "--closed"]);
    assert_eq!((&closed["open"], &closed["changed"]), (&false.into(), &true.into()));
    let again = network.waybill(&root_file, &["artifact", "licence", &root_hash, "--closed"]);
    assert_eq!(again["changed"], false);
    let still = network.waybill(&root_file, &["artifact", "lineage", &hash]);
    assert_eq!(still["generations"][0]["counted_nc"], 300, "a link keeps its terms");

    // A receipt says so too.
    let verified = network.verify(&charge);
    assert_eq!(text(&verified["parts"][0]["shares"][0]["payee"]), root.pubkey().to_string());
}
