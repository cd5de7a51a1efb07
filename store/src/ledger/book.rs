//! One ledger transaction in memory: the state it read, the calls applied one after another, the rows to write. A call that
//! is refused leaves the book as it was.

use super::rows::{self, Tx};
use super::{
    Answer, Call, Charge, Charged, IssuableNote, Leases, LedgerConfig, LedgerError, NonceBlock, Parsed, ttl_ms,
};
use crate::{Channel, LineState, StoreError};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use waybill_protocol::{ChannelId, WalletId, WorkerId};

/// Charged rows read ahead when notes advance over them.
const PAGE: u32 = 256;
const MAX_BLOCK: u32 = 1 << 16;
const LARGEST: u64 = i64::MAX.unsigned_abs();

/// A channel during the transaction.
pub(super) struct Account {
    pub(super) row: Channel,
    /// Charged in this transaction and above `noted_nonce`.
    fresh: BTreeMap<u64, u64>,
    /// Charged before this transaction and above `noted_nonce`: how many.
    stored: u64,
    /// Those of them that were read: all within `read`.
    page: BTreeMap<u64, u64>,
    read: std::ops::Range<u64>,
    /// Void ranges (first, until).
    pub(super) voids: BTreeSet<(u64, u64)>,
    pub(super) stored_voids: BTreeSet<(u64, u64)>,
    pub(super) changed: bool,
}

impl Account {
    pub(super) fn new(row: Channel) -> Self {
        Self {
            row,
            fresh: BTreeMap::new(),
            stored: row.waiting,
            page: BTreeMap::new(),
            read: 0..0,
            voids: BTreeSet::new(),
            stored_voids: BTreeSet::new(),
            changed: false,
        }
    }

    fn void_until(&self, nonce: u64) -> Option<u64> {
        self.voids
            .iter()
            .take_while(|(first, _)| *first <= nonce)
            .map(|(_, until)| *until)
            .filter(|until| *until > nonce)
            .max()
    }

    /// The lowest charged nonce at or above `nonce` and its price.
    async fn next_charged(&mut self, tx: &mut Tx, nonce: u64) -> Result<Option<(u64, u64)>, StoreError> {
        let fresh = self.fresh.range(nonce..).next().map(|(n, price)| (*n, *price));
        if self.stored == 0 {
            return Ok(fresh);
        }
        if !self.read.contains(&nonce) {
            // One row answers whether the run goes on; only then is a page worth reading.
            let limit = if self.read.end == nonce { PAGE } else { 1 };
            let found = rows::charged_from(tx, self.row.channel, nonce, limit).await?;
            let exhausted = found.len() < limit as usize;
            let end = if exhausted { self.row.next_nonce } else { found.last().map_or(nonce, |(n, _)| n + 1) };
            self.page = found.into_iter().collect();
            self.read = nonce..end.max(nonce + 1);
        }
        let stored = self.page.range(nonce..).next().map(|(n, price)| (*n, *price));
        Ok(match (fresh, stored) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        })
    }

    /// Moves `noted_nonce` over every charged or void nonce that follows it. Returns the notes that became issuable.
    async fn advance(&mut self, tx: &mut Tx) -> Result<Vec<IssuableNote>, StoreError> {
        let mut notes = Vec::new();
        loop {
            let nonce = self.row.noted_nonce + 1;
            if nonce >= self.row.next_nonce {
                break;
            }
            let charged = self.next_charged(tx, nonce).await?;
            if let Some((_, charge_nc)) = charged.filter(|(found, _)| *found == nonce) {
                if self.fresh.remove(&nonce).is_none() {
                    self.page.remove(&nonce);
                    self.stored -= 1;
                }
                self.row.noted_nonce = nonce;
                self.row.noted_cum_nc += charge_nc;
                let cum_charged_nc = self.row.noted_cum_nc;
                notes.push(IssuableNote { channel: self.row.channel, nonce, charge_nc, cum_charged_nc });
            } else if let Some(until) = self.void_until(nonce) {
                // Charged nonces inside a void range keep their charge.
                let stop = charged.map_or(until, |(found, _)| found.min(until)).min(self.row.next_nonce);
                self.row.noted_nonce = stop - 1;
            } else {
                break;
            }
            self.changed = true;
        }
        let noted = self.row.noted_nonce;
        self.voids.retain(|(_, until)| *until > noted + 1);
        self.row.waiting = self.stored + self.fresh.len() as u64;
        Ok(notes)
    }
}

