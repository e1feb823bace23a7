//! What must hold of `[aggregation]`.

use super::super::message::nearest;
use crate::scenario::sections::Scenario;
use crate::settings::Findings;
use crate::training::aggregate::RULES;

/// The rule exists, and works on what the scheme sends.
pub fn check(found: &mut Findings, s: &Scenario) {
    let Some(name) = &s.aggregation.rule else { return };
    let sent = s.scheme_settings().basis();
    let fitting = || RULES.into_iter().filter(|rule| rule.works_on == sent).map(|rule| rule.name);
    let hint = nearest(name, fitting()).map_or(String::new(), |near| format!("; did you mean `{near}`?"));
    let expected = format!(
        "one of {}, the rules for {sent}, which the scheme `{}` sends{hint}",
        fitting().collect::<Vec<_>>().join(", "),
        s.scheme_kind()
    );
    let fits = fitting().any(|known| known == name);
    found.require_with(fits, "aggregation.rule", format!("`{name}`"), expected, Some("scheme"));
}
