//! Rules for `[aggregation]`.

use super::super::message::nearest;
use crate::scenario::sections::Scenario;
use crate::settings::{Findings, Kinded};
use crate::training::aggregate::Weights;

/// The rule must exist, fit what the scheme sends, and have valid settings.
pub fn check(found: &mut Findings, s: &Scenario) {
    let (rules, scheme) = (&s.registry.aggregations, s.scheme_settings());
    let (rule, sent) = (s.aggregation.rule(scheme.default_rule()), scheme.basis());
    let (weights, says) = (s.aggregation.weights, s.protocol.says_pages());
    let expected = "equal, unless uploads say how many pages they are from (protocol.most_pages above 1)";
    let known = weights == Weights::Equal || says;
    found.require_with(known, "aggregation.weights", "`tokens`", expected, Some("protocol.most_pages"));
    let resolved = rules.resolve(&rule).ok().filter(|resolved| resolved.settings.works_on(sent));
    if let Some(resolved) = resolved {
        let takes = weights == Weights::Equal || resolved.settings.takes_weights();
        let expected =
            format!("equal with the rule `{}`, which looks for the odd ones among equals", rules.kind_of(&rule));
        found.require_with(takes, "aggregation.weights", "`tokens`", expected, Some("aggregation.rule"));
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
