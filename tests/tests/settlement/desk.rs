//! The settlement program on the network of the harness: addresses, instructions and steps. After each accepted
//! transaction the desk checks that all money is where the program says it is.

use std::collections::BTreeMap;

use anchor_lang::{
    AccountSerialize, Discriminator, InstructionData, ToAccountMetas,
    prelude::{AccountMeta, Clock, Pubkey},
    solana_program::instruction::Instruction,
};
use anchor_spl::associated_token::get_associated_token_address as ata;
use coin::state::VaultKind;
use market::state::{Node, Party, Role, SplitSnapshot};
use settlement::{accounts, instruction, instructions::*, seeds, state::*};
use solana_keypair::Keypair;
use solana_signer::Signer;
use waybill_mechanism::{
    amount::pricing_epoch,
    merkle::{self, Tree},
    message::{Line, Voucher},
    precompile,
};
use waybill_tests::{Network, Refused, Sent, event_authority, ix::instruction as build, key};

pub const TOKEN: Pubkey = anchor_spl::token::ID;
pub const SYSTEM: Pubkey = anchor_lang::system_program::ID;
pub const INSTRUCTIONS: Pubkey = Pubkey::from_str_const("Sysvar1nstructions1111111111111111111111111");
pub const ED25519: Pubkey = Pubkey::from_str_const("Ed25519SigVerify111111111111111111111111111");

pub const EPOCH_S: i64 = 3_600;
pub const CHALLENGE_S: u32 = 86_400;
pub const POST_WINDOW_S: u32 = 21_600;
pub const GRACE_S: u32 = 86_400;
pub const CLAIM_WINDOW_S: u32 = 2_592_000;
/// AIC base units per nano-credit at the harness's rate.
pub const AIC_PER_NC: u64 = 20;

pub struct Desk {
    pub net: Network,
    pub consumer: Keypair,
    pub mint: Pubkey,
    pub open_slot: u64,
}

impl Desk {
    /// The network without settlement's configuration.
    pub fn bare() -> Self {
        Self::on(Network::new())
    }

    /// A network without settlement's configuration.
    pub fn on(net: Network) -> Self {
        let open_slot = net.world.svm.get_sysvar::<Clock>().slot;
        Self { net, consumer: key("consumer"), mint: coin::seeds::find_mint().0, open_slot }
    }

    /// Settlement is configured and the gateway open; nobody has a channel.
    pub fn new() -> Self {
        let mut desk = Self::bare();
        let admin = desk.net.world.admin.insecure_clone();
        desk.measure("init_config", "genesis", desk.init_config_ix(), &[&admin]);
        desk.measure("open_gateway", "first", desk.open_gateway_ix(), &[&desk.gateway()]);
        desk
    }

    /// With a channel that holds `aic` and grants `limit_nc` a day, if that is positive.
    pub fn with_channel(aic: u64, limit_nc: u64) -> Self {
        let mut desk = Self::new();
        let grant = (limit_nc > 0).then(|| desk.terms(limit_nc));
        let args = OpenChannelArgs { open_slot: desk.open_slot, session: None, grant };
        desk.measure("open_channel", "with vault", desk.open_channel_ix(args), &[&desk.consumer()]);
        if aic > 0 {
            desk.deposit(aic);
        }
        desk
    }

    /// With `nc` collected in the gateway vault, and the earnings of every payee open.
    pub fn collected(nc: u64) -> Self {
        let mut desk = Self::with_channel(nc * AIC_PER_NC, nc);
        desk.settle(nc, 1).unwrap();
        desk.open_all_earnings();
        desk
    }

    /// With the first shard of the epoch before the present one posted and final.
    pub fn finalized(credits: &[u64], referrer: [u8; 32]) -> (Self, Shard) {
        let mut desk = Self::collected(credits.iter().sum());
        let shard = Shard::new(&desk, desk.epoch(), credits, referrer);
        desk.advance(EPOCH_S);
        desk.post(&shard).unwrap();
        desk.advance(CHALLENGE_S.into());
        desk.send(&[desk.finalize_batch_ix(desk.batch_of(&shard))], &[]).unwrap();
        (desk, shard)
    }

