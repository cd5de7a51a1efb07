//! Ed25519 signatures over the protocol's messages. Keys are Solana keypairs; the cryptography is `ed25519-dalek`'s.

use solana_keypair::Keypair;
use solana_signature::Signature;
use solana_signer::Signer;

/// Signs the exact bytes.
pub fn sign(key: &Keypair, message: &[u8]) -> [u8; 64] {
    key.sign_message(message).into()
}

/// True when `signature` is `key`'s over exactly these bytes.
pub fn verify(key: &[u8; 32], message: &[u8], signature: &[u8]) -> bool {
    Signature::try_from(signature).is_ok_and(|signature| signature.verify(key, message))
}

/// What a worker signs in `Hello`: the session's challenge, bound to the network.
pub fn hello_message(domain: &[u8], nonce: &[u8]) -> Vec<u8> {
    [b"AI-HELLO".as_slice(), domain, nonce].concat()
}
