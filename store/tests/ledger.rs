//! What the ledger promises, on both databases.
#![allow(clippy::unwrap_used)]

mod common;

use common::{CONSUMER, GATEWAY, World, config};
use sqlx::Executor;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use waybill_protocol::{ChannelId, WalletId};
use waybill_store::testing::{ChargeSource, PostgresServer, charge};
use waybill_store::{IssuableNote, Ledger, LedgerError, Store, StoreError};

const EPOCH: u32 = 490_000;

on_both_databases!(
    charges_of_many_callers_are_all_stored_and_totals_agree,
    the_same_charge_again_is_ok_and_other_bytes_are_a_conflict,
    a_refused_charge_does_not_fail_its_neighbours,
    a_receipt_that_does_not_continue_its_line_is_refused,
    a_charge_that_contradicts_its_order_is_refused,
    notes_come_in_nonce_order_and_void_nonces_are_skipped,
    a_long_wait_for_one_nonce_releases_all_later_notes_at_once,
    leftover_nonces_of_a_crashed_holder_turn_void,
    leftovers_do_not_stall_notes_when_nobody_reserves,
    a_sole_gateway_takes_over_leftovers_at_once,
    two_ledgers_of_one_gateway_share_a_line,
    a_closed_epoch_accepts_no_charge,
    shutting_down_answers_everything_queued,
    a_replay_returns_the_notes_that_nobody_signed,
    the_spending_of_an_api_key_is_counted,
);

fn worker(tag: u8) -> [u8; 32] {
    [tag; 32]
}

fn nonces(notes: &[IssuableNote]) -> Vec<u64> {
    notes.iter().map(|note| note.nonce).collect()
}

async fn charges_of_many_callers_are_all_stored_and_totals_agree(world: World) {
    const CALLERS: u8 = 16;
    const EACH: u64 = 20;
    let mut callers = JoinSet::new();
    for tag in 0..CALLERS {
        let channel = world.channel(tag + 1, EACH as u32).await;
        let (ledger, mut source) = (world.ledger.clone(), world.source.clone());
        callers.spawn(async move {
            let mut notes = Vec::new();
            for nonce in 1..=EACH {
                let done = ledger.charge(source.charge(channel, nonce, worker(tag), EPOCH, 100 + nonce)).await.unwrap();
                assert!(!done.replayed);
                notes.extend(done.notes);
            }
            assert_eq!(nonces(&notes), (1..=EACH).collect::<Vec<_>>());
            notes.last().unwrap().cum_charged_nc
        });
    }
    let totals = callers.join_all().await;
    let expected: u64 = (1..=EACH).map(|nonce| 100 + nonce).sum();
    assert!(totals.iter().all(|total| *total == expected));
    for channel in world.store.channels_of_gateway(GATEWAY).await.unwrap() {
        assert_eq!((channel.charged_nc, channel.noted_cum_nc, channel.waiting), (expected, expected, 0));
    }
    let epochs = world.store.open_epochs(Some(GATEWAY), EPOCH + 1).await.unwrap();
    assert_eq!(epochs.len(), 1);
    assert_eq!(epochs[0].receipts, u64::from(CALLERS) * EACH);
    assert_eq!(epochs[0].credits_nc, u64::from(CALLERS) * expected);
    world.stop().await;
}

