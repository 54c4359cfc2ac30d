//! What axe-core finds wrong with a page, of WCAG 2.2 AA and of its own advice.

use std::sync::OnceLock;

use serde_json::Value;
use testkit::environment;

use super::Browser;

static AXE: OnceLock<String> = OnceLock::new();

/// One line for each element: the rule, the element, why.
const CHECK: &str = "
    const outcome = await axe.run(document, { resultTypes: ['violations'], rules: { 'target-size': { enabled: true } } });
    return outcome.violations.flatMap(rule => rule.nodes.map(node =>
      `${rule.id} (${rule.impact}): ${node.target.join(' ')}\\n    ${node.html}\\n    ${node.failureSummary.replace(/\\s+/g, ' ')}`));
";

impl Browser {
    /// What axe-core finds wrong with the page as it looks just now.
    pub async fn accessibility_violations(&self) -> Vec<String> {
        if self.evaluate("return typeof axe === 'undefined'").await == Value::Bool(true) {
            // Not by a script element: the page's policy would refuse it.
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
