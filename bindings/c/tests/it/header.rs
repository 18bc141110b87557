//! `include/edgeweave.h` and `symbols.txt` are generated from the sources and committed.

use std::path::Path;

const PREAMBLE: &str = include_str!("preamble.h");

fn generated() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).expect("cbindgen.toml");
    let mut builder = cbindgen::Builder::new()
        .with_config(config)
        .with_header(PREAMBLE.trim_end());
    let files = [
        "version",
        "fail",
        "bytes",
        "ruvector/index",
        "ruvector/search",
        "ruvector/embedder",
        "ruvector/cache",
        "ruvector/retriever",
        "agentdb/store",
        "agentdb/transaction",
        "agentdb/document",
        "agentdb/list",
        "agentdb/query",
        "agentdb/series",
        "agentdb/watch",
        "agentdb/sync",
        "flowcore/engine",
        "flowcore/runs",
        "flowcore/call",
        "flowcore/versions",
        "flowcore/limits",
        "promptopt/mod",
        "promptopt/set",
        "promptopt/choice",
        "promptopt/experiment",
        "promptopt/bundle",
        "midstream/engine",
        "midstream/outputs",
        "midstream/standardizer",
        "midstream/rule",
        "midstream/snapshot",
        "midstream/table",
        "midstream/agent",
    ];
    for file in files {
        builder = builder.with_src(root.join("src").join(file).with_extension("rs"));
    }
    let mut text = Vec::new();
    builder
        .generate()
        .expect("the sources parse")
        .write(&mut text);
    String::from_utf8(text).expect("UTF-8")
}

/// The functions of a header, sorted.
pub fn functions(header: &str) -> Vec<String> {
    let mut names: Vec<String> = header
        .lines()
        .filter(|line| {
            !line.starts_with("//") && !line.starts_with("typedef") && !line.starts_with(' ')
        })
        .filter_map(|line| line.split_once('(').map(|(before, _)| before))
        .filter_map(|before| before.rsplit([' ', '*']).next())
        .filter(|name| {
            ["ew_", "rv_", "adb_", "fc_", "po_", "ms_"]
                .iter()
                .any(|prefix| name.starts_with(prefix))
        })
        .map(str::to_owned)
        .collect();
    names.sort();
    names.dedup();
    names
}

fn check(path: &str, wanted: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, wanted).expect("written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == wanted,
        "{} is not what the sources say: UPDATE=1 cargo test -p edgeweave-c, then look at the difference",
        path.display()
    );
}

#[test]
fn the_committed_header_is_what_the_sources_say() {
    check("include/edgeweave.h", &generated());
}

#[test]
fn the_committed_symbols_are_those_of_the_header() {
    let names = functions(&generated());
    assert!(
        names.len() > 100,
        "only {} functions were found",
        names.len()
    );
    check("symbols.txt", &(names.join("\n") + "\n"));
}

#[test]
fn every_exported_function_is_in_the_header() {
    let declared = functions(&generated());
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for file in rust_files(&sources) {
        let text = std::fs::read_to_string(&file).expect("readable");
        for line in text
            .lines()
            .filter(|line| line.starts_with("pub ") && line.contains("extern \"C\" fn "))
        {
            let name = line
                .split("fn ")
                .nth(1)
                .and_then(|rest| rest.split('(').next());
            let name = name.expect("a name").to_owned();
            assert!(
                declared.contains(&name),
                "{name} of {} is not in the header",
                file.display()
            );
        }
    }
}

fn rust_files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => files.extend(rust_files(&path)),
            false => files.push(path),
        }
    }
    files
}
