//! What decides a dispute once the leaves and messages are on the table: whether the ends of a line are a line, whether
//! two receipts can both be true, and what a receipt may cost. Pure, so that a challenger knows the outcome beforehand.

use solana_sha256_hasher::hashv;

use crate::{
    amount::price_nc,
    message::{Bytes32, ChargeNote, Domain, Receipt},
};

/// `sha("AI-LO" ‖ line key ‖ worker)`: what all receipts of a line have in common. The line key alone would not bind the
/// worker's own field.
pub fn line_owner(line_key: &Bytes32, worker: &Bytes32) -> Bytes32 {
    hashv(&[b"AI-LO", line_key, worker]).to_bytes()
}

/// `sha("AI-ST" ‖ owner ‖ receipt hash)`: a receipt of a line whose worker's signature was checked in an earlier
/// transaction; zeros for none yet.
pub fn staged(owner: &Bytes32, receipt_hash: &Bytes32) -> Bytes32 {
    hashv(&[b"AI-ST", owner, receipt_hash]).to_bytes()
}

/// How a line has to end, given how it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineEnd {
    /// [`line_owner`] of all its receipts.
    pub owner: Bytes32,
    /// Σ of all leaves up to and including the last receipt.
    pub prefix_end_nc: u64,
    /// Running total of the last receipt.
    pub cum_nc: u64,
    /// `seq` of the last receipt.
    pub seq: u32,
}

impl LineEnd {
    /// How a line of `n_receipts` worth `credits_nc` has to end when its first receipt is `first`, with `prefix_nc`
    /// before it in the tree. `None` when no end could fit: the first receipt is of another line, or numbers overflow.
    pub fn after(
        owner: &Bytes32,
        n_receipts: u32,
        credits_nc: u64,
        first: &Receipt,
        prefix_nc: u64,
    ) -> Option<LineEnd> {
        if line_owner(&first.line_key, &first.worker) != *owner {
            return None;
        }
        Some(LineEnd {
            owner: *owner,
            prefix_end_nc: prefix_nc.checked_add(credits_nc)?,
            cum_nc: first.cum_nc.checked_sub(first.price_nc)?.checked_add(credits_nc)?,
            seq: first.seq.checked_add(n_receipts.checked_sub(1)?)?,
        })
    }

    /// The end that `last` is, with `prefix_nc` before it in the tree.
    pub fn of(last: &Receipt, prefix_nc: u64) -> Option<LineEnd> {
        Some(LineEnd {
            owner: line_owner(&last.line_key, &last.worker),
            prefix_end_nc: prefix_nc.checked_add(last.price_nc)?,
            cum_nc: last.cum_nc,
            seq: last.seq,
        })
    }

    /// A short commitment to an end, to be compared in a later transaction.
    pub fn hash(&self) -> Bytes32 {
        hashv(&[
            b"AI-LE",
            &self.owner,
            &self.prefix_end_nc.to_le_bytes(),
            &self.cum_nc.to_le_bytes(),
            &self.seq.to_le_bytes(),
        ])
        .to_bytes()
    }
}

/// Where a leaf is: its batch's address and its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Address of the batch.
    pub batch: Bytes32,
    /// Index in its receipts tree.
    pub index: u32,
}

/// `sha("AI-RL" ‖ receipt hash ‖ batch ‖ index)`: a receipt that was shown to be a leaf.
pub fn shown_leaf(receipt_hash: &Bytes32, place: &Place) -> Bytes32 {
    hashv(&[b"AI-RL", receipt_hash, &place.batch, &place.index.to_le_bytes()]).to_bytes()
}

/// Whether leaves `a` and `b` of one gateway and epoch cannot both be honest: one (line key, seq) in two places, or
/// neighbours (`b` directly after `a`) that are out of order or break their line.
pub fn order_fault(a: &Receipt, at: &Place, b: &Receipt, bt: &Place) -> bool {
    if at == bt {
        return false;
    }
    if a.line_key == b.line_key && a.seq == b.seq {
        return true;
    }
    let neighbours = at.batch == bt.batch && at.index.checked_add(1) == Some(bt.index);
    if !neighbours {
        return false;
    }
    let (before, after) = ((a.worker, a.line_key, a.seq), (b.worker, b.line_key, b.seq));
    before >= after || (a.line_key == b.line_key && !b.continues(Some(a)))
}

/// By how much a receipt's price exceeds what `nc_per_1k` allows for its units: `price - ceil(BU·P/1000)`, 0 when it
/// does not.
pub fn overcharge_nc(receipt: &Receipt, nc_per_1k: u64) -> u64 {
    let units = u64::from(receipt.units_in).saturating_add(u64::from(receipt.units_out));
    // A limit above u64 is a limit that nothing exceeds.
    price_nc(units, nc_per_1k).map_or(0, |most| receipt.price_nc.saturating_sub(most))
}

/// `sha("AI-RP" ‖ a ‖ b)`: two leaves that were shown, in this order.
pub fn shown_pair(a: &Bytes32, b: &Bytes32) -> Bytes32 {
    hashv(&[b"AI-RP", a, b]).to_bytes()
}

/// `sha("AI-DL" ‖ account ‖ line key)`: the subject of a dispute about one line key of a batch (D1) or a gateway vault
/// (D8).
pub fn line_subject(account: &Bytes32, line_key: &Bytes32) -> Bytes32 {
    hashv(&[b"AI-DL", account, line_key]).to_bytes()
}

/// `sha("AI-DE" ‖ signer ‖ kind ‖ key fields)` of a receipt or charge note: what two signed messages must not share.
/// `None` for bytes that are neither, or of another deployment.
pub fn message_key(signer: &Bytes32, domain: &Domain, message: &[u8]) -> Option<Bytes32> {
    if let Ok(receipt) = Receipt::from_bytes(message) {
        // Another gateway's receipt commits its signer to nothing.
        return (receipt.gateway == *signer && receipt.domain == *domain).then(|| {
            let (epoch, seq) = (receipt.epoch.to_le_bytes(), receipt.seq.to_le_bytes());
            hashv(&[b"AI-DE", signer, b"receipt", domain, &epoch, &receipt.line_key, &seq]).to_bytes()
        });
    }
    let note = ChargeNote::from_bytes(message).ok().filter(|note| note.domain == *domain)?;
    Some(hashv(&[b"AI-DE", signer, b"note", domain, &note.channel, &note.nonce.to_le_bytes()]).to_bytes())
}

/// SHA-256 of a message of either kind.
pub fn message_hash(message: &[u8]) -> Bytes32 {
    hashv(&[message]).to_bytes()
}
