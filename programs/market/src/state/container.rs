//! A container: a workflow of one to eight model stages under one name, built by a weaver.

use anchor_lang::prelude::*;

use crate::{
    constants::{BETA_STEP_BPS, KEEP_S, MAX_NAME, MAX_STAGES},
    error::MarketError,
    state::MarketParams,
};

/// What a stage does. One byte, append only.
#[derive(AnchorSerialize, AnchorDeserialize, InitSpace, Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum StageKind {
    /// Chat completion.
    Chat,
    /// Embedding.
    Embed,
    /// Reranking.
    Rank,
    /// Any model on raw tensors.
    Tensor,
    /// Voice activity detection.
    Vad,
    /// Speech to text.
    Stt,
    /// Text to speech.
    Tts,
    /// Text recognition in images.
    Ocr,
}

/// Whether a container takes work. One byte, append only.
#[derive(AnchorSerialize, AnchorDeserialize, InitSpace, Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ContainerState {
    /// Takes work.
    Active,
    /// Gets no new snapshots, and so no work after the last one.
    Retired,
}

/// One model stage.
#[derive(AnchorSerialize, AnchorDeserialize, InitSpace, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Hash of the artifact it runs.
    pub artifact: [u8; 32],
    /// What it does.
    pub kind: StageKind,
    /// Id of the market its compute is bought in.
    pub market: u32,
    /// Weight of a BU of this stage in bps of the market's base price; 10,000 = once.
    pub weight_bps: u16,
}

/// PDA `["ctr", id]`.
#[account]
#[derive(InitSpace, Debug)]
pub struct Container {
    /// Layout version, 1.
    pub version: u8,
    /// Bump of this account.
    pub bump: u8,
    /// Whether it takes work.
    pub state: ContainerState,
    /// Starts at 1, +1 with every change of what the container promises.
    pub revision: u16,
    /// Share of the curator that brought the consumer, in bps, until `beta_epoch`.
    pub beta_bps: u16,
    /// Name of the container for accounts and messages, chosen at creation.
    pub id: [u8; 32],
    /// The weaver.
    pub creator: Pubkey,
    /// The most the price of a stage may be, nc per 1,000 BU; 0 = no promise.
    pub ceiling_nc: u64,
    /// SHA-256 of the URI at which the container's manifest lies.
    pub uri_hash: [u8; 32],
    /// SHA-256 of the terms of use.
    pub terms_hash: [u8; 32],
    /// Number of events this account has emitted.
    pub seq: u64,
    /// Who paid the rent.
    pub rent_payer: Pubkey,
    /// When it was retired, unix seconds; 0 = it was not.
    pub retired_at: i64,
    /// The curator's share from `beta_epoch` on.
    pub next_beta_bps: u16,
    /// The pricing epoch from which `next_beta_bps` counts; 0 = nothing is pending.
    pub beta_epoch: u32,
    /// Room for later fields, zero.
    pub _reserved: [u8; 114],
    /// The model id by which consumers call it.
    #[max_len(MAX_NAME)]
    pub name: String,
    /// The stages in the order of the workflow.
    #[max_len(MAX_STAGES)]
    pub stages: Vec<Stage>,
}

impl Container {
    /// The layout this code writes.
    pub const VERSION: u8 = 1;

    /// Refuses a list of stages that is empty, too long or has a stage without weight.
    pub fn validate_stages(stages: &[Stage]) -> Result<()> {
        require!(
            (1..=MAX_STAGES).contains(&stages.len()) && stages.iter().all(|stage| stage.weight_bps > 0),
            MarketError::BadStages
        );
        Ok(())
    }

    /// A stage by its index.
    pub fn stage(&self, index: u8) -> Result<&Stage> {
        stage(&self.stages, index)
    }

    /// The curator's share in a pricing epoch, in bps.
    #[must_use]
    pub const fn beta_at(&self, pricing_epoch: u32) -> u16 {
        if self.beta_epoch != 0 && pricing_epoch >= self.beta_epoch { self.next_beta_bps } else { self.beta_bps }
    }

    /// Moves the curator's share by at most one step, from the first pricing epoch that the notice allows. Setting it
    /// again before then replaces the step; a share whose epoch may be freezing already stays. Returns that epoch.
    pub fn set_beta(&mut self, beta_bps: u16, now: i64, params: &MarketParams) -> Result<u32> {
        require!(self.state == ContainerState::Active, MarketError::ContainerRetired);
        require!(beta_bps <= params.beta_max_bps, MarketError::BetaTooHigh);
        let current = params.pricing_epoch(now)?;
        let effective = params.ask_epoch(now)?;
        require!(self.beta_epoch <= current || self.beta_epoch >= effective, MarketError::BetaFrozen);
        self.beta_bps = self.beta_at(current);
        require!(beta_bps.abs_diff(self.beta_bps) <= BETA_STEP_BPS, MarketError::BetaStep);
        self.next_beta_bps = beta_bps;
        self.beta_epoch = effective;
        self.revision = self.revision.checked_add(1).ok_or(MarketError::Overflow)?;
        Ok(effective)
    }

