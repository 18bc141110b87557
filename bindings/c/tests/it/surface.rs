//! The public functions and methods of a crate's default features, read from its sources.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::{Attribute, ImplItem, Item, TraitItem, Type, UseTree, Visibility};

/// `Type::method`, `function`, `module::Type::method`.
pub fn of(crate_root: &Path) -> BTreeSet<String> {
    let manifest: toml::Table = std::fs::read_to_string(crate_root.join("Cargo.toml"))
        .expect("a manifest")
        .parse()
        .expect("TOML");
    let defaults = manifest
        .get("features")
        .and_then(|features| features.get("default"))
        .and_then(toml::Value::as_array)
        .map(|names| {
            names
                .iter()
                .filter_map(|name| name.as_str().map(str::to_owned))
                .collect()
        })
        .unwrap_or_default();
    let mut sources = Sources {
        defaults,
        methods: BTreeMap::new(),
        modules: BTreeMap::new(),
    };
    sources.load(&crate_root.join("src/lib.rs"), &crate_root.join("src"), "");
    let mut found = BTreeSet::new();
    sources.exported("", "", &mut found);
    found
}

struct Sources {
    defaults: Vec<String>,
    /// Public methods by the type's name, wherever in the crate they are written.
    methods: BTreeMap<String, BTreeSet<String>>,
    /// Items by the module's path, such as `cache::policy`.
    modules: BTreeMap<String, Vec<Item>>,
}

impl Sources {
    fn load(&mut self, file: &Path, folder: &Path, path: &str) {
        let text = std::fs::read_to_string(file).expect("a source");
        let parsed = syn::parse_file(&text).expect("Rust");
        self.take(parsed.items, folder, path);
    }

    fn take(&mut self, items: Vec<Item>, folder: &Path, path: &str) {
        let items: Vec<Item> = items
            .into_iter()
            .filter(|item| self.is_there(attributes(item)))
            .collect();
        for item in &items {
            match item {
                Item::Mod(module) => {
                    let name = module.ident.to_string();
                    let below = joined(path, &name);
                    match &module.content {
                        Some((_, items)) => self.take(items.clone(), &folder.join(&name), &below),
                        None => {
                            let (file, folder) = place(folder, &name);
                            self.load(&file, &folder, &below);
                        }
                    }
                }
                Item::Impl(block) if block.trait_.is_none() => {
                    let Type::Path(own) = &*block.self_ty else {
                        continue;
                    };
                    let Some(name) = own.path.segments.last() else {
                        continue;
                    };
                    for item in &block.items {
                        let ImplItem::Fn(method) = item else { continue };
                        if is_public(&method.vis) && self.is_there(&method.attrs) {
                            let methods = self.methods.entry(name.ident.to_string()).or_default();
                            methods.insert(method.sig.ident.to_string());
                        }
                    }
                }
                _ => {}
            }
        }
        self.modules.insert(path.to_owned(), items);
    }

    /// Whether an item is compiled with the default features, outside of tests.
    fn is_there(&self, attributes: &[Attribute]) -> bool {
        attributes
            .iter()
            .filter(|attribute| attribute.path().is_ident("cfg"))
            .all(|attribute| {
                let text = attribute
                    .meta
                    .require_list()
                    .map(|list| list.tokens.to_string())
                    .unwrap_or_default();
                let text = text.replace(' ', "");
                let feature = text
                    .strip_prefix("feature=\"")
                    .and_then(|rest| rest.strip_suffix('"'));
                match feature {
                    Some(feature) => self.defaults.iter().any(|name| name == feature),
                    None => text != "test" && !text.contains("feature=") && text != "fuzzing",
                }
            })
    }

