//! A derived model on a [`Network`]: a root, a child of it and a grandchild that a container serves.

use anchor_lang::prelude::Pubkey;
use market::{
    instructions::{CreateContainerArgs, RegisterArtifactArgs},
    seeds,
    state::{Role, Royalties, Stage, StageKind},
};
use solana_keypair::Keypair;
use solana_signer::Signer;

use crate::{Network, World, ix::market_ix, ix_lineage as ix, key};

/// The worked lineage of the design: asks of 1,500, 700 and 400 are the 2,600 of the worked price, shared as 5769, 2692
/// and 1539 bps. The root wants 9,000 and is held to the ceiling it was linked at.
pub struct Family {
    /// The network; its vendor owns the grandchild, which its container serves.
    pub net: Network,
    /// Owner of the root.
    pub root: Keypair,
    /// Owner of the child.
    pub child: Keypair,
    /// Hashes of the root and of the child.
    pub ancestors: [[u8; 32]; 2],
}

impl Family {
    /// Registered, with asks, and nothing linked.
    #[must_use]
    pub fn strangers() -> Self {
        let mut net = Network::without_snapshot();
        let [root, child] = ["root vendor", "child vendor"].map(key);
        let ancestors = [[0xB1; 32], [0xB2; 32]];
        let leaf = [0xB3; 32];
        let (vendor, oem, weaver) =
            (net.vendor.insecure_clone(), net.oem.insecure_clone(), net.weaver.insecure_clone());
        let world = &mut net.world;
        for owner in [&root, &child] {
            world.party(owner, Role::Vendor);
        }
        register(world, &root, None, ancestors[0], 9_000);
        register(world, &child, None, ancestors[1], 700);
        register(world, &vendor, Some(&oem), leaf, 400);
        let payer = world.payer.pubkey();
        world.must(&[market_ix::post_ask(payer, oem.pubkey(), Role::Oem, leaf, 2_600)], &[&oem]);
        let id = [0xCB; 32];
        let stages = vec![Stage { artifact: leaf, kind: StageKind::Chat, market: 1, weight_bps: 10_000 }];
        let create = CreateContainerArgs {
            id,
            name: "derived-chat".into(),
            beta_bps: 500,
            ceiling_nc: 0,
            uri_hash: [1; 32],
            terms_hash: [2; 32],
            stages: stages.clone(),
        };
        world.must(&[market_ix::create_container(payer, weaver.pubkey(), create)], &[&weaver]);
        world.must(&[market_ix::post_ask(payer, weaver.pubkey(), Role::Weaver, id, 2_600)], &[&weaver]);
        (net.artifact, net.container, net.stages) = (leaf, id, stages);
        Self { net, root, child, ancestors }
    }

    /// Root and child opened their licences and both links are made.
    #[must_use]
    pub fn linked() -> Self {
        let mut family = Self::strangers();
        let (root, child) = (family.root.insecure_clone(), family.child.insecure_clone());
        let vendor = family.net.vendor.insecure_clone();
        let [first, second] = family.ancestors;
        let world = &mut family.net.world;
        world.measure("market::set_ceiling", "open", ix::set_ceiling(root.pubkey(), &first, true, 1_500), &[&root]);
        world.measure(
            "market::link_license",
            "child",
            ix::link_license(child.pubkey(), &second, &first, 1_500),
            &[&child],
        );
        world.must(&[ix::set_ceiling(child.pubkey(), &second, true, 800)], &[&child]);
        let link = ix::link_license(vendor.pubkey(), &family.net.artifact, &second, 800);
        world.measure("market::link_license", "grandchild", link, &[&vendor]);
        family
    }

    /// With the royalty table and the snapshot of the pricing epoch.
    #[must_use]
    pub fn rolled() -> Self {
        let mut family = Self::linked();
        let epoch = family.net.world.pricing_epoch();
        let royalties = family.roll_royalties_ix(epoch);
        family.net.world.measure("market::roll_royalties", "3 generations", royalties, &[]);
        let roll = ix::roll_derived(&family.net.roll_of(0, epoch));
        family.net.world.measure("market::roll_container", "derived", roll, &[]);
        family
    }

    /// Freezes the royalty table.
    #[must_use]
    pub fn roll_royalties_ix(&self, pricing_epoch: u32) -> anchor_lang::solana_program::instruction::Instruction {
        let payer = self.net.world.payer.pubkey();
        ix::roll_royalties(payer, &self.net.artifact, &self.ancestors, pricing_epoch)
    }

    /// Address and content of the royalty table.
    #[must_use]
    pub fn royalties(&self, pricing_epoch: u32) -> (Pubkey, Royalties) {
        let address = seeds::find_royalties(&self.net.artifact, pricing_epoch).0;
        (address, self.net.world.read(&address))
    }
}

/// Registers an artifact and posts its vendor's ask.
fn register(world: &mut World, vendor: &Keypair, oem: Option<&Keypair>, hash: [u8; 32], ask_nc: u64) {
    let payer = world.payer.pubkey();
    let file = RegisterArtifactArgs { hash, size: 1, name: "model".into(), licence: "MIT".into() };
    let oem_key = oem.map(Signer::pubkey);
    let signers: Vec<&Keypair> = std::iter::once(vendor).chain(oem).collect();
    world.must(&[market_ix::register_artifact(payer, vendor.pubkey(), oem_key, file)], &signers);
    world.must(&[market_ix::post_ask(payer, vendor.pubkey(), Role::Vendor, hash, ask_nc)], &[vendor]);
}
