//! Promotion settled: a consumer's first paid request through a slot is proven from a final batch, and the campaign pays
//! for it once.

use anchor_lang::{Space, error::ErrorCode, prelude::Pubkey, solana_program::instruction::Instruction};
use market::{
    error::MarketError,
    events::PromoCharged,
    state::{Campaign, Party, Role, SlotAuction},
};
use settlement::{
    accounts,
    error::SettleError,
    events::{EventProven, PromoSettled},
    instruction,
    instructions::{PaidBy, PostBatchArgs, ProveEventArgs, ReceiptFields, Referrer},
    seeds,
    state::{Channel, EventState, PromoEvent},
};
use solana_keypair::Keypair;
use solana_signer::Signer;
use waybill_mechanism::{
    merkle::{self, Tree},
    message::{Order, Receipt, Voucher, ctx_hash, flags, line_key},
};
use waybill_tests::{
    Refused, Sent, assert_refused,
    ix::{read_only, swap},
    ix_promo::{CampaignKeys, close_event, prove_event, roll_slots, settle_promo},
    key,
};

use crate::{
    campaigns::{CAP_NC, ESCROW, assert_each_refused, promoter, set_pause, start},
    desk::*,
};

const DAY: i64 = 86_400;
const PRICE_NC: u64 = 1_000;
const NONE: [u8; 32] = [0; 32];

/// What a request through the slot looked like.
#[derive(Clone, Copy)]
struct Request {
    flags: u8,
    nonce: u64,
    max_price_nc: u64,
    referrer: [u8; 32],
    voucher: Option<Voucher>,
    t_start_ms: u64,
}

/// A desk whose container is promoted by its weaver on the day after tomorrow, with the slots of that day sold.
struct Stage {
    desk: Desk,
    weaver: Keypair,
    keys: CampaignKeys,
    day: u32,
}

impl Stage {
    /// The weaver alone at the auction: an event costs the reserve.
    fn new() -> Self {
        Self::with_rivals(&[])
    }

    /// `rivals` are (name, bid, quality).
    fn with_rivals(rivals: &[(&str, u64, u16)]) -> Self {
        let mut desk = Desk::with_channel(100_000 * PRICE_NC * AIC_PER_NC, 100_000 * PRICE_NC);
        desk.open_all_earnings();
        let weaver = desk.net.weaver.insecure_clone();
        let container = desk.net.container;
        let keys = CampaignKeys { owner: weaver.pubkey(), role: Role::Weaver, id: 7, container, market: 1 };
        let quality = if rivals.is_empty() { 10_000 } else { 11_000 };
        start(&mut desk.net, &weaver, &keys, quality);
        let day = desk.net.world.pricing_epoch() + 2;
        desk.net.world.must(&[keys.bid(desk.payer(), day, 420_000)], &[&weaver]);
        for (name, bid_nc, quality) in rivals {
            let (owner, rival) = promoter(&mut desk.net, name);
            start(&mut desk.net, &owner, &rival, *quality);
            desk.net.world.must(&[rival.bid(desk.payer(), day, *bid_nc)], &[&owner]);
        }
        desk.net.world.set_time(i64::from(day) * DAY - EPOCH_S);
        desk.net.world.refresh_rate();
        desk.net.world.must(&[roll_slots(keys.auction(day))], &[]);
        desk.net.world.set_time(i64::from(day) * DAY + 600);
        Self { desk, weaver, keys, day }
    }

    fn auction(&self) -> Pubkey {
        self.keys.auction(self.day)
    }

    fn event(&self) -> Pubkey {
        seeds::find_promo_event(&self.keys.campaign(), &self.desk.consumer.pubkey()).0
    }

    /// A request of the delegated mode, just now.
    fn request(&self) -> Request {
        Request {
            flags: flags::SPONSORED | flags::DELEGATED,
            nonce: 1,
            max_price_nc: 5_000,
            referrer: NONE,
            voucher: None,
            t_start_ms: u64::try_from(self.desk.now()).unwrap() * 1_000,
        }
    }

    fn ctx_hash(&self, request: &Request, input_hash: &[u8; 32]) -> [u8; 32] {
        let slot = self.auction().to_bytes();
        ctx_hash(&self.desk.net.container, input_hash, request.max_price_nc, &request.referrer, Some(&slot))
    }

