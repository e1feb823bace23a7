//! Rules for `[aggregation]`.

use super::super::message::nearest;
use crate::scenario::sections::Scenario;
use crate::settings::{Findings, Kinded};

/// The rule must exist, fit what the scheme sends, and have valid settings.
pub fn check(found: &mut Findings, s: &Scenario) {
    let (rules, scheme) = (&s.registry.aggregations, s.scheme_settings());
    let (rule, sent) = (s.aggregation.rule(scheme.default_rule()), scheme.basis());
    let resolved = rules.resolve(&rule).ok().filter(|resolved| resolved.settings.works_on(sent));
    if let Some(resolved) = resolved {
        return found.within("aggregation", |found| resolved.settings.check(found));
    }
    let name = rules.kind_of(&rule);
    let fits = |name: &str| rules.resolve(&Kinded::of(name)).is_ok_and(|rule| rule.settings.works_on(sent));
    let fitting: Vec<&str> = rules.names().filter(|name| fits(name)).collect();
    let hint = nearest(name, fitting.iter().copied()).map_or(String::new(), |near| format!("; did you mean `{near}`?"));
    let expected = format!(
        "one of {}, the rules for {sent}, which the scheme `{}` sends{hint}",
        fitting.join(", "),
        s.scheme_kind()
    );
    found.require_with(false, "aggregation.rule", format!("`{name}`"), expected, Some("scheme"));
}
