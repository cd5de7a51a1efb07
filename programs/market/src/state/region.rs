//! Names of regions: short ASCII words such as `eu-central`.

use anchor_lang::prelude::*;

use crate::{constants::REGION_LEN, error::MarketError};

/// A region's name, 1 to 12 bytes of `a-z`, `0-9` and `-`, padded with zeros.
pub type Region = [u8; REGION_LEN];

/// Refuses a region that is not written in the canonical way, so that equal regions are equal bytes.
pub(crate) fn validate(region: &Region) -> Result<()> {
    let length = region.iter().position(|byte| *byte == 0).unwrap_or(REGION_LEN);
    let (name, padding) = region.split_at(length);
    require!(
        !name.is_empty()
            && name.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-')
            && padding.iter().all(|byte| *byte == 0),
        MarketError::BadRegion
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_has_one_spelling() {
        assert!(validate(b"eu-central\0\0").is_ok());
        assert!(validate(b"twelve-bytes").is_ok());
        for bad in [b"\0\0\0\0\0\0\0\0\0\0\0\0", b"EU\0\0\0\0\0\0\0\0\0\0", b"eu\0x\0\0\0\0\0\0\0\0", b"eu central\0\0"]
        {
            assert_eq!(validate(bad).unwrap_err(), MarketError::BadRegion.into());
        }
    }
}