    /// The worker's receipt for a request.
    fn receipt(&self, request: &Request) -> Receipt {
        let desk = &self.desk;
        let domain = desk.voucher(1, 0, 0).domain;
        let worker = desk.net.worker.pubkey().to_bytes();
        let input_hash = [21; 32];
        let ctx_hash = self.ctx_hash(request, &input_hash);
        let channel = desk.channel().to_bytes();
        let request_hash = match request.voucher {
            Some(voucher) => Voucher { ctx_hash, nonce: request.nonce, ..voucher }.hash(),
            None => {
                Order { domain, channel, nonce: request.nonce, max_price_nc: request.max_price_nc, ctx_hash }.hash()
            }
        };
        Receipt {
            flags: request.flags,
            det_class: 1,
            domain,
            epoch: desk.epoch(),
            seq: 0,
            gateway: desk.net.gateway.pubkey().to_bytes(),
            worker,
            line_key: line_key(&desk.net.container, 0, &worker, &request.referrer),
            artifact: desk.net.artifact,
            request_hash,
            input_hash,
            output_hash: [22; 32],
            evidence_hash: [23; 32],
            units_in: 10,
            units_out: 20,
            price_nc: PRICE_NC,
            cum_nc: PRICE_NC,
            t_start_ms: request.t_start_ms,
            t_end_ms: request.t_start_ms + 700,
        }
    }

    /// Posts a batch of `n` receipts whose first is `receipt`, and makes it final when `finalize`.
    fn post(&mut self, receipt: &Receipt, n: u32, finalize: bool) -> Posted {
        let desk = &mut self.desk;
        let epoch = receipt.epoch;
        let other = |index: u32| merkle::leaf(&index.to_le_bytes(), PRICE_NC);
        let first = merkle::leaf(&receipt.to_bytes(), receipt.price_nc);
        let leaves = std::iter::once(first).chain((1..n).map(other)).collect();
        let receipts = Tree::build(leaves).unwrap();
        let total = receipts.root().sum;
        desk.settle(total, 1).unwrap();
        let shard = Shard::new(desk, epoch, &[total], NONE);
        let args = PostBatchArgs { receipts_root: receipts.root().hash, n_receipts: n, ..shard.args() };
        desk.advance(EPOCH_S);
        desk.send(&[desk.post_batch_ix(args)], &[&desk.gateway()]).unwrap();
        let batch = desk.batch_of(&shard);
        if finalize {
            desk.advance(CHALLENGE_S.into());
            desk.send(&[desk.finalize_batch_ix(batch)], &[]).unwrap();
            desk.net.world.refresh_rate();
        }
        Posted { batch, proof: receipts.proof(0).unwrap().iter().map(merkle::Node::to_bytes).collect() }
    }

    fn args(&self, request: &Request, receipt: &Receipt, posted: &Posted) -> ProveEventArgs {
        ProveEventArgs {
            index: 0,
            proof: posted.proof.clone(),
            receipt: ReceiptFields {
                flags: receipt.flags,
                det_class: receipt.det_class,
                seq: receipt.seq,
                worker: receipt.worker,
                artifact: receipt.artifact,
                input_hash: receipt.input_hash,
                output_hash: receipt.output_hash,
                evidence_hash: receipt.evidence_hash,
                units_in: receipt.units_in,
                units_out: receipt.units_out,
                price_nc: receipt.price_nc,
                cum_nc: receipt.cum_nc,
                t_start_ms: receipt.t_start_ms,
                t_end_ms: receipt.t_end_ms,
            },
            stage: 0,
            nonce: request.nonce,
            max_price_nc: request.max_price_nc,
            paid_by: request.voucher.map_or(PaidBy::Order, |voucher| PaidBy::Voucher {
                acked_nc: voucher.acked_nc,
                cum_nc: voucher.cum_nc,
                expires: voucher.expires,
            }),
            referrer: if request.referrer == NONE {
                Referrer::Nobody
            } else {
                Referrer::Key(Pubkey::new_from_array(request.referrer))
            },
        }
    }

