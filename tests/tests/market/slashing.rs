//! Stake that is taken for an offence: who may take it, how much, where it goes, and what the party may do afterwards.

use anchor_lang::{AnchorDeserialize as _, Space, error::ErrorCode, prelude::Pubkey};
use anchor_spl::token::spl_token;
use coin::authority::pause;
use market::{
    error::MarketError,
    events::{AccountClosed, DetClassTuned, PartySlashed},
    instructions::Slashed,
    seeds,
    state::{DetClass, DetKind, DetRule, Offence, Party, Role, SlashTicket},
};
use solana_keypair::Keypair;
use solana_signer::Signer;
use waybill_tests::{
    AIC, Sent, World, assert_refused,
    ix::{market_ix, read_only, swap, unsigned},
    ix_stake::{self, Slash},
    key,
};

const DAY: i64 = 86_400;

/// A gateway with its minimum stake of 10,000 AIC, and the accounts of who reports it and whom it harmed.
struct Court {
    world: World,
    slasher: Keypair,
    owner: Keypair,
    party: Pubkey,
    vault: Pubkey,
    reporter: Pubkey,
    harmed: Pubkey,
}

impl Court {
    fn new() -> Self {
        let mut world = World::new();
        let (slasher, owner) = (key("test slasher"), key("gateway"));
        world.set_slasher(slasher.pubkey());
        let party = world.party(&owner, Role::Gateway);
        let reporter = world.aic_account(&key("reporter").pubkey());
        let harmed = world.aic_account(&key("harmed").pubkey());
        Self { vault: seeds::find_stake(&party).0, world, slasher, owner, party, reporter, harmed }
    }

    fn epoch(&self) -> u32 {
        u32::try_from(self.world.now() / 3_600).unwrap()
    }

    fn of(&self, offence: Offence, restitution_aic: u64) -> Slash {
        Slash {
            slasher: self.slasher.pubkey(),
            payer: self.world.payer.pubkey(),
            party: self.party,
            reporter: self.reporter,
            harmed: self.harmed,
            offence,
            restitution_aic,
            epoch: self.epoch(),
        }
    }

    fn slash(&mut self, offence: Offence, restitution_aic: u64) -> Sent {
        let slash = ix_stake::slash(&self.of(offence, restitution_aic));
        self.world.must(&[slash], &[&self.slasher.insecure_clone()])
    }

    fn state(&self) -> Party {
        self.world.read(&self.party)
    }

    fn ticket(&self, epoch: u32) -> SlashTicket {
        self.world.read(&seeds::find_ticket(&self.party, epoch).0)
    }

    fn supply(&self) -> u64 {
        use anchor_lang::solana_program::program_pack::Pack as _;
        let mint = self.world.svm.get_account(&coin::seeds::find_mint().0).unwrap();
        spl_token::state::Mint::unpack(&mint.data).unwrap().supply
    }
}

#[test]
fn restitution_goes_first_and_the_penalty_is_divided_between_reporter_harmed_and_fire() {
    let mut court = Court::new();
    let (supply, epoch) = (court.supply(), court.epoch());
    let slash = ix_stake::slash(&court.of(Offence::GatewayFault, 1_000 * AIC));
    let slasher = court.slasher.insecure_clone();
    let sent = court.world.measure("market::slash", "first of the epoch", slash, &[&slasher]);
    // 25 % of 10,000 AIC: 40 % reporter, 30 % harmed, 30 % burned.
    let taken = Slashed {
        restitution_aic: 1_000 * AIC,
        penalty_aic: 2_500 * AIC,
        reporter_aic: 1_000 * AIC,
        harmed_aic: 750 * AIC,
        burned_aic: 750 * AIC,
    };
    assert_eq!(Slashed::try_from_slice(&sent.meta.return_data.data).unwrap(), taken);
    assert_eq!(court.world.balance(&court.reporter), 1_000 * AIC);
    assert_eq!(court.world.balance(&court.harmed), 1_750 * AIC);
    assert_eq!(court.supply(), supply - 750 * AIC);
    let party = court.state();
    assert_eq!((party.stake, party.unbonding), (6_500 * AIC, 0));
    assert_eq!(court.world.balance(&court.vault), 6_500 * AIC, "the record is the balance");
    let [event] = sent.cpi_events::<PartySlashed>().try_into().ok().unwrap();
    assert_eq!((event.account, event.seq, event.stake, event.epoch), (court.party, 3, 6_500 * AIC, epoch));
    assert_eq!((event.penalty_aic, event.burned_aic, event.harmed), (2_500 * AIC, 750 * AIC, court.harmed));
    let ticket = court.ticket(epoch);
    assert_eq!((ticket.bond_aic, ticket.penalty_aic, ticket.restitution_aic), (10_000 * AIC, 2_500 * AIC, 1_000 * AIC));
    assert_eq!(ticket.rent_payer, court.world.payer.pubkey());
}