    pub fn payer(&self) -> Pubkey {
        self.net.world.payer.pubkey()
    }

    pub fn gateway(&self) -> Keypair {
        self.net.gateway.insecure_clone()
    }

    pub fn consumer(&self) -> Keypair {
        self.consumer.insecure_clone()
    }

    // time and accounts

    pub fn now(&self) -> i64 {
        self.net.world.now()
    }

    pub fn advance(&mut self, seconds: i64) {
        self.net.world.advance(seconds);
    }

    pub fn pass_slots(&mut self, slots: u64) {
        let clock: Clock = self.net.world.svm.get_sysvar();
        let later = Clock { slot: clock.slot + slots, ..clock };
        self.net.world.svm.set_sysvar(&later);
    }

    pub fn epoch(&self) -> u32 {
        u32::try_from(self.now() / EPOCH_S).unwrap()
    }

    /// Rewrites an account in place, as no program would let anyone.
    pub fn rewrite<T>(&mut self, address: Pubkey, change: impl FnOnce(&mut T))
    where
        T: anchor_lang::AccountDeserialize + AccountSerialize + anchor_lang::Owner,
    {
        let mut value: T = self.net.world.read(&address);
        change(&mut value);
        let mut data = Vec::new();
        value.try_serialize(&mut data).unwrap();
        let old = self.net.world.svm.get_account(&address).unwrap().data;
        data.extend_from_slice(&old[data.len()..]);
        self.net.world.put(address, T::owner(), data);
    }

    pub fn token(&self, address: &Pubkey) -> u64 {
        if self.net.world.exists(address) { self.net.world.balance(address) } else { 0 }
    }

    pub fn supply(&self) -> u64 {
        let data = self.net.world.svm.get_account(&self.mint).unwrap().data;
        u64::from_le_bytes(data[36..44].try_into().unwrap())
    }

    // --- addresses ---------------------------------------------------------------------------------------------------

    pub fn config(&self) -> Pubkey {
        seeds::find_config().0
    }

    pub fn channel(&self) -> Pubkey {
        seeds::find_channel(&self.consumer.pubkey(), &self.net.gateway.pubkey(), &self.mint, self.open_slot).0
    }

    pub fn channel_token(&self) -> Pubkey {
        ata(&self.channel(), &self.mint)
    }

    pub fn gateway_vault(&self) -> Pubkey {
        seeds::find_gateway_vault(&self.net.gateway.pubkey(), &self.mint).0
    }

    pub fn gateway_token(&self) -> Pubkey {
        ata(&self.gateway_vault(), &self.mint)
    }

    pub fn pool(&self) -> Pubkey {
        seeds::find_pool(&self.mint).0
    }

    pub fn earnings(&self, owner: &Pubkey) -> Pubkey {
        seeds::find_earnings(owner, &self.mint).0
    }

    pub fn earned(&self, owner: &Keypair) -> u64 {
        self.net.world.read::<Earnings>(&self.earnings(&owner.pubkey())).amount_aic
    }

    pub fn batch(&self, epoch: u32, shard: u16) -> Pubkey {
        seeds::find_batch(&self.net.gateway.pubkey(), epoch, shard).0
    }

    pub fn state(&self) -> Channel {
        self.net.world.read(&self.channel())
    }

    // --- instructions ------------------------------------------------------------------------------------------------

    pub fn init_config_ix(&self) -> Instruction {
        let args = InitConfigArgs {
            cluster_name: "localnet".into(),
            challenge_s: CHALLENGE_S,
            post_window_s: POST_WINDOW_S,
            grace_s: GRACE_S,
            claim_window_s: CLAIM_WINDOW_S,
            fee: FeeSplit { audit_bps: 120, gateway_bps: 60, burn_bps: 60, treasury_bps: 60 },
            dispute: DisputeParams::default(),
            audit: AuditParams::default(),
            authorities: self.net.world.authorities(),
        };
        let accounts = accounts::InitConfig {
            payer: self.payer(),
            admin: self.net.world.admin.pubkey(),
            config: self.config(),
            coin_config: coin::seeds::find_config().0,
            market_config: market::seeds::find_config().0,
            mint: self.mint,
            pool: self.pool(),
            breaker: seeds::find_breaker(&self.pool()).0,
            audits: seeds::find_audits(&self.mint).0,
            treasury_vault: coin::seeds::find_vault(VaultKind::Treasury).0,
            insurance_vault: coin::seeds::find_vault(VaultKind::Insurance).0,
            token_program: TOKEN,
            system_program: SYSTEM,
        };
        ix(&accounts, &instruction::InitConfig { args })
    }

