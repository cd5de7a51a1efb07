//! API keys: `sk-wb-<12 characters of public id>-<43 characters of secret>`. Only an HMAC of the secret is ever stored.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use rand::{CryptoRng, Rng};
use sha2::Sha256;
use std::fmt;
use subtle::ConstantTimeEq;
use waybill_protocol::ChannelId;
use waybill_store::{MaterialKey, NewApiKey, Store, StoreError};

const PREFIX: &str = "sk-wb-";
const ID_CHARS: usize = 12;
const SECRET_CHARS: usize = 43;
const ID_ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// The server's secret under which key hashes are made: a stolen database alone verifies no key.
#[derive(Clone)]
pub struct Pepper([u8; 32]);

impl Pepper {
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The key under which input and output of finished calls are sealed, derived so that neither tells the other.
    pub fn material_key(&self) -> MaterialKey {
        MaterialKey::new(&self.derive(b"waybill/material/v1"))
    }

    /// HMAC-SHA-256 of `what` under the pepper.
    fn derive(&self, what: &[u8]) -> [u8; 32] {
        let mut bytes = [0; 32];
        // HMAC takes keys of any length, so this cannot fail.
        if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) {
            mac.update(what);
            bytes = mac.finalize().into_bytes().into();
        }
        bytes
    }
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pepper(hidden)")
    }
}

/// A key as its owner holds it. Shown once, at creation; `Debug` shows the public id only.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey {
    /// Names the key in lists and in the database.
    pub public_id: String,
    secret: [u8; 32],
}

impl SecretKey {
    /// A new random key.
    pub fn generate(rng: &mut (impl Rng + CryptoRng)) -> Self {
        let public_id =
            (0..ID_CHARS).map(|_| char::from(ID_ALPHABET[rng.random_range(0..ID_ALPHABET.len())])).collect();
        Self { public_id, secret: rng.random() }
    }

    /// Reads the text form; `None` for anything that is not exactly one.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix(PREFIX)?;
        let (public_id, rest) = rest.split_at_checked(ID_CHARS)?;
        let secret = rest.strip_prefix('-')?;
        if secret.len() != SECRET_CHARS || !public_id.bytes().all(|b| ID_ALPHABET.contains(&b)) {
            return None;
        }
        let secret = URL_SAFE_NO_PAD.decode(secret).ok()?.try_into().ok()?;
        Some(Self { public_id: public_id.to_owned(), secret })
    }

    /// The text form, to be shown to its owner and to nobody else.
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}-{}", self.public_id, URL_SAFE_NO_PAD.encode(self.secret))
    }

    /// HMAC-SHA-256 of the secret under the pepper: what the database keeps.
    pub fn hash(&self, pepper: &Pepper) -> [u8; 32] {
        pepper.derive(&self.secret)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({PREFIX}{}-…)", self.public_id)
    }
}

/// What a new key is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyTerms {
    /// The channel it spends from.
    pub channel: ChannelId,
    /// For people; not secret.
    pub label: String,
    /// Most that its charges may sum to in nano-credits; none = the channel is the only bound.
    pub limit_nc: Option<u64>,
}

/// Makes a random key and stores its hash. The returned key is the only copy of the secret: show it once.
pub async fn create(store: &Store, pepper: &Pepper, terms: KeyTerms, now_ms: u64) -> Result<SecretKey, StoreError> {
    let key = SecretKey::generate(&mut rand::rng());
    let KeyTerms { channel, label, limit_nc } = terms;
    let row = NewApiKey {
        public_id: key.public_id.clone(),
        hash: key.hash(pepper),
        channel,
        label,
        created_ms: now_ms,
        limit_nc,
    };
    store.insert_api_key(&row).await?;
    Ok(key)
}

/// Compares two key hashes without telling by its duration where they differ.
pub fn same_hash(a: &[u8; 32], b: &[u8; 32]) -> bool {
    a.ct_eq(b).into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_key_survives_its_text_form() {
        let key = SecretKey::generate(&mut rand::rng());
        let text = key.reveal();
        assert_eq!(text.len(), PREFIX.len() + ID_CHARS + 1 + SECRET_CHARS);
        assert_eq!(SecretKey::parse(&text).unwrap(), key);
        assert!(!format!("{key:?}").contains(&text[20..]));
    }

    #[test]
    fn anything_else_is_no_key() {
        let text = SecretKey::generate(&mut rand::rng()).reveal();
        for wrong in [
            "",
            "sk-wb-",
            "sk-proj-abc",
            &text[1..],
            &text[..text.len() - 1],
            &format!("{text}A"),
            &text.replace("sk-wb", "SK-WB"),
        ] {
            assert_eq!(SecretKey::parse(wrong), None, "{wrong}");
        }
        // a multi-byte character across the split must not panic
        assert_eq!(SecretKey::parse(&format!("sk-wb-{}", "é".repeat(40))), None);
    }

    #[test]
    fn the_hash_depends_on_secret_and_pepper() {
        let key = SecretKey::generate(&mut rand::rng());
        let hash = key.hash(&Pepper::new([1; 32]));
        assert!(same_hash(&hash, &key.hash(&Pepper::new([1; 32]))));
        assert!(!same_hash(&hash, &key.hash(&Pepper::new([2; 32]))));
        assert!(!same_hash(&hash, &SecretKey::generate(&mut rand::rng()).hash(&Pepper::new([1; 32]))));
    }
}