#[test]
fn s23_penalties_of_one_epoch_stop_at_its_largest_rate_and_a_repeat_takes_the_rest() {
    let mut court = Court::new();
    court.slash(Offence::GatewayFault, 0);
    let slash = ix_stake::slash(&court.of(Offence::GatewayFault, 5 * AIC));
    let slasher = court.slasher.insecure_clone();
    let again = court.world.measure("market::slash", "again in the epoch", slash, &[&slasher]);
    let taken = Slashed::try_from_slice(&again.meta.return_data.data).unwrap();
    assert_eq!((taken.penalty_aic, taken.restitution_aic), (0, 5 * AIC), "restitution is not capped");
    // Equivocation costs everything, less what the epoch has taken: 10,000 - 2,500 allowed, 7,495 left.
    let all = court.slash(Offence::Equivocation, 0);
    assert_eq!(Slashed::try_from_slice(&all.meta.return_data.data).unwrap().penalty_aic, 7_495 * AIC);
    assert_eq!((court.state().stake, court.world.balance(&court.vault)), (0, 0));

    let mut court = Court::new();
    court.slash(Offence::GatewayFault, 0);
    court.world.advance(30 * DAY);
    let repeat = court.slash(Offence::GatewayFault, 0);
    assert_eq!(Slashed::try_from_slice(&repeat.meta.return_data.data).unwrap().penalty_aic, 7_500 * AIC);

    let mut court = Court::new();
    court.slash(Offence::GatewayFault, 0);
    court.world.advance(30 * DAY + 1);
    let first_again = court.slash(Offence::GatewayFault, 0);
    assert_eq!(Slashed::try_from_slice(&first_again.meta.return_data.data).unwrap().penalty_aic, 1_875 * AIC);
}

#[test]
fn a_stake_that_is_too_small_is_taken_whole_and_unbonding_answers_too() {
    let mut court = Court::new();
    let begin = market_ix::begin_unstake(court.owner.pubkey(), Role::Gateway, 9_000 * AIC);
    court.world.must(&[begin], &[&court.owner.insecure_clone()]);
    let sent = court.slash(Offence::GatewayFault, 2_000 * AIC);
    let taken = Slashed::try_from_slice(&sent.meta.return_data.data).unwrap();
    assert_eq!((taken.restitution_aic, taken.penalty_aic), (2_000 * AIC, 2_500 * AIC));
    assert_eq!((court.state().stake, court.state().unbonding), (0, 5_500 * AIC));
    let sent = court.slash(Offence::Equivocation, u64::MAX);
    let taken = Slashed::try_from_slice(&sent.meta.return_data.data).unwrap();
    assert_eq!((taken.restitution_aic, taken.penalty_aic), (5_500 * AIC, 0));
    let party = court.state();
    assert_eq!((party.stake, party.unbonding, party.unbonding_until), (0, 0, 0));
    assert_eq!(court.world.balance(&court.vault), 0);
    let nothing = court.slash(Offence::Equivocation, 1);
    assert_eq!(Slashed::try_from_slice(&nothing.meta.return_data.data).unwrap(), Slashed::default());
    assert_eq!(nothing.cpi_events::<PartySlashed>().len(), 1, "an offence without stake is still on record");
    let wallet = court.world.aic_account(&court.owner.pubkey());
    court.world.advance(600);
    let finish = market_ix::finish_unstake(court.owner.pubkey(), Role::Gateway, wallet);
    let owner = court.owner.insecure_clone();
    assert_refused(court.world.send(&[finish], &[&owner]), MarketError::NothingUnbonding);
}