    pub fn open_gateway_ix(&self) -> Instruction {
        let accounts = accounts::OpenGateway {
            payer: self.payer(),
            gateway: self.net.gateway.pubkey(),
            config: self.config(),
            market_config: market::seeds::find_config().0,
            party: market::seeds::find_party(&self.net.gateway.pubkey(), Role::Gateway).0,
            mint: self.mint,
            gateway_vault: self.gateway_vault(),
            vault: self.gateway_token(),
            token_program: TOKEN,
            associated_token_program: anchor_spl::associated_token::ID,
            system_program: SYSTEM,
        };
        ix(&accounts, &instruction::OpenGateway {})
    }

    pub fn open_channel_ix(&self, args: OpenChannelArgs) -> Instruction {
        let channel =
            seeds::find_channel(&self.consumer.pubkey(), &self.net.gateway.pubkey(), &self.mint, args.open_slot).0;
        let accounts = accounts::OpenChannel {
            payer: self.payer(),
            consumer: self.consumer.pubkey(),
            config: self.config(),
            mint: self.mint,
            gateway_vault: self.gateway_vault(),
            channel,
            vault: ata(&channel, &self.mint),
            token_program: TOKEN,
            associated_token_program: anchor_spl::associated_token::ID,
            system_program: SYSTEM,
        };
        ix(&accounts, &instruction::OpenChannel { args })
    }

    pub fn sync_deposit_ix(&self) -> Instruction {
        let accounts = accounts::SyncDeposit {
            config: self.config(),
            channel: self.channel(),
            vault: self.channel_token(),
            event_authority: event_authority(&settlement::ID),
            program: settlement::ID,
        };
        ix(&accounts, &instruction::SyncDeposit {})
    }

    pub fn set_delegate_ix(&self, terms: GrantTerms) -> Instruction {
        let accounts =
            accounts::SetDelegate { consumer: self.consumer.pubkey(), config: self.config(), channel: self.channel() };
        ix(&accounts, &instruction::SetDelegate { terms })
    }

    pub fn revoke_delegate_ix(&self) -> Instruction {
        let accounts = accounts::RevokeDelegate { consumer: self.consumer.pubkey(), channel: self.channel() };
        ix(&accounts, &instruction::RevokeDelegate {})
    }

    pub fn settle_delegated_ix(&self, claim_cum_nc: u64, nonce: u64) -> Instruction {
        let accounts = accounts::SettleDelegated {
            gateway: self.net.gateway.pubkey(),
            config: self.config(),
            rate: coin::seeds::find_rate().0,
            channel: self.channel(),
            channel_token: self.channel_token(),
            gateway_vault: self.gateway_vault(),
            gateway_token: self.gateway_token(),
            token_program: TOKEN,
            event_authority: event_authority(&settlement::ID),
            program: settlement::ID,
        };
        ix(&accounts, &instruction::SettleDelegated { args: SettleDelegatedArgs { claim_cum_nc, nonce } })
    }

    /// The claim alone; the signature check goes before it.
    pub fn settle_voucher_ix(&self, claim_cum_nc: u64, gateway_signs: bool) -> Instruction {
        let accounts = accounts::SettleVoucher {
            gateway: gateway_signs.then(|| self.net.gateway.pubkey()),
            config: self.config(),
            rate: coin::seeds::find_rate().0,
            channel: self.channel(),
            channel_token: self.channel_token(),
            gateway_vault: self.gateway_vault(),
            gateway_token: self.gateway_token(),
            instructions: INSTRUCTIONS,
            token_program: TOKEN,
            event_authority: event_authority(&settlement::ID),
            program: settlement::ID,
        };
        ix(&accounts, &instruction::SettleVoucher { args: SettleVoucherArgs { claim_cum_nc } })
    }

