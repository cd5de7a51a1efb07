//! Loaded engines, shared by the tests of one process, and the parties of a paid job.

use async_trait::async_trait;
use solana_keypair::Keypair;
use solana_signer::Signer;
use std::{
    path::PathBuf,
    sync::{Arc, LazyLock},
};
use waybill_mechanism::message::{Order, ctx_hash};
use waybill_protocol::{
    ArtifactId, ChannelId, WalletId,
    frame::{Chat, Embed, EmbedItem, Input, InputKind, Job, Turn},
    signing,
};
use waybill_worker::{
    ChannelFunds, EngineConfig, Engines, Funding, FundingError, ModelSpec, Profile, ReceiptBook, Trust, Worker,
    chat::ChatEngine, embed::EmbedEngine, engines::Engine,
};

pub const DOMAIN: [u8; 8] = *b"testtest";
pub const EPOCH_S: u32 = 60;
pub const PRICE_PER_1K: u64 = 10_000;
const CHANNEL: ChannelId = ChannelId([7; 32]);

fn cache() -> PathBuf {
    std::env::var_os("WAYBILL_CACHE").map_or_else(
        || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache/waybill"),
        PathBuf::from,
    )
}

fn load(spec: fn(&std::path::Path) -> ModelSpec) -> Option<Arc<Engines>> {
    let spec = spec(&cache().join("models"));
    if !spec.is_present() {
        eprintln!("\n*** SKIPPED: no model in {}; run `cargo xtask setup` ***\n", spec.folder.display());
        return None;
    }
    Some(Arc::new(Engines::load(&config(spec)).unwrap()))
}

pub fn config(spec: ModelSpec) -> EngineConfig {
    let library = cache().join("lib/libonnxruntime.so.1.31.1");
    EngineConfig { library, models: vec![spec], threads: 1, max_batch: 4 }
}

pub fn models_folder() -> PathBuf {
    cache().join("models")
}

static TINY: LazyLock<Option<Arc<Engines>>> = LazyLock::new(|| load(ModelSpec::tiny));
static SMOLLM2: LazyLock<Option<Arc<Engines>>> = LazyLock::new(|| load(ModelSpec::smollm2));
static MINILM: LazyLock<Option<Arc<Engines>>> = LazyLock::new(|| load(ModelSpec::minilm));

pub fn tiny_engines() -> Option<Arc<Engines>> {
    TINY.clone()
}

pub fn tiny() -> Option<Arc<ChatEngine>> {
    chat(&TINY)
}

pub fn smollm2() -> Option<Arc<ChatEngine>> {
    chat(&SMOLLM2)
}

pub fn smollm2_engines() -> Option<Arc<Engines>> {
    SMOLLM2.clone()
}

pub fn minilm_engines() -> Option<Arc<Engines>> {
    MINILM.clone()
}

pub fn minilm() -> Option<Arc<EmbedEngine>> {
    MINILM.as_ref()?.iter().find_map(|engine| match engine {
        Engine::Embed(engine) => Some(engine.clone()),
        Engine::Chat(_) => None,
    })
}

fn chat(engines: &Option<Arc<Engines>>) -> Option<Arc<ChatEngine>> {
    engines.as_ref()?.iter().find_map(|engine| match engine {
        Engine::Chat(engine) => Some(engine.clone()),
        Engine::Embed(_) => None,
    })
}

/// One channel with fixed funds.
pub struct FixedFunds(pub ChannelFunds);

#[async_trait]
impl Funding for FixedFunds {
    async fn channel(&self, channel: &ChannelId) -> Result<ChannelFunds, FundingError> {
        if *channel == CHANNEL { Ok(self.0) } else { Err(FundingError::Unknown) }
    }
}

/// A gateway with a funded channel, and what its jobs need.
pub struct Gateway {
    pub key: Keypair,
    pub artifact: ArtifactId,
}

impl Gateway {
    pub fn new(engines: &Engines) -> Self {
        Self { key: Keypair::new(), artifact: engines.iter().next().unwrap().artifact() }
    }

    pub fn id(&self) -> WalletId {
        WalletId(self.key.pubkey().to_bytes())
    }

    pub fn funds(&self, room_nc: u64) -> ChannelFunds {
        ChannelFunds { gateway: self.id(), grant_active: true, room_nc, last_settled_nonce: 0 }
    }

    /// A worker that sees this gateway's channel with room for any order here.
    pub fn worker(&self, engines: Arc<Engines>, slots: usize) -> Arc<Worker> {
        self.worker_with(engines, slots, self.funds(1_000_000_000))
    }

    pub fn worker_with(&self, engines: Arc<Engines>, slots: usize, funds: ChannelFunds) -> Arc<Worker> {
        let book = ReceiptBook::new(Keypair::new(), DOMAIN, EPOCH_S, Trust::default());
        Worker::new(profile(slots), book, engines, Arc::new(FixedFunds(funds)))
    }

    pub fn job(&self, nonce: u64, input: Input) -> Job {
        self.job_up_to(nonce, input, 10_000_000)
    }

    pub fn job_up_to(&self, nonce: u64, input: Input, max_price_nc: u64) -> Job {
        let (container, referrer) = ([3; 32], [0; 32]);
        let order = Order {
            domain: DOMAIN,
            channel: CHANNEL.0,
            nonce,
            max_price_nc,
            ctx_hash: ctx_hash(&container, &input.hash(), max_price_nc, &referrer, None),
        }
        .to_bytes();
        Job {
            request_id: format!("req-{nonce}"),
            order_signature: signing::sign(&self.key, &order).to_vec().into(),
            order: order.to_vec().into(),
            gateway: self.id().0.to_vec().into(),
            container: container.to_vec().into(),
            stage: 0,
            artifact: self.artifact.0.to_vec().into(),
            referrer: referrer.to_vec().into(),
            price_per_1k: PRICE_PER_1K,
            pricing_epoch: 0,
            next_price_per_1k: None,
            deadline_ms: 60_000,
            flags: 0,
            input: Some(input),
            slot: Default::default(),
            private: false,
            class: bytes::Bytes::new(),
        }
    }
}

pub fn profile(slots: usize) -> Profile {
    Profile { region: "test".into(), class: 0, det_class: 1, slots, allowed_gateways: None }
}

pub fn chat_input(content: &str, max_tokens: u32) -> Input {
    let turns = vec![Turn { role: "user".into(), content: content.into() }];
    Input { kind: Some(InputKind::Chat(Chat { turns, max_tokens, temperature: Some(0.0), ..Chat::default() })) }
}

pub fn embed_input(texts: &[&str]) -> Input {
    let items = texts.iter().map(|text| EmbedItem { text: (*text).into(), tokens: vec![] }).collect();
    Input { kind: Some(InputKind::Embed(Embed { items })) }
}
