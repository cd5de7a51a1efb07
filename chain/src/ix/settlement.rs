//! Instructions of the settlement program: configuration, channels, batches, claims and earnings.

use super::{ASSOCIATED_TOKEN, SYSTEM, TOKEN, build, event_authority, meta};
use crate::ix::aic_account;
use anchor_lang::{
    prelude::Pubkey,
    solana_program::instruction::{AccountMeta, Instruction},
};
use coin::state::VaultKind;
use market::state::{Payees, Role};
use settlement::{
    ID, accounts, instruction,
    instructions::{
        ClaimLineArgs, ClaimLinesArgs, ClaimedLine, InitConfigArgs, OpenChannelArgs, PostBatchArgs, SettleDelegatedArgs,
    },
    seeds,
    state::{FeeDay, GrantTerms},
};
use waybill_mechanism::{
    amount::pricing_epoch,
    message::{Line, NO_REFERRER},
};

fn mint() -> Pubkey {
    coin::seeds::find_mint().0
}
fn config() -> Pubkey {
    seeds::find_config().0
}
fn pool() -> Pubkey {
    seeds::find_pool(&mint()).0
}

/// A gateway's vault account and its token account.
pub fn gateway_vault(gateway: &Pubkey) -> (Pubkey, Pubkey) {
    let vault = seeds::find_gateway_vault(gateway, &mint()).0;
    (vault, aic_account(&vault))
}

/// Creates the configuration; the admin of the coin signs.
pub fn init_config(payer: Pubkey, admin: Pubkey, args: InitConfigArgs) -> Instruction {
    let accounts = accounts::InitConfig {
        payer,
        admin,
        config: config(),
        coin_config: coin::seeds::find_config().0,
        market_config: market::seeds::find_config().0,
        mint: mint(),
        pool: pool(),
        breaker: seeds::find_breaker(&pool()).0,
        audits: seeds::find_audits(&mint()).0,
        treasury_vault: coin::seeds::find_vault(VaultKind::Treasury).0,
        insurance_vault: coin::seeds::find_vault(VaultKind::Insurance).0,
        token_program: TOKEN,
        system_program: SYSTEM,
    };
    build(ID, &accounts, &instruction::InitConfig { args })
}

/// Creates a staked gateway's vault.
pub fn open_gateway(payer: Pubkey, gateway: Pubkey) -> Instruction {
    let (vault, token) = gateway_vault(&gateway);
    let accounts = accounts::OpenGateway {
        payer,
        gateway,
        config: config(),
        market_config: market::seeds::find_config().0,
        party: market::seeds::find_party(&gateway, Role::Gateway).0,
        mint: mint(),
        gateway_vault: vault,
        vault: token,
        token_program: TOKEN,
        associated_token_program: ASSOCIATED_TOKEN,
        system_program: SYSTEM,
    };
    build(ID, &accounts, &instruction::OpenGateway {})
}

/// Opens a channel; returns its address too.
pub fn open_channel(
    payer: Pubkey,
    consumer: Pubkey,
    gateway: Pubkey,
    open_slot: u64,
    grant: Option<GrantTerms>,
) -> (Pubkey, Instruction) {
    let channel = seeds::find_channel(&consumer, &gateway, &mint(), open_slot).0;
    let accounts = accounts::OpenChannel {
        payer,
        consumer,
        config: config(),
        mint: mint(),
        gateway_vault: gateway_vault(&gateway).0,
        channel,
        vault: aic_account(&channel),
        token_program: TOKEN,
        associated_token_program: ASSOCIATED_TOKEN,
        system_program: SYSTEM,
    };
    (
        channel,
        build(ID, &accounts, &instruction::OpenChannel { args: OpenChannelArgs { open_slot, session: None, grant } }),
    )
}

/// Credits what reached the channel's vault. Anyone.
pub fn sync_deposit(channel: Pubkey) -> Instruction {
    let accounts = accounts::SyncDeposit {
        config: config(),
        channel,
        vault: aic_account(&channel),
        event_authority: event_authority(&ID),
        program: ID,
    };
    build(ID, &accounts, &instruction::SyncDeposit {})
}

/// Grants the channel's gateway a spending limit.
pub fn set_delegate(consumer: Pubkey, channel: Pubkey, terms: GrantTerms) -> Instruction {
    build(ID, &accounts::SetDelegate { consumer, config: config(), channel }, &instruction::SetDelegate { terms })
}

/// Ends the spending limit after its grace.
pub fn revoke_delegate(consumer: Pubkey, channel: Pubkey) -> Instruction {
    build(ID, &accounts::RevokeDelegate { consumer, channel }, &instruction::RevokeDelegate {})
}

/// Starts the grace period of a channel.
pub fn request_close(consumer: Pubkey, channel: Pubkey) -> Instruction {
    build(ID, &accounts::RequestClose { consumer, config: config(), channel }, &instruction::RequestClose {})
}

