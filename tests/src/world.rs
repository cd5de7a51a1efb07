//! A chain with our programs on it, one payer of SOL and a clock that is set by hand.

use std::path::PathBuf;

use anchor_lang::{
    AccountDeserialize, AccountSerialize as _, Owner,
    prelude::{Clock, Pubkey},
    solana_program::{instruction::Instruction, program_pack::Pack},
};
use anchor_spl::{associated_token, token::spl_token};
use coin::{
    authority::Authorities,
    state::{Rate, VaultKind},
};
use litesvm::LiteSVM;
use market::state::{DetKind, DetRule, MarketConfig, MarketParams, Role};
use sha2::{Digest as _, Sha256};
use solana_keypair::Keypair;
use solana_message::{Message, VersionedMessage};
use solana_signer::Signer;
use solana_transaction::versioned::VersionedTransaction;

use crate::{
    compute::{self, Created},
    ix::{coin_ix, market_ix},
    ix_coin, ix_stake,
    probe::Candidate,
    sent::{Refused, Sent},
};

/// Base units of one AIC.
pub const AIC: u64 = 1_000_000_000;
/// When every world begins, unix seconds: settlement epoch 497,222 of an hour, pricing epoch 20,717.
pub const START: i64 = 1_790_000_000;

/// The key with a name, the same in every run.
#[must_use]
pub fn key(name: &str) -> Keypair {
    Keypair::new_from_array(Sha256::digest(format!("waybill-test:{name}")).into())
}

/// The account through which a program emits its CPI events.
#[must_use]
pub fn event_authority(program: &Pubkey) -> Pubkey {
    Pubkey::find_program_address(&[b"__event_authority"], program).0
}

/// A signed transaction that `payer` pays. Of `signers` those sign whose signature the instructions ask for.
pub(crate) fn transaction(
    svm: &LiteSVM,
    payer: &Keypair,
    instructions: &[Instruction],
    signers: &[&Keypair],
) -> VersionedTransaction {
    let message = Message::new_with_blockhash(instructions, Some(&payer.pubkey()), &svm.latest_blockhash());
    let mut keys: Vec<&Keypair> = vec![payer];
    for signer in signers {
        let known = keys.iter().any(|key| key.pubkey() == signer.pubkey());
        // A key that signs nothing would make the transaction malformed, which is not what a test means.
        if !known && message.signer_keys().contains(&&signer.pubkey()) {
            keys.push(signer);
        }
    }
    VersionedTransaction::try_new(VersionedMessage::Legacy(message), &keys).unwrap()
}

/// Cargo's target directory, from the place of the running test.
pub(crate) fn target_dir() -> PathBuf {
    let executable = std::env::current_exe().unwrap();
    executable.ancestors().find(|path| path.ends_with("debug") || path.ends_with("release")).unwrap().join("..")
}

/// Where the `.so` files are.
#[must_use]
pub fn program_dir() -> PathBuf {
    std::env::var_os("WAYBILL_PROGRAMS").map_or_else(|| target_dir().join("deploy"), PathBuf::from)
}

/// A chain. Scenarios reach the SVM through `svm` where no method serves.
pub struct World {
    /// The chain.
    pub svm: LiteSVM,
    /// The only key with SOL: pays fees and rents.
    pub payer: Keypair,
    /// Admin, params, pause and resume authority of every program.
    pub admin: Keypair,
    /// The reporters of the rate.
    pub reporters: [Keypair; 3],
}

impl World {
    /// A chain with the three programs and nothing else. The settlement program is absent while it is not built.
    #[must_use]
    pub fn bare() -> Self {
        let mut svm = LiteSVM::new().with_mainnet_features().with_sigverify(true).with_default_programs();
        let dir = program_dir();
        for (id, file) in [
            (coin::ID, "waybill_coin.so"),
            (market::ID, "waybill_market.so"),
            (settlement::ID, "waybill_settlement.so"),
        ] {
            let path = dir.join(file);
            if id == settlement::ID && !path.exists() {
                continue;
            }
            svm.add_program_from_file(id, &path)
                .unwrap_or_else(|error| panic!("{} cannot be loaded ({error:?}): run tools/sbf/build", path.display()));
        }
        let payer = key("payer");
        svm.airdrop(&payer.pubkey(), 100_000 * AIC).unwrap();
        let mut world = Self {
            svm,
            payer,
            admin: key("admin"),
            reporters: [key("reporter 0"), key("reporter 1"), key("reporter 2")],
        };
        world.set_time(START);
        world
    }