async fn the_same_charge_again_is_ok_and_other_bytes_are_a_conflict(mut world: World) {
    let channel = world.channel(1, 10).await;
    let first = world.source.charge(channel, 1, worker(1), EPOCH, 50);
    let done = world.ledger.charge(first.clone()).await.unwrap();
    let again = world.ledger.charge(first.clone()).await.unwrap();
    assert_eq!((done.charged_nc, done.replayed), (50, false));
    assert_eq!((again.charged_nc, again.replayed), (50, true));

    let mut other = first.clone();
    other.gateway_sig = [1; 64];
    assert!(matches!(world.ledger.charge(other).await, Err(LedgerError::Conflict(_))));
    let mut same_nonce = charge(GATEWAY, channel, 1, worker(1), EPOCH, (1, 60, 10));
    same_nonce.receipt_id = "another-receipt".into();
    same_nonce.request_id.0 = "another-request".into();
    assert!(matches!(world.ledger.charge(same_nonce).await, Err(LedgerError::Conflict(_))));
    let mut same_request = charge(GATEWAY, channel, 2, worker(1), EPOCH, (1, 60, 10));
    same_request.request_id = first.request_id.clone();
    assert!(matches!(world.ledger.charge(same_request).await, Err(LedgerError::Conflict(_))));

    // Twins in one transaction: one books, the other finds it.
    let twin = world.source.charge(channel, 2, worker(1), EPOCH, 7);
    let (a, b) = tokio::join!(world.ledger.charge(twin.clone()), world.ledger.charge(twin.clone()));
    assert_ne!(a.unwrap().replayed, b.unwrap().replayed);
    assert_eq!(world.store.channel(channel).await.unwrap().unwrap().charged_nc, 57);
    assert_eq!(world.store.receipt(&twin.receipt_id).await.unwrap().unwrap().receipt, twin);
    world.stop().await;
}

async fn a_refused_charge_does_not_fail_its_neighbours(mut world: World) {
    let channel = world.channel(1, 8).await;
    let good: Vec<_> = (1..=4).map(|n| world.source.charge(channel, n, worker(n as u8), EPOCH, 10)).collect();
    let unknown = charge(GATEWAY, ChannelId([9; 32]), 1, worker(50), EPOCH, (0, 10, 10));
    let gap = charge(GATEWAY, channel, 5, worker(51), EPOCH, (3, 10, 10));
    let unleased = charge(GATEWAY, channel, 900, worker(52), EPOCH, (0, 10, 10));
    let ledger = &world.ledger;
    let (a, b, c, d, e, f, g) = tokio::join!(
        ledger.charge(good[0].clone()),
        ledger.charge(unknown),
        ledger.charge(good[1].clone()),
        ledger.charge(gap),
        ledger.charge(good[2].clone()),
        ledger.charge(unleased),
        ledger.charge(good[3].clone()),
    );
    assert!([a, c, e, g].iter().all(Result::is_ok));
    assert!(matches!(b, Err(LedgerError::UnknownChannel(_))));
    assert!(matches!(d, Err(LedgerError::Discontinuous { expected_seq: 0, .. })));
    assert!(matches!(f, Err(LedgerError::NonceNotLeased(900))));
    assert_eq!(world.store.channel(channel).await.unwrap().unwrap().charged_nc, 40);
    world.stop().await;
}

async fn a_receipt_that_does_not_continue_its_line_is_refused(mut world: World) {
    let channel = world.channel(1, 8).await;
    world.ledger.charge(world.source.charge(channel, 1, worker(1), EPOCH, 10)).await.unwrap();
    for bad in [(0, 10, 10), (2, 20, 10), (1, 21, 10), (1, 19, 10)] {
        let refused = world.ledger.charge(charge(GATEWAY, channel, 2, worker(1), EPOCH, bad)).await;
        assert!(matches!(refused, Err(LedgerError::Discontinuous { expected_seq: 1, line_cum_nc: 10, .. })), "{bad:?}");
    }
    world.ledger.charge(charge(GATEWAY, channel, 2, worker(1), EPOCH, (1, 20, 10))).await.unwrap();
    // The next epoch starts the line anew.
    world.ledger.charge(charge(GATEWAY, channel, 3, worker(1), EPOCH + 1, (0, 5, 5))).await.unwrap();
    let line = world.store.lines(GATEWAY, EPOCH, None).await.unwrap()[0];
    assert_eq!((line.next_seq, line.cum_nc), (2, 20));
    let last = world.store.last_receipts(GATEWAY, EPOCH, line.worker).await.unwrap();
    assert_eq!(last.iter().map(|charge| charge.nonce).collect::<Vec<_>>(), [2]);
    world.stop().await;
}