/// Returns a closing channel's residual to its consumer. Anyone, after the grace.
pub fn close_channel(consumer: Pubkey, channel: Pubkey, rent_payer: Pubkey) -> Instruction {
    let accounts = accounts::CloseChannel {
        config: config(),
        channel,
        vault: aic_account(&channel),
        destination: aic_account(&consumer),
        rent_payer,
        token_program: TOKEN,
        event_authority: event_authority(&ID),
        program: ID,
    };
    build(ID, &accounts, &instruction::CloseChannel {})
}

/// Moves what a channel owes up to `claim_cum_nc` into the gateway's vault.
pub fn settle_delegated(gateway: Pubkey, channel: Pubkey, claim_cum_nc: u64, nonce: u64) -> Instruction {
    let (vault, token) = gateway_vault(&gateway);
    let accounts = accounts::SettleDelegated {
        gateway,
        config: config(),
        rate: coin::seeds::find_rate().0,
        channel,
        channel_token: aic_account(&channel),
        gateway_vault: vault,
        gateway_token: token,
        token_program: TOKEN,
        event_authority: event_authority(&ID),
        program: ID,
    };
    build(ID, &accounts, &instruction::SettleDelegated { args: SettleDelegatedArgs { claim_cum_nc, nonce } })
}

/// Commits to a shard of an epoch.
pub fn post_batch(gateway: Pubkey, args: PostBatchArgs) -> Instruction {
    let (vault, token) = gateway_vault(&gateway);
    let batch = seeds::find_batch(&gateway, args.epoch, args.shard).0;
    let accounts = accounts::PostBatch {
        payer: gateway,
        gateway,
        config: config(),
        mint: mint(),
        gateway_vault: vault,
        gateway_token: token,
        batch,
        batch_vault: seeds::find_batch_vault(&batch).0,
        token_program: TOKEN,
        system_program: SYSTEM,
        event_authority: event_authority(&ID),
        program: ID,
    };
    build(ID, &accounts, &instruction::PostBatch { args })
}

/// Ends the challenge window of a batch. Anyone.
pub fn finalize_batch(batch: Pubkey, rent_payer: Pubkey) -> Instruction {
    let accounts = accounts::FinalizeBatch {
        config: config(),
        batch,
        batch_vault: seeds::find_batch_vault(&batch).0,
        pool: pool(),
        rent_payer,
        token_program: TOKEN,
        event_authority: event_authority(&ID),
        program: ID,
    };
    build(ID, &accounts, &instruction::FinalizeBatch {})
}

/// Creates the earnings account of a payee. Anyone pays the rent.
pub fn open_earnings(payer: Pubkey, owner: Pubkey) -> Instruction {
    let accounts = accounts::OpenEarnings {
        payer,
        config: config(),
        earnings: seeds::find_earnings(&owner, &mint()).0,
        system_program: SYSTEM,
    };
    build(ID, &accounts, &instruction::OpenEarnings { owner })
}

/// Whom a line pays, besides what the batch keeps for fee and burn.
#[derive(Debug, Clone, Copy)]
pub struct LinePayees {
    pub payees: Payees,
    /// The worker's operator.
    pub provider: Pubkey,
    /// The referrer is a curator in good standing and gets its share.
    pub curator_active: bool,
}

/// Pays one line of a final batch. Anyone.
pub fn claim_line(
    gateway: Pubkey,
    epoch: u32,
    shard: u16,
    pricing_epoch: u32,
    line: &Line,
    proof: Vec<[u8; 40]>,
    to: &LinePayees,
) -> Instruction {
    let accounts = accounts::ClaimLine {
        config: config(),
        batch: seeds::find_batch(&gateway, epoch, shard).0,
        snapshot: market::seeds::find_snapshot(&line.container, line.stage, pricing_epoch).0,
        node: market::seeds::find_node(&Pubkey::new_from_array(line.worker)).0,
        event_authority: event_authority(&ID),
        program: ID,
    };
    let mut instruction =
        build(ID, &accounts, &instruction::ClaimLine { args: ClaimLineArgs { line: line.to_bytes(), proof } });
    instruction.accounts.extend(payee_accounts(line, to));
    instruction
}

