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

const SIGNER_CHOOSES: &str = "the signer chooses where the money goes";
const ANYONE_PAYS: &str = "anyone may pay the rent";

/// (instruction, account, check, reason); `*` stands for any.
const EXCEPTIONS: &[(&str, &str, &str, &str)] = &[
    ("*", "payer", "another signer", ANYONE_PAYS),
    ("coin::spend_vault", "destination", "a copy elsewhere", SIGNER_CHOOSES),
    ("coin::spend_vault", "destination", "another token owner", SIGNER_CHOOSES),
];

/// Every exception, for the table.
pub fn all() -> impl Iterator<Item = (&'static str, &'static str, &'static str, &'static str)> {
    EXCEPTIONS.iter().copied()
}
