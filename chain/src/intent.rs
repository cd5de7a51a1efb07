//! Business actions that services record in the outbox. An intent names what has to happen; the instructions are built
//! from the chain's state when it is signed.

use crate::{
    Chain, ChainError,
    audit_intent::AuditIntent,
    closing::{self, Spent},
    disputes::DisputeStep,
    ix, promotion,
};
use anchor_lang::{AnchorDeserialize, prelude::Pubkey, solana_program::instruction::Instruction};
use market::state::{Node, Offer, Party, Role, SlotAuction, SplitSnapshot};
use serde::{Deserialize, Serialize};
use settlement::{
    instructions::{PostBatchArgs, ProveEventArgs},
    state::{Batch, PromoEvent},
};
use waybill_mechanism::{
    amount::pricing_epoch,
    merkle,
    message::{Line, NO_REFERRER},
};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Intent {
    /// Claim from a channel what was charged up to a nonce.
    SettleDelegated {
        channel: [u8; 32],
        claim_cum_nc: u64,
        nonce: u64,
    },
    PostBatch(BatchPost),
    FinalizeBatch {
        epoch: u32,
        shard: u16,
    },
    OpenEarnings {
        owner: [u8; 32],
    },
    ClaimLine {
        epoch: u32,
        shard: u16,
        #[serde(with = "hex::serde")]
        line: Vec<u8>,
        #[serde(with = "hex_list")]
        proof: Vec<[u8; 40]>,
    },
    /// Claim a block of lines: as many as a power of two that divides the first one's index, or all from there on.
    ClaimLines {
        epoch: u32,
        shard: u16,
        lines: Vec<ProvenLine>,
    },
    SweepBatch {
        epoch: u32,
        shard: u16,
    },
    /// Several steps in one transaction, in order.
    Together {
        steps: Vec<Intent>,
    },
    /// Collect from channels and post, in one transaction.
    SettleAndPost {
        claims: Vec<ChannelClaim>,
        post: BatchPost,
    },
    /// Freeze the split of a stage for a pricing epoch.
    RollContainer {
        container: [u8; 32],
        stage: u8,
        pricing_epoch: u32,
    },
    /// Report the units of the pricing epoch before in a market.
    ObserveDemand {
        market: u32,
        pricing_epoch: u32,
        units: u64,
    },
    /// Clear a market's book for the pricing epoch after this one.
    RollMarket {
        market: u32,
        pricing_epoch: u32,
    },
    /// Convert the minimum stakes that are given in USD.
    RollMinima {
        pricing_epoch: u32,
    },
    /// Sell the promotion slots of a market and day.
    RollSlots {
        market: u32,
        day: u32,
    },
    /// Show a sponsored receipt to be a campaign's event; `args` are the instruction's, encoded.
    ProveEvent {
        batch: [u8; 32],
        channel: [u8; 32],
        consumer: [u8; 32],
        campaign: [u8; 32],
        auction: [u8; 32],
        #[serde(with = "hex::serde")]
        args: Vec<u8>,
    },
    /// Let a campaign pay for a proven event.
    SettlePromo {
        event: [u8; 32],
    },
    /// Free the rent of an event whose campaign is gone.
    CloseEvent {
        event: [u8; 32],
    },
    /// Free the rent of an auction that can no longer be charged.
    CloseSlotAuction {
        market: u32,
        day: u32,
    },
    /// Release the usage rewards of a unix day.
    Release {
        day: u32,
    },
    /// Burn what was sent to the burn account.
    BurnFees,
    /// Answer a dispute, or end one.
    Dispute(DisputeStep),
    /// Freeze what the vendors of a derived model's lineage ask for a pricing epoch.
    RollRoyalties {
        artifact: [u8; 32],
        pricing_epoch: u32,
    },
    /// Share what claims credited to a royalty table.
    ShareRoyalties {
        artifact: [u8; 32],
        pricing_epoch: u32,
    },
    /// Pay a curator what a bounty adds to one line of this gateway.
    ClaimBounty {
        bounty: [u8; 32],
        shard: u16,
        #[serde(with = "hex::serde")]
        line: Vec<u8>,
        #[serde(with = "hex_list")]
        proof: Vec<[u8; 40]>,
    },
    /// Report the same rate again and fix it for the rate epoch.
    RollRate {
        rate: u64,
        rate_epoch: u32,
    },
    /// A step of an audit.
    Audit(AuditIntent),
    /// Close an account that nobody needs any more.
    Close {
        kind: Spent,
        address: [u8; 32],
    },
    /// Take an offer that nobody serves out of its book.
    RemoveOffer {
        offer: [u8; 32],
    },
}

