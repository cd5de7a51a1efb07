//! Permissionless steps of the coin's vaults: the release of each day whose fees are final, and the burn account.

use super::{SettleError, Settler, now_ms};
use coin::{
    constants::{DAY_S, RELEASE_AFTER_S},
    state::{CoinConfig, Release},
};
use settlement::state::FeeDay;
use waybill_chain::{Intent, View};

/// Days looked back at: an outage longer than this leaves older days to `waybill coin release`.
const DAYS: u32 = 7;
/// A burn account with less than this is left alone, in AIC base units: the fee would be worth more.
const MIN_BURN_AIC: u64 = 1_000_000_000;

impl Settler {
    /// Requests what is due and not done. Safe when several schedulers do it at once: the second is refused.
    pub(super) async fn crank_vaults(&self, view: &View) -> Result<(), SettleError> {
        let now_s = view.now_ms() / 1_000;
        self.crank_releases(now_s, view).await?;
        self.crank_burn(now_s, view).await
    }

    async fn crank_releases(&self, now_s: i64, view: &View) -> Result<(), SettleError> {
        let Some(last) = last_final_day(now_s) else { return Ok(()) };
        let days: Vec<u32> = (last.saturating_sub(DAYS - 1)..=last).collect();
        let addresses: Vec<_> = days.iter().map(|day| coin::seeds::find_release(*day).0).collect();
        let releases: Vec<Option<Release>> = self.chain().accounts(&addresses).await?;
        if releases.iter().all(|release| release.as_ref().is_some_and(|release| release.paid)) {
            return Ok(());
        }
        let addresses: Vec<_> = days.iter().map(|day| settlement::seeds::find_fee_day(*day).0).collect();
        let fees: Vec<Option<FeeDay>> = self.chain().accounts(&addresses).await?;
        let config: Option<CoinConfig> = self.chain().account(&coin::seeds::find_config().0).await?;
        let Some(first) = config.filter(|config| config.release_start > 0).map(|config| config.release_start / DAY_S)
        else {
            return Ok(());
        };
        for ((day, release), fees) in days.into_iter().zip(releases).zip(fees) {
            let (paid, due_at) = release.map_or((false, 0), |release| (release.paid, release.due_at));
            // Six tenths of one base unit are none.
            let worth = fees.is_some_and(|fees| fees.fee_aic > 1);
            if paid || due_at > now_s || !worth || i64::from(day) < first {
                continue;
            }
            self.outbox.request(&format!("release/{day}/{due_at}"), &Intent::Release { day }, now_ms(view)).await?;
        }
        Ok(())
    }

    async fn crank_burn(&self, now_s: i64, view: &View) -> Result<(), SettleError> {
        if self.chain().token_balance(&coin::seeds::find_burn().0).await? < MIN_BURN_AIC {
            return Ok(());
        }
        // Once a day is enough, and each day needs its own row.
        self.outbox.request(&format!("burn/{}", now_s / DAY_S), &Intent::BurnFees, now_ms(view)).await?;
        Ok(())
    }
}

/// The last unix day whose fees are final; `None` near the beginning of time.
fn last_final_day(now_s: i64) -> Option<u32> {
    let day = now_s.checked_sub(RELEASE_AFTER_S)?.div_euclid(DAY_S).checked_sub(1)?;
    u32::try_from(day).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fees_are_final_48_hours_after_the_end_of_their_day() {
        assert_eq!(last_final_day(100 * DAY_S + 3 * DAY_S - 1), Some(99));
        assert_eq!(last_final_day(100 * DAY_S + 3 * DAY_S), Some(100));
        assert_eq!(last_final_day(0), None);
    }
}