/// A line during the transaction.
pub(super) struct LineBook {
    pub(super) state: LineState,
    pub(super) changed: bool,
}

pub(super) struct Book {
    gateway: WalletId,
    holder: String,
    now_ms: u64,
    lease_until_ms: u64,
    pub(super) accounts: HashMap<ChannelId, Account>,
    pub(super) lines: HashMap<(u32, [u8; 32]), LineBook>,
    closed: HashSet<u32>,
    /// Charges already stored or accepted here, under each of their three names.
    known: HashMap<Name, std::sync::Arc<Charge>>,
    pub(super) accepted: Vec<(std::sync::Arc<Charge>, waybill_mechanism::message::Receipt)>,
    pub(super) notes: Vec<IssuableNote>,
    /// Σ charges per API key.
    pub(super) keys: BTreeMap<String, u64>,
}

#[derive(PartialEq, Eq, Hash)]
enum Name {
    Receipt(String),
    Request(String),
    Nonce(ChannelId, u64),
}

fn names(charge: &Charge) -> [Name; 3] {
    [
        Name::Receipt(charge.receipt_id.clone()),
        Name::Request(charge.request_id.0.clone()),
        Name::Nonce(charge.channel, charge.nonce),
    ]
}

impl Book {
    /// Reads everything that the calls touch, in a fixed number of statements.
    pub(super) async fn load(tx: &mut Tx, config: &LedgerConfig, calls: &[&Call]) -> Result<Self, StoreError> {
        let now_ms = (config.clock)();
        let mut book = Self {
            gateway: config.gateway,
            holder: config.holder.clone(),
            now_ms,
            lease_until_ms: now_ms.saturating_add(ttl_ms(config)),
            accounts: HashMap::new(),
            lines: HashMap::new(),
            closed: HashSet::new(),
            known: HashMap::new(),
            accepted: Vec::new(),
            notes: Vec::new(),
            keys: BTreeMap::new(),
        };
        let mut channels = BTreeSet::new();
        let mut lines = BTreeSet::new();
        let mut receipts = Vec::new();
        let mut requests = Vec::new();
        let mut nonces = Vec::new();
        for call in calls {
            match call {
                Call::Charge(parsed) => {
                    channels.insert(parsed.charge.channel);
                    lines.insert((parsed.receipt.epoch, parsed.receipt.line_key));
                    receipts.push(parsed.charge.receipt_id.as_str());
                    requests.push(parsed.charge.request_id.0.as_str());
                    nonces.push((parsed.charge.channel, parsed.charge.nonce));
                }
                Call::Void { channel, nonce } => {
                    channels.insert(*channel);
                    nonces.push((*channel, *nonce));
                }
                Call::Reserve { channel, .. } => {
                    channels.insert(*channel);
                }
                Call::Release(_) => {}
            }
        }
        book.load_channels(tx, channels.into_iter().collect()).await?;
        for charge in rows::known_charges(tx, &receipts, &requests, &nonces).await? {
            book.remember(&std::sync::Arc::new(charge));
        }
        if !lines.is_empty() {
            let epochs: BTreeSet<u32> = lines.iter().map(|(epoch, _)| *epoch).collect();
            book.closed = rows::closed_epochs(tx, book.gateway, &epochs).await?;
            let lines: Vec<(u32, [u8; 32])> = lines.into_iter().collect();
            for state in rows::lines(tx, book.gateway, &lines).await? {
                book.lines.insert((state.epoch, state.line_key), LineBook { state, changed: false });
            }
        }
        Ok(book)
    }

    async fn load_channels(&mut self, tx: &mut Tx, mut channels: Vec<ChannelId>) -> Result<(), StoreError> {
        channels.retain(|channel| !self.accounts.contains_key(channel));
        if channels.is_empty() {
            return Ok(());
        }
        for row in rows::channels(tx, &channels).await? {
            self.accounts.entry(row.channel).or_insert_with(|| Account::new(row));
        }
        for (channel, first, until) in rows::voids(tx, &channels).await? {
            if let Some(account) = self.accounts.get_mut(&channel) {
                account.voids.insert((first, until));
                account.stored_voids.insert((first, until));
            }
        }
        Ok(())
    }

