//! Opening and closing of channels, earnings, authorities and pause.

use anchor_lang::prelude::Pubkey;
use anchor_spl::associated_token::get_associated_token_address as ata;
use coin::authority::{AuthorityRole, pause};
use market::state::{Party, Role};
use settlement::{
    accounts,
    error::SettleError,
    events::{ChannelClosed, EarningsWithdrawn},
    instruction,
    instructions::{OpenChannelArgs, ProposeAuthorityArgs, TopUpGatewayArgs},
    state::{GatewayVault, SettleConfig},
};
use solana_signer::Signer;
use waybill_mechanism::message::domain;
use waybill_tests::{assert_refused, event_authority, ix::swap, key};

use crate::desk::*;

#[test]
fn the_domain_is_computed_on_chain() {
    let desk = Desk::new();
    let config: SettleConfig = desk.net.world.read(&desk.config());
    assert_eq!(config.domain, domain("localnet", &settlement::ID.to_bytes()));
    assert_eq!(i64::from(config.epoch_s), EPOCH_S);
}

#[test]
fn only_the_coins_admin_configures_and_only_once() {
    let mut desk = Desk::bare();
    let admin = desk.net.world.admin.insecure_clone();
    let mallory = key("mallory");
    let forged = swap(desk.init_config_ix(), admin.pubkey(), mallory.pubkey());
    assert_refused(desk.send(&[forged], &[&mallory]), SettleError::Unauthorized);
    // A prefunded address does not block it.
    desk.net.world.svm.airdrop(&desk.config(), 1_000_000).unwrap();
    desk.send(&[desk.init_config_ix()], &[&admin]).unwrap();
    assert!(desk.send(&[desk.init_config_ix()], &[&admin]).is_err());
}

#[test]
fn a_gateway_without_stake_is_not_opened() {
    let mut desk = Desk::bare();
    let admin = desk.net.world.admin.insecure_clone();
    desk.send(&[desk.init_config_ix()], &[&admin]).unwrap();
    let party = market::seeds::find_party(&desk.net.gateway.pubkey(), Role::Gateway).0;
    let curator = market::seeds::find_party(&desk.net.curator.pubkey(), Role::Curator).0;
    let other = swap(desk.open_gateway_ix(), party, curator);
    assert_refused(desk.send(&[other], &[&desk.gateway()]), SettleError::AccountMismatch);
    desk.rewrite(party, |party: &mut Party| party.stake -= 1);
    assert_refused(desk.send(&[desk.open_gateway_ix()], &[&desk.gateway()]), SettleError::NotStaked);
    desk.rewrite(party, |party: &mut Party| party.stake += 1);
    desk.send(&[desk.open_gateway_ix()], &[&desk.gateway()]).unwrap();
}

#[test]
fn a_gateway_pays_for_what_it_could_not_collect() {
    let mut desk = Desk::new();
    let gateway = desk.gateway();
    let source = desk.net.world.fund(&gateway.pubkey(), 1_000);
    let top_up = |desk: &Desk, nc, max_aic| {
        let accounts = accounts::TopUpGateway {
            gateway: gateway.pubkey(),
            config: desk.config(),
            rate: coin::seeds::find_rate().0,
            gateway_vault: desk.gateway_vault(),
            vault: desk.gateway_token(),
            source,
            token_program: TOKEN,
            event_authority: event_authority(&settlement::ID),
            program: settlement::ID,
        };
        ix(&accounts, &instruction::TopUpGateway { args: TopUpGatewayArgs { nc, max_aic } })
    };
    assert_refused(desk.send(&[top_up(&desk, 0, 1_000)], &[&gateway]), SettleError::InvalidAmount);
    assert_refused(desk.send(&[top_up(&desk, 30, 599)], &[&gateway]), SettleError::InvalidAmount);
    desk.measure("top_up_gateway", "first", top_up(&desk, 30, 600), &[&gateway]);
    let vault: GatewayVault = desk.net.world.read(&desk.gateway_vault());
    assert_eq!((vault.nc, vault.aic), (30, 600));
}

