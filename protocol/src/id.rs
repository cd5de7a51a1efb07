//! Typed identifiers. Content hashes print as hexadecimal, keys and account addresses as base58, as their tools do.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{fmt, str::FromStr};

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    #[error("expected 64 hexadecimal digits (32 bytes), got {0:?}")]
    Hex(String),
    #[error("expected a base58 address of 32 bytes, got {0:?}")]
    Base58(String),
    #[error("expected 32 bytes, got {0}")]
    Length(usize),
}

macro_rules! id32 {
    ($(#[$doc:meta])* $name:ident, $print:expr, $parse:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
        pub struct $name(pub [u8; 32]);

        impl $name {
            pub fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }
        impl From<[u8; 32]> for $name {
            fn from(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }
        }
        impl TryFrom<&[u8]> for $name {
            type Error = IdError;
            fn try_from(bytes: &[u8]) -> Result<Self, IdError> {
                <[u8; 32]>::try_from(bytes).map(Self).map_err(|_| IdError::Length(bytes.len()))
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&$print(&self.0))
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self)
            }
        }
        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                $parse(text).map(Self)
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(de::Error::custom)
            }
        }
    };
}

fn print_hex(bytes: &[u8; 32]) -> String {
    hex::encode(bytes)
}
fn parse_hex(text: &str) -> Result<[u8; 32], IdError> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| IdError::Hex(text.into()))?;
    Ok(bytes)
}
fn print_base58(bytes: &[u8; 32]) -> String {
    bs58::encode(bytes).into_string()
}
fn parse_base58(text: &str) -> Result<[u8; 32], IdError> {
    let mut bytes = [0; 32];
    match bs58::decode(text).onto(&mut bytes) {
        Ok(32) => Ok(bytes),
        _ => Err(IdError::Base58(text.into())),
    }
}

id32!(
    /// A container: SHA-256 of its manifest.
    ContainerId, print_hex, parse_hex
);
id32!(
    /// Model weights: SHA-256 of the model file.
    ArtifactId, print_hex, parse_hex
);
id32!(
    /// A worker's network key.
    WorkerId, print_base58, parse_base58
);
id32!(
    /// A channel account on chain.
    ChannelId, print_base58, parse_base58
);
id32!(
    /// A wallet: party owner, consumer, gateway or curator.
    WalletId, print_base58, parse_base58
);

impl WalletId {
    /// No wallet: the referrer of a request that nobody referred.
    pub const NONE: Self = Self([0; 32]);

    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }
}

/// One API request, as the consumer sees it: `req-` and 24 hexadecimal digits, also the name of its receipt.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RequestId(pub String);

impl RequestId {
    pub fn new(random: [u8; 12]) -> Self {
        Self(format!("req-{}", hex::encode(random)))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
