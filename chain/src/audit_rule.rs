//! How a re-execution is compared, by the determinism class on chain.

use market::state::{DetKind, DetRule};
use waybill_protocol::{audit::Rule, frame::InputKind};

/// The rule where the chain names none for a class: what any honest machine keeps.
pub fn default_rule(kind: &InputKind) -> Rule {
    match kind {
        InputKind::Chat(_) => Rule::quantised_text(),
        InputKind::Embed(_) => Rule::tolerance(),
    }
}

/// The rule of a determinism class. A class for text says nothing of embeddings, which keep the default.
pub fn class_rule(class: &DetRule, kind: &InputKind) -> Rule {
    match (class.kind, kind) {
        (DetKind::Exact, _) => Rule::exact(),
        (DetKind::Tol, _) => Rule { tol_ppm: class.tol_ppm, ..Rule::tolerance() },
        (DetKind::Text, InputKind::Chat(_)) => Rule {
            margin_micro: class.tau_ppm,
            mean_margin_micro: class.mu_ppm,
            mean_tol_ppm: class.tol_ppm,
            ..Rule::quantised_text()
        },
        (DetKind::Text, InputKind::Embed(_)) => Rule::tolerance(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use waybill_protocol::frame::{Chat, Embed};

    #[test]
    fn a_class_sets_the_limits_of_its_kind_and_of_no_other() {
        let (chat, embed) = (InputKind::Chat(Chat::default()), InputKind::Embed(Embed::default()));
        let class = |kind, tol_ppm, tau_ppm, mu_ppm| DetRule { kind, tol_ppm, tau_ppm, mu_ppm, enabled: true };
        let exact = class(DetKind::Exact, 0, 0, 0);
        assert_eq!((class_rule(&exact, &chat), class_rule(&exact, &embed)), (Rule::exact(), Rule::exact()));
        let tolerance = class(DetKind::Tol, 7, 0, 0);
        let rule = Rule { tol_ppm: 7, ..Rule::tolerance() };
        assert_eq!((class_rule(&tolerance, &chat), class_rule(&tolerance, &embed)), (rule.clone(), rule));
        let text = class(DetKind::Text, 1, 2, 3);
        let rule = Rule { mean_tol_ppm: 1, margin_micro: 2, mean_margin_micro: 3, ..Rule::quantised_text() };
        assert_eq!((class_rule(&text, &chat), class_rule(&text, &embed)), (rule, Rule::tolerance()));
        assert_eq!((default_rule(&chat), default_rule(&embed)), (Rule::quantised_text(), Rule::tolerance()));
    }
}