#[test]
fn a_channel_opens_at_a_recent_slot_only() {
    let mut desk = Desk::new();
    desk.pass_slots(1_000);
    let slot = desk.open_slot + 1_000;
    let open = |desk: &mut Desk, open_slot| {
        let args = OpenChannelArgs { open_slot, session: None, grant: None };
        desk.send(&[desk.open_channel_ix(args)], &[&desk.consumer()])
    };
    assert_refused(open(&mut desk, slot + 1), SettleError::InvalidOpenSlot);
    assert_refused(open(&mut desk, slot - 151), SettleError::InvalidOpenSlot);
    open(&mut desk, slot - 150).unwrap();
    open(&mut desk, slot).unwrap();
    assert!(open(&mut desk, slot).is_err(), "the address is taken");
}

#[test]
fn a_vault_that_somebody_created_first_stops_nobody() {
    let mut desk = Desk::new();
    let channel = desk.channel();
    desk.net.world.aic_account(&channel);
    let args = OpenChannelArgs { open_slot: desk.open_slot, session: None, grant: None };
    desk.send(&[desk.open_channel_ix(args)], &[&desk.consumer()]).unwrap();
}

#[test]
fn a_closed_channel_refunds_its_consumer_and_its_rent_payer() {
    let mut desk = Desk::with_channel(100_000, 5_000);
    let consumer = desk.consumer();
    assert_refused(desk.send(&[desk.close_channel_ix()], &[]), SettleError::ChannelState);
    let request = desk.request_close_ix();
    desk.measure("request_close", "open", request, &[&consumer]);
    assert_refused(desk.send(&[desk.request_close_ix()], &[&consumer]), SettleError::ChannelState);
    let terms = desk.terms(1);
    assert_refused(desk.send(&[desk.set_delegate_ix(terms)], &[&consumer]), SettleError::ChannelState);
    desk.advance(i64::from(GRACE_S) - 1);
    desk.settle(1_000, 1).unwrap();
    assert_refused(desk.send(&[desk.close_channel_ix()], &[]), SettleError::GraceNotOver);
    desk.advance(1);
    assert_refused(desk.send(&[desk.close_channel_ix()], &[]), SettleError::GraceNotOver);
    desk.pass_slots(151);

    let destination = ata(&consumer.pubkey(), &desk.mint);
    let mine = desk.net.world.aic_account(&key("mallory").pubkey());
    let stolen = swap(desk.close_channel_ix(), destination, mine);
    assert_refused(desk.send(&[stolen], &[]), SettleError::TokenMismatch);
    let rent_to_me = swap(desk.close_channel_ix(), desk.payer(), key("mallory").pubkey());
    assert_refused(desk.send(&[rent_to_me], &[]), SettleError::AccountMismatch);

    let (before, rent) = (desk.token(&destination), desk.net.world.svm.get_balance(&desk.payer()).unwrap());
    let sent = desk.measure("close_channel", "with residual", desk.close_channel_ix(), &[]);
    let [closed] = sent.cpi_events::<ChannelClosed>().try_into().ok().unwrap();
    assert_eq!((closed.refunded_aic, closed.settled_nc), (80_000, 1_000));
    assert_eq!(desk.token(&destination) - before, 80_000);
    assert!(!desk.net.world.exists(&desk.channel()) && !desk.net.world.exists(&desk.channel_token()));
    assert!(desk.net.world.svm.get_balance(&desk.payer()).unwrap() > rent);

    // The address never comes back, so no voucher meets a second incarnation.
    let args = OpenChannelArgs { open_slot: desk.open_slot, session: None, grant: None };
    assert_refused(desk.send(&[desk.open_channel_ix(args)], &[&consumer]), SettleError::InvalidOpenSlot);
}

