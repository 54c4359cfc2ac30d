//! Accessibility checks by axe-core: WCAG 2.2 AA and its best practices.

use std::sync::OnceLock;

use serde_json::Value;
use testkit::environment;

use super::Browser;

static AXE: OnceLock<String> = OnceLock::new();

/// One line per element: the rule, the element, the reason.
const CHECK: &str = "
    const outcome = await axe.run(document, { resultTypes: ['violations'], rules: { 'target-size': { enabled: true } } });
    return outcome.violations.flatMap(rule => rule.nodes.map(node =>
      `${rule.id} (${rule.impact}): ${node.target.join(' ')}\\n    ${node.html}\\n    ${node.failureSummary.replace(/\\s+/g, ' ')}`));
";

impl Browser {
    /// The violations that axe-core finds in the page.
    pub async fn accessibility_violations(&self) -> Vec<String> {
        if self.evaluate("return typeof axe === 'undefined'").await == Value::Bool(true) {
            // The page's policy would refuse a script element.
            self.evaluate(axe()).await;
        }
        let script = format!("return (async () => {{ {CHECK} }})()");
        let violations = self.evaluate(&script).await;
        let violations = violations.as_array().expect("a list of violations").iter();
        violations.map(|violation| violation.as_str().expect("a line").to_owned()).collect()
    }
}

fn axe() -> &'static str {
    AXE.get_or_init(|| {
        let file = environment::required(environment::AXE);
        std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}"))
    })
}
