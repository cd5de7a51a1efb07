//! From a deposit to money in six wallets, with exact amounts.

use settlement::{
    events::{BatchPosted, BatchSwept, ChannelSettled, LineClaimed},
    seeds,
    state::{Batch, BatchState, Earnings, FeeDay, GatewayVault},
};
use solana_signer::Signer;

use crate::desk::*;

#[test]
fn a_prepaid_request_pays_six_parties() {
    let mut desk = Desk::with_channel(100_000_000, 5_000_000);
    let referrer = desk.net.curator.pubkey().to_bytes();
    assert_eq!(desk.state().balance_aic, 100_000_000);

    // The gateway collects two lines' worth: 651,750 + 1,324,950 nc at 20 base units each.
    let settle = desk.settle_delegated_ix(1_976_700, 5);
    let sent = desk.measure("settle_delegated", "full claim", settle, &[&desk.gateway()]);
    let [settled] = sent.cpi_events::<ChannelSettled>().try_into().ok().unwrap();
    assert_eq!((settled.delta_nc, settled.delta_aic, settled.nonce), (1_976_700, 39_534_000, 5));
    assert_eq!((settled.balance_aic, settled.vault_nc, settled.vault_aic), (60_466_000, 1_976_700, 39_534_000));
    let channel = desk.state();
    assert_eq!((channel.settled_nc, channel.balance_aic, channel.last_settled_nonce), (1_976_700, 60_466_000, 5));

    // The epoch ends and the gateway posts its batch.
    let shard = Shard::new(&desk, desk.epoch(), &[651_750, 1_324_950], referrer);
    let batch = desk.batch_of(&shard);
    desk.advance(EPOCH_S);
    let sent = desk.measure("post_batch", "2 lines", desk.post_batch_ix(shard.args()), &[&desk.gateway()]);
    let [posted] = sent.cpi_events::<BatchPosted>().try_into().ok().unwrap();
    assert_eq!((posted.sum_nc, posted.aic, posted.late), (1_976_700, 39_534_000, false));
    assert_eq!(posted.uri, "https://gateway.example/batches/0");
    let vault: GatewayVault = desk.net.world.read(&desk.gateway_vault());
    assert_eq!((vault.nc, vault.aic), (0, 0));

    // The challenge window passes.
    desk.advance(CHALLENGE_S.into());
    desk.measure("finalize_batch", "2 lines", desk.finalize_batch_ix(batch), &[]);
    assert!(!desk.net.world.exists(&seeds::find_batch_vault(&batch).0), "the batch vault's rent is back");
    assert_eq!(desk.token(&desk.pool()), 39_534_000);

    // Anyone opens the earnings and claims the lines.
    desk.open_all_earnings();
    let sent = desk.measure("claim_line", "depth 1, 6 payees", desk.claim_ix(&shard, 0), &[]);
    let [claimed] = sent.cpi_events::<LineClaimed>().try_into().ok().unwrap();
    // 13,035,000 in shares of 1198, 1198, 5606, 500, 1198 and 300 bps; the provider has the rounding.
    let parts = [1_561_593, 1_561_593, 7_307_421, 651_750, 1_561_593, 391_050];
    assert_eq!(claimed.parts_aic, parts);
    assert_eq!(parts.iter().sum::<u64>(), 651_750 * AIC_PER_NC);
    assert!(!claimed.burned);
    let net = &desk.net;
    let payees = [&net.vendor, &net.oem, &net.operator, &net.curator, &net.weaver];
    for (payee, part) in payees.into_iter().zip(parts) {
        assert_eq!(desk.earned(payee), part);
    }
    desk.claim(&shard, 1).unwrap();
    // 26,499,000: 3,174,580 three times, 1,324,950 to the curator, 794,970 fee, the rest to the provider.
    assert_eq!(desk.earned(&desk.net.operator), 7_307_421 + 14_855_340);
    let state: Batch = desk.net.world.read(&batch);
    assert_eq!((state.claimed_lines, state.claimed_nc, state.claimed_aic), (2, 1_976_700, 39_534_000));
    assert_eq!((state.fee_aic, state.burn_aic), (391_050 + 794_970, 0));

    // The fee divides 120:60:60:60 and nothing is left.
    let supply = desk.supply();
    let sent = desk.measure("sweep_batch", "first of the day", desk.sweep_batch_ix(batch), &[]);
    let [swept] = sent.cpi_events::<BatchSwept>().try_into().ok().unwrap();
    assert_eq!((swept.audits_aic, swept.gateway_aic), (474_408, 237_204));
    assert_eq!((swept.treasury_aic, swept.burned_aic, swept.remainder_aic), (237_204, 237_204, 0));
    assert_eq!(desk.earned(&desk.net.gateway), 237_204);
    assert_eq!(supply - desk.supply(), 237_204);
    let day = u32::try_from(desk.now() / 86_400).unwrap();
    let fees: FeeDay = desk.net.world.read(&seeds::find_fee_day(day).0);
    assert_eq!((fees.batches, fees.fee_aic, fees.burned_aic), (1, 1_186_020, 237_204));
    assert_eq!(desk.net.world.read::<Batch>(&batch).state, BatchState::Swept);

    // Every owner takes its earnings out; the pool ends empty.
    let owners =
        [&desk.net.vendor, &desk.net.oem, &desk.net.operator, &desk.net.curator, &desk.net.weaver, &desk.net.gateway]
            .map(|owner| owner.insecure_clone());
    for owner in owners {
        let destination = desk.net.world.aic_account(&owner.pubkey());
        let (before, owed) = (desk.token(&destination), desk.earned(&owner));
        let withdraw = desk.withdraw_ix(&owner.pubkey(), destination, None);
        desk.measure("withdraw_earnings", "everything", withdraw, &[&owner]);
        assert_eq!(desk.token(&destination) - before, owed);
        let earnings: Earnings = desk.net.world.read(&desk.earnings(&owner.pubkey()));
        assert_eq!((earnings.amount_aic, earnings.total_in_aic, earnings.withdrawn_aic), (0, owed, owed));
    }
    assert_eq!(desk.token(&desk.pool()), 0);

    // The gateway frees the batch's rent and the address stays shut.
    desk.send(&[desk.close_batch_ix(batch)], &[&desk.gateway()]).unwrap();
    assert!(!desk.net.world.exists(&batch));
}