/// What was charged to a channel, up to a nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelClaim {
    pub channel: [u8; 32],
    pub claim_cum_nc: u64,
    pub nonce: u64,
}

/// A line of a batch and the proof that it belongs to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvenLine {
    #[serde(with = "hex::serde")]
    pub line: Vec<u8>,
    #[serde(with = "hex_list")]
    pub proof: Vec<[u8; 40]>,
}

/// What a gateway commits to for one shard of an epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchPost {
    pub epoch: u32,
    pub shard: u16,
    pub receipts_root: [u8; 32],
    pub lines_root: [u8; 32],
    pub n_receipts: u32,
    pub n_lines: u32,
    pub sum_nc: u64,
    pub data_hash: [u8; 32],
    pub uri: String,
}

impl Intent {
    pub fn kind(&self) -> &'static str {
        match self {
            Self::SettleDelegated { .. } => "settle_delegated",
            Self::PostBatch(_) => "post_batch",
            Self::FinalizeBatch { .. } => "finalize_batch",
            Self::OpenEarnings { .. } => "open_earnings",
            Self::ClaimLine { .. } => "claim_line",
            Self::ClaimLines { .. } => "claim_lines",
            Self::SweepBatch { .. } => "sweep_batch",
            Self::Together { .. } => "together",
            Self::SettleAndPost { .. } => "settle_and_post",
            Self::RollContainer { .. } => "roll_container",
            Self::ObserveDemand { .. } => "observe_demand",
            Self::RollMarket { .. } => "roll_market",
            Self::RollMinima { .. } => "roll_minima",
            Self::RollSlots { .. } => "roll_slots",
            Self::ProveEvent { .. } => "prove_event",
            Self::SettlePromo { .. } => "settle_promo",
            Self::CloseEvent { .. } => "close_event",
            Self::CloseSlotAuction { .. } => "close_slot_auction",
            Self::Release { .. } => "release",
            Self::BurnFees => "burn_fees",
            Self::Dispute(_) => "dispute",
            Self::RollRoyalties { .. } => "roll_royalties",
            Self::ShareRoyalties { .. } => "share_royalties",
            Self::ClaimBounty { .. } => "claim_bounty",
            Self::RollRate { .. } => "roll_rate",
            Self::Audit(step) => step.kind(),
            Self::Close { .. } => "close",
            Self::RemoveOffer { .. } => "remove_offer",
        }
    }

    pub fn encode(&self) -> Result<Vec<u8>, ChainError> {
        serde_json::to_vec(self).map_err(|e| ChainError::Build(e.to_string()))
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, ChainError> {
        serde_json::from_slice(bytes).map_err(|e| ChainError::Build(format!("an outbox entry cannot be read: {e}")))
    }

    /// The instructions that do it now, paid and signed by `gateway`.
    pub async fn instructions(&self, chain: &Chain, gateway: &Pubkey) -> Result<Vec<Instruction>, ChainError> {
        let gateway = *gateway;
        Ok(match self {
            Self::SettleDelegated { channel, claim_cum_nc, nonce } => {
                vec![ix::settlement::settle_delegated(gateway, Pubkey::new_from_array(*channel), *claim_cum_nc, *nonce)]
            }
            Self::PostBatch(post) => vec![ix::settlement::post_batch(gateway, post.args())],
            Self::FinalizeBatch { epoch, shard } => vec![finalize(chain, &gateway, *epoch, *shard).await?],
            Self::OpenEarnings { owner } => {
                vec![ix::settlement::open_earnings(gateway, Pubkey::new_from_array(*owner))]
            }
            Self::ClaimLine { epoch, shard, line, proof } => {
                vec![claim(chain, &gateway, *epoch, *shard, line, proof).await?]
            }
            Self::ClaimLines { epoch, shard, lines } => {
                vec![claim_block(chain, &gateway, *epoch, *shard, lines).await?]
            }
            Self::Together { steps } => {
                let mut together = Vec::new();
                for step in steps {
                    together.extend(Box::pin(step.instructions(chain, &gateway)).await?);
                }
                together
            }
            Self::SweepBatch { epoch, shard } => {
                vec![ix::settlement::sweep_batch(gateway, gateway, *epoch, *shard, chain.unix_time().await?)]
            }
            Self::SettleAndPost { claims, post } => claims
                .iter()
                .map(|claim| {
                    let channel = Pubkey::new_from_array(claim.channel);
                    ix::settlement::settle_delegated(gateway, channel, claim.claim_cum_nc, claim.nonce)
                })
                .chain([ix::settlement::post_batch(gateway, post.args())])
                .collect(),
            Self::RollContainer { container, stage, pricing_epoch } => {
                vec![ix::market::roll_container(chain, gateway, container, *stage, *pricing_epoch).await?]
            }
            Self::ObserveDemand { market, units, .. } => {
                vec![ix::books::observe_demand(gateway, gateway, *market, *units)]
            }
            Self::RollMarket { market, .. } => vec![ix::books::roll_market(*market)],
            Self::RollMinima { .. } => vec![ix::books::roll_minima()],
            Self::RollSlots { market, day } => vec![ix::promo::roll_slots(*market, *day)],
            Self::ProveEvent { batch, channel, consumer, campaign, auction, args } => {
                let [batch, channel, consumer, campaign, auction] =
                    [batch, channel, consumer, campaign, auction].map(|key| Pubkey::new_from_array(*key));
                let keys = ix::promo::EventKeys { batch, channel, consumer, campaign, auction };
                let args = ProveEventArgs::try_from_slice(args).map_err(|e| ChainError::Build(e.to_string()))?;
                vec![ix::promo::prove_event(gateway, &keys, args)]
            }
            Self::SettlePromo { event } => promotion::settle(chain, &gateway, &Pubkey::new_from_array(*event)).await?,
            Self::CloseEvent { event } => {
                let address = Pubkey::new_from_array(*event);
                let event: PromoEvent = chain.expect("promotion event", &address, "it is closed already").await?;
                vec![ix::promo::close_event(&event)]
            }
            Self::CloseSlotAuction { market, day } => {
                let address = ix::promo::auction(*market, *day);
                let auction: SlotAuction = chain.expect("slot auction", &address, "it is closed already").await?;
                vec![ix::promo::close_slot_auction(*market, *day, auction.rent_payer)]
            }
            Self::Release { day } => vec![ix::coin::release(gateway, settlement::ID, *day)],
            Self::BurnFees => vec![ix::coin::burn_fees(gateway)],
            Self::Dispute(step) => step.instructions(chain, gateway).await?,
            Self::RollRoyalties { artifact, pricing_epoch } => {
                vec![ix::lineage::roll_royalties(chain, gateway, artifact, *pricing_epoch).await?]
            }
            Self::ShareRoyalties { artifact, pricing_epoch } => {
                let address = market::seeds::find_royalties(artifact, *pricing_epoch).0;
                let royalties = chain.expect("royalty table", &address, "nobody froze it").await?;
                vec![ix::lineage::share_royalties(address, &royalties)]
            }
            Self::ClaimBounty { bounty, shard, line, proof } => {
                let line = Line::from_bytes(line).map_err(|e| ChainError::Build(e.to_string()))?;
                let bounty = Pubkey::new_from_array(*bounty);
                vec![ix::bounty::claim_bounty(gateway, bounty, &gateway, *shard, &line, proof.clone())]
            }
            Self::RollRate { rate, .. } => vec![ix::coin::submit_rate(gateway, *rate), ix::coin::roll_rate()],
            Self::Audit(step) => step.instructions(chain, gateway).await?,
            Self::Close { kind, address } => {
                vec![closing::close(chain, gateway, *kind, Pubkey::new_from_array(*address)).await?]
            }
            Self::RemoveOffer { offer } => {
                let address = Pubkey::new_from_array(*offer);
                let offer: Offer = chain.expect("offer", &address, "it is out of the book already").await?;
                vec![ix::books::remove_offer(&offer)]
            }
        })
    }
}