    fn prove_ix(&self, args: ProveEventArgs, batch: Pubkey) -> Instruction {
        prove_event(
            self.desk.payer(),
            batch,
            self.desk.channel(),
            self.desk.consumer.pubkey(),
            self.keys.campaign(),
            self.auction(),
            args,
        )
    }

    /// Serves a request through the slot and proves it.
    fn proven(&mut self, request: Request) {
        let receipt = self.receipt(&request);
        let posted = self.post(&receipt, 5, true);
        let prove = self.prove_ix(self.args(&request, &receipt, &posted), posted.batch);
        self.desk.send(&[prove], &[]).unwrap();
    }

    /// Pays the rebate into the consumer's channel and syncs it.
    fn settle_ix(&self) -> Instruction {
        settle_promo(
            self.keys.campaign(),
            self.auction(),
            self.desk.consumer.pubkey(),
            self.desk.channel_token(),
            self.desk.net.gateway.pubkey(),
            None,
        )
    }

    fn settle(&mut self) -> Result<Sent, Refused> {
        let steps = [self.settle_ix(), self.desk.sync_deposit_ix()];
        self.desk.send(&steps, &[])
    }

    fn campaign(&self) -> Campaign {
        self.desk.net.world.read(&self.keys.campaign())
    }
}

fn pause_ix(desk: &Desk, flags: u16) -> Instruction {
    let accounts = accounts::PauseProgram { authority: desk.net.world.admin.pubkey(), config: desk.config() };
    ix(&accounts, &instruction::Pause { flags })
}

fn resume_ix(desk: &Desk, flags: u16) -> Instruction {
    let accounts = accounts::ResumeProgram { authority: desk.net.world.admin.pubkey(), config: desk.config() };
    ix(&accounts, &instruction::Resume { flags })
}

struct Posted {
    batch: Pubkey,
    proof: Vec<[u8; 40]>,
}

#[test]
fn an_event_of_the_worked_example_pays_consumer_and_gateway_and_burns_the_rest() {
    let mut stage = Stage::with_rivals(&[("a", 500_000, 9_000), ("c", 300_000, 10_000), ("d", 200_000, 8_000)]);
    let request = stage.request();
    let receipt = stage.receipt(&request);
    let posted = stage.post(&receipt, 5, true);
    let prove = stage.prove_ix(stage.args(&request, &receipt, &posted), posted.batch);
    let sent = stage.desk.send(&[prove], &[]).unwrap();
    let [event] = sent.log_events::<EventProven>().try_into().ok().unwrap();
    assert_eq!((event.event, event.consumer, event.index), (stage.event(), stage.desk.consumer.pubkey(), 0));

    let (escrow, supply) = (stage.desk.token(&stage.keys.escrow()), stage.desk.supply());
    let (balance, earned) = (stage.desk.state().balance_aic, stage.desk.earned(&stage.desk.net.gateway));
    let sent = stage.settle().unwrap();
    let [settled] = sent.cpi_events::<PromoSettled>().try_into().ok().unwrap();
    let [charged] = sent.cpi_events::<PromoCharged>().try_into().ok().unwrap();
    // 289,091 nc at 20 base units: half, three tenths and the rest.
    let parts = (2_890_910, 1_734_546, 1_156_364);
    assert_eq!(settled.price_nc, 289_091);
    assert_eq!((settled.rebate_aic, settled.display_aic, settled.burned_aic), parts);
    assert_eq!((charged.rebate_aic, charged.display_aic, charged.burned_aic), parts);
    assert_eq!(charged.escrow_aic, ESCROW - 5_781_820);
    assert_eq!(escrow - stage.desk.token(&stage.keys.escrow()), 5_781_820);
    assert_eq!(supply - stage.desk.supply(), parts.2);
    assert_eq!(stage.desk.state().balance_aic - balance, parts.0, "the consumer can spend its rebate");
    assert_eq!(stage.desk.earned(&stage.desk.net.gateway) - earned, parts.1);
    let campaign = stage.campaign();
    assert_eq!((campaign.events, campaign.spent_nc, campaign.spent_aic), (1, 289_091, 5_781_820));
    let auction: SlotAuction = stage.desk.net.world.read(&stage.auction());
    assert_eq!((auction.slots[0].events, auction.slots[0].spent_nc), (1, 289_091));

    assert_refused(stage.desk.send(&[stage.settle_ix()], &[]), SettleError::EventCharged);
    let event: PromoEvent = stage.desk.net.world.read(&stage.event());
    assert_eq!(event.state, EventState::Charged);
}