    /// A chain whose coin and market programs are configured with [`World::params`].
    #[must_use]
    pub fn new() -> Self {
        let mut world = Self::bare();
        world.coin_genesis();
        world.market_genesis(Self::params());
        world
    }

    /// Parameters of the tests' market: the design's prices, one-hour epochs, ten-minute unbonding.
    #[must_use]
    pub fn params() -> MarketParams {
        MarketParams {
            fee_bps: 300,
            kappa_vendor_bps: 3_000,
            kappa_oem_bps: 2_000,
            kappa_weaver_bps: 2_000,
            beta_max_bps: 1_000,
            step_up_bps: 500,
            step_down_bps: 1_000,
            epoch_s: 3_600,
            ask_notice_s: 3_600,
            unbonding_s: 600,
            min_base_nc: 1_000,
            min_stake: [100, 100, 500, 500, 100, 10_000, 2_000].map(|aic| aic * AIC),
        }
    }

    /// One key in all four roles.
    #[must_use]
    pub fn authorities(&self) -> Authorities {
        let admin = self.admin.pubkey();
        Authorities { admin, params: admin, pause: admin, resume: admin }
    }

    /// Runs the coin program's genesis: supply in the vaults, mint revoked, 20e9 base units per USD ($0.05 per AIC).
    pub fn coin_genesis(&mut self) {
        let (payer, admin) = (self.payer.pubkey(), self.admin.insecure_clone());
        let authorities = self.authorities();
        self.measure("coin::init_coin", "genesis", coin_ix::init_coin(payer, authorities), &[]);
        for kind in VaultKind::ALL {
            let open = coin_ix::open_vault(payer, admin.pubkey(), kind);
            self.measure("coin::open_vault", "genesis", open, &[&admin]);
        }
        self.measure("coin::genesis_mint", "genesis", coin_ix::genesis_mint(admin.pubkey()), &[&admin]);
        self.measure("coin::revoke_mint", "genesis", coin_ix::revoke_mint(admin.pubkey()), &[&admin]);
        let reporters = self.reporters.iter().map(Signer::pubkey).collect();
        let rate = coin_ix::init_rate(payer, admin.pubkey(), 20 * AIC, 86_400, reporters);
        self.measure("coin::init_rate", "3 reporters", rate, &[&admin]);
        let release = ix_coin::init_release(admin.pubkey(), settlement::ID, key("team").pubkey());
        self.measure("coin::init_release", "genesis", release, &[&admin]);
    }

    /// Configures the market program, with the determinism class 1.
    pub fn market_genesis(&mut self, params: MarketParams) {
        let slasher = Pubkey::find_program_address(&[b"slasher"], &settlement::ID).0;
        let init = market_ix::init_config(self.payer.pubkey(), self.authorities(), slasher, params);
        self.measure("market::init_config", "genesis", init, &[]);
        let admin = self.admin.insecure_clone();
        let rule = DetRule { kind: DetKind::Exact, tol_ppm: 0, tau_ppm: 0, mu_ppm: 0, enabled: true };
        let class = ix_stake::register_det_class(self.payer.pubkey(), admin.pubkey(), 1, [9; 32], rule);
        self.must(&[class], &[&admin]);
    }

    /// Makes a key of the test the slasher, so that `market::slash` can be called without a proven offence.
    pub fn set_slasher(&mut self, slasher: Pubkey) {
        let address = market::seeds::find_config().0;
        let mut config: MarketConfig = self.read(&address);
        config.slasher = slasher;
        let mut data = Vec::new();
        config.try_serialize(&mut data).unwrap();
        self.put(address, market::ID, data);
    }

    // time

