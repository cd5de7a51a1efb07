//! What a program rightly accepts although the probe broke it, with the reason.

/// The reason why a broken call is rightly accepted, if it is known. `account` and `check` are the probe's words.
#[must_use]
pub fn find(instruction: &str, account: &str, check: &str) -> Option<&'static str> {
    EXCEPTIONS
        .iter()
        .find(|(at, of, what, _)| {
            (*at == "*" || *at == instruction) && (*of == "*" || *of == account) && *what == check
        })
        .map(|(.., reason)| *reason)
}

const ANYONE_PAYS: &str = "anyone may pay the rent";
const ONLY_ONE: &str = "its program makes one account of this type";
const MADE: &str = "made when it is missing; nobody but the program can end it";
const OWN_TOKENS: &str = "any token account of the same owner";
const SIGNER_CHOOSES: &str = "the signer chooses where the money goes";
const PROPOSED: &str = "the proposal names the account, whoever owns it";
const SLASHER_SAYS: &str = "the settlement program, which signs, says who";
const ANY_IS_DUE: &str = "the step is open to whichever account is due";
const GONE: &str = "the subject has ended when its account is gone, and then this may follow";
const BOOKED: &str = "read by the first call; this one pays what that one booked";
const NO_REFERRER: &str = "nothing is read where the event has no referrer";

/// (instruction, account, check, reason); `*` stands for any.
const EXCEPTIONS: &[(&str, &str, &str, &str)] = &[
    ("*", "payer", "another signer", ANYONE_PAYS),
    ("*", "slash.payer", "another signer", ANYONE_PAYS),
    ("*", "config", "another subject", ONLY_ONE),
    ("*", "market_config", "another subject", ONLY_ONE),
    ("*", "rate", "another subject", ONLY_ONE),
    ("*", "source", "a copy elsewhere", OWN_TOKENS),
    ("*", "destination", "a copy elsewhere", OWN_TOKENS),
    ("*", "bond_to", "a copy elsewhere", OWN_TOKENS),
    ("*", "slash.harmed", "a copy elsewhere", OWN_TOKENS),
    ("*", "slash.reporter", "a copy elsewhere", OWN_TOKENS),
    ("coin::burn_fees", "", "twice", "the second call finds nothing to burn"),
    ("coin::burn_fees", "burn", "closed", MADE),
    ("coin::execute_spend", "destination", "another token owner", PROPOSED),
    ("coin::propose_spend", "destination", "another token owner", SIGNER_CHOOSES),
    ("coin::spend_vault", "destination", "another token owner", SIGNER_CHOOSES),
    ("coin::release", "fee_day", "another owner", BOOKED),
    ("coin::release", "fee_day", "another subject", BOOKED),
    ("coin::release", "fee_day", "closed", BOOKED),
    ("coin::release", "release", "closed", MADE),
    ("market::bid_slot", "auction", "closed", MADE),
    ("market::create_campaign", "container", "another subject", "anyone may promote any container"),
    ("market::link_license", "parent", "another subject", "the vendor links to any parent whose licence allows it"),
    ("market::observe_demand", "observation", "closed", MADE),
    ("market::post_ask", "ask", "closed", MADE),
    ("market::post_offer", "offer", "closed", MADE),
    ("market::post_offer", "seat", "closed", MADE),
    ("market::register_artifact", "oem", "another signer", "whoever signs as the OEM becomes it"),
    ("market::remove_offer", "node", "another owner", GONE),
    ("market::remove_offer", "node", "closed", GONE),
    ("market::roll_market", "market", "another subject", ANY_IS_DUE),
    ("market::set_quality", "campaign", "another subject", "the authority rates any campaign"),
    ("market::slash", "harmed", "a copy elsewhere", SLASHER_SAYS),
    ("market::slash", "harmed", "another token owner", SLASHER_SAYS),
    ("market::slash", "harmed", "duplicate", "who reports may be who was harmed"),
    ("market::slash", "reporter", "a copy elsewhere", SLASHER_SAYS),
    ("market::slash", "reporter", "another token owner", SLASHER_SAYS),
    ("market::slash", "ticket", "closed", MADE),
    ("settlement::appeal_audit", "audit", "another subject", ANY_IS_DUE),
    ("settlement::close_audit", "batch", "another owner", GONE),
    ("settlement::close_audit", "batch", "closed", GONE),
    ("settlement::close_bounty", "destination", "another token owner", SIGNER_CHOOSES),
    ("settlement::close_dispute", "target", "another owner", GONE),
    ("settlement::close_dispute", "target", "closed", GONE),
    ("settlement::evict_verifier", "set", "another subject", "any set in which the verifier sits"),
    ("settlement::join_verifiers", "node", "another signer", "whoever signs as the node becomes it"),
    ("settlement::join_verifiers", "set", "another subject", "the owner joins the set that it names"),
    ("settlement::leave_verifiers", "set", "another subject", "any set in which the owner sits"),
    ("settlement::seed_audits", "batch", "another subject", ANY_IS_DUE),
    ("settlement::settle_promo", "curator", "another subject", NO_REFERRER),
    ("settlement::settle_promo", "curator", "another type", NO_REFERRER),
    ("settlement::settle_voucher", "program", "another program", "without a gateway its place names the program too"),
    ("settlement::withdraw_earnings", "destination", "another token owner", SIGNER_CHOOSES),
];

/// Every exception, for the table.
pub fn all() -> impl Iterator<Item = (&'static str, &'static str, &'static str, &'static str)> {
    EXCEPTIONS.iter().copied()
}