    fn remember(&mut self, charge: &std::sync::Arc<Charge>) {
        for name in names(charge) {
            self.known.insert(name, charge.clone());
        }
    }

    /// The outer error fails the transaction, the inner one only this call.
    pub(super) async fn apply(&mut self, tx: &mut Tx, call: &Call) -> Result<Result<Answer, LedgerError>, StoreError> {
        Ok(match call {
            Call::Charge(parsed) => self.charge(tx, parsed).await?.map(Answer::Charged),
            Call::Void { channel, nonce } => self.void(tx, *channel, *nonce).await?.map(Answer::Notes),
            Call::Reserve { channel, count } => self.reserve(tx, *channel, *count).await?.map(Answer::Block),
            Call::Release(leases) => Ok(Answer::Notes(self.release(tx, *leases).await?)),
        })
    }

    fn account(&mut self, channel: ChannelId) -> Result<&mut Account, LedgerError> {
        let gateway = self.gateway;
        let account = self.accounts.get_mut(&channel).ok_or(LedgerError::UnknownChannel(channel))?;
        if account.row.gateway != gateway {
            return Err(LedgerError::WrongGateway { expected: gateway, found: account.row.gateway });
        }
        Ok(account)
    }

    async fn charge(&mut self, tx: &mut Tx, parsed: &Parsed) -> Result<Result<Charged, LedgerError>, StoreError> {
        let charge = &parsed.charge;
        let known: Vec<_> = names(charge).iter().filter_map(|name| self.known.get(name).cloned()).collect();
        if let Some(known) = known.first() {
            if !known.is_same(charge) {
                return Ok(Err(LedgerError::Conflict(format!("nonce {} of channel {}", known.nonce, known.channel))));
            }
            return match self.account(charge.channel) {
                Err(error) => Ok(Err(error)),
                Ok(account) => {
                    let charged_nc = account.row.charged_nc;
                    let notes = rows::unsigned_notes(tx, charge.channel, PAGE).await?;
                    Ok(Ok(Charged { charged_nc, notes, replayed: true }))
                }
            };
        }
        if let Err(error) = self.book_charge(parsed) {
            return Ok(Err(error));
        }
        let account = match self.account(charge.channel) {
            Ok(account) => account,
            Err(error) => return Ok(Err(error)),
        };
        let charged_nc = account.row.charged_nc;
        let notes = account.advance(tx).await?;
        self.notes.extend(&notes);
        Ok(Ok(Charged { charged_nc, notes, replayed: false }))
    }

    /// All checks first, then all changes.
    fn book_charge(&mut self, parsed: &Parsed) -> Result<(), LedgerError> {
        let (charge, receipt) = (&parsed.charge, &parsed.receipt);
        if self.closed.contains(&receipt.epoch) {
            return Err(LedgerError::EpochClosed(receipt.epoch));
        }
        let line = self.lines.get(&(receipt.epoch, receipt.line_key)).map(|line| line.state);
        let (next_seq, line_cum_nc) = line.map_or((0, 0), |line| (line.next_seq, line.cum_nc));
        let in_range = |total: u64| Some(total).filter(|total| *total <= LARGEST);
        let cum_nc = line_cum_nc.checked_add(receipt.price_nc).and_then(in_range).ok_or(LedgerError::Overflow)?;
        let account = self.account(charge.channel)?;
        if charge.nonce >= account.row.next_nonce {
            return Err(LedgerError::NonceNotLeased(charge.nonce));
        }
        if charge.nonce <= account.row.noted_nonce || account.void_until(charge.nonce).is_some() {
            return Err(LedgerError::NonceVoid(charge.nonce));
        }
        if (u64::from(receipt.seq), receipt.cum_nc) != (next_seq, cum_nc) {
            return Err(LedgerError::Discontinuous {
                seq: receipt.seq.into(),
                cum_nc: receipt.cum_nc,
                expected_seq: next_seq,
                line_cum_nc,
            });
        }
        let charged_nc =
            account.row.charged_nc.checked_add(receipt.price_nc).and_then(in_range).ok_or(LedgerError::Overflow)?;

        account.row.charged_nc = charged_nc;
        account.fresh.insert(charge.nonce, receipt.price_nc);
        account.changed = true;
        let state = LineState {
            gateway: self.gateway,
            epoch: receipt.epoch,
            line_key: receipt.line_key,
            container: charge.container,
            stage: charge.stage,
            worker: WorkerId(receipt.worker),
            referrer: charge.referrer,
            next_seq: next_seq + 1,
            cum_nc,
        };
        self.lines.insert((receipt.epoch, receipt.line_key), LineBook { state, changed: true });
        if let Some(key) = &charge.api_key {
            *self.keys.entry(key.clone()).or_default() += receipt.price_nc;
        }
        let charge = std::sync::Arc::new(charge.clone());
        self.remember(&charge);
        self.accepted.push((charge, *receipt));
        Ok(())
    }