async fn finalize(chain: &Chain, gateway: &Pubkey, epoch: u32, shard: u16) -> Result<Instruction, ChainError> {
    let address = settlement::seeds::find_batch(gateway, epoch, shard).0;
    let batch: Batch = chain.expect("batch", &address, "post it first").await?;
    Ok(ix::settlement::finalize_batch(address, batch.rent_payer))
}

async fn claim(
    chain: &Chain,
    gateway: &Pubkey,
    epoch: u32,
    shard: u16,
    line: &[u8],
    proof: &[[u8; 40]],
) -> Result<Instruction, ChainError> {
    let line = Line::from_bytes(line).map_err(|e| ChainError::Build(e.to_string()))?;
    let payees = line_payees(chain, &line).await?;
    let pricing = pricing_epoch(line.epoch);
    Ok(ix::settlement::claim_line(*gateway, epoch, shard, pricing, &line, proof.to_vec(), &payees))
}

/// The claim of lines that are a block of the batch's tree. The siblings above the block are the last of its first line's.
async fn claim_block(
    chain: &Chain,
    gateway: &Pubkey,
    epoch: u32,
    shard: u16,
    lines: &[ProvenLine],
) -> Result<Instruction, ChainError> {
    let mut block = Vec::with_capacity(lines.len());
    for ProvenLine { line, .. } in lines {
        let line = Line::from_bytes(line).map_err(|e| ChainError::Build(e.to_string()))?;
        let payees = line_payees(chain, &line).await?;
        block.push((line, payees));
    }
    let within = u32::try_from(lines.len()).map_or(0, merkle::depth) as usize;
    let proof = lines.first().and_then(|first| first.proof.get(within..)).unwrap_or_default();
    Ok(ix::settlement::claim_lines(*gateway, epoch, shard, &block, proof.to_vec()))
}