#[test]
fn earnings_go_to_their_owner_only() {
    let (mut desk, shard) = Desk::finalized(&[1_000], [0; 32]);
    desk.claim(&shard, 0).unwrap();
    let (vendor, mallory) = (desk.net.vendor.insecure_clone(), key("mallory"));
    let owed = desk.earned(&vendor);
    let destination = desk.net.world.aic_account(&mallory.pubkey());
    let earnings = desk.earnings(&vendor.pubkey());

    let stolen = swap(desk.withdraw_ix(&vendor.pubkey(), destination, None), vendor.pubkey(), mallory.pubkey());
    assert_refused(desk.send(&[stolen], &[&mallory]), SettleError::Unauthorized);
    for amount in [0, owed + 1, u64::MAX] {
        let withdraw = desk.withdraw_ix(&vendor.pubkey(), destination, Some(amount));
        assert_refused(desk.send(&[withdraw], &[&vendor]), SettleError::InvalidAmount);
    }
    let (_, foreign) = desk.net.world.foreign_token_account(&vendor.pubkey(), 5);
    let withdraw = desk.withdraw_ix(&vendor.pubkey(), foreign, None);
    assert_refused(desk.send(&[withdraw], &[&vendor]), SettleError::TokenMismatch);
    let pool = desk.pool();
    let withdraw = swap(desk.withdraw_ix(&vendor.pubkey(), destination, None), pool, desk.gateway_token());
    assert_refused(desk.send(&[withdraw], &[&vendor]), SettleError::AccountMismatch);

    let withdraw = desk.withdraw_ix(&vendor.pubkey(), destination, Some(owed - 1));
    desk.send(&[withdraw], &[&vendor]).unwrap();
    assert_eq!((desk.earned(&vendor), desk.token(&destination)), (1, owed - 1));
    assert!(desk.send(&[desk.open_earnings_ix(&vendor.pubkey())], &[]).is_err(), "earnings cannot be reset");
    assert!(desk.net.world.exists(&earnings));
}

#[test]
fn a_sweep_address_takes_effect_after_a_day() {
    let (mut desk, shard) = Desk::finalized(&[1_000], [0; 32]);
    desk.claim(&shard, 0).unwrap();
    let vendor = desk.net.vendor.insecure_clone();
    let (cold, other) = (key("cold"), key("other cold"));
    let to_cold = desk.net.world.aic_account(&cold.pubkey());
    let to_other = desk.net.world.aic_account(&other.pubkey());
    let sweep = |desk: &Desk, to| desk.sweep_earnings_ix(&vendor.pubkey(), to);

    assert_refused(desk.send(&[sweep(&desk, to_cold)], &[]), SettleError::NoSweepAddress);
    let set = desk.set_sweep_ix(&vendor.pubkey(), cold.pubkey());
    desk.measure("set_sweep", "first", set, &[&vendor]);
    desk.advance(86_399);
    assert_refused(desk.send(&[sweep(&desk, to_cold)], &[]), SettleError::NoSweepAddress);
    desk.advance(1);
    assert_refused(desk.send(&[sweep(&desk, to_other)], &[]), SettleError::TokenMismatch);

    // A change keeps the present address until it takes effect.
    let set = desk.set_sweep_ix(&vendor.pubkey(), other.pubkey());
    desk.send(&[set], &[&vendor]).unwrap();
    assert_refused(desk.send(&[sweep(&desk, to_other)], &[]), SettleError::TokenMismatch);
    let owed = desk.earned(&vendor);
    let sent = desk.measure("sweep_earnings", "everything", sweep(&desk, to_cold), &[]);
    let [event] = sent.cpi_events::<EarningsWithdrawn>().try_into().ok().unwrap();
    assert_eq!((event.amount_aic, event.swept), (owed, true));
    assert_eq!(desk.token(&to_cold), owed);
    assert_refused(desk.send(&[sweep(&desk, to_cold)], &[]), SettleError::InvalidAmount);
}

#[test]
fn a_deposit_is_credited_once() {
    let mut desk = Desk::with_channel(100_000, 0);
    assert_refused(desk.send(&[desk.sync_deposit_ix()], &[]), SettleError::InvalidAmount);
    let sync = swap(desk.sync_deposit_ix(), desk.channel_token(), desk.gateway_token());
    assert_refused(desk.send(&[sync], &[]), SettleError::AccountMismatch);
}

