//! What a worker reads from the chain: who pays (channel accounts, kept for a few seconds), and how re-executions are
//! compared.

use crate::{
    audit::Rules,
    funding::{ChannelFunds, Funding, FundingError},
};
use anchor_lang::prelude::Pubkey;
use async_trait::async_trait;
use settlement::state::{Channel, ChannelState};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use waybill_chain::{Catalogue, audit_rule::class_rule};
use waybill_mechanism::{amount::affordable_nc, channel::Grant};
use waybill_protocol::{ChannelId, WalletId, audit::Rule, frame::InputKind};

/// How long an account is believed.
const KEEP: Duration = Duration::from_secs(5);
/// Accounts kept at most; the oldest are dropped first.
const MAX_KEPT: usize = 4_096;

/// Determinism classes as the market program has them.
pub struct ChainRules(pub Arc<Catalogue>);

impl Rules for ChainRules {
    fn rule(&self, det_class: u16, kind: &InputKind) -> Option<Rule> {
        let view = self.0.view()?;
        view.classes.get(&det_class).map(|class| class_rule(class, kind))
    }
}

/// Channels as the settlement program has them.
pub struct ChainFunding {
    catalogue: Arc<Catalogue>,
    kept: Mutex<HashMap<ChannelId, (Instant, ChannelFunds)>>,
}

impl ChainFunding {
    /// Rate and clock come from the catalogue; channels are read when they are first asked for.
    pub fn new(catalogue: Arc<Catalogue>) -> Self {
        Self { catalogue, kept: Mutex::default() }
    }

    fn known(&self, channel: &ChannelId) -> Option<ChannelFunds> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(channel).filter(|(read_at, _)| read_at.elapsed() <= KEEP).map(|(_, funds)| *funds)
    }

    fn keep(&self, channel: ChannelId, funds: ChannelFunds) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MAX_KEPT {
            kept.retain(|_, (read_at, _)| read_at.elapsed() <= KEEP);
        }
        if kept.len() < MAX_KEPT {
            kept.insert(channel, (Instant::now(), funds));
        }
    }
}

#[async_trait]
impl Funding for ChainFunding {
    async fn channel(&self, channel: &ChannelId) -> Result<ChannelFunds, FundingError> {
        if let Some(funds) = self.known(channel) {
            return Ok(funds);
        }
        let view = self.catalogue.view().ok_or_else(|| FundingError::Unavailable("it was not read yet".into()))?;
        let account: Option<Channel> = self
            .catalogue
            .chain()
            .account(&Pubkey::new_from_array(channel.0))
            .await
            .map_err(|e| FundingError::Unavailable(e.to_string()))?;
        let funds = funds(&account.ok_or(FundingError::Unknown)?, view.rate, view.now_ms() / 1_000);
        self.keep(*channel, funds);
        Ok(funds)
    }
}

/// What a channel's gateway could settle at `now` (Unix seconds).
fn funds(channel: &Channel, rate: u64, now: i64) -> ChannelFunds {
    let grant = &channel.grant;
    let terms = Grant {
        expires: grant.expires,
        period_s: grant.period_s,
        period_start: grant.period_start,
        limit_nc: grant.limit_nc,
        used_nc: grant.used_nc,
    };
    let granted = terms.room_nc(now, 0).unwrap_or(0);
    ChannelFunds {
        gateway: WalletId(channel.gateway.to_bytes()),
        grant_active: grant.limit_nc > 0 && now < grant.expires && channel.state == ChannelState::Open,
        room_nc: granted.min(affordable_nc(channel.balance_aic, rate).unwrap_or(0)),
        last_settled_nonce: channel.last_settled_nonce,
    }
}