    /// Ends the container for good.
    pub fn retire(&mut self, now: i64) -> Result<()> {
        require!(self.state == ContainerState::Active, MarketError::ContainerRetired);
        self.state = ContainerState::Retired;
        self.retired_at = now;
        self.revision = self.revision.checked_add(1).ok_or(MarketError::Overflow)?;
        Ok(())
    }

    /// Refuses to end a container that is active or whose last snapshots could still be claimed under.
    pub fn require_closable(&self, now: i64) -> Result<()> {
        let closable = self.retired_at.checked_add(KEEP_S).ok_or(MarketError::Overflow)?;
        require!(self.state == ContainerState::Retired && now >= closable, MarketError::StillNeeded);
        Ok(())
    }

    /// The number of the next event.
    pub fn next_seq(&mut self) -> Result<u64> {
        self.seq = self.seq.checked_add(1).ok_or(MarketError::Overflow)?;
        Ok(self.seq)
    }

    /// What holds after every instruction that writes this account.
    pub fn invariant(&self) -> Result<()> {
        require!(
            self.version == Self::VERSION
                && self.revision > 0
                && self.creator != Pubkey::default()
                && (1..=MAX_NAME).contains(&self.name.len()),
            MarketError::Invariant
        );
        Self::validate_stages(&self.stages)
    }
}

coin::view! {
    /// What a price reads of a [`Container`].
    Plan of Container {
        /// See [`Container::state`].
        state: ContainerState = 10,
        /// See [`Container::beta_bps`].
        beta_bps: u16 = 13,
        /// See [`Container::id`].
        id: [u8; 32] = 15,
        /// See [`Container::creator`].
        creator: Pubkey = 47,
        /// See [`Container::ceiling_nc`].
        ceiling_nc: u64 = 79,
        /// See [`Container::next_beta_bps`].
        next_beta_bps: u16 = 199,
        /// See [`Container::beta_epoch`].
        beta_epoch: u32 = 201,
        /// The bytes of [`Container::name`], and [`Container::stages`] behind them.
        name_and_stages: (Vec<u8>, Vec<Stage>) = 319,
    }
}

impl Plan {
    /// See [`Container::stages`].
    #[must_use]
    pub fn stages(&self) -> &[Stage] {
        &self.name_and_stages.1
    }

    /// [`Container::stage`].
    pub fn stage(&self, index: u8) -> Result<&Stage> {
        stage(self.stages(), index)
    }

    /// [`Container::beta_at`].
    #[must_use]
    pub const fn beta_at(&self, pricing_epoch: u32) -> u16 {
        if self.beta_epoch != 0 && pricing_epoch >= self.beta_epoch { self.next_beta_bps } else { self.beta_bps }
    }
}

fn stage(stages: &[Stage], index: u8) -> Result<&Stage> {
    Ok(stages.get(usize::from(index)).ok_or(MarketError::BadStages)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_view_is_the_accounts() {
        let stage = |byte: u8| Stage {
            artifact: [byte; 32],
            kind: StageKind::Rank,
            market: u32::from(byte),
            weight_bps: u16::from(byte),
        };
        for (name, stages) in [("m", vec![stage(1)]), ("a-longer-name", vec![stage(1), stage(2), stage(3)])] {
            let container = Container {
                version: Container::VERSION,
                bump: 1,
                state: ContainerState::Retired,
                revision: 2,
                beta_bps: 3,
                id: [4; 32],
                creator: Pubkey::new_from_array([5; 32]),
                ceiling_nc: 6,
                uri_hash: [7; 32],
                terms_hash: [8; 32],
                seq: 9,
                rent_payer: Pubkey::new_from_array([10; 32]),
                retired_at: 11,
                next_beta_bps: 12,
                beta_epoch: 13,
                _reserved: [0; 114],
                name: name.into(),
                stages: stages.clone(),
            };
            let mut bytes = Vec::new();
            container.try_serialize(&mut bytes).unwrap();
            let view = Plan::try_deserialize(&mut bytes.as_slice()).unwrap();
            assert_eq!((view.state, view.id, view.creator), (container.state, container.id, container.creator));
            assert_eq!((view.ceiling_nc, view.stages()), (6, stages.as_slice()));
            assert_eq!(
                [0, 12, 13, 14].map(|epoch| view.beta_at(epoch)),
                [0, 12, 13, 14].map(|epoch| container.beta_at(epoch))
            );
            assert_eq!((view.beta_at(12), view.beta_at(13)), (3, 12));
        }
    }
}