#[test]
fn a_consumers_second_request_costs_the_campaign_nothing() {
    let mut stage = Stage::new();
    let request = stage.request();
    let receipt = stage.receipt(&request);
    let posted = stage.post(&receipt, 5, true);
    let prove = stage.prove_ix(stage.args(&request, &receipt, &posted), posted.batch);
    stage.desk.send(std::slice::from_ref(&prove), &[]).unwrap();
    assert!(stage.desk.send(std::slice::from_ref(&prove), &[]).is_err(), "the event's address is taken");
    stage.settle().unwrap();
    assert!(stage.desk.send(&[prove], &[]).is_err(), "and stays taken");
}

#[test]
fn a_proof_at_the_greatest_depth_fits_one_transaction_and_its_ceiling() {
    let mut stage = Stage::new();
    let request = stage.request();
    let receipt = stage.receipt(&request);
    let posted = stage.post(&receipt, 16_384, true);
    assert_eq!(posted.proof.len(), 14);
    let prove = stage.prove_ix(stage.args(&request, &receipt, &posted), posted.batch);
    let message = solana_message::Message::new(std::slice::from_ref(&prove), Some(&stage.desk.payer()));
    let bytes = 1 + 64 + message.serialize().len();
    // 24 bytes more for a voucher.
    assert!(bytes + 24 <= 1_232, "{bytes} bytes");
    stage.desk.measure("prove_event", "depth 14", prove, &[]);
    // Measured alone: the channel is synced by the next instruction.
    let settle = stage.settle_ix();
    stage.desk.net.world.measure("settlement::settle_promo", "rebate to the channel", settle, &[]);
}

#[test]
fn a_voucher_proves_an_event_like_an_order() {
    let mut stage = Stage::new();
    let request = Request {
        flags: flags::SPONSORED,
        voucher: Some(stage.desk.voucher(9, 0, PRICE_NC)),
        nonce: 9,
        ..stage.request()
    };
    let receipt = stage.receipt(&request);
    let posted = stage.post(&receipt, 2, true);
    let args = stage.args(&request, &receipt, &posted);
    // Named an order, it is another request.
    let order = ProveEventArgs { paid_by: PaidBy::Order, ..args.clone() };
    assert_refused(stage.desk.send(&[stage.prove_ix(order, posted.batch)], &[]), SettleError::NotSponsored);
    stage.desk.send(&[stage.prove_ix(args, posted.batch)], &[]).unwrap();
    stage.settle().unwrap();
}

#[test]
fn only_the_receipt_that_the_batch_commits_to_is_an_event() {
    let mut stage = Stage::new();
    let request = stage.request();
    let receipt = stage.receipt(&request);
    let posted = stage.post(&receipt, 5, true);
    let good = stage.args(&request, &receipt, &posted);
    type Change = fn(&mut ProveEventArgs);
    let changes: [Change; 21] = [
        |a| a.index = 1,
        |a| a.index = 5,
        |a| a.proof[0][0] ^= 1,
        |a| a.proof[1][32] ^= 1,
        |a| a.proof.truncate(2),
        |a| a.receipt.det_class ^= 1,
        |a| a.receipt.flags |= flags::STREAMED,
        |a| a.receipt.seq = 1,
        |a| a.receipt.worker[0] ^= 1,
        |a| a.receipt.artifact[0] ^= 1,
        |a| a.receipt.input_hash[0] ^= 1,
        |a| a.receipt.output_hash[0] ^= 1,
        |a| a.receipt.evidence_hash[0] ^= 1,
        |a| a.receipt.units_in += 1,
        |a| a.receipt.price_nc += 1,
        |a| a.receipt.cum_nc += 1,
        |a| a.receipt.t_end_ms += 1,
        |a| a.nonce += 1,
        |a| a.max_price_nc += 1,
        |a| a.stage = 1,
        |a| a.referrer = Referrer::Key(Pubkey::new_from_array([5; 32])),
    ];
    for (at, change) in changes.into_iter().enumerate() {
        let mut args = good.clone();
        change(&mut args);
        let refused = stage.desk.send(&[stage.prove_ix(args, posted.batch)], &[]).expect_err(&format!("change {at}"));
        assert_eq!(refused.code(), Some(SettleError::InvalidProof.into()), "change {at}");
    }
    stage.desk.send(&[stage.prove_ix(good, posted.batch)], &[]).unwrap();
}