    async fn void(
        &mut self,
        tx: &mut Tx,
        channel: ChannelId,
        nonce: u64,
    ) -> Result<Result<Vec<IssuableNote>, LedgerError>, StoreError> {
        if self.known.contains_key(&Name::Nonce(channel, nonce)) {
            return Ok(Err(LedgerError::NonceCharged(nonce)));
        }
        let account = match self.account(channel) {
            Ok(account) => account,
            Err(error) => return Ok(Err(error)),
        };
        if nonce >= account.row.next_nonce {
            return Ok(Err(LedgerError::NonceNotLeased(nonce)));
        }
        if nonce > account.row.noted_nonce {
            account.voids.insert((nonce, nonce + 1));
        }
        let notes = account.advance(tx).await?;
        self.notes.extend(&notes);
        Ok(Ok(notes))
    }

    async fn reserve(
        &mut self,
        tx: &mut Tx,
        channel: ChannelId,
        count: u32,
    ) -> Result<Result<NonceBlock, LedgerError>, StoreError> {
        if !(1..=MAX_BLOCK).contains(&count) {
            return Ok(Err(LedgerError::Malformed(format!("a block has 1 to {MAX_BLOCK} nonces, not {count}"))));
        }
        let (holder, now_ms, until_ms) = (self.holder.clone(), self.now_ms, self.lease_until_ms);
        let account = match self.account(channel) {
            Ok(account) => account,
            Err(error) => return Ok(Err(error)),
        };
        let first = account.row.next_nonce;
        let Some(until) = first.checked_add(count.into()).filter(|until| *until <= LARGEST) else {
            return Ok(Err(LedgerError::Overflow));
        };
        account.voids.extend(rows::take_expired(tx, channel, &holder, now_ms).await?);
        let notes = account.advance(tx).await?;
        rows::drop_finished(tx, channel, account.row.noted_nonce).await?;
        account.row.next_nonce = until;
        account.changed = true;
        rows::add_lease(tx, channel, first, until, &holder, until_ms).await?;
        self.notes.extend(&notes);
        Ok(Ok(NonceBlock { nonces: first..until, notes }))
    }

    async fn release(&mut self, tx: &mut Tx, leases: Leases) -> Result<Vec<IssuableNote>, StoreError> {
        let taken = rows::take_leases(tx, self.gateway, &self.holder, leases, self.now_ms).await?;
        let channels: BTreeSet<ChannelId> = taken.iter().map(|(channel, ..)| *channel).collect();
        self.load_channels(tx, channels.iter().copied().collect()).await?;
        for (channel, first, until) in taken {
            if let Some(account) = self.accounts.get_mut(&channel) {
                account.voids.insert((first, until));
            }
        }
        let mut notes = Vec::new();
        for channel in channels {
            if let Some(account) = self.accounts.get_mut(&channel) {
                notes.append(&mut account.advance(tx).await?);
            }
        }
        self.notes.extend(&notes);
        Ok(notes)
    }

    /// Writes everything that changed, a few rows-wide statements per table.
    pub(super) async fn write(&self, tx: &mut Tx) -> Result<(), StoreError> {
        rows::write_receipts(tx, &self.accepted).await?;
        rows::write_notes(tx, self.gateway, &self.notes).await?;
        rows::write_lines(tx, self.lines.values().filter(|line| line.changed).map(|line| &line.state)).await?;
        rows::write_channels(tx, self.accounts.values().filter(|account| account.changed).map(|account| &account.row))
            .await?;
        rows::write_voids(tx, &self.accounts).await?;
        rows::write_keys(tx, &self.keys).await
    }
}