    pub fn voucher(&self, nonce: u64, acked_nc: u64, cum_nc: u64) -> Voucher {
        let domain = self.net.world.read::<SettleConfig>(&self.config()).domain;
        let channel = self.channel().to_bytes();
        Voucher { domain, channel, nonce, acked_nc, cum_nc, expires: 0, ctx_hash: [3; 32] }
    }

    pub fn request_close_ix(&self) -> Instruction {
        let accounts =
            accounts::RequestClose { consumer: self.consumer.pubkey(), config: self.config(), channel: self.channel() };
        ix(&accounts, &instruction::RequestClose {})
    }

    pub fn close_channel_ix(&self) -> Instruction {
        let accounts = accounts::CloseChannel {
            config: self.config(),
            channel: self.channel(),
            vault: self.channel_token(),
            destination: ata(&self.consumer.pubkey(), &self.mint),
            rent_payer: self.payer(),
            token_program: TOKEN,
            event_authority: event_authority(&settlement::ID),
            program: settlement::ID,
        };
        ix(&accounts, &instruction::CloseChannel {})
    }

    pub fn post_batch_ix(&self, args: PostBatchArgs) -> Instruction {
        let batch = self.batch(args.epoch, args.shard);
        let accounts = accounts::PostBatch {
            payer: self.payer(),
            gateway: self.net.gateway.pubkey(),
            config: self.config(),
            mint: self.mint,
            gateway_vault: self.gateway_vault(),
            gateway_token: self.gateway_token(),
            batch,
            batch_vault: seeds::find_batch_vault(&batch).0,
            token_program: TOKEN,
            system_program: SYSTEM,
            event_authority: event_authority(&settlement::ID),
            program: settlement::ID,
        };
        ix(&accounts, &instruction::PostBatch { args })
    }

    pub fn finalize_batch_ix(&self, batch: Pubkey) -> Instruction {
        let accounts = accounts::FinalizeBatch {
            config: self.config(),
            batch,
            batch_vault: seeds::find_batch_vault(&batch).0,
            pool: self.pool(),
            rent_payer: self.payer(),
            token_program: TOKEN,
            event_authority: event_authority(&settlement::ID),
            program: settlement::ID,
        };
        ix(&accounts, &instruction::FinalizeBatch {})
    }

    pub fn open_earnings_ix(&self, owner: &Pubkey) -> Instruction {
        let accounts = accounts::OpenEarnings {
            payer: self.payer(),
            config: self.config(),
            earnings: self.earnings(owner),
            system_program: SYSTEM,
        };
        ix(&accounts, &instruction::OpenEarnings { owner: *owner })
    }

    /// A claim with the payees of the default snapshot.
    pub fn claim_line_ix(&self, batch: Pubkey, line: &Line, proof: &[merkle::Node]) -> Instruction {
        let snapshot = market::seeds::find_snapshot(&self.net.container, line.stage, pricing_epoch(line.epoch)).0;
        let node = market::seeds::find_node(&Pubkey::new_from_array(line.worker)).0;
        let operator = self.net.world.read::<Node>(&node).operator;
        let payees = self.net.world.read::<SplitSnapshot>(&snapshot).payees;
        let accounts = accounts::ClaimLine {
            config: self.config(),
            batch,
            snapshot,
            node,
            event_authority: event_authority(&settlement::ID),
            program: settlement::ID,
        };
        let args = ClaimLineArgs { line: line.to_bytes(), proof: proof.iter().map(merkle::Node::to_bytes).collect() };
        let mut claim = ix(&accounts, &instruction::ClaimLine { args });
        let earnings = |owner: &Pubkey| AccountMeta::new(self.earnings(owner), false);
        claim.accounts.push(earnings(&payees.vendor));
        if payees.oem != Pubkey::default() {
            claim.accounts.push(earnings(&payees.oem));
        }
        claim.accounts.push(earnings(&operator));
        claim.accounts.push(earnings(&payees.weaver));
        if line.referrer != [0; 32] {
            let referrer = Pubkey::new_from_array(line.referrer);
            let party = market::seeds::find_party(&referrer, Role::Curator).0;
            claim.accounts.push(AccountMeta::new_readonly(party, false));
            if self.net.world.exists(&party) && self.net.world.read::<Party>(&party).stake > 0 {
                claim.accounts.push(earnings(&referrer));
            }
        }
        claim
    }