impl BatchPost {
    pub fn args(&self) -> PostBatchArgs {
        PostBatchArgs {
            epoch: self.epoch,
            shard: self.shard,
            receipts_root: self.receipts_root,
            receipts_sum_nc: self.sum_nc,
            n_receipts: self.n_receipts,
            lines_root: self.lines_root,
            lines_sum_nc: self.sum_nc,
            n_lines: self.n_lines,
            data_hash: self.data_hash,
            uri: self.uri.clone(),
        }
    }
}

/// Whom the chain will pay for a line.
pub async fn line_payees(chain: &Chain, line: &Line) -> Result<ix::settlement::LinePayees, ChainError> {
    let snapshot_address = market::seeds::find_snapshot(&line.container, line.stage, pricing_epoch(line.epoch)).0;
    let snapshot: SplitSnapshot =
        chain.expect("split snapshot", &snapshot_address, "nobody froze it during its pricing epoch").await?;
    let node_address = market::seeds::find_node(&Pubkey::new_from_array(line.worker)).0;
    let node: Node = chain.expect("node", &node_address, "the worker key is not registered").await?;
    let curator_active = if line.referrer == NO_REFERRER {
        false
    } else {
        let referrer = Pubkey::new_from_array(line.referrer);
        let party: Option<Party> = chain.account(&market::seeds::find_party(&referrer, Role::Curator).0).await?;
        party.is_some_and(|party| !party.banned && party.stake > 0)
    };
    Ok(ix::settlement::LinePayees { payees: snapshot.payees, provider: node.operator, curator_active })
}

/// Proof nodes as hexadecimal strings.
pub(crate) mod hex_list {
    use serde::{Deserialize, Deserializer, Serializer, de, ser::SerializeSeq};

    pub fn serialize<S: Serializer>(nodes: &[[u8; 40]], serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(nodes.len()))?;
        for node in nodes {
            list.serialize_element(&hex::encode(node))?;
        }
        list.end()
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<[u8; 40]>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        texts
            .iter()
            .map(|text| {
                let mut node = [0; 40];
                hex::decode_to_slice(text, &mut node).map_err(de::Error::custom)?;
                Ok(node)
            })
            .collect()
    }
}