#[test]
fn s17_each_flag_stops_its_instructions_and_never_a_withdrawal() {
    let (mut desk, shard) = Desk::finalized(&[600, 400], [0; 32]);
    let admin = desk.net.world.admin.insecure_clone();
    let mallory = key("mallory");
    let set = |desk: &Desk, flags| {
        let accounts = accounts::PauseProgram { authority: admin.pubkey(), config: desk.config() };
        ix(&accounts, &instruction::Pause { flags })
    };
    let clear = |desk: &Desk, flags| {
        let accounts = accounts::ResumeProgram { authority: admin.pubkey(), config: desk.config() };
        ix(&accounts, &instruction::Resume { flags })
    };
    for forged in [set(&desk, 1), clear(&desk, 1)] {
        let forged = swap(forged, admin.pubkey(), mallory.pubkey());
        assert_refused(desk.send(&[forged], &[&mallory]), SettleError::Unauthorized);
    }
    assert_refused(desk.send(&[set(&desk, 1 << 15)], &[&admin]), SettleError::InvalidConfig);
    desk.claim(&shard, 0).unwrap();
    desk.measure("pause", "all but withdrawals", set(&desk, pause::ALL & !pause::WITHDRAWALS), &[&admin]);

    let terms = desk.terms(1);
    assert_refused(desk.send(&[desk.set_delegate_ix(terms)], &[&desk.consumer()]), SettleError::Paused);
    assert_refused(desk.settle(2_000, 9), SettleError::Paused);
    assert_refused(desk.claim(&shard, 1), SettleError::Paused);
    assert_refused(desk.send(&[desk.sweep_batch_ix(desk.batch_of(&shard))], &[]), SettleError::Paused);
    let later = Shard::new(&desk, desk.epoch() - 1, &[1], [0; 32]);
    assert_refused(desk.post(&later), SettleError::Paused);

    let vendor = desk.net.vendor.insecure_clone();
    let destination = desk.net.world.aic_account(&vendor.pubkey());
    let withdraw = desk.withdraw_ix(&vendor.pubkey(), destination, None);
    desk.send(&[withdraw], &[&vendor]).unwrap();
    desk.send(&[desk.request_close_ix()], &[&desk.consumer()]).unwrap();

    desk.measure("resume", "claims", clear(&desk, pause::CLAIMS), &[&admin]);
    desk.claim(&shard, 1).unwrap();
    assert_refused(desk.settle(2_000, 9), SettleError::Paused);
}

#[test]
fn s25_an_authority_changes_hands_in_two_steps() {
    let mut desk = Desk::new();
    let (admin, next, mallory) = (desk.net.world.admin.insecure_clone(), key("next"), key("mallory"));
    let propose = |desk: &Desk, role, new| {
        let accounts = accounts::ProposeAuthority { admin: admin.pubkey(), config: desk.config() };
        ix(&accounts, &instruction::ProposeAuthority { args: ProposeAuthorityArgs { role, new } })
    };
    let accept = |desk: &Desk, new: Pubkey| {
        let accounts = accounts::AcceptAuthority { new, config: desk.config() };
        ix(&accounts, &instruction::AcceptAuthority {})
    };
    let forged = swap(propose(&desk, AuthorityRole::Admin, mallory.pubkey()), admin.pubkey(), mallory.pubkey());
    assert_refused(desk.send(&[forged], &[&mallory]), SettleError::Unauthorized);
    let nobody = propose(&desk, AuthorityRole::Admin, Pubkey::default());
    assert_refused(desk.send(&[nobody], &[&admin]), SettleError::DefaultKey);
    assert_refused(desk.send(&[accept(&desk, next.pubkey())], &[&next]), SettleError::NoPendingAuthority);
    let proposal = propose(&desk, AuthorityRole::Pause, next.pubkey());
    desk.measure("propose_authority", "pause", proposal, &[&admin]);
    assert_refused(desk.send(&[accept(&desk, mallory.pubkey())], &[&mallory]), SettleError::NoPendingAuthority);
    let acceptance = accept(&desk, next.pubkey());
    desk.measure("accept_authority", "pause", acceptance, &[&next]);
    let config: SettleConfig = desk.net.world.read(&desk.config());
    assert_eq!((config.authorities.pause, config.authorities.admin), (next.pubkey(), admin.pubkey()));
}
