//! The documents agree with the code: tables, links, paths, symbols, sizes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::events::Subject;
use common::problem;

/// ARCHITECTURE.md is read as a whole, so it stays short.
const ARCHITECTURE_WORDS: usize = 2500;
/// What the glossary promises at least.
const TERMS: usize = 25;
/// Words that a reader of this field wouldn't search for. They are split so that a search for them finds only uses.
const FORBIDDEN: &[&str] = &[
    concat!("to", "ld"),
    concat!("ane", "w"),
    concat!("hea", "rd"),
    concat!("nud", "ge"),
    concat!("nud", "ges"),
    concat!("corp", "se"),
    concat!("bu", "ry"),
    concat!("bu", "ries"),
    concat!("bur", "ied"),
];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: impl AsRef<Path>) -> String {
    let path = repository().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All files below a folder whose name ends so, as paths from the repository's root.
fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(repository().join(folder)).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = Path::new(folder).join(&name);
        if entry.file_type().unwrap().is_dir() {
            if name != "target" && !name.starts_with('.') {
                found.extend(files(&path.to_string_lossy(), extension));
            }
        } else if name.ends_with(extension) {
            found.push(path);
        }
    }
    found
}

fn documents() -> Vec<(PathBuf, String)> {
    let read = |path: PathBuf| {
        let text = read(&path);
        (path, text)
    };
    files("", ".md").into_iter().map(read).collect()
}

/// The text without its blocks of code.
fn prose(text: &str) -> String {
    let parts = text.split("```").enumerate();
    parts.filter(|(index, _)| index % 2 == 0).map(|(_, part)| part).collect()
}

/// The targets of the text's links.
fn links(text: &str) -> Vec<String> {
    let prose = prose(text);
    let ends = prose.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    ends.map(|(target, _)| target.to_owned()).collect()
}

/// A heading's anchor, as GitHub makes it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#'))).collect()
}

/// Whether the Rust source declares an item or a field of this name.
fn declares(source: &str, symbol: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let items = ["fn", "struct", "enum", "trait", "type", "const", "static", "mod", "macro_rules!"];
    source.lines().map(str::trim_start).filter(|line| !line.starts_with("//")).any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let item = words.windows(2).any(|pair| {
            items.contains(&pair[0]) && pair[1].split(|c| !is_word(c)).next() == Some(symbol)
        });
        let field = line.strip_prefix("pub ").and_then(|rest| rest.split_once(':'));
        item || field.is_some_and(|(name, _)| name == symbol)
    })
}

#[test]
fn every_problem_stands_in_the_table_with_its_status_and_title() {
    let table = read("docs/problems.md");
    for problem in problem::ALL {
        let row =
            table.lines().find(|line| line.contains(&format!("`/problems/{}`", problem.slug)));
        let row = row.unwrap_or_else(|| panic!("docs/problems.md lacks {}", problem.slug));
        assert!(row.contains(problem.status.as_str()), "{row}");
        assert!(row.contains(&format!("| {} |", problem.title)), "{row}: {}", problem.title);
    }
}

#[test]
fn every_event_stands_in_the_table() {
    let table = read("docs/events.md");
    for subject in Subject::ALL {
        let stream = subject.stream();
        let listed = table.lines().any(|line| line.contains(&format!("`{subject}`")));
        assert!(listed, "docs/events.md lacks {subject}");
        assert!(table.contains(stream.name()), "docs/events.md lacks {}", stream.name());
    }
}

#[test]
fn every_walkthrough_has_a_test_and_every_test_a_walkthrough() {
    let page = read("docs/walkthroughs.md");
    let mut described = BTreeSet::new();
    for section in page.split("\n## ").skip(1) {
        let title = section.lines().next().unwrap();
        let name = title.to_lowercase().replace(' ', "_");
        assert!(section.contains(&format!("Test: `{name}`")), "*{title}* doesn't name its test");
        described.insert(name);
    }
    let source = read("crates/system-tests/tests/it/walkthroughs.rs");
    let tests = source.split("#[tokio::test]\nasync fn ").skip(1);
    let tests: BTreeSet<_> = tests.map(|test| test.split_once('(').unwrap().0.to_owned()).collect();
    assert_eq!(described, tests);
}

