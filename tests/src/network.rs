//! A small network on a [`World`]: one party per role, one model, one market, one container with a frozen snapshot.

use anchor_lang::prelude::Pubkey;
use market::{
    instructions::{CreateContainerArgs, CreateMarketArgs, RegisterArtifactArgs, RegisterNodeArgs},
    seeds,
    state::{Role, SplitSnapshot, Stage, StageKind},
};
use solana_keypair::Keypair;
use solana_signer::Signer;

use crate::{
    World,
    ix::market_ix::{self, Roll},
    key,
};

/// The worked example of the design: base 12,154, asks of 2,600 each, β 500, φ 300 give a price of 21,690 nc per
/// 1,000 BU and shares of 1198, 1198, 5606, 500, 1198 and 300 bps.
pub struct Network {
    /// The chain.
    pub world: World,
    /// Owner of the model.
    pub vendor: Keypair,
    /// Its optimiser.
    pub oem: Keypair,
    /// Owner of the container.
    pub weaver: Keypair,
    /// Provider.
    pub operator: Keypair,
    /// Network key of the provider's machine.
    pub worker: Keypair,
    /// Brings consumers.
    pub curator: Keypair,
    /// Takes requests.
    pub gateway: Keypair,
    /// Hash of the model file.
    pub artifact: [u8; 32],
    /// Id of the container.
    pub container: [u8; 32],
    /// The container's one stage, in market 1.
    pub stages: Vec<Stage>,
}

/// Region of the example's market and node.
pub const REGION: [u8; 12] = *b"eu-central\0\0";

impl Network {
    /// Builds it, each step held to its compute ceiling.
    #[must_use]
    pub fn new() -> Self {
        let mut network = Self::without_snapshot();
        network.roll(0, network.world.pricing_epoch());
        network
    }

    /// The same before the first `roll_container`.
    #[must_use]
    pub fn without_snapshot() -> Self {
        let mut world = World::new();
        let [vendor, oem, weaver, operator, worker, curator, gateway] =
            ["vendor", "oem", "weaver", "operator", "worker", "curator", "gateway"].map(key);
        for (owner, role) in [
            (&vendor, Role::Vendor),
            (&oem, Role::Oem),
            (&weaver, Role::Weaver),
            (&operator, Role::Provider),
            (&curator, Role::Curator),
            (&gateway, Role::Gateway),
        ] {
            world.party(owner, role);
        }
        let (payer, admin) = (world.payer.pubkey(), world.admin.insecure_clone());
        let market = CreateMarketArgs {
            id: 1,
            class: 7,
            region: REGION,
            base_nc: 12_154,
            floor_nc: 1_000,
            reserve_nc: 100_000,
            tick0_nc: 10_000,
            tick_ratio_bps: 500,
        };
        world.measure(
            "market::create_market",
            "first",
            market_ix::create_market(payer, admin.pubkey(), market),
            &[&admin],
        );
        let node = RegisterNodeArgs { region: REGION, class: 7, det_class: 1, expires: world.now() + 30 * 86_400 };
        world.measure(
            "market::register_node",
            "first",
            market_ix::register_node(payer, operator.pubkey(), worker.pubkey(), node),
            &[&operator, &worker],
        );
        let artifact = [0xA1; 32];
        let file = RegisterArtifactArgs {
            hash: artifact,
            size: 1_234_567,
            name: "tiny-llama".into(),
            licence: "Apache-2.0".into(),
        };
        world.measure(
            "market::register_artifact",
            "with OEM",
            market_ix::register_artifact(payer, vendor.pubkey(), Some(oem.pubkey()), file),
            &[&vendor, &oem],
        );
        let container = [0xC1; 32];
        let stages = vec![Stage { artifact, kind: StageKind::Chat, market: 1, weight_bps: 10_000 }];
        let create = CreateContainerArgs {
            id: container,
            name: "tiny-chat".into(),
            beta_bps: 500,
            ceiling_nc: 0,
            uri_hash: [1; 32],
            terms_hash: [2; 32],
            stages: stages.clone(),
        };
        world.measure(
            "market::create_container",
            "1 stage",
            market_ix::create_container(payer, weaver.pubkey(), create),
            &[&weaver],
        );
        for (owner, role, subject) in
            [(&vendor, Role::Vendor, artifact), (&oem, Role::Oem, artifact), (&weaver, Role::Weaver, container)]
        {
            world.measure(
                "market::post_ask",
                "create",
                market_ix::post_ask(payer, owner.pubkey(), role, subject, 2_600),
                &[owner],
            );
        }
        Self { world, vendor, oem, weaver, operator, worker, curator, gateway, artifact, container, stages }
    }

    /// What `roll_container` needs for a stage.
    #[must_use]
    pub fn roll_of(&self, stage: u8, pricing_epoch: u32) -> Roll<'_> {
        Roll {
            payer: self.world.payer.pubkey(),
            container: self.container,
            stage,
            pricing_epoch,
            stages: &self.stages,
            vendor: self.vendor.pubkey(),
            oem: Some(self.oem.pubkey()),
            weaver: self.weaver.pubkey(),
        }
    }

    /// Freezes a stage's snapshot and returns its address.
    pub fn roll(&mut self, stage: u8, pricing_epoch: u32) -> Pubkey {
        let roll = market_ix::roll_container(&self.roll_of(stage, pricing_epoch));
        let scenario = format!("{} stages", self.stages.len());
        self.world.measure("market::roll_container", &scenario, roll, &[]);
        seeds::find_snapshot(&self.container, stage, pricing_epoch).0
    }

    /// The snapshot of a stage.
    #[must_use]
    pub fn snapshot(&self, stage: u8, pricing_epoch: u32) -> SplitSnapshot {
        self.world.read(&seeds::find_snapshot(&self.container, stage, pricing_epoch).0)
    }
}

impl Default for Network {
    fn default() -> Self {
        Self::new()
    }
}
