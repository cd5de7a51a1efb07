//! The seven roles of the network as people write them.

use waybill_chain::market::state::Role;

/// Every role, in the chain's order.
pub const ROLES: [Role; 7] =
    [Role::Vendor, Role::Oem, Role::Provider, Role::Curator, Role::Weaver, Role::Gateway, Role::Verifier];

/// The role's name in lower case.
pub fn name(role: Role) -> &'static str {
    match role {
        Role::Vendor => "vendor",
        Role::Oem => "oem",
        Role::Provider => "provider",
        Role::Curator => "curator",
        Role::Weaver => "weaver",
        Role::Gateway => "gateway",
        Role::Verifier => "verifier",
    }
}

/// Reads a role, in any case.
pub fn parse(text: &str) -> Result<Role, String> {
    ROLES.into_iter().find(|role| name(*role).eq_ignore_ascii_case(text)).ok_or_else(|| {
        let names = ROLES.map(name).join(", ");
        format!("{text:?} is no role: choose one of {names}")
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_role_is_read_in_any_case_and_nothing_else_is_one() {
        for role in ROLES {
            assert_eq!(parse(name(role)).unwrap(), role);
            assert_eq!(parse(&name(role).to_uppercase()).unwrap(), role);
        }
        for wrong in ["", "vendors", "provider ", "admin"] {
            assert!(parse(wrong).unwrap_err().contains("choose one of vendor, oem"), "{wrong}");
        }
    }
}
