//! From the fees of swept batches to the usage rewards of their day: the two programs agree on the bytes between them.

use coin::{events::DayReleased, state::VaultKind};
use settlement::{seeds, state::FeeDay};
use waybill_mechanism::message::NO_REFERRER;
use waybill_tests::ix_coin;

use crate::desk::*;

#[test]
fn the_fees_of_a_swept_batch_bound_the_release_of_their_day() {
    let (mut desk, shard) = Desk::finalized(&[651_750, 1_324_950], NO_REFERRER);
    for index in 0..2 {
        desk.claim(&shard, index).unwrap();
    }
    desk.send(&[desk.sweep_batch_ix(desk.batch_of(&shard))], &[]).unwrap();
    let day = FeeDay::day_of(desk.now()).unwrap();
    let record: FeeDay = desk.net.world.read(&seeds::find_fee_day(day).0);
    assert_eq!(record.fee_aic, 391_050 + 794_970, "3 % of both lines");

    desk.advance((i64::from(day) + 1) * 86_400 + 48 * 3_600 - desk.now());
    let grants = coin::seeds::find_vault(VaultKind::Grants).0;
    let before = desk.token(&grants);
    let release = ix_coin::release(desk.payer(), settlement::ID, day);
    let sent = desk.send(&[release], &[]).unwrap();
    let [event] = sent.cpi_events::<DayReleased>().try_into().ok().unwrap();
    assert_eq!((event.fee_aic, event.amount), (1_186_020, 711_612));
    assert_eq!(desk.token(&grants) - before, 711_612);
}
