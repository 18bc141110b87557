//! `bindings/coverage.toml` says of every public function of the five crates how C and Python do the same, or why not.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;

use crate::surface;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    /// Functions that are bound together, `Type::method`.
    rust: Vec<String>,
    #[serde(default)]
    c: Vec<String>,
    #[serde(default)]
    python: Vec<String>,
    /// Why a side is empty.
    because: Option<String>,
}

type Table = BTreeMap<String, Vec<Row>>;

const CRATES: [&str; 5] = ["ruvector", "agentdb", "flowcore", "promptopt", "midstream"];

fn bindings() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn table() -> Table {
    let text = std::fs::read_to_string(bindings().join("coverage.toml")).expect("coverage.toml");
    toml::from_str(&text).expect("coverage.toml has the form of its rows")
}

#[test]
fn every_public_function_is_bound_or_says_why_not() {
    let table = table();
    let mut wrong = Vec::new();
    for name in CRATES {
        let public = surface::of(&bindings().join("..").join(name));
        assert!(
            public.len() > 20,
            "only {} functions of {name} were found",
            public.len()
        );
        let mut listed = BTreeSet::new();
        for entry in table
            .get(name)
            .into_iter()
            .flatten()
            .flat_map(|row| &row.rust)
        {
            if !listed.insert(entry.clone()) {
                wrong.push(format!("{name}: {entry} is listed twice"));
            }
        }
        wrong.extend(
            public
                .difference(&listed)
                .map(|entry| format!("{name}: {entry} is not in coverage.toml")),
        );
        wrong.extend(
            listed
                .difference(&public)
                .map(|entry| format!("{name}: {entry} is in coverage.toml and no longer public")),
        );
    }
    assert!(
        wrong.is_empty(),
        "{} entries:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn what_is_listed_as_bound_is_there() {
    let header =
        std::fs::read_to_string(bindings().join("c/include/edgeweave.h")).expect("the header");
    let in_header: BTreeSet<&str> = header
        .split(|letter: char| !letter.is_alphanumeric() && letter != '_')
        .collect();
    let in_python = python_names();
    for (name, rows) in table() {
        assert!(CRATES.contains(&name.as_str()), "{name} is no crate");
        for row in rows {
            let explained = row.because.is_some();
            assert!(
                explained || !(row.c.is_empty() || row.python.is_empty()),
                "{name}: {:?} says not why a side is empty",
                row.rust
            );
            assert!(!row.rust.is_empty(), "{name}: a row without a Rust name");
            for bound in &row.c {
                assert!(
                    in_header.contains(bound.as_str()),
                    "{name}: {bound} is not in the header"
                );
            }
            for bound in &row.python {
                assert!(
                    in_python.contains(bound),
                    "{name}: {bound} is not in the stubs"
                );
            }
        }
    }
}

/// `Class`, `Class.method` and `function` of the stubs.
fn python_names() -> BTreeSet<String> {
    let stubs = std::fs::read_to_string(bindings().join("python/python/edgeweave/_native.pyi"))
        .expect("the stubs");
    let mut names = BTreeSet::new();
    let mut class = String::new();
    for line in stubs.lines() {
        let name = |rest: &str| {
            rest.split(['(', ':', ' '])
                .next()
                .unwrap_or_default()
                .to_owned()
        };
        if let Some(rest) = line.strip_prefix("class ") {
            class = name(rest);
            names.insert(class.clone());
        } else if let Some(rest) = line.strip_prefix("    def ") {
            names.insert(format!("{class}.{}", name(rest)));
        } else if let Some(rest) = line.strip_prefix("def ") {
            names.insert(name(rest));
        }
    }
    names
}

#[test]
fn the_table_in_each_readme_is_what_the_file_says() {
    let table = table();
    let mut text = String::new();
    for name in CRATES {
        text += &format!("\n**{name}**\n\n| Rust | C | Python |\n|---|---|---|\n");
        let cell = |names: &[String]| {
            names
                .iter()
                .map(|name| format!("`{name}`"))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let mut reasons = Vec::new();
        for row in &table[name] {
            if row.c.is_empty() && row.python.is_empty() {
                reasons.push(row);
                continue;
            }
            let side = |names: &[String]| match (names.is_empty(), &row.because) {
                (true, Some(because)) => format!("not bound: {because}"),
                _ => cell(names),
            };
            text += &format!(
                "| {} | {} | {} |\n",
                cell(&row.rust),
                side(&row.c),
                side(&row.python)
            );
        }
        if !reasons.is_empty() {
            text += "\nNot bound, because\n";
        }
        for row in reasons {
            text += &format!(
                "- {}: {}.\n",
                row.because.as_deref().unwrap_or_default(),
                cell(&row.rust)
            );
        }
    }
    for path in ["c/README.md", "python/README.md"] {
        let path = bindings().join(path);
        let readme = std::fs::read_to_string(&path).expect("a README");
        let (begin, end) = (
            "<!-- coverage, generated -->\n",
            "<!-- end of coverage -->\n",
        );
        let (before, rest) = readme
            .split_once(begin)
            .expect("a mark where the table begins");
        let (_, after) = rest.split_once(end).expect("a mark where the table ends");
        let wanted = format!("{before}{begin}{text}{end}{after}");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, &wanted).expect("written");
        }
        let committed = std::fs::read_to_string(&path).expect("a README");
        assert!(
            committed == wanted,
            "{}: UPDATE=1 cargo test -p edgeweave-c",
            path.display()
        );
    }
}
