//! Modules of a crate call each other in one direction: Cargo forbids circles between crates, this test between modules.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use regex::Regex;

use crate::harness::workspace;

/// Module -> the modules of the same crate that it names.
type Graph = BTreeMap<String, BTreeSet<String>>;

/// The graph of the modules that lie directly in `src`. Tests may look everywhere, so they are left out.
fn graph(src: &Path) -> Graph {
    let root = std::fs::read_to_string(src.join("lib.rs")).unwrap();
    let mut texts: BTreeMap<String, String> = BTreeMap::new();
    for entry in std::fs::read_dir(src).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if !["lib", "main", "tests", "test_host", "test_store"].contains(&name.as_str()) {
            collect(&path, texts.entry(name).or_default());
        }
    }
    let exported = reexports(&root);
    let names = |text: &str| {
        let named = named_at_root(text).into_iter();
        named.map(|name| exported.get(&name).cloned().unwrap_or(name)).collect::<BTreeSet<_>>()
    };
    let known: BTreeSet<_> = texts.keys().cloned().collect();
    let edges = |(module, text): (&String, &String)| {
        let mut others: BTreeSet<_> = names(text).intersection(&known).cloned().collect();
        others.remove(module);
        (module.clone(), others)
    };
    texts.iter().map(edges).collect()
}

/// The code of a file, or of all files of a folder, without its tests.
fn collect(path: &Path, text: &mut String) {
    if path.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            if path.file_stem().is_some_and(|name| name != "tests") {
                collect(&path, text);
            }
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        let code = std::fs::read_to_string(path).unwrap();
        text.push_str(code.split("#[cfg(test)]\nmod tests").next().unwrap());
    }
}

/// What `lib.rs` offers at the crate's root, and the module that it comes from.
fn reexports(root: &str) -> BTreeMap<String, String> {
    let uses = Regex::new(r"(?m)^(?:pub(?:\([a-z]+\))? )?use (\w+)::(?:\{([^}]*)\}|(\w+));").unwrap();
    let word = Regex::new(r"\w+").unwrap();
    let mut found = BTreeMap::new();
    for one in uses.captures_iter(root) {
        let names = one.get(2).or_else(|| one.get(3)).unwrap().as_str();
        found.extend(word.find_iter(names).map(|name| (name.as_str().to_owned(), one[1].to_owned())));
    }
    found
}

/// The first part of each path that begins with `crate::`.
fn named_at_root(text: &str) -> BTreeSet<String> {
    let path = Regex::new(r"\bcrate::(?:\{([^;]*)\};|(\w+))").unwrap();
    let first = Regex::new(r"(?:^|[{,]\s*)(\w+)").unwrap();
    let inner_braces = Regex::new(r"::\{[^{}]*\}").unwrap();
    let mut found = BTreeSet::new();
    for one in path.captures_iter(text) {
        match one.get(1) {
            Some(group) => {
                // Names within inner braces belong to the path before them.
                let outer = inner_braces.replace_all(group.as_str(), "");
                found.extend(first.captures_iter(&outer).map(|name| name[1].to_owned()));
            }
            None => drop(found.insert(one[2].to_owned())),
        }
    }
    found
}

/// A way that leads back to where it began.
fn circle(graph: &Graph) -> Option<Vec<String>> {
    fn walk(graph: &Graph, way: &mut Vec<String>, done: &mut BTreeSet<String>) -> Option<Vec<String>> {
        let here = way.last()?.clone();
        if done.contains(&here) {
            return None;
        }
        for next in graph.get(&here).into_iter().flatten() {
            if let Some(start) = way.iter().position(|module| module == next) {
                return Some([&way[start..], std::slice::from_ref(next)].concat());
            }
            way.push(next.clone());
            if let Some(found) = walk(graph, way, done) {
                return Some(found);
            }
            way.pop();
        }
        done.insert(here);
        None
    }
    let mut done = BTreeSet::new();
    graph.keys().find_map(|module| walk(graph, &mut vec![module.clone()], &mut done))
}

#[test]
fn no_crate_has_a_circle_of_modules() {
    for package in [
        "host/sandbox",
        "host/store",
        "host/sync",
        "host/report",
        "host/server",
        "host/cli",
        "plugin",
        "tests/duo-simulator",
    ] {
        let graph = graph(&workspace().join(package).join("src"));
        assert!(graph.len() > 2 && graph.values().any(|others| !others.is_empty()), "{package}: {graph:?}");
        assert_eq!(circle(&graph), None, "{package}");
    }
}

#[test]
fn a_circle_is_found_also_through_a_name_that_the_root_offers() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("lib.rs", "mod a;\nmod b;\nmod c;\npub use c::{Other, Thing};\n");
    write("a.rs", "use crate::{b, Unknown};\n");
    write("b.rs", "use crate::Thing;\n");
    write("c.rs", "#[cfg(test)]\nmod tests {\n    use crate::a;\n}\n");
    assert_eq!(circle(&graph(folder.path())), None, "tests may look everywhere");
    write("c.rs", "fn f() { crate::a::g() }\n");
    assert_eq!(circle(&graph(folder.path())).unwrap(), ["a", "b", "c", "a"]);
}