    pub fn sweep_batch_ix(&self, batch: Pubkey) -> Instruction {
        let day = u32::try_from(self.net.world.now() / 86_400).unwrap();
        let accounts = accounts::SweepBatch {
            payer: self.payer(),
            config: self.config(),
            mint: self.mint,
            batch,
            gateway_earnings: self.earnings(&self.net.gateway.pubkey()),
            fee_day: seeds::find_fee_day(day).0,
            pool: self.pool(),
            audits: seeds::find_audits(&self.mint).0,
            treasury_vault: coin::seeds::find_vault(VaultKind::Treasury).0,
            insurance_vault: coin::seeds::find_vault(VaultKind::Insurance).0,
            token_program: TOKEN,
            system_program: SYSTEM,
            event_authority: event_authority(&settlement::ID),
            program: settlement::ID,
        };
        ix(&accounts, &instruction::SweepBatch {})
    }

    pub fn close_batch_ix(&self, batch: Pubkey) -> Instruction {
        let accounts = accounts::CloseBatch {
            gateway: self.net.gateway.pubkey(),
            gateway_vault: self.gateway_vault(),
            batch,
            rent_payer: self.payer(),
        };
        ix(&accounts, &instruction::CloseBatch {})
    }

    pub fn withdraw_ix(&self, owner: &Pubkey, destination: Pubkey, amount_aic: Option<u64>) -> Instruction {
        let accounts = accounts::WithdrawEarnings {
            owner: *owner,
            config: self.config(),
            earnings: self.earnings(owner),
            pool: self.pool(),
            breaker: seeds::find_breaker(&self.pool()).0,
            destination,
            token_program: TOKEN,
            event_authority: event_authority(&settlement::ID),
            program: settlement::ID,
        };
        ix(&accounts, &instruction::WithdrawEarnings { amount_aic })
    }

    pub fn set_sweep_ix(&self, owner: &Pubkey, wallet: Pubkey) -> Instruction {
        let accounts = accounts::SetSweep { owner: *owner, earnings: self.earnings(owner) };
        ix(&accounts, &instruction::SetSweep { wallet })
    }

    pub fn sweep_earnings_ix(&self, owner: &Pubkey, destination: Pubkey) -> Instruction {
        let accounts = accounts::SweepEarnings {
            config: self.config(),
            earnings: self.earnings(owner),
            pool: self.pool(),
            breaker: seeds::find_breaker(&self.pool()).0,
            destination,
            token_program: TOKEN,
            event_authority: event_authority(&settlement::ID),
            program: settlement::ID,
        };
        ix(&accounts, &instruction::SweepEarnings {})
    }

    // steps

    /// A daily limit for a year.
    pub fn terms(&self, limit_nc: u64) -> GrantTerms {
        GrantTerms { limit_nc, period_s: 86_400, expires: self.now() + 365 * 86_400, referrer: Pubkey::default() }
    }

    /// Transfers to the channel's vault, then syncs.
    pub fn deposit(&mut self, aic: u64) {
        let consumer = self.consumer();
        let source = self.net.world.fund(&consumer.pubkey(), aic);
        self.net.world.must(&[transfer_ix(source, self.channel_token(), consumer.pubkey(), aic)], &[&consumer]);
        self.measure("sync_deposit", "transfer", self.sync_deposit_ix(), &[]);
    }

    pub fn settle(&mut self, claim_cum_nc: u64, nonce: u64) -> Result<Sent, Refused> {
        self.send(&[self.settle_delegated_ix(claim_cum_nc, nonce)], &[&self.gateway()])
    }