/// Pays a block of lines of a final batch, see [`ClaimLinesArgs`]; `lines` in order, each with whom it pays. Anyone.
pub fn claim_lines(
    gateway: Pubkey,
    epoch: u32,
    shard: u16,
    lines: &[(Line, LinePayees)],
    proof: Vec<[u8; 40]>,
) -> Instruction {
    let accounts = accounts::ClaimLines {
        config: config(),
        batch: seeds::find_batch(&gateway, epoch, shard).0,
        event_authority: event_authority(&ID),
        program: ID,
    };
    let told = |(line, _): &(Line, LinePayees)| ClaimedLine {
        n_receipts: line.n_receipts,
        credits_nc: line.credits_nc,
        referrer: (line.referrer != NO_REFERRER).then(|| Pubkey::new_from_array(line.referrer)),
    };
    let args = ClaimLinesArgs {
        first: lines.first().map_or(0, |(line, _)| line.index),
        first_receipt: lines.first().map_or(0, |(line, _)| line.first_receipt),
        lines: lines.iter().map(told).collect(),
        proof,
    };
    let mut instruction = build(ID, &accounts, &instruction::ClaimLines { args });
    let rest = &mut instruction.accounts;
    for (line, _) in lines {
        let snapshot = market::seeds::find_snapshot(&line.container, line.stage, pricing_epoch(epoch)).0;
        rest.push(meta(snapshot, false, false));
        rest.push(meta(market::seeds::find_node(&Pubkey::new_from_array(line.worker)).0, false, false));
    }
    for (line, to) in lines {
        rest.extend(payee_accounts(line, to));
    }
    instruction
}

/// The accounts that a claim credits, in the program's order.
fn payee_accounts(line: &Line, to: &LinePayees) -> Vec<AccountMeta> {
    let earnings = |owner: &Pubkey| meta(seeds::find_earnings(owner, &mint()).0, false, true);
    let mut rest = vec![earnings(&to.payees.vendor)];
    if to.payees.oem != Pubkey::default() {
        rest.push(earnings(&to.payees.oem));
    }
    rest.push(earnings(&to.provider));
    rest.push(earnings(&to.payees.weaver));
    if line.referrer != NO_REFERRER {
        let referrer = Pubkey::new_from_array(line.referrer);
        rest.push(meta(market::seeds::find_party(&referrer, Role::Curator).0, false, false));
        if to.curator_active {
            rest.push(earnings(&referrer));
        }
    }
    rest
}

/// Frees the rent of a day's fees. Anyone, 90 days after its end.
pub fn close_fee_day(day: u32, rent_payer: Pubkey) -> Instruction {
    let accounts = accounts::CloseFeeDay { fee_day: seeds::find_fee_day(day).0, rent_payer };
    build(ID, &accounts, &instruction::CloseFeeDay {})
}

/// Divides a batch's fee, burns and sends on what is left. Anyone. `now` picks the day's account.
pub fn sweep_batch(payer: Pubkey, gateway: Pubkey, epoch: u32, shard: u16, now: i64) -> Instruction {
    let day = FeeDay::day_of(now).unwrap_or_default();
    let accounts = accounts::SweepBatch {
        payer,
        config: config(),
        mint: mint(),
        batch: seeds::find_batch(&gateway, epoch, shard).0,
        gateway_earnings: seeds::find_earnings(&gateway, &mint()).0,
        fee_day: seeds::find_fee_day(day).0,
        pool: pool(),
        audits: seeds::find_audits(&mint()).0,
        treasury_vault: coin::seeds::find_vault(VaultKind::Treasury).0,
        insurance_vault: coin::seeds::find_vault(VaultKind::Insurance).0,
        token_program: TOKEN,
        system_program: SYSTEM,
        event_authority: event_authority(&ID),
        program: ID,
    };
    build(ID, &accounts, &instruction::SweepBatch {})
}

/// Frees the rent of a swept batch, and shuts its epoch and all before it for posting. Signed by the gateway.
pub fn close_batch(gateway: Pubkey, epoch: u32, shard: u16, rent_payer: Pubkey) -> Instruction {
    let accounts = accounts::CloseBatch {
        gateway,
        gateway_vault: gateway_vault(&gateway).0,
        batch: seeds::find_batch(&gateway, epoch, shard).0,
        rent_payer,
    };
    build(ID, &accounts, &instruction::CloseBatch {})
}

/// Pays earnings to the owner's AIC account: an amount, or everything.
pub fn withdraw_earnings(owner: Pubkey, amount_aic: Option<u64>) -> Instruction {
    let accounts = accounts::WithdrawEarnings {
        owner,
        config: config(),
        earnings: seeds::find_earnings(&owner, &mint()).0,
        pool: pool(),
        breaker: seeds::find_breaker(&pool()).0,
        destination: aic_account(&owner),
        token_program: TOKEN,
        event_authority: event_authority(&ID),
        program: ID,
    };
    build(ID, &accounts, &instruction::WithdrawEarnings { amount_aic })
}

/// Registers the wallet that `sweep_earnings` pays; in effect after 24 hours.
pub fn set_sweep(owner: Pubkey, wallet: Pubkey) -> Instruction {
    let accounts = accounts::SetSweep { owner, earnings: seeds::find_earnings(&owner, &mint()).0 };
    build(ID, &accounts, &instruction::SetSweep { wallet })
}
