//! `infra/k8s/rehearse`, as far as it goes without a cluster: it sells by the tour, keeps account of sales, and reports a lost one.

use std::process::{Command, Output};

use super::{read, repository};
use crate::shared;

fn python(script: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new("python3");
    command.args(["-B", "-c", script]).args(arguments).current_dir(repository("infra/k8s"));
    command.output().unwrap()
}

#[tokio::test]
async fn it_sells_by_the_tour_and_reports_it() {
    let stack = shared::default().await;
    let output = Command::new(repository("infra/k8s/rehearse"))
        .args(["--only", "tour", "--base", &stack.url()])
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{text}");
    assert!(text.contains("0 are lost."), "{text}");
}

/// Two sales, of which the second is changed into one that never was.
const LOST: &str = r#"
import sys
from rehearsal.report import Report
from rehearsal.sales import Gateway, Sales

sales = Sales(Gateway(sys.argv[1], None))
seller, buyer = sales.person(), sales.person()
for _ in range(2):
    sales.sell(seller, buyer)
assert Report().finish(sales) == 0
sales.sales[1][1].order = sales.sales[1][1].order[:-4] + "0000"
# It waits for a minute until nothing is lost; not here.
import rehearsal.sales
rehearsal.sales.SETTLED_WITHIN = 1
sys.exit(Report().finish(sales))
"#;

#[tokio::test]
async fn a_lost_sale_is_reported_and_fails_it() {
    let stack = shared::default().await;
    let output = python(LOST, &[&stack.url()]);
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("2 sales were acknowledged; 0 are lost."), "{text}");
    assert!(text.contains("2 sales were acknowledged; 1 are lost."), "{text}");
}

/// It expands the matrix as the test of the rendered policies does.
#[test]
fn it_knows_the_connections_of_the_matrix() {
    let script = "from rehearsal import network, cluster\n\
                  print('\\n'.join(network.matrix(['web', 'redis'], cluster.Cluster())))";
    let output = python(script, &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    for line in [
        "web -> orders:http",
        "orders -> orders-mongodb:mongodb",
        "redis -> dns:53",
        "gateway -> web:http",
    ] {
        assert!(text.lines().any(|it| it == line), "{line}: {text}");
    }
    assert!(!text.contains("outside:27017") && !text.contains("monitoring"), "{text}");
}

/// What a reader of the page looks for in the table.
#[test]
fn the_page_names_the_script_and_its_workflow_runs_it() {
    assert!(read("docs/operating.md").contains("infra/k8s/rehearse --previous"));
    let workflow = read(".github/workflows/rehearsal.yml");
    assert!(workflow.contains("infra/k8s/rehearse --yes"));
    assert!(workflow.contains("schedule:") && workflow.contains("tags: [\"v*\"]"));
}