    pub fn settle_voucher(
        &mut self,
        voucher: &Voucher,
        claim_cum_nc: u64,
        gateway_signs: bool,
    ) -> Result<Sent, Refused> {
        let check = signature_check(&self.consumer, &voucher.to_bytes());
        self.send(&[check, self.settle_voucher_ix(claim_cum_nc, gateway_signs)], &[&self.gateway()])
    }

    pub fn open_earnings(&mut self, owner: &Pubkey) {
        self.measure("open_earnings", "first", self.open_earnings_ix(owner), &[]);
    }

    pub fn open_all_earnings(&mut self) {
        let net = &self.net;
        let owners = [&net.vendor, &net.oem, &net.weaver, &net.operator, &net.curator, &net.gateway];
        for owner in owners.map(Signer::pubkey) {
            self.open_earnings(&owner);
        }
    }

    pub fn batch_of(&self, shard: &Shard) -> Pubkey {
        self.batch(shard.epoch, shard.shard)
    }

    pub fn post(&mut self, shard: &Shard) -> Result<Sent, Refused> {
        self.send(&[self.post_batch_ix(shard.args())], &[&self.gateway()])
    }

    pub fn claim_ix(&self, shard: &Shard, index: usize) -> Instruction {
        self.claim_line_ix(self.batch_of(shard), &shard.lines[index], &shard.tree.proof(index).unwrap())
    }

    pub fn claim(&mut self, shard: &Shard, index: usize) -> Result<Sent, Refused> {
        self.send(&[self.claim_ix(shard, index)], &[])
    }

    /// Sends a transaction. When it is accepted, all money must be accounted for.
    pub fn send(&mut self, instructions: &[Instruction], signers: &[&Keypair]) -> Result<Sent, Refused> {
        let sent = self.net.world.send(instructions, signers);
        if sent.is_ok() {
            self.assert_conserved();
        }
        sent
    }

    /// Sends an instruction that must succeed within its compute ceiling, and records what it used.
    #[track_caller]
    pub fn measure(&mut self, name: &str, scenario: &str, built: Instruction, signers: &[&Keypair]) -> Sent {
        self.measure_all(name, scenario, &[built], signers)
    }

    /// [`Desk::measure`] of an instruction with the signature check that it needs before it.
    #[track_caller]
    pub fn measure_all(&mut self, name: &str, scenario: &str, built: &[Instruction], signers: &[&Keypair]) -> Sent {
        let sent = self.net.world.measure_all(&format!("settlement::{name}"), scenario, built, signers);
        self.assert_conserved();
        sent
    }

    /// Each vault holds what the program records for it, and all tokens together are the supply.
    pub fn assert_conserved(&self) {
        for (vault, (name, recorded)) in self.liabilities() {
            assert_eq!(self.token(&vault), recorded, "{name}");
        }
        assert_eq!(self.all_tokens(), self.supply(), "supply");
    }

    /// What the settlement program records for each of its vaults, in AIC base units.
    pub fn liabilities(&self) -> BTreeMap<Pubkey, (&'static str, u64)> {
        let world = &self.net.world;
        let mut recorded = BTreeMap::new();
        let mut pool = 0;
        for (address, account) in world.svm.get_program_accounts(&settlement::ID) {
            let data = account.data.as_slice();
            if data.starts_with(Channel::DISCRIMINATOR) {
                let channel: Channel = world.read(&address);
                recorded.insert(channel.vault, ("channel vault", channel.balance_aic));
            } else if data.starts_with(GatewayVault::DISCRIMINATOR) {
                let vault: GatewayVault = world.read(&address);
                recorded.insert(vault.vault, ("gateway vault", vault.aic));
            } else if data.starts_with(Batch::DISCRIMINATOR) {
                let batch: Batch = world.read(&address);
                match batch.state {
                    BatchState::Posted => {
                        recorded.insert(seeds::find_batch_vault(&address).0, ("batch vault", batch.aic));
                    }
                    BatchState::Final => pool += batch.aic - batch.claimed_aic + batch.fee_aic + batch.burn_aic,
                    BatchState::Swept => {}
                }
            } else if data.starts_with(Earnings::DISCRIMINATOR) {
                pool += world.read::<Earnings>(&address).amount_aic;
            } else if data.starts_with(Dispute::DISCRIMINATOR) {
                let dispute: Dispute = world.read(&address);
                pool += if dispute.is_over() { 0 } else { dispute.bond_aic };
            } else if data.starts_with(Audit::DISCRIMINATOR) {
                let bonds = world.read::<Audit>(&address).bonds;
                pool += bonds.iter().filter(|bond| bond.is_held()).map(|bond| bond.aic).sum::<u64>();
            } else if data.starts_with(Bounty::DISCRIMINATOR) {
                pool += world.read::<Bounty>(&address).amount_aic;
            }
        }
        if world.exists(&self.pool()) {
            recorded.insert(self.pool(), ("pool", pool));
        }
        recorded
    }

