//! What people type besides AIC and roles: addresses, hashes, dollars, lamports, spans of time. Each parser's error says
//! what to write instead.

use crate::output;
use anchor_lang::prelude::Pubkey;

/// An account or wallet in base58.
pub fn address(text: &str) -> Result<Pubkey, String> {
    text.parse().map_err(|_| {
        format!("{text:?} is no address: expected 32 bytes in base58, as `waybill wallet address` prints them")
    })
}

/// 32 bytes in hexadecimal digits.
pub fn hash(text: &str) -> Result<[u8; 32], String> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes)
        .map_err(|_| format!("{text:?} is no SHA-256: expected 64 hexadecimal digits"))?;
    Ok(bytes)
}

/// US dollars as nano-credits, at most nine decimals.
pub fn usd(text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix('$').unwrap_or(text);
    output::parse_aic(digits).map_err(|_| {
        format!("{text:?} is no amount of US dollars: write it like 25 or 0.5, with at most nine decimals")
    })
}

/// SOL as lamports.
pub fn sol(text: &str) -> Result<u64, String> {
    output::parse_aic(text)
        .map_err(|_| format!("{text:?} is no amount of SOL: write it like 2 or 0.5, with at most nine decimals"))
}

/// A span of time as seconds: `90s`, `15m`, `12h`, `30d`.
pub fn span(text: &str) -> Result<u32, String> {
    let wrong = || format!("{text:?} is no span of time: write it like 90s, 15m, 12h or 30d");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let count: u32 = text[..text.len() - unit.len_utf8()].parse().map_err(|_| wrong())?;
    count.checked_mul(seconds).ok_or_else(wrong)
}

/// Seconds in words, by their two largest units: `2 d 3 h`.
pub fn span_text(seconds: i64) -> String {
    let mut rest = seconds.max(0);
    let mut parts = Vec::new();
    for (unit, length) in [("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)] {
        let count = rest / length;
        rest %= length;
        if count > 0 && parts.len() < 2 {
            parts.push(format!("{count} {unit}"));
        }
    }
    if parts.is_empty() { "0 s".to_owned() } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn spans_are_read_by_their_unit() {
        for (text, seconds) in [("90s", 90), ("15m", 900), ("12h", 43_200), ("30d", 2_592_000)] {
            assert_eq!(span(text).unwrap(), seconds);
        }
        for wrong in ["", "d", "30", "-1d", "1.5h", "1w", "99999999d", "3é"] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn spans_are_told_by_their_two_largest_units() {
        for (seconds, text) in [(0, "0 s"), (61, "1 min 1 s"), (86_400, "1 d"), (93_784, "1 d 2 h"), (-5, "0 s")] {
            assert_eq!(span_text(seconds), text);
        }
    }

    #[test]
    fn dollars_may_carry_their_sign() {
        assert_eq!(usd("$0.5").unwrap(), 500_000_000);
        assert_eq!(usd("25").unwrap(), 25_000_000_000);
        assert!(usd("€1").unwrap_err().contains("US dollars"));
    }

    #[test]
    fn addresses_and_hashes_have_32_bytes() {
        assert!(address("11111111111111111111111111111111").is_ok());
        assert!(address("0OIl").is_err());
        assert!(hash(&"ab".repeat(32)).is_ok());
        assert!(hash(&"ab".repeat(31)).is_err());
    }
}