#[test]
fn organic_free_or_early_requests_are_no_events() {
    let mut stage = Stage::new();
    let organic = Request { flags: flags::DELEGATED, ..stage.request() };
    let receipt = stage.receipt(&organic);
    let posted = stage.post(&receipt, 2, true);
    let args = stage.args(&organic, &receipt, &posted);
    assert_refused(stage.desk.send(&[stage.prove_ix(args.clone(), posted.batch)], &[]), SettleError::NotSponsored);
    let mut free = args;
    free.receipt.flags |= flags::SPONSORED;
    free.receipt.price_nc = 0;
    assert_refused(stage.desk.send(&[stage.prove_ix(free, posted.batch)], &[]), SettleError::NotSponsored);
}

#[test]
fn a_channel_counts_when_it_is_a_day_old() {
    let mut stage = Stage::new();
    let opened_at = stage.desk.state().opened_at;
    assert!(opened_at > 0);
    let request = stage.request();
    let started = i64::try_from(request.t_start_ms / 1_000).unwrap();
    let receipt = stage.receipt(&request);
    let posted = stage.post(&receipt, 2, true);
    let prove = stage.prove_ix(stage.args(&request, &receipt, &posted), posted.batch);
    let channel = stage.desk.channel();
    for young in [started - DAY + 1, started, 0, i64::MAX] {
        stage.desk.rewrite(channel, |channel: &mut Channel| channel.opened_at = young);
        assert_refused(stage.desk.send(std::slice::from_ref(&prove), &[]), SettleError::ChannelTooYoung);
    }
    stage.desk.rewrite(channel, |channel: &mut Channel| channel.opened_at = started - DAY);
    stage.desk.send(&[prove], &[]).unwrap();
}