async fn a_charge_that_contradicts_its_order_is_refused(mut world: World) {
    let channel = world.channel(1, 8).await;
    let honest = world.source.charge(channel, 1, worker(1), EPOCH, 10);
    let elsewhere = waybill_store::Charge { channel: ChannelId([2; 32]), ..honest.clone() };
    let later = waybill_store::Charge { nonce: 2, ..honest.clone() };
    let referred = waybill_store::Charge { referrer: WalletId([3; 32]), ..honest.clone() };
    let pricey = waybill_store::Charge {
        order: charge(GATEWAY, channel, 1, worker(1), EPOCH, (0, 9, 9)).order,
        ..honest.clone()
    };
    for bad in [elsewhere, later, referred, pricey] {
        assert!(matches!(world.ledger.charge(bad).await, Err(LedgerError::Malformed(_))));
    }
    let foreign = charge(WalletId([5; 32]), channel, 1, worker(1), EPOCH, (0, 10, 10));
    assert!(matches!(world.ledger.charge(foreign).await, Err(LedgerError::WrongGateway { .. })));
    world.ledger.charge(honest).await.unwrap();
    world.stop().await;
}

async fn notes_come_in_nonce_order_and_void_nonces_are_skipped(mut world: World) {
    let channel = world.channel(1, 8).await;
    let late = world.source.charge(channel, 3, worker(1), EPOCH, 30);
    assert_eq!(world.ledger.charge(late).await.unwrap().notes, []);
    let second = world.source.charge(channel, 2, worker(1), EPOCH, 20);
    assert_eq!(world.ledger.charge(second).await.unwrap().notes, []);
    assert_eq!(world.store.channel(channel).await.unwrap().unwrap().waiting, 2);
    assert!(world.ledger.void(channel, 4).await.unwrap().is_empty());

    let notes = world.ledger.void(channel, 1).await.unwrap();
    let expected = |nonce, charge_nc, cum_charged_nc| IssuableNote { channel, nonce, charge_nc, cum_charged_nc };
    assert_eq!(notes, [expected(2, 20, 20), expected(3, 30, 50)]);
    assert_eq!(world.store.channel(channel).await.unwrap().unwrap().noted_nonce, 4);

    assert!(world.ledger.void(channel, 1).await.unwrap().is_empty());
    assert!(matches!(world.ledger.void(channel, 2).await, Err(LedgerError::NonceCharged(2))));
    let voided = charge(GATEWAY, channel, 4, worker(1), EPOCH, (2, 60, 10));
    assert!(matches!(world.ledger.charge(voided).await, Err(LedgerError::NonceVoid(4))));

    // Signing: the ledger's amounts only, once, and the consumer reads them in order.
    assert_eq!(world.store.unsigned_notes(GATEWAY, 10).await.unwrap(), notes);
    let signed = notes[1].to_note([7; 8]);
    let mut wrong = signed;
    wrong.cum_charged_nc += 1;
    assert!(matches!(world.store.store_notes(&[(wrong, [1; 64])]).await, Err(StoreError::Conflict { .. })));
    let mut early = signed;
    early.nonce = 5;
    let one_early = [(signed, [1; 64]), (early, [1; 64])];
    assert!(matches!(world.store.store_notes(&one_early).await, Err(StoreError::Missing { .. })));
    assert_eq!(world.store.unsigned_notes(GATEWAY, 10).await.unwrap(), notes, "all or none");
    world.store.store_notes(&[(signed, [1; 64])]).await.unwrap();
    world.store.store_notes(&[(signed, [1; 64])]).await.unwrap();
    assert!(matches!(world.store.store_notes(&[(signed, [2; 64])]).await, Err(StoreError::Conflict { .. })));
    let read = world.store.notes_after(channel, 2, 10).await.unwrap();
    assert_eq!(read.iter().map(|note| note.note).collect::<Vec<_>>(), [signed.to_bytes()]);
    assert_eq!(world.store.unsigned_notes(GATEWAY, 10).await.unwrap(), notes[..1]);
    world.stop().await;
}