    /// All AIC in token accounts, in base units.
    pub fn all_tokens(&self) -> u64 {
        let accounts = self.net.world.svm.get_program_accounts(&TOKEN);
        accounts
            .iter()
            .filter(|(_, account)| account.data.len() == 165 && account.data[..32] == self.mint.to_bytes())
            .map(|(_, account)| u64::from_le_bytes(account.data[64..72].try_into().unwrap()))
            .sum()
    }
}

/// One shard of an epoch as a gateway builds it.
pub struct Shard {
    pub epoch: u32,
    pub shard: u16,
    pub lines: Vec<Line>,
    pub tree: Tree,
    pub receipts: Tree,
}

impl Shard {
    /// Lines of one receipt each, worth `credits` nc.
    pub fn new(desk: &Desk, epoch: u32, credits: &[u64], referrer: [u8; 32]) -> Self {
        let lines = credits
            .iter()
            .zip(0u32..)
            .map(|(credits_nc, index)| Line {
                stage: 0,
                epoch,
                index,
                container: desk.net.container,
                worker: desk.net.worker.pubkey().to_bytes(),
                referrer,
                first_receipt: index,
                n_receipts: 1,
                credits_nc: *credits_nc,
            })
            .collect();
        Self::of(epoch, 0, lines)
    }

    pub fn of(epoch: u32, shard: u16, lines: Vec<Line>) -> Self {
        let leaves = lines.iter().map(|line| merkle::leaf(&line.to_bytes(), line.credits_nc)).collect();
        let receipts =
            lines.iter().map(|line| merkle::leaf(&line.first_receipt.to_le_bytes(), line.credits_nc)).collect();
        Self { epoch, shard, lines, tree: Tree::build(leaves).unwrap(), receipts: Tree::build(receipts).unwrap() }
    }

    pub fn args(&self) -> PostBatchArgs {
        let count = |n: usize| u32::try_from(n).unwrap();
        PostBatchArgs {
            epoch: self.epoch,
            shard: self.shard,
            receipts_root: self.receipts.root().hash,
            receipts_sum_nc: self.receipts.root().sum,
            n_receipts: count(self.receipts.n_leaves()),
            lines_root: self.tree.root().hash,
            lines_sum_nc: self.tree.root().sum,
            n_lines: count(self.lines.len()),
            data_hash: [9; 32],
            uri: "https://gateway.example/batches/0".into(),
        }
    }
}

pub fn ix(accounts: &impl ToAccountMetas, data: &impl InstructionData) -> Instruction {
    build(settlement::ID, accounts, data)
}

/// A plain transfer of the token program.
pub fn transfer_ix(from: Pubkey, to: Pubkey, authority: Pubkey, amount: u64) -> Instruction {
    let mut data = vec![3];
    data.extend_from_slice(&amount.to_le_bytes());
    Instruction {
        program_id: TOKEN,
        accounts: vec![
            AccountMeta::new(from, false),
            AccountMeta::new(to, false),
            AccountMeta::new_readonly(authority, true),
        ],
        data,
    }
}

/// The ed25519 instruction that verifies `signer`'s signature of `message`.
pub fn signature_check(signer: &Keypair, message: &[u8]) -> Instruction {
    let signature = signer.sign_message(message);
    let data =
        precompile::instruction_data(&signer.pubkey().to_bytes(), signature.as_ref().try_into().unwrap(), message);
    Instruction { program_id: ED25519, accounts: vec![], data: data.unwrap() }
}
