//! Which module of a crate imports from which other one, by the paths that its files contain: `use` declarations and
//! paths in code that start with `crate`, `super`, `self` or the name of a submodule. A name that a module only
//! re-exports is imported from where it is defined. Code under `#[cfg(test)]` doesn't count.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use system_tests::workspace;

use super::source::{self, Import, Source};

/// The modules of a crate, by their paths below the root: `domain::parts`; the root itself is empty.
pub struct Modules(BTreeMap<String, Source>);

impl Modules {
    /// All modules of the library in this `src`.
    pub fn read(src: &Path) -> Modules {
        let mut sources = BTreeMap::new();
        for file in workspace::rust_files(src) {
            let relative = file.strip_prefix(src).expect("a file in src").with_extension("");
            let mut names: Vec<_> =
                relative.iter().map(|name| name.to_string_lossy().into_owned()).collect();
            match (names.first().map(String::as_str), names.last().map(String::as_str)) {
                // Programs are crates of their own.
                (Some("main" | "bin"), _) => continue,
                (_, Some("mod" | "lib")) => drop(names.pop()),
                (_, _) => {}
            }
            let text = fs::read_to_string(&file).expect("a source file");
            sources.insert(names.join("::"), source::parse(&text));
        }
        let tests: BTreeSet<String> = sources
            .iter()
            .flat_map(|(module, source)| source.test_modules.iter().map(|name| join(module, name)))
            .collect();
        let is_test = |module: &str| {
            tests.iter().any(|test| module == test || module.starts_with(&format!("{test}::")))
        };
        sources.retain(|module, _| !is_test(module));
        Modules(sources)
    }

    /// Each group of modules that import each other in a circle, with one circle of it.
    pub fn cycles(&self) -> Vec<String> {
        let imports = self.imports();
        let mut seen = BTreeSet::new();
        let mut cycles = Vec::new();
        for module in self.0.keys() {
            if seen.contains(module) {
                continue;
            }
            let Some(circle) = path(&imports, module, module) else { continue };
            // Everything that is in a circle with this module is reported with it.
            let group = self.0.keys().filter(|other| {
                path(&imports, module, other).is_some() && path(&imports, other, module).is_some()
            });
            seen.extend(group.cloned());
            cycles.push(describe(&imports, &circle));
        }
        cycles
    }

    /// By module: what it imports from which other one.
    fn imports(&self) -> Imports {
        let mut imports = Imports::new();
        for (module, source) in &self.0 {
            for import in &source.imports {
                let Some(target) = self.resolve(module, import) else { continue };
                let is_reexport = import.is_public && is_below(&target, module);
                if target != *module && !is_reexport {
                    let name = import.path.join("::");
                    imports.entry(module.clone()).or_default().entry(target).or_insert(name);
                }
            }
        }
        imports
    }

    /// The module that defines what an import names. None: another crate.
    fn resolve(&self, from: &str, import: &Import) -> Option<String> {
        let mut module = from.to_owned();
        let mut rest = import.path.iter();
        match import.path.first()?.as_str() {
            "crate" => {
                module = String::new();
                rest.next();
            }
            "self" => drop(rest.next()),
            "super" => {}
            child if self.0.contains_key(&join(from, child)) => {}
            _ => return None,
        }
        for (index, name) in rest.clone().enumerate() {
            if name == "super" {
                module = parent(&module).to_owned();
            } else if self.0.contains_key(&join(&module, name)) {
                module = join(&module, name);
            } else {
                let item: Vec<_> = rest.skip(index).cloned().collect();
                return Some(self.definition(module, &item));
            }
        }
        Some(module)
    }

    /// Follows re-exports of an item to the module that defines it.
    fn definition(&self, module: String, item: &[String]) -> String {
        let Some(name) = item.first() else { return module };
        let Some(source) = self.0.get(&module).filter(|source| !source.items.contains(name)) else {
            return module;
        };
        let exports = source.imports.iter().filter(|import| import.is_public);
        for export in exports.clone().filter(|export| export.name.as_deref() == Some(name)) {
            if let Some(target) = self.resolve(&module, export) {
                return self.definition(target, item.get(1..).unwrap_or_default());
            }
        }
        // `pub use child::*`
        for export in exports.filter(|export| export.name.is_none()) {
            let target = self.resolve(&module, export);
            let defines = |target: &String| {
                self.0.get(target).is_some_and(|source| source.items.contains(name))
            };
            if let Some(target) = target.filter(defines) {
                return target;
            }
        }
        module
    }
}

/// By module, by imported module: one path that imports from it.
type Imports = BTreeMap<String, BTreeMap<String, String>>;

/// The shortest way along imports from one module to another, both included.
fn path(imports: &Imports, from: &str, to: &str) -> Option<Vec<String>> {
    let mut ways = vec![vec![from.to_owned()]];
    let mut seen = BTreeSet::new();
    let mut next = 0;
    while let Some(way) = ways.get(next).cloned() {
        next += 1;
        for target in
            way.last().and_then(|last| imports.get(last)).into_iter().flat_map(BTreeMap::keys)
        {
            let longer = [way.as_slice(), std::slice::from_ref(target)].concat();
            if target == to {
                return Some(longer);
            }
            if seen.insert(target.clone()) {
                ways.push(longer);
            }
        }
    }
    None
}

fn describe(imports: &Imports, circle: &[String]) -> String {
    let name = |module: &str| if module.is_empty() { "lib" } else { module }.to_owned();
    let steps = circle.windows(2).map(|step| {
        let [from, to] = step else { return String::new() };
        format!("    {} imports {} ({})", name(from), name(to), imports[from][to])
    });
    steps.collect::<Vec<_>>().join("\n")
}

fn join(module: &str, name: &str) -> String {
    if module.is_empty() { name.to_owned() } else { format!("{module}::{name}") }
}

fn parent(module: &str) -> &str {
    module.rsplit_once("::").map_or("", |(parent, _)| parent)
}

fn is_below(module: &str, ancestor: &str) -> bool {
    ancestor.is_empty() || module.starts_with(&format!("{ancestor}::"))
}