    /// The chain's clock, unix seconds.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.svm.get_sysvar::<Clock>().unix_timestamp
    }

    /// Sets the chain's clock.
    pub fn set_time(&mut self, unix_timestamp: i64) {
        let clock = Clock { unix_timestamp, ..self.svm.get_sysvar() };
        self.svm.set_sysvar(&clock);
    }

    /// Moves the chain's clock.
    pub fn advance(&mut self, seconds: i64) {
        self.set_time(self.now() + seconds);
    }

    /// The market's pricing epoch now.
    #[must_use]
    pub fn pricing_epoch(&self) -> u32 {
        let config: MarketConfig = self.read(&market::seeds::find_config().0);
        config.params.pricing_epoch(self.now()).unwrap()
    }

    /// Keeps the rate fresh: every reporter submits it unchanged and it is rolled.
    pub fn refresh_rate(&mut self) {
        let rate: Rate = self.read(&coin::seeds::find_rate().0);
        for reporter in self.reporters.each_ref().map(Keypair::insecure_clone) {
            self.must(&[coin_ix::submit_rate(reporter.pubkey(), rate.rate)], &[&reporter]);
        }
        self.must(&[coin_ix::roll_rate()], &[]);
    }

    // transactions

    /// Sends instructions in one transaction; the payer pays and signs. The same instructions can be sent again.
    #[track_caller]
    pub fn send(&mut self, instructions: &[Instruction], signers: &[&Keypair]) -> Result<Sent, Refused> {
        self.svm.expire_blockhash();
        let transaction = transaction(&self.svm, &self.payer, instructions, signers);
        match self.svm.send_transaction(transaction) {
            Ok(meta) => Ok(Sent { meta }),
            Err(failure) => Err(Refused { failure }),
        }
    }

    /// Sends instructions that must succeed.
    #[track_caller]
    pub fn must(&mut self, instructions: &[Instruction], signers: &[&Keypair]) -> Sent {
        match self.send(instructions, signers) {
            Ok(sent) => sent,
            Err(refused) => {
                panic!("{:?}\n{}", refused.failure.err, refused.failure.meta.logs.join("\n"))
            }
        }
    }

    /// Sends one instruction that must succeed, use no more compute and create no larger account than before; a
    /// recording run only writes down what it used (see [`compute`]). Then the call is [probed](crate::probe).
    /// `instruction` is `program::instruction`.
    #[track_caller]
    pub fn measure(&mut self, instruction: &str, scenario: &str, built: Instruction, signers: &[&Keypair]) -> Sent {
        self.measure_all(instruction, scenario, &[built], signers)
    }

    /// [`World::measure`] of an instruction with the signature checks that it needs before it.
    #[track_caller]
    pub fn measure_all(
        &mut self,
        instruction: &str,
        scenario: &str,
        built: &[Instruction],
        signers: &[&Keypair],
    ) -> Sent {
        let named = built.iter().flat_map(|instruction| &instruction.accounts);
        let new: Vec<Pubkey> = named.map(|meta| meta.pubkey).filter(|address| !self.exists(address)).collect();
        let candidate = Candidate::new(&self.svm, instruction, scenario, built);
        let sent = self.must(built, signers);
        if let Some(candidate) = candidate {
            candidate.probe(self, built, signers, &sent.meta.logs);
        }
        let units = sent.compute_units();
        let created: Vec<Created> = new
            .iter()
            .filter_map(|address| self.svm.get_account(address))
            .filter(|account| !account.data.is_empty())
            .map(|account| Created::of(&account.owner, &account.data, account.lamports))
            .collect();
        if !compute::record(instruction, scenario, units, &created) {
            compute::check(instruction, scenario, units, &created);
        }
        sent
    }

    // accounts

    /// Reads an account of a program.
    ///
    /// # Panics
    /// When it does not exist, has another owner or another type.
    #[track_caller]
    pub fn read<T: AccountDeserialize + Owner>(&self, address: &Pubkey) -> T {
        let account = self.svm.get_account(address).unwrap_or_else(|| panic!("{address} does not exist"));
        assert_eq!(account.owner, T::owner(), "{address} belongs to another program");
        T::try_deserialize(&mut account.data.as_slice()).unwrap()
    }

    /// Whether an account exists.
    #[must_use]
    pub fn exists(&self, address: &Pubkey) -> bool {
        self.svm.get_account(address).is_some_and(|account| !account.data.is_empty() || account.lamports > 0)
    }

    /// Puts a copy of an account at another address, with another owner if one is given. Returns the address.
    pub fn forge(&mut self, original: &Pubkey, owner: Option<Pubkey>) -> Pubkey {
        let mut account = self.svm.get_account(original).unwrap();
        if let Some(owner) = owner {
            account.owner = owner;
        }
        let address = key(&format!("forged {original} {owner:?}")).pubkey();
        self.svm.set_account(address, account).unwrap();
        address
    }

    // tokens

    /// Balance of a token account.
    #[track_caller]
    pub fn balance(&self, token_account: &Pubkey) -> u64 {
        let account = self.svm.get_account(token_account).unwrap_or_else(|| panic!("no account {token_account}"));
        spl_token::state::Account::unpack(&account.data).unwrap().amount
    }

    /// The AIC account of a wallet: its associated token account, created when it does not exist.
    pub fn aic_account(&mut self, owner: &Pubkey) -> Pubkey {
        let mint = coin::seeds::find_mint().0;
        let address = associated_token::get_associated_token_address(owner, &mint);
        if !self.exists(&address) {
            let create = associated_token::spl_associated_token_account::instruction::create_associated_token_account(
                &self.payer.pubkey(),
                owner,
                &mint,
                &spl_token::ID,
            );
            self.must(&[create], &[]);
        }
        address
    }

    /// Gives a wallet AIC from the grants vault. Returns its AIC account.
    pub fn fund(&mut self, owner: &Pubkey, amount: u64) -> Pubkey {
        let account = self.aic_account(owner);
        let admin = self.admin.insecure_clone();
        self.must(&[coin_ix::spend_vault(admin.pubkey(), VaultKind::Grants, account, amount)], &[&admin]);
        account
    }

    /// A token account of a foreign mint with a balance, for tests that hand in the wrong money.
    pub fn foreign_token_account(&mut self, owner: &Pubkey, amount: u64) -> (Pubkey, Pubkey) {
        let mint = key("foreign mint").pubkey();
        let mut data = vec![0; spl_token::state::Mint::LEN];
        let state = spl_token::state::Mint { supply: amount, decimals: 9, is_initialized: true, ..Default::default() };
        Pack::pack(state, &mut data).unwrap();
        self.put(mint, spl_token::ID, data);
        let address = key(&format!("foreign account of {owner}")).pubkey();
        let mut data = vec![0; spl_token::state::Account::LEN];
        let state = spl_token::state::Account {
            mint,
            owner: *owner,
            amount,
            state: spl_token::state::AccountState::Initialized,
            ..Default::default()
        };
        Pack::pack(state, &mut data).unwrap();
        self.put(address, spl_token::ID, data);
        (mint, address)
    }

    /// Writes an account as no program would let anyone.
    pub fn put(&mut self, address: Pubkey, owner: Pubkey, data: Vec<u8>) {
        let lamports = self.svm.minimum_balance_for_rent_exemption(data.len());
        let mut account = self.svm.get_account(&self.payer.pubkey()).unwrap();
        (account.lamports, account.owner, account.data) = (lamports, owner, data);
        self.svm.set_account(address, account).unwrap();
    }

    // participants

    /// Registers a party and gives it exactly the minimum stake of its role. Returns the party's address.
    pub fn party(&mut self, owner: &Keypair, role: Role) -> Pubkey {
        let config: MarketConfig = self.read(&market::seeds::find_config().0);
        let stake = config.params.min_stake(role);
        self.must(&[market_ix::register_party(self.payer.pubkey(), owner.pubkey(), role)], &[owner]);
        if stake > 0 {
            let source = self.fund(&owner.pubkey(), stake);
            self.must(&[market_ix::add_stake(owner.pubkey(), role, source, stake)], &[owner]);
        }
        market::seeds::find_party(&owner.pubkey(), role).0
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}