#[test]
fn a_second_bad_output_bans_and_a_missed_appearance_jails_for_a_day() {
    let mut court = Court::new();
    let owner = court.owner.insecure_clone();
    let provider = court.world.party(&owner, Role::Provider);
    (court.party, court.vault) = (provider, seeds::find_stake(&provider).0);
    let worker = key("worker");
    let register = |world: &World| {
        let expires = world.now() + DAY;
        let args =
            market::instructions::RegisterNodeArgs { region: waybill_tests::REGION, class: 7, det_class: 1, expires };
        market_ix::register_node(world.payer.pubkey(), owner.pubkey(), worker.pubkey(), args)
    };
    let top_up = |court: &mut Court| {
        let missing = 500 * AIC - court.state().stake;
        let wallet = court.world.fund(&owner.pubkey(), missing);
        court.world.must(&[market_ix::add_stake(owner.pubkey(), Role::Provider, wallet, missing)], &[&owner]);
    };
    let sent = court.slash(Offence::NoShow, 0);
    assert_eq!(Slashed::try_from_slice(&sent.meta.return_data.data).unwrap().penalty_aic, 500 * AIC / 200);
    top_up(&mut court);
    let instruction = register(&court.world);
    assert_refused(court.world.send(&[instruction], &[&owner, &worker]), MarketError::Jailed);
    court.world.advance(DAY - 1);
    let instruction = register(&court.world);
    assert_refused(court.world.send(&[instruction], &[&owner, &worker]), MarketError::Jailed);
    court.world.advance(1);
    court.slash(Offence::BadOutput, 0);
    assert!(!court.state().banned);
    court.world.advance(3_600);
    court.slash(Offence::BadOutput, 0);
    assert!(court.state().banned);
    assert_eq!(court.state().stake, 0);
    let instruction = register(&court.world);
    assert_refused(court.world.send(&[instruction], &[&owner, &worker]), MarketError::Banned);
    let wallet = court.world.fund(&owner.pubkey(), AIC);
    let add = market_ix::add_stake(owner.pubkey(), Role::Provider, wallet, AIC);
    assert_refused(court.world.send(&[add], &[&owner]), MarketError::Banned);
}

#[test]
fn s01_s23_only_the_settlement_programs_slasher_takes_stake() {
    let mut court = Court::new();
    let thief = key("thief");
    let good = court.of(Offence::GatewayFault, 0);
    let by_thief = ix_stake::slash(&Slash { slasher: thief.pubkey(), ..good });
    assert_refused(court.world.send(&[by_thief], &[&thief]), MarketError::Unauthorized);
    let by_admin = court.world.admin.insecure_clone();
    let instruction = ix_stake::slash(&Slash { slasher: by_admin.pubkey(), ..good });
    assert_refused(court.world.send(&[instruction], &[&by_admin]), MarketError::Unauthorized);
    let silent = unsigned(ix_stake::slash(&good), court.slasher.pubkey());
    assert_refused(court.world.send(&[silent], &[]), ErrorCode::AccountNotSigner);
    // The real slasher is an address of the settlement program, for which nobody can sign.
    court.world.set_slasher(settlement::seeds::find_slasher().0);
    let slasher = court.slasher.insecure_clone();
    assert_refused(court.world.send(&[ix_stake::slash(&good)], &[&slasher]), MarketError::Unauthorized);
    assert_eq!(court.world.balance(&court.vault), 10_000 * AIC);
}