    /// What a public module shows under `shown`.
    fn exported(&self, module: &str, shown: &str, found: &mut BTreeSet<String>) {
        for item in self.modules.get(module).into_iter().flatten() {
            match item {
                Item::Mod(inner) if is_public(&inner.vis) => {
                    let name = inner.ident.to_string();
                    self.exported(&joined(module, &name), &joined(shown, &name), found);
                }
                Item::Use(import) if is_public(&import.vis) => {
                    let mut names = Vec::new();
                    leaves(&import.tree, &mut Vec::new(), &mut names);
                    for (from, name) in names {
                        if let Some(item) = self.find(module, &from, &name) {
                            self.show(item, shown, found);
                        }
                    }
                }
                other => self.show(other, shown, found),
            }
        }
    }

    /// The item that a path means from a module, through whatever re-exports there are.
    fn find(&self, module: &str, from: &[String], name: &str) -> Option<&Item> {
        let from: Vec<&str> = from
            .iter()
            .map(String::as_str)
            .filter(|part| *part != "self")
            .collect();
        let below = match from.split_first() {
            Some((&"crate", rest)) => rest.join("::"),
            Some((&"super", rest)) => {
                let above = module.rsplit_once("::").map_or("", |(above, _)| above);
                joined(above, &rest.join("::"))
            }
            _ => joined(module, &from.join("::")),
        };
        let items = self.modules.get(&below)?;
        let here = items
            .iter()
            .find(|item| named(item).is_some_and(|(own, _)| own == name));
        here.or_else(|| {
            items.iter().find_map(|item| {
                let Item::Use(import) = item else { return None };
                let mut names = Vec::new();
                leaves(&import.tree, &mut Vec::new(), &mut names);
                let (from, _) = names.into_iter().find(|(_, leaf)| leaf == name)?;
                // A name that is used where it is defined would be found here again.
                (!from.is_empty())
                    .then(|| self.find(&below, &from, name))
                    .flatten()
            })
        })
    }

    fn show(&self, item: &Item, shown: &str, found: &mut BTreeSet<String>) {
        let Some((name, true)) = named(item) else {
            return;
        };
        let name_shown = joined(shown, &name);
        match item {
            Item::Fn(_) => {
                found.insert(name_shown);
            }
            Item::Trait(item) => {
                for item in &item.items {
                    if let TraitItem::Fn(method) = item {
                        found.insert(format!("{name_shown}::{}", method.sig.ident));
                    }
                }
            }
            _ => {
                for method in self.methods.get(&name).into_iter().flatten() {
                    found.insert(format!("{name_shown}::{method}"));
                }
            }
        }
    }
}

/// The name of a type or function, and whether it is public.
fn named(item: &Item) -> Option<(String, bool)> {
    let (name, visibility) = match item {
        Item::Struct(item) => (&item.ident, &item.vis),
        Item::Enum(item) => (&item.ident, &item.vis),
        Item::Fn(item) => (&item.sig.ident, &item.vis),
        Item::Trait(item) => (&item.ident, &item.vis),
        _ => return None,
    };
    Some((name.to_string(), is_public(visibility)))
}

fn joined(path: &str, name: &str) -> String {
    match (path.is_empty(), name.is_empty()) {
        (true, _) => name.to_owned(),
        (_, true) => path.to_owned(),
        _ => format!("{path}::{name}"),
    }
}

/// The file of a module, and the folder of the modules below it.
fn place(folder: &Path, name: &str) -> (PathBuf, PathBuf) {
    let file = folder.join(format!("{name}.rs"));
    let below = folder.join(name);
    if file.exists() {
        (file, below)
    } else {
        (below.join("mod.rs"), below)
    }
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Mod(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        _ => &[],
    }
}

fn leaves(tree: &UseTree, path: &mut Vec<String>, found: &mut Vec<(Vec<String>, String)>) {
    match tree {
        UseTree::Path(inner) => {
            path.push(inner.ident.to_string());
            leaves(&inner.tree, path, found);
            path.pop();
        }
        UseTree::Name(name) => found.push((path.clone(), name.ident.to_string())),
        UseTree::Rename(rename) => found.push((path.clone(), rename.ident.to_string())),
        UseTree::Group(group) => group
            .items
            .iter()
            .for_each(|tree| leaves(tree, path, found)),
        UseTree::Glob(_) => {}
    }
}