#[test]
fn a_proof_checks_every_account_it_is_given() {
    let mut stage = Stage::with_rivals(&[("a", 500_000, 9_000), ("c", 300_000, 10_000), ("d", 200_000, 8_000)]);
    let request = stage.request();
    let receipt = stage.receipt(&request);
    let posted = stage.post(&receipt, 2, false);
    let batch = posted.batch;
    let prove = stage.prove_ix(stage.args(&request, &receipt, &posted), batch);
    assert_refused(stage.desk.send(std::slice::from_ref(&prove), &[]), SettleError::BatchState);
    stage.desk.advance(CHALLENGE_S.into());
    let finalize = stage.desk.finalize_batch_ix(batch);
    stage.desk.send(&[finalize], &[]).unwrap();

    // The last of four bidders holds no slot.
    let loser = CampaignKeys { owner: key("d").pubkey(), ..stage.keys };
    let consumer = stage.desk.consumer.pubkey();
    let loser_event = seeds::find_promo_event(&loser.campaign(), &consumer).0;
    let (campaign, auction, event) = (stage.keys.campaign(), stage.auction(), stage.event());
    let (config, channel) = (stage.desk.config(), stage.desk.channel());
    let world = &mut stage.desk.net.world;
    let stranger = Some(Pubkey::new_unique());
    let fakes = [config, batch, channel, campaign, auction].map(|address| (address, world.forge(&address, stranger)));
    let mut cases: Vec<_> = fakes
        .into_iter()
        .map(|(address, fake)| {
            ("another program's", swap(prove.clone(), address, fake), ErrorCode::AccountOwnedByWrongProgram.into())
        })
        .collect();
    let lost = swap(swap(prove.clone(), campaign, loser.campaign()), event, loser_event);
    cases.push(("a campaign without a slot", lost, SettleError::SlotMismatch.into()));
    cases.push(("another event's address", swap(prove.clone(), event, loser_event), ErrorCode::ConstraintSeeds.into()));
    cases.push((
        "a batch for a channel",
        swap(prove.clone(), channel, batch),
        ErrorCode::AccountDiscriminatorMismatch.into(),
    ));
    cases.push((
        "a campaign for an auction",
        swap(prove.clone(), auction, campaign),
        ErrorCode::AccountDiscriminatorMismatch.into(),
    ));
    assert_each_refused(world, &[], cases);

    stage.desk.rewrite(auction, |auction: &mut SlotAuction| auction.day += 1);
    assert_refused(stage.desk.send(std::slice::from_ref(&prove), &[]), SettleError::SlotMismatch);
    stage.desk.rewrite(auction, |auction: &mut SlotAuction| auction.day -= 1);
    let gateway = stage.desk.net.gateway.pubkey();
    stage.desk.rewrite(channel, |channel: &mut Channel| channel.gateway = Pubkey::new_unique());
    assert_refused(stage.desk.send(std::slice::from_ref(&prove), &[]), SettleError::AccountMismatch);
    stage.desk.rewrite(channel, |channel: &mut Channel| channel.gateway = gateway);
    // An order of another channel: the same fields at another address.
    let other = stage.desk.net.world.forge(&channel, None);
    assert_refused(stage.desk.send(&[swap(prove.clone(), channel, other)], &[]), SettleError::InvalidProof);
    // Pausing settlement's promotion.
    let admin = stage.desk.net.world.admin.insecure_clone();
    let pause = pause_ix(&stage.desk, coin::authority::pause::PROMOTION);
    stage.desk.send(&[pause], &[&admin]).unwrap();
    assert_refused(stage.desk.send(std::slice::from_ref(&prove), &[]), SettleError::Paused);
    assert_refused(stage.desk.send(&[stage.settle_ix()], &[]), ErrorCode::AccountNotInitialized);
    let resume = resume_ix(&stage.desk, coin::authority::pause::PROMOTION);
    stage.desk.send(&[resume], &[&admin]).unwrap();
    stage.desk.send(&[prove], &[]).unwrap();
    let pause = pause_ix(&stage.desk, coin::authority::pause::PROMOTION);
    stage.desk.send(&[pause], &[&admin]).unwrap();
    assert_refused(stage.desk.send(&[stage.settle_ix()], &[]), SettleError::Paused);
}