#[test]
fn the_architecture_is_short() {
    let words = read("ARCHITECTURE.md").split_whitespace().count();
    assert!(words <= ARCHITECTURE_WORDS, "ARCHITECTURE.md has {words} words");
}

#[test]
fn every_link_resolves() {
    let mut broken = Vec::new();
    for (path, text) in documents() {
        for target in links(&text) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, fragment) = target.split_once('#').unwrap_or((&target, ""));
            let linked =
                if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            let is_source = linked.extension().is_some_and(|extension| extension == "rs");
            let resolves = match (repository().join(&linked).exists(), fragment) {
                (exists, "") => exists,
                (false, _) => false,
                (true, symbol) if is_source => declares(&read(&linked), symbol),
                (true, heading) => anchors(&read(&linked)).contains(heading),
            };
            if !resolves {
                broken.push(format!("{}: {target}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_path_in_the_prose_exists() {
    let mut missing = Vec::new();
    for (path, text) in documents() {
        // What was true when it was decided, or released, stays as it was.
        if path.starts_with("docs/decisions") || path.ends_with("CHANGELOG.md") {
            continue;
        }
        let prose = prose(&text);
        for code in prose.split('`').skip(1).step_by(2) {
            let ours = ["crates/", "services/", "infra/", "docs/"];
            let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
            if ours.iter().any(|folder| code.starts_with(folder))
                && code.chars().all(plain)
                && !repository().join(code).exists()
            {
                missing.push(format!("{}: {code}", path.display()));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_term_of_the_glossary_has_its_symbol() {
    let glossary = read("docs/glossary.md");
    let terms: Vec<&str> = glossary.lines().filter(|line| line.starts_with("| *")).collect();
    assert!(terms.len() >= TERMS, "{} terms", terms.len());
    assert!(terms.is_sorted(), "the glossary is in alphabetical order");
    for row in terms {
        // That it exists, `every_link_resolves` checks.
        assert_eq!(links(row).len(), 1, "{row}");
    }
}

/// `14 s`, `200 ms`, `2 min`, `24 h`, `30 d`.
fn parse_duration(text: &str) -> Duration {
    let (number, unit) = text.trim().split_once(' ').expect("a number and a unit");
    let number: u64 = number.parse().unwrap();
    match unit {
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        "min" => Duration::from_secs(number * 60),
        "h" => Duration::from_secs(number * 60 * 60),
        "d" => Duration::from_secs(number * 24 * 60 * 60),
        _ => panic!("the unit of {text}"),
    }
}

/// The value of `const NAME: Duration = Duration::from_secs(2 * 60);`.
fn constant(source: &str, name: &str) -> Option<Duration> {
    let (_, rest) = source.split_once(&format!("const {name}: Duration = Duration::from_"))?;
    let (unit, rest) = rest.split_once('(')?;
    let (factors, _) = rest.split_once(')')?;
    let factors = factors.split('*').map(|factor| factor.trim().replace('_', "").parse::<u64>());
    let product = factors.product::<Result<u64, _>>().ok()?;
    match unit {
        "millis" => Some(Duration::from_millis(product)),
        "secs" => Some(Duration::from_secs(product)),
        "mins" => Some(Duration::from_secs(product * 60)),
        "hours" => Some(Duration::from_secs(product * 60 * 60)),
        _ => None,
    }
}

#[test]
fn the_timeouts_are_those_of_the_code() {
    let page = read("docs/protocol.md");
    let (_, table) = page.split_once("## Timeouts and intervals").unwrap();
    let rows: Vec<&str> = table.lines().filter(|line| line.contains("](../")).collect();
    assert!(rows.len() > 10);
    for row in rows {
        let value = row.split('|').nth(2).unwrap();
        let link = links(row).remove(0);
        let (file, name) = link.split_once('#').unwrap();
        let declared = constant(&read(file.trim_start_matches("../")), name);
        assert_eq!(declared, Some(parse_duration(value)), "{row}");
    }
}

#[test]
fn every_metric_stands_in_the_table_and_no_other() {
    let page = read("docs/operating.md");
    let (_, table) = page.split_once("## Metrics").unwrap();
    let (table, _) = table.split_once("\n## ").unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let documented: BTreeSet<String> = rows.map(|(name, _)| name.to_owned()).collect();
    let mut recorded = BTreeSet::new();
    let sources = ["crates", "services"].into_iter().flat_map(|folder| files(folder, ".rs"));
    for path in sources.filter(|path| path.components().any(|part| part.as_os_str() == "src")) {
        let source = read(path);
        for kind in ["counter", "gauge", "histogram"] {
            let start = format!("metrics::{kind}!(");
            let uses = source.split(&start).skip(1);
            let names =
                uses.filter_map(|rest| rest.trim_start().strip_prefix('"')?.split_once('"'));
            recorded.extend(names.map(|(name, _)| name.to_owned()));
        }
    }
    assert_eq!(documented, recorded);
}

/// A label whose value is made of a string that is not static may have as many values as clients care to send. Only the
/// middleware has such a label, the route's pattern.
#[test]
fn the_labels_of_metrics_are_static() {
    let owned = ["to_owned()", "to_string()", "clone()", "format!", "String", ".into()"];
    let sources = ["crates", "services"].into_iter().flat_map(|folder| files(folder, ".rs"));
    for path in sources.filter(|path| path.components().any(|part| part.as_os_str() == "src")) {
        let source = read(&path);
        for kind in ["counter", "gauge", "histogram"] {
            for rest in source.split(&format!("metrics::{kind}!(")).skip(1) {
                let mut depth = 1;
                let end = rest.find(|char| {
                    depth += i32::from(char == '(') - i32::from(char == ')');
                    depth == 0
                });
                let call = &rest[..end.unwrap_or(rest.len())];
                let conversion = owned.iter().find(|conversion| call.contains(**conversion));
                assert_eq!(conversion, None, "{}: {call}", path.display());
            }
        }
    }
}

#[test]
fn the_test_filter_in_the_documents_matches_tests() {
    for (path, text) in documents() {
        for rest in text.split("cargo xtask test -- -p orders ").skip(1) {
            let filter: String = rest.chars().take_while(char::is_ascii_alphabetic).collect();
            let module = format!("services/orders/tests/it/{filter}.rs");
            let exists = filter.is_empty() || repository().join(&module).exists();
            assert!(exists, "{}: -p orders {filter} matches nothing", path.display());
        }
    }
}

/// The uses of words that [`FORBIDDEN`] lists.
fn forbidden_words(texts: impl IntoIterator<Item = (PathBuf, String)>) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in texts {
        for (number, line) in text.lines().enumerate() {
            let words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
            let uses = words.filter(|word| FORBIDDEN.contains(&word.to_lowercase().as_str()));
            found.extend(uses.map(|word| format!("{}:{}: {word}", path.display(), number + 1)));
        }
    }
    found
}

#[test]
fn the_documents_use_the_vocabulary_of_the_field() {
    let documents = documents().into_iter().filter(|(path, _)| !path.ends_with("CHANGELOG.md"));
    let found = forbidden_words(documents);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_code_uses_the_vocabulary_of_the_field() {
    let mut found = Vec::new();
    for extension in [".rs", ".toml", ".html", ".js", ".css", ".conf", ".yaml", ".yml"] {
        let folders = ["crates", "services", "infra"];
        let sources = folders.into_iter().flat_map(|folder| files(folder, extension));
        found.extend(forbidden_words(sources.map(|path| {
            let text = read(&path);
            (path, text)
        })));
    }
    assert!(found.is_empty(), "{found:#?}");
}