#[test]
fn s02_s04_s05_a_slash_checks_every_account_it_is_given() {
    let mut court = Court::new();
    let slasher = court.slasher.insecure_clone();
    let good = ix_stake::slash(&court.of(Offence::GatewayFault, 0));
    let other = court.world.party(&key("other"), Role::Gateway);
    let other_vault = seeds::find_stake(&other).0;
    let (foreign_mint, foreign) = court.world.foreign_token_account(&key("reporter").pubkey(), AIC);
    let fake_party = court.world.forge(&court.party, None);
    let foreign_party = court.world.forge(&court.party, Some(spl_token::ID));
    let fake_config = court.world.forge(&seeds::find_config().0, None);
    let epoch = court.epoch();
    let ticket = seeds::find_ticket(&court.party, epoch).0;
    let cases: [(&str, _, u32); 14] = [
        (
            "another configuration",
            swap(good.clone(), seeds::find_config().0, fake_config),
            ErrorCode::ConstraintSeeds.into(),
        ),
        ("another mint", swap(good.clone(), coin::seeds::find_mint().0, foreign_mint), MarketError::WrongMint.into()),
        ("a copied party", swap(good.clone(), court.party, fake_party), ErrorCode::ConstraintSeeds.into()),
        (
            "a party of another program",
            swap(good.clone(), court.party, foreign_party),
            ErrorCode::AccountOwnedByWrongProgram.into(),
        ),
        (
            "a stake in place of the party",
            swap(good.clone(), court.party, court.vault),
            ErrorCode::AccountOwnedByWrongProgram.into(),
        ),
        ("another's stake", swap(good.clone(), court.vault, other_vault), ErrorCode::ConstraintSeeds.into()),
        (
            "the ticket of another epoch",
            swap(good.clone(), ticket, seeds::find_ticket(&court.party, epoch - 1).0),
            ErrorCode::ConstraintSeeds.into(),
        ),
        ("a reporter of another mint", swap(good.clone(), court.reporter, foreign), MarketError::WrongMint.into()),
        ("a harmed party of another mint", swap(good.clone(), court.harmed, foreign), MarketError::WrongMint.into()),
        (
            "a reporter that is the stake",
            swap(good.clone(), court.reporter, court.vault),
            MarketError::SlashedToItself.into(),
        ),
        (
            "a harmed party that is the stake",
            swap(good.clone(), court.harmed, court.vault),
            MarketError::SlashedToItself.into(),
        ),
        ("a party that is not writable", read_only(good.clone(), court.party), ErrorCode::ConstraintMut.into()),
        (
            "a mint that is not writable",
            read_only(good.clone(), coin::seeds::find_mint().0),
            ErrorCode::ConstraintMut.into(),
        ),
        (
            "the system program for the token program",
            swap(good.clone(), spl_token::ID, anchor_lang::system_program::ID),
            ErrorCode::InvalidProgramId.into(),
        ),
    ];
    for (what, instruction, code) in cases {
        let refused = court.world.send(&[instruction], &[&slasher]).expect_err(what);
        assert_eq!(refused.code(), Some(code), "{what}: {:?}", refused.failure);
    }
    let future = ix_stake::slash(&Slash { epoch: epoch + 1, ..court.of(Offence::GatewayFault, 0) });
    assert_refused(court.world.send(&[future], &[&slasher]), MarketError::FutureOffence);
    let unknown = {
        let mut instruction = good.clone();
        instruction.data[8] = 6;
        instruction
    };
    assert_refused(court.world.send(&[unknown], &[&slasher]), ErrorCode::InstructionDidNotDeserialize);
    let one_account = Slash { reporter: court.harmed, ..court.of(Offence::GatewayFault, AIC) };
    court.world.must(&[ix_stake::slash(&one_account)], &[&slasher]);
    assert_eq!(court.world.balance(&court.harmed), 1_751 * AIC, "who was harmed may be who reports");
}

#[test]
fn s17_the_slashing_flag_stops_slashes_and_nothing_else_does() {
    let mut court = Court::new();
    let admin = court.world.admin.insecure_clone();
    let slasher = court.slasher.insecure_clone();
    let slash = ix_stake::slash(&court.of(Offence::GatewayFault, 0));
    court.world.must(&[market_ix::pause(admin.pubkey(), pause::SLASHING)], &[&admin]);
    assert_refused(court.world.send(std::slice::from_ref(&slash), &[&slasher]), MarketError::Paused);
    court.world.must(&[market_ix::resume(admin.pubkey(), pause::SLASHING)], &[&admin]);
    court.world.must(&[market_ix::pause(admin.pubkey(), pause::ALL & !pause::SLASHING)], &[&admin]);
    court.world.must(&[slash], &[&slasher]);
}

#[test]
fn s11_a_ticket_ends_60_days_after_its_last_use_and_its_rent_goes_back() {
    let mut court = Court::new();
    let epoch = court.epoch();
    court.slash(Offence::AnswerRefused, 0);
    let payer = court.world.payer.pubkey();
    let address = seeds::find_ticket(&court.party, epoch).0;
    let close = ix_stake::close_ticket(&court.party, epoch, payer);
    court.world.advance(60 * DAY - 1);
    assert_refused(court.world.send(std::slice::from_ref(&close), &[]), MarketError::TicketOpen);
    court.world.advance(1);
    let thief = key("thief");
    court.world.svm.airdrop(&thief.pubkey(), AIC).unwrap();
    let stolen = ix_stake::close_ticket(&court.party, epoch, thief.pubkey());
    assert_refused(court.world.send(&[stolen], &[]), MarketError::WrongAccount);
    let rent = court.world.svm.get_account(&address).unwrap().lamports;
    assert!(rent > 0);
    let sent = court.world.measure("market::close_ticket", "60 days old", close.clone(), &[]);
    let [event] = sent.log_events::<AccountClosed>().try_into().ok().unwrap();
    assert_eq!((event.account, event.rent_payer), (address, payer));
    assert!(!court.world.exists(&address));
    assert_refused(court.world.send(&[close], &[]), ErrorCode::AccountNotInitialized);
    // A ticket that is opened again knows nothing of the first; the party still does.
    court.slash(Offence::AnswerRefused, 0);
    assert_eq!(court.state().punished_at[Offence::AnswerRefused as usize], u32::try_from(court.world.now()).unwrap());
}

