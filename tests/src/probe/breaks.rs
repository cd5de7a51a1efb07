//! The ways in which one call is broken, each in one place.

use anchor_lang::{
    prelude::Pubkey,
    solana_program::instruction::{AccountMeta, Instruction},
};
use anchor_spl::token::spl_token;
use litesvm::LiteSVM;
use solana_keypair::Keypair;
use solana_signer::Signer;

use super::idl::{Described, Idls};
use crate::world::key;

type Account = solana_account::Account;

/// One broken call and the accounts that must be in place for it.
pub struct Break {
    pub account: String,
    pub check: &'static str,
    pub built: Instruction,
    pub accounts: Vec<(Pubkey, Account)>,
    /// The call is made twice in one transaction.
    pub twice: bool,
    /// Success is an outcome, not a fault: only a stop without a named error is.
    pub may_succeed: bool,
}

/// An accepted call on the chain as it was before it.
pub struct Subject<'a> {
    pub svm: &'a LiteSVM,
    pub idls: &'a Idls,
    pub built: &'a Instruction,
    pub described: Described<'a>,
    /// The other instructions of its transaction, whose signers and writable accounts are also its own.
    pub others: Vec<&'a Instruction>,
    /// Whether it took stake: otherwise the accounts for that are not used.
    pub slashed: bool,
}

/// A key that has SOL and no part in any scenario.
pub fn stranger() -> Keypair {
    key("stranger of the probe")
}

/// The owner of every sysvar.
const SYSVAR: Pubkey = Pubkey::from_str_const("Sysvar1111111111111111111111111111111111111");
const TOKEN_MINT: std::ops::Range<usize> = 0..32;
const TOKEN_OWNER: std::ops::Range<usize> = 32..64;