async fn a_long_wait_for_one_nonce_releases_all_later_notes_at_once(mut world: World) {
    const LAST: u64 = 700;
    let channel = world.channel(1, LAST as u32).await;
    let mut waiting = Vec::new();
    for nonce in 2..=LAST {
        waiting.push(world.source.charge(channel, nonce, worker((nonce % 7) as u8), EPOCH, nonce));
    }
    let answers = futures(&world.ledger, waiting).await;
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap().notes.is_empty()));
    let last = world.source.charge(channel, 1, worker(9), EPOCH, 1);
    let notes = world.ledger.charge(last).await.unwrap().notes;
    assert_eq!(nonces(&notes), (1..=LAST).collect::<Vec<_>>());
    assert!(notes.windows(2).all(|pair| pair[1].cum_charged_nc == pair[0].cum_charged_nc + pair[1].charge_nc));
    let row = world.store.channel(channel).await.unwrap().unwrap();
    assert_eq!((row.waiting, row.noted_cum_nc), (0, row.charged_nc));
    world.stop().await;
}

/// Sends all charges in order without waiting between them.
async fn futures(
    ledger: &Ledger,
    charges: Vec<waybill_store::Charge>,
) -> Vec<Result<waybill_store::Charged, LedgerError>> {
    let mut pending: Vec<_> = charges.into_iter().map(|charge| Box::pin(ledger.charge(charge))).collect();
    let mut answers: Vec<_> = pending.iter().map(|_| None).collect();
    std::future::poll_fn(|cx| {
        for (future, answer) in pending.iter_mut().zip(&mut answers) {
            if answer.is_none()
                && let std::task::Poll::Ready(done) = future.as_mut().poll(cx)
            {
                *answer = Some(done);
            }
        }
        if answers.iter().all(Option::is_some) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    answers.into_iter().map(Option::unwrap).collect()
}

async fn leftover_nonces_of_a_crashed_holder_turn_void(mut world: World) {
    let channel = world.channel(1, 10).await;
    let third = world.source.charge(channel, 3, worker(1), EPOCH, 30);
    assert!(world.ledger.charge(third).await.unwrap().notes.is_empty());

    let (second, _task) = world.second_ledger("second");
    let block = second.reserve_nonces(channel, 5).await.unwrap();
    assert_eq!((block.nonces, block.notes), (11..16, vec![]), "the first holder still lives");

    world.now_ms.fetch_add(120_001, Ordering::SeqCst);
    let (third, _task) = world.second_ledger("third");
    let block = third.reserve_nonces(channel, 5).await.unwrap();
    assert_eq!(block.nonces, 16..21);
    // Either the reservation or a renewal of a live ledger found the leftovers first; the note is issuable in any case.
    let notes = world.store.unsigned_notes(GATEWAY, 10).await.unwrap();
    assert_eq!(notes, [IssuableNote { channel, nonce: 3, charge_nc: 30, cum_charged_nc: 30 }]);
    let late = charge(GATEWAY, channel, 5, worker(1), EPOCH, (1, 40, 10));
    assert!(matches!(world.ledger.charge(late).await, Err(LedgerError::NonceVoid(5))));
    let done = third.charge(charge(GATEWAY, channel, 16, worker(1), EPOCH, (1, 40, 10))).await.unwrap();
    assert_eq!((done.charged_nc, nonces(&done.notes)), (40, vec![16]));
    world.stop().await;
}

async fn leftovers_do_not_stall_notes_when_nobody_reserves(mut world: World) {
    let channel = world.channel(1, 10).await;
    world.ledger.charge(world.source.charge(channel, 3, worker(1), EPOCH, 30)).await.unwrap();
    world.now_ms.fetch_add(120_001, Ordering::SeqCst);
    // A ledger that starts renews at once, finds the expired lease and voids it; a call behind it waits for that.
    let (second, _task) = world.second_ledger("second");
    second.release_nonces().await.unwrap();
    assert_eq!(nonces(&world.store.unsigned_notes(GATEWAY, 10).await.unwrap()), [3]);
    world.stop().await;
}

async fn a_sole_gateway_takes_over_leftovers_at_once(mut world: World) {
    let channel = world.channel(1, 10).await;
    world.ledger.charge(world.source.charge(channel, 2, worker(1), EPOCH, 20)).await.unwrap();
    let (restarted, _task) = world.second_ledger("restarted");
    assert_eq!(nonces(&restarted.take_over_nonces().await.unwrap()), [2]);
    assert_eq!(restarted.reserve_nonces(channel, 1).await.unwrap().nonces, 11..12);
    world.stop().await;
}

async fn two_ledgers_of_one_gateway_share_a_line(mut world: World) {
    let channel = world.channel(1, 40).await;
    let (second, _task) = world.second_ledger("second");
    for nonce in 1..=40 {
        let ledger = if nonce % 2 == 0 { &world.ledger } else { &second };
        let done = ledger.charge(world.source.charge(channel, nonce, worker(1), EPOCH, 1)).await.unwrap();
        assert_eq!((done.charged_nc, nonces(&done.notes)), (nonce, vec![nonce]));
    }
    // Both want the same place in a line: one gets it.
    let other = ChannelId([2; 32]);
    world.store.ensure_channel(other, CONSUMER, GATEWAY).await.unwrap();
    let (a, b) = tokio::join!(world.ledger.reserve_nonces(other, 4), second.reserve_nonces(other, 4));
    let (a, b) = (a.unwrap().nonces, b.unwrap().nonces);
    assert!(a.end == b.start || b.end == a.start, "{a:?} and {b:?} overlap");
    let left = charge(GATEWAY, other, a.start, worker(1), EPOCH, (40, 41, 1));
    let right = charge(GATEWAY, other, b.start, worker(1), EPOCH, (40, 41, 1));
    let (a, b) = tokio::join!(world.ledger.charge(left), second.charge(right));
    assert_ne!(a.is_ok(), b.is_ok());
    let refused = a.err().or_else(|| b.err()).unwrap();
    assert!(matches!(refused, LedgerError::Discontinuous { expected_seq: 41, .. }), "{refused}");
    world.stop().await;
}

async fn a_closed_epoch_accepts_no_charge(mut world: World) {
    let channel = world.channel(1, 8).await;
    let kept = world.source.charge(channel, 1, worker(1), EPOCH, 10);
    world.ledger.charge(kept.clone()).await.unwrap();
    world.store.close_epoch(GATEWAY, EPOCH, 5).await.unwrap();
    world.store.close_epoch(GATEWAY, EPOCH, 6).await.unwrap();
    let late = world.source.charge(channel, 2, worker(1), EPOCH, 10);
    assert!(matches!(world.ledger.charge(late).await, Err(LedgerError::EpochClosed(EPOCH))));
    assert!(world.ledger.charge(kept).await.unwrap().replayed);
    let next = charge(GATEWAY, channel, 2, worker(1), EPOCH + 1, (0, 10, 10));
    world.ledger.charge(next).await.unwrap();
    let epochs = world.store.open_epochs(None, EPOCH + 2).await.unwrap();
    assert_eq!(
        epochs.iter().map(|e| (e.epoch, e.closed, e.credits_nc)).collect::<Vec<_>>(),
        [(EPOCH, true, 10), (EPOCH + 1, false, 10)]
    );
    world.stop().await;
}

async fn shutting_down_answers_everything_queued(mut world: World) {
    let channel = world.channel(1, 300).await;
    let charges: Vec<_> = (1..=300).map(|nonce| world.source.charge(channel, nonce, worker(1), EPOCH, 1)).collect();
    let (ledger, shutdown) = (world.ledger.clone(), world.shutdown.clone());
    let (answers, ()) = tokio::join!(futures(&ledger, charges), async move { shutdown.cancel() });
    world.task.await.unwrap();
    let stored = answers.iter().filter(|answer| answer.is_ok()).count() as u64;
    assert!(
        answers
            .iter()
            .all(|answer| matches!(answer, Ok(_) | Err(LedgerError::Stopped | LedgerError::Discontinuous { .. })))
    );
    let row = world.store.channel(channel).await.unwrap().unwrap();
    assert_eq!((row.charged_nc, row.noted_cum_nc, row.waiting), (stored, stored, 0));
    assert_eq!(row.noted_nonce, 300, "the nonces that were not used are void");
}

async fn a_replay_returns_the_notes_that_nobody_signed(mut world: World) {
    let channel = world.channel(1, 8).await;
    let first = world.source.charge(channel, 1, worker(1), EPOCH, 10);
    let notes = world.ledger.charge(first.clone()).await.unwrap().notes;
    assert_eq!(world.ledger.charge(first.clone()).await.unwrap().notes, notes);
    world.store.store_notes(&[(notes[0].to_note([7; 8]), [1; 64])]).await.unwrap();
    assert_eq!(world.ledger.charge(first).await.unwrap().notes, []);
    world.stop().await;
}

async fn the_spending_of_an_api_key_is_counted(mut world: World) {
    let channel = world.channel(1, 8).await;
    let key = waybill_store::NewApiKey {
        public_id: "abcdefghij12".into(),
        hash: [1; 32],
        channel,
        label: "laptop".into(),
        created_ms: 1,
        limit_nc: Some(1_000),
    };
    world.store.insert_api_key(&key).await.unwrap();
    assert!(matches!(world.store.insert_api_key(&key).await, Err(StoreError::Conflict { .. })));
    for nonce in 1..=3 {
        let mut charge = world.source.charge(channel, nonce, worker(1), EPOCH, 100);
        charge.api_key = Some(key.public_id.clone());
        world.ledger.charge(charge).await.unwrap();
    }
    let read = world.store.api_key("abcdefghij12").await.unwrap().unwrap();
    assert_eq!((read.charged_nc, read.limit_nc, read.revoked_ms), (300, Some(1_000), None));
    assert!(world.store.revoke_api_key("abcdefghij12", 9).await.unwrap());
    assert!(world.store.revoke_api_key("abcdefghij12", 10).await.unwrap());
    assert!(!world.store.revoke_api_key("nobodynobody", 10).await.unwrap());
    assert_eq!(world.store.api_keys_of(channel).await.unwrap()[0].revoked_ms, Some(9));
    world.stop().await;
}

/// Only the database can refuse this one; the trigger stands for any constraint that the checks before it do not know.
#[tokio::test]
async fn what_only_the_database_refuses_fails_alone() {
    let mut world = World::open(common::Database::new(waybill_store::Backend::Sqlite).unwrap()).await;
    let channel = world.channel(1, 8).await;
    let pool = sqlx::AnyPool::connect(&world.database.url).await.unwrap();
    let trigger = "CREATE TRIGGER poison BEFORE INSERT ON receipts WHEN NEW.model = 'poison' \
                   BEGIN SELECT RAISE(ABORT, 'poison'); END";
    pool.execute(trigger).await.unwrap();
    pool.close().await;
    let mut charges: Vec<_> = (1..=5).map(|n| world.source.charge(channel, n, worker(n as u8), EPOCH, 10)).collect();
    charges[2].model = "poison".into();
    let answers = futures(&world.ledger, charges).await;
    let ok: Vec<bool> = answers.iter().map(Result::is_ok).collect();
    assert_eq!(ok, [true, true, false, true, true]);
    assert!(matches!(answers[2], Err(LedgerError::Database(_))));
    assert_eq!(world.store.channel(channel).await.unwrap().unwrap().charged_nc, 40);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ledger_fails_while_the_database_is_down_and_goes_on_when_it_is_back() {
    let Some(mut server) = PostgresServer::start(true).unwrap() else { return };
    let store = Store::open(&server.database("books").unwrap()).await.unwrap();
    let now_ms = Arc::new(AtomicU64::new(1));
    let shutdown = CancellationToken::new();
    let (ledger, task) = Ledger::start(store.clone(), config("only", &now_ms), shutdown.clone());
    let channel = ChannelId([1; 32]);
    store.ensure_channel(channel, CONSUMER, GATEWAY).await.unwrap();
    ledger.reserve_nonces(channel, 8).await.unwrap();
    let mut source = ChargeSource::new(GATEWAY);
    ledger.charge(source.charge(channel, 1, worker(1), EPOCH, 10)).await.unwrap();

    server.crash().unwrap();
    let second = source.charge(channel, 2, worker(1), EPOCH, 10);
    assert!(matches!(ledger.charge(second.clone()).await, Err(LedgerError::Database(_))));
    assert!(!store.healthy().await);

    server.restart(true).unwrap();
    let done = ledger.charge(second).await.unwrap();
    assert_eq!((done.charged_nc, nonces(&done.notes)), (20, vec![2]));
    shutdown.cancel();
    task.await.unwrap();
    store.close().await;
}
