//! Epochs: the one place where seconds become an epoch number, for all three programs and their clients.

/// The epoch that contains a moment: `now / epoch_s`, counted from the Unix epoch.
///
/// `None` when the clock is negative, the length is zero or the number does not fit.
#[must_use]
pub fn epoch(now: i64, epoch_s: u32) -> Option<u32> {
    let seconds = u64::try_from(now).ok()?;
    u32::try_from(seconds.checked_div(u64::from(epoch_s))?).ok()
}

#[cfg(test)]
mod tests {
    use super::epoch;

    #[test]
    fn an_epoch_begins_at_its_first_second() {
        assert_eq!(epoch(3_599, 3_600), Some(0));
        assert_eq!(epoch(3_600, 3_600), Some(1));
        assert_eq!(epoch(1_790_000_000, 3_600), Some(497_222));
    }

    #[test]
    fn impossible_clocks_have_no_epoch() {
        assert_eq!(epoch(-1, 3_600), None);
        assert_eq!(epoch(1, 0), None);
        assert_eq!(epoch(i64::MAX, 1), None);
    }
}