#[test]
fn a_charge_goes_to_the_consumer_and_whoever_displayed_and_to_nobody_else() {
    let mut stage = Stage::with_rivals(&[("a", 500_000, 9_000)]);
    let request = stage.request();
    stage.proven(request);
    let settle = stage.settle_ix();
    let rival = CampaignKeys { owner: key("a").pubkey(), ..stage.keys };
    let (campaign, auction, escrow) = (stage.keys.campaign(), stage.auction(), stage.keys.escrow());
    let desk = &mut stage.desk;
    let mallory = key("mallory");
    let mine = desk.net.world.aic_account(&mallory.pubkey());
    let (_, foreign) = desk.net.world.foreign_token_account(&desk.consumer.pubkey(), 1);
    let (pool, mint) = (desk.pool(), desk.mint);
    let (gateway, vendor) = (desk.earnings(&desk.net.gateway.pubkey()), desk.earnings(&desk.net.vendor.pubkey()));
    let rate = coin::seeds::find_rate().0;
    let market_config = market::seeds::find_config().0;
    let slasher = seeds::find_slasher().0;
    let stranger = Some(Pubkey::new_unique());
    let fake_event = desk.net.world.forge(&seeds::find_promo_event(&campaign, &desk.consumer.pubkey()).0, stranger);
    let fake_config = desk.net.world.forge(&desk.config(), stranger);
    let fake_earnings = desk.net.world.forge(&gateway, stranger);
    let fake_rate = desk.net.world.forge(&rate, stranger);
    // `settle_ix` names the market's configuration twice, as configuration and in place of a curator.
    let fake_market = desk.net.world.forge(&market_config, None);
    let own: u32 = ErrorCode::AccountOwnedByWrongProgram.into();
    let mismatch: u32 = SettleError::AccountMismatch.into();
    let event = seeds::find_promo_event(&campaign, &desk.consumer.pubkey()).0;
    let channel_token = desk.channel_token();
    let cases = vec![
        ("a configuration of another program", swap(settle.clone(), desk.config(), fake_config), own),
        ("an event of another program", swap(settle.clone(), event, fake_event), own),
        ("another's campaign", swap(settle.clone(), campaign, rival.campaign()), mismatch),
        ("another auction", swap(settle.clone(), auction, rival.campaign()), mismatch),
        ("another's escrow", swap(settle.clone(), escrow, rival.escrow()), ErrorCode::ConstraintSeeds.into()),
        ("a rebate to somebody else", swap(settle.clone(), channel_token, mine), SettleError::TokenMismatch.into()),
        ("a rebate in other money", swap(settle.clone(), channel_token, foreign), SettleError::TokenMismatch.into()),
        ("another's earnings", swap(settle.clone(), gateway, vendor), SettleError::PayeeMismatch.into()),
        ("earnings of another program", swap(settle.clone(), gateway, fake_earnings), own),
        ("another pool", swap(settle.clone(), pool, mine), mismatch),
        ("another mint", swap(settle.clone(), mint, mine), mismatch),
        ("a rate of another program", swap(settle.clone(), rate, fake_rate), own),
        (
            "a copied market configuration",
            swap(settle.clone(), market_config, fake_market),
            ErrorCode::ConstraintSeeds.into(),
        ),
        ("another slasher", swap(settle.clone(), slasher, mallory.pubkey()), ErrorCode::ConstraintSeeds.into()),
        ("an event that is not writable", read_only(settle.clone(), event), ErrorCode::ConstraintMut.into()),
        ("another program for the market", swap(settle.clone(), market::ID, TOKEN), mismatch),
    ];
    assert_each_refused(&mut desk.net.world, &[], cases);
    set_pause(&mut desk.net.world, true);
    assert_refused(desk.send(std::slice::from_ref(&settle), &[]), MarketError::Paused);
    set_pause(&mut desk.net.world, false);
    // The consumer's own wallet will do as well as its channel.
    let wallet = desk.net.world.aic_account(&desk.consumer.pubkey());
    let before = desk.token(&wallet);
    desk.send(&[swap(settle, channel_token, wallet)], &[]).unwrap();
    assert!(desk.token(&wallet) > before);
}

#[test]
fn an_active_curator_takes_the_gateways_part_and_cannot_be_left_out() {
    let mut stage = Stage::new();
    let curator = stage.desk.net.curator.pubkey();
    let request = Request { referrer: curator.to_bytes(), ..stage.request() };
    // The same curator, named by the grant, needs no key in the proof.
    let channel = stage.desk.channel();
    stage.desk.rewrite(channel, |channel: &mut Channel| channel.grant.referrer = curator);
    let receipt = stage.receipt(&request);
    let posted = stage.post(&receipt, 5, true);
    let args = ProveEventArgs { referrer: Referrer::Grant, ..stage.args(&request, &receipt, &posted) };
    stage.desk.send(&[stage.prove_ix(args, posted.batch)], &[]).unwrap();

    let (campaign, auction, consumer) = (stage.keys.campaign(), stage.auction(), stage.desk.consumer.pubkey());
    let (rebate, gateway) = (stage.desk.channel_token(), stage.desk.net.gateway.pubkey());
    let to = |payee, referrer| settle_promo(campaign, auction, consumer, rebate, payee, referrer);
    assert_refused(stage.desk.send(&[to(gateway, None)], &[]), SettleError::PayeeMismatch);
    assert_refused(stage.desk.send(&[to(gateway, Some(curator))], &[]), SettleError::PayeeMismatch);
    let (before, party) =
        (stage.desk.earned(&stage.desk.net.curator), market::seeds::find_party(&curator, Role::Curator).0);

    // Without stake it is no curator, and the gateway is paid.
    let stake = stage.desk.net.world.read::<Party>(&party).stake;
    stage.desk.rewrite(party, |party: &mut Party| party.stake = 0);
    assert_refused(stage.desk.send(&[to(curator, Some(curator))], &[]), SettleError::PayeeMismatch);
    stage.desk.rewrite(party, |party: &mut Party| party.stake = stake);

    let sent = stage.desk.send(&[to(curator, Some(curator)), stage.desk.sync_deposit_ix()], &[]).unwrap();
    let [settled] = sent.cpi_events::<PromoSettled>().try_into().ok().unwrap();
    assert_eq!(settled.payee, curator);
    assert_eq!(stage.desk.earned(&stage.desk.net.curator) - before, settled.display_aic);
    // At the reserve price: 1,000,000 base units.
    assert_eq!((settled.rebate_aic, settled.display_aic, settled.burned_aic), (500_000, 300_000, 200_000));
}