impl Subject<'_> {
    /// Every break of the call.
    pub fn breaks(&self) -> Vec<Break> {
        let names = self.described.accounts();
        let mut all = Vec::new();
        for (at, meta) in self.built.accounts.iter().enumerate() {
            let name = names.get(at).cloned().unwrap_or_else(|| format!("remaining {}", at - names.len()));
            let optional_absent = meta.pubkey == self.built.program_id && name != "program";
            let unused = name.starts_with("slash.") && !self.slashed;
            if optional_absent || unused {
                continue;
            }
            if meta.is_signer {
                self.signer(at, &name, &mut all);
            }
            self.state(at, &name, &mut all);
        }
        self.shape(&names, &mut all);
        self.arguments(&mut all);
        all
    }

    fn signer(&self, at: usize, name: &str, all: &mut Vec<Break>) {
        let stranger = stranger().pubkey();
        let rich = self.rich();
        // The transaction's fee payer signs in any case, so the mark alone cannot be taken from it.
        let mut unsigned = self.with(name, "unsigned");
        unsigned.built.accounts[at].is_signer = false;
        unsigned.built.accounts[at].pubkey = if name == "payer" { stranger } else { self.built.accounts[at].pubkey };
        unsigned.accounts.push((stranger, rich.clone()));
        if self.signs_once(at) || name == "payer" {
            all.push(unsigned);
        }
        let mut other = self.with(name, "another signer");
        other.built.accounts[at].pubkey = stranger;
        other.accounts.push((stranger, rich));
        all.push(other);
    }

    /// Whether no other account of the call is the same signing key.
    fn signs_once(&self, at: usize) -> bool {
        let key = self.built.accounts[at].pubkey;
        self.built.accounts.iter().filter(|meta| meta.pubkey == key && meta.is_signer).count() == 1
            && key != crate::world::key("payer").pubkey()
            && !self.others().any(|meta| meta.pubkey == key && meta.is_signer)
    }

    fn state(&self, at: usize, name: &str, all: &mut Vec<Break>) {
        let meta = &self.built.accounts[at];
        let Some(account) = self.svm.get_account(&meta.pubkey) else {
            let mut elsewhere = self.with(name, "another address");
            elsewhere.built.accounts[at].pubkey = key("nowhere").pubkey();
            if !meta.is_signer {
                all.push(elsewhere);
            }
            return;
        };
        if account.executable {
            let mut other = self.with(name, "another program");
            let fake = if meta.pubkey == spl_token::ID { anchor_lang::system_program::ID } else { spl_token::ID };
            other.built.accounts[at].pubkey = fake;
            all.push(other);
            return;
        }
        if account.data.is_empty() {
            if !meta.is_signer {
                let mut elsewhere = self.with(name, "another address");
                elsewhere.built.accounts[at].pubkey = key("nowhere").pubkey();
                all.push(elsewhere);
            }
            return;
        }
        let mut foreign = self.with(name, "another owner");
        foreign.accounts.push((meta.pubkey, Account { owner: key("foreign program").pubkey(), ..account.clone() }));
        let sysvar = account.owner == SYSVAR;
        if !sysvar {
            all.push(foreign);
            let mut closed = self.with(name, "closed");
            let empty =
                Account { lamports: 1, data: Vec::new(), owner: anchor_lang::system_program::ID, ..account.clone() };
            closed.accounts.push((meta.pubkey, empty));
            all.push(closed);
        }
        let elsewhere = |check: &'static str, account: Account| {
            let mut broken = self.with(name, check);
            let address = key(&format!("{check} {}", meta.pubkey)).pubkey();
            broken.built.accounts[at].pubkey = address;
            broken.accounts.push((address, account));
            broken
        };
        match self.idls.identity(&account.owner, &account.data) {
            // A program makes its accounts at derived addresses, so a copy cannot exist, but one of another subject can.
            Some(identity) => {
                let mut sibling = account.clone();
                identity.iter().for_each(|(at, _)| sibling.data[*at] ^= 1);
                all.push(elsewhere("another subject", sibling));
            }
            None => all.push(elsewhere("a copy elsewhere", account.clone())),
        }
        if let Some(other) = self.other_type(&account) {
            let mut retyped = self.with(name, "another type");
            retyped.built.accounts[at].pubkey = other;
            all.push(retyped);
        }
        if meta.is_writable && !self.named_twice(at) {
            let mut read_only = self.with(name, "read only");
            read_only.built.accounts[at].is_writable = false;
            all.push(read_only);
        }
        if account.owner == spl_token::ID && account.data.len() == 165 {
            // A program's vault stays what the program made it.
            let vault = !Pubkey::try_from(&account.data[TOKEN_OWNER]).is_ok_and(|owner| owner.is_on_curve());
            for (check, range) in [("another mint", TOKEN_MINT), ("another token owner", TOKEN_OWNER)] {
                if vault {
                    continue;
                }
                let mut changed = account.clone();
                changed.data[range].copy_from_slice(key(check).pubkey().as_ref());
                let mut broken = self.with(name, check);
                broken.accounts.push((meta.pubkey, changed));
                all.push(broken);
            }
        }
        self.duplicates(at, name, &account, all);
    }

    fn named_twice(&self, at: usize) -> bool {
        let key = self.built.accounts[at].pubkey;
        let named = self.built.accounts.iter().filter(|meta| meta.pubkey == key).count();
        named > 1 || self.others().any(|meta| meta.pubkey == key && meta.is_writable)
    }

    fn others(&self) -> impl Iterator<Item = &AccountMeta> {
        self.others.iter().flat_map(|other| &other.accounts)
    }

    /// The same account in two writable places of one type.
    fn duplicates(&self, at: usize, name: &str, account: &Account, all: &mut Vec<Break>) {
        let meta = &self.built.accounts[at];
        for (other, twin) in self.built.accounts.iter().enumerate().take(at) {
            if !(meta.is_writable && twin.is_writable) || twin.pubkey == meta.pubkey {
                continue;
            }
            let same_type = self.svm.get_account(&twin.pubkey).is_some_and(|known| {
                known.owner == account.owner
                    && known.data.len() == account.data.len()
                    && (account.owner == spl_token::ID || known.data.get(..8) == account.data.get(..8))
            });
            if same_type {
                let mut broken = self.with(name, "duplicate");
                broken.built.accounts[at].pubkey = self.built.accounts[other].pubkey;
                all.push(broken);
            }
        }
    }

    /// An account of the same program and another type.
    fn other_type(&self, account: &Account) -> Option<Pubkey> {
        if account.owner == spl_token::ID {
            // A mint where an account belongs, an account where the mint belongs.
            let mint = coin::seeds::find_mint().0;
            let vault = coin::seeds::find_vault(coin::state::VaultKind::Treasury).0;
            return Some(if account.data.len() == 165 { mint } else { vault });
        }
        let configs =
            [coin::seeds::find_config().0, market::seeds::find_config().0, settlement::seeds::find_config().0];
        let candidates = configs.into_iter().chain([
            coin::seeds::find_rate().0,
            market::seeds::find_party(&key("gateway").pubkey(), market::state::Role::Gateway).0,
            settlement::seeds::find_gateway_vault(&key("gateway").pubkey(), &coin::seeds::find_mint().0).0,
        ]);
        let mut existing =
            candidates.filter_map(|address| self.svm.get_account(&address).map(|known| (address, known)));
        existing
            .find(|(_, known)| known.owner == account.owner && known.data.get(..8) != account.data.get(..8))
            .map(|(address, _)| address)
    }

    fn shape(&self, names: &[String], all: &mut Vec<Break>) {
        let mut missing = self.with("", "one account short");
        missing.built.accounts.pop();
        all.push(missing);
        if self.built.accounts.len() > names.len() {
            let mut more = self.with("", "one account more");
            more.built.accounts.push(self.built.accounts[names.len()].clone());
            all.push(more);
        }
        let mut twice = self.with("", "twice");
        twice.twice = true;
        // Whoever signs may want it twice; a step that anybody can take must not have its effect twice.
        twice.may_succeed = self.built.accounts.iter().zip(names).any(|(meta, name)| meta.is_signer && name != "payer");
        all.push(twice);
        let mut short = self.with("", "cut data");
        short.built.data.pop();
        all.push(short);
    }

    /// Every integer argument at its ends.
    fn arguments(&self, all: &mut Vec<Break>) {
        for (name, at, length) in self.described.integers(&self.built.data) {
            for (check, byte) in [("argument 0", 0u8), ("argument at its maximum", 0xff)] {
                let mut broken = self.with(&name, check);
                broken.built.data[at..at + length].fill(byte);
                broken.may_succeed = true;
                all.push(broken);
            }
        }
    }

    fn rich(&self) -> Account {
        let payer = crate::world::key("payer").pubkey();
        self.svm.get_account(&payer).unwrap()
    }

    fn with(&self, account: &str, check: &'static str) -> Break {
        Break {
            account: account.to_owned(),
            check,
            built: self.built.clone(),
            accounts: Vec::new(),
            twice: false,
            may_succeed: false,
        }
    }
}