// determinism classes

const EXACT: DetRule = DetRule { kind: DetKind::Exact, tol_ppm: 0, tau_ppm: 0, mu_ppm: 0, enabled: true };
const TOL: DetRule = DetRule { kind: DetKind::Tol, tol_ppm: 100, ..EXACT };

#[test]
fn a_determinism_class_is_registered_once_and_tuned_by_the_params_authority() {
    let mut world = World::new();
    let (payer, admin, thief) = (world.payer.pubkey(), world.admin.insecure_clone(), key("thief"));
    let register = |id, hash, rule| ix_stake::register_det_class(payer, admin.pubkey(), id, hash, rule);
    world.measure("market::register_det_class", "first", register(2, [7; 32], EXACT), &[&admin]);
    assert!(world.send(&[register(2, [8; 32], EXACT)], &[&admin]).is_err(), "a number is taken once");
    assert_refused(world.send(&[register(3, [0; 32], EXACT)], &[&admin]), MarketError::ParamOutOfBounds);
    let odd = DetRule { tol_ppm: 1, ..EXACT };
    assert_refused(world.send(&[register(3, [7; 32], odd)], &[&admin]), MarketError::ParamOutOfBounds);
    let stolen = ix_stake::register_det_class(payer, thief.pubkey(), 3, [7; 32], EXACT);
    assert_refused(world.send(&[stolen], &[&thief]), MarketError::Unauthorized);
    let silent = unsigned(register(3, [7; 32], EXACT), admin.pubkey());
    assert_refused(world.send(&[silent], &[]), ErrorCode::AccountNotSigner);

    let tune = ix_stake::tune_det_class(admin.pubkey(), 2, TOL);
    let sent = world.measure("market::tune_det_class", "tolerance", tune, &[&admin]);
    let [event] = sent.log_events::<DetClassTuned>().try_into().ok().unwrap();
    assert_eq!((event.old, event.new, event.seq), (EXACT, TOL, 2));
    let class: DetClass = world.read(&seeds::find_det_class(2).0);
    assert_eq!((class.id, class.hash, class.rule()), (2, [7; 32], TOL));
    let off = ix_stake::tune_det_class(admin.pubkey(), 2, DetRule { enabled: false, ..TOL });
    world.must(&[off], &[&admin]);
    assert!(!world.read::<DetClass>(&seeds::find_det_class(2).0).enabled);
    let stolen = ix_stake::tune_det_class(thief.pubkey(), 2, EXACT);
    assert_refused(world.send(&[stolen], &[&thief]), MarketError::Unauthorized);
    let bad = ix_stake::tune_det_class(admin.pubkey(), 2, odd);
    assert_refused(world.send(&[bad], &[&admin]), MarketError::ParamOutOfBounds);
    let copy = world.forge(&seeds::find_det_class(2).0, None);
    let copied = swap(ix_stake::tune_det_class(admin.pubkey(), 2, EXACT), seeds::find_det_class(2).0, copy);
    assert_refused(world.send(&[copied], &[&admin]), ErrorCode::ConstraintSeeds);
    world.must(&[market_ix::pause(admin.pubkey(), pause::REGISTRATION)], &[&admin]);
    assert_refused(world.send(&[register(3, [7; 32], EXACT)], &[&admin]), MarketError::Paused);
}

/// A released layout never changes.
#[test]
fn layouts_of_tickets_and_classes_are_frozen() {
    assert_eq!((SlashTicket::INIT_SPACE, DetClass::INIT_SPACE), (146, 154));
    let mut court = Court::new();
    court.slash(Offence::FalseVerdict, 7);
    let data = court.world.svm.get_account(&seeds::find_ticket(&court.party, court.epoch()).0).unwrap().data;
    assert_eq!(&data[10..42], court.party.as_ref());
    assert_eq!(&data[42..46], &court.epoch().to_le_bytes());
    assert_eq!(&data[46..54], &(10_000 * AIC).to_le_bytes());
    assert_eq!(&data[54..58], &[0xE8, 0x03, 1 << 5, 0]);
    let party = court.world.svm.get_account(&court.party).unwrap().data;
    assert_eq!(party.len(), 8 + 173);
    let now = u32::try_from(court.world.now()).unwrap();
    assert_eq!(&party[118 + 4 * 5..118 + 4 * 6], &now.to_le_bytes(), "when the last offence of that kind was punished");
}