#[test]
fn a_day_costs_at_most_its_cap_and_never_more_than_the_escrow() {
    let mut stage = Stage::new();
    let request = stage.request();
    stage.proven(request);
    let auction = stage.auction();
    let spent = CAP_NC - 50_000 + 1;
    stage.desk.rewrite(auction, |auction: &mut SlotAuction| auction.slots[0].spent_nc = spent);
    assert_refused(stage.settle(), MarketError::DailyCapReached);
    stage.desk.rewrite(auction, |auction: &mut SlotAuction| auction.slots[0].spent_nc = spent - 1);

    // A price that the escrow cannot pay is not paid in part.
    let price = CAP_NC + 1;
    let campaign = stage.keys.campaign();
    stage.desk.rewrite(auction, |auction: &mut SlotAuction| {
        (auction.slots[0].spent_nc, auction.slots[0].price_nc) = (0, price);
    });
    stage.desk.rewrite(campaign, |campaign: &mut Campaign| campaign.daily_cap_nc = price);
    assert_refused(stage.settle(), MarketError::EscrowTooSmall);
    stage.desk.rewrite(auction, |auction: &mut SlotAuction| auction.slots[0].price_nc = CAP_NC);
    stage.settle().unwrap();
    assert_eq!(stage.desk.token(&stage.keys.escrow()), 0);
}

#[test]
fn a_charge_comes_within_two_days_of_its_day() {
    let mut stage = Stage::new();
    let request = stage.request();
    stage.proven(request);
    let until = i64::from(stage.day + 3) * DAY;
    stage.desk.net.world.set_time(until - 1);
    stage.desk.net.world.refresh_rate();
    stage.desk.net.world.set_time(until);
    assert_refused(stage.settle(), MarketError::ChargesOver);
    stage.desk.net.world.set_time(until - 1);
    stage.settle().unwrap();
}

#[test]
fn s11_an_events_rent_returns_when_its_campaign_is_gone() {
    let mut stage = Stage::new();
    let request = stage.request();
    stage.proven(request);
    stage.settle().unwrap();
    let (campaign, consumer, payer) = (stage.keys.campaign(), stage.desk.consumer.pubkey(), stage.desk.payer());
    let close = close_event(campaign, consumer, payer);
    assert_refused(stage.desk.send(std::slice::from_ref(&close), &[]), SettleError::EventLive);
    let weaver = stage.weaver.insecure_clone();
    stage.desk.send(&[stage.keys.close()], &[&weaver]).unwrap();
    stage.desk.net.world.set_time(i64::from(stage.day + 3) * DAY);
    let wallet = stage.desk.net.world.aic_account(&weaver.pubkey());
    stage.desk.send(&[stage.keys.withdraw(wallet, payer)], &[]).unwrap();

    let mallory = key("mallory").pubkey();
    assert_refused(stage.desk.send(&[swap(close.clone(), payer, mallory)], &[]), SettleError::AccountMismatch);
    assert_refused(stage.desk.send(&[swap(close.clone(), campaign, mallory)], &[]), SettleError::AccountMismatch);
    let rent = stage.desk.net.world.svm.get_balance(&stage.event()).unwrap();
    let before = stage.desk.net.world.svm.get_balance(&payer).unwrap();
    stage.desk.measure("close_event", "after the campaign", close, &[]);
    assert_eq!(stage.desk.net.world.svm.get_balance(&payer).unwrap() + 5_000 - before, rent);
    assert!(!stage.desk.net.world.exists(&stage.event()));
}

#[test]
fn size_of_an_event() {
    assert_eq!(8 + PromoEvent::INIT_SPACE, 279);
}
