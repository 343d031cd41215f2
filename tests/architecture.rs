//! The house holds: modules look up and never down, pure rooms name no clock, socket, entropy or Kubernetes type, and every file says what it is for.

use std::path::{Path, PathBuf};

/// Rooms that must be pure.
const PURE: &[&str] =
    &["domain", "service", "hpa", "scheduling", "forecast", "sizing", "binpack", "planner", "guardrails", "explain", "agent"];

/// What a pure room may not name.
const IMPURE: &[&str] = &[
    "SystemTime",
    "Instant::now",
    "Timestamp::now",
    "Zoned::now",
    "thread_rng",
    "rand::rng(",
    "OsRng",
    "from_os_rng",
    "getrandom",
    "tokio::",
    "async fn",
    "reqwest",
    "sqlx",
    "kube::",
    "k8s_openapi",
    "std::fs",
    "std::net",
    "std::env",
    "std::thread",
    "HashMap",
    "HashSet",
];

fn source_files() -> Vec<PathBuf> {
    fn walk(folder: &Path, into: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, into);
            } else if path.extension().is_some_and(|e| e == "rs") {
                into.push(path);
            }
        }
    }
    let mut files = Vec::new();
    walk(&root().join("src"), &mut files);
    files.sort();
    assert!(files.len() > 50, "the sources were not found");
    files
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The room of a file: the first part of its path below `src`, without the ending.
fn room(file: &Path) -> String {
    let relative = file.strip_prefix(root().join("src")).unwrap();
    let first = relative.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// The code of a file without its comments and without its unit tests, which stand at its end.
fn production_code(file: &Path) -> String {
    let text = std::fs::read_to_string(file).unwrap();
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Modules in the order of `src/lib.rs`.
fn order() -> Vec<String> {
    let text = std::fs::read_to_string(root().join("src/lib.rs")).unwrap();
    text.lines().filter_map(|l| l.strip_prefix("pub mod ")).map(|l| l.trim_end_matches(';').to_owned()).collect()
}

/// Names that follow `crate::` in a text, groups in braces included.
fn crate_names(code: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut item = String::new();
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => names.push(std::mem::take(&mut item)),
                    _ if depth == 0 => item.push(c),
                    _ => {}
                }
            }
            names.push(item);
        } else {
            names.push(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
        }
    }
    names.iter().map(|n| n.trim().split("::").next().unwrap().to_owned()).filter(|n| !n.is_empty()).collect()
}

#[test]
fn modules_look_up_and_never_down() {
    let order = order();
    let place = |name: &str| order.iter().position(|m| m == name);
    let mut wrong = Vec::new();
    for file in source_files() {
        let Some(own) = place(&room(&file)) else { continue };
        for name in crate_names(&production_code(&file)) {
            if place(&name).is_some_and(|used| used > own) {
                wrong.push(format!("{} uses crate::{name}, which stands below it", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_checker_of_layers_sees_a_violation() {
    assert_eq!(crate_names("use crate::{domain::units::Bytes, tick};\ncrate::api::x()"), ["domain", "tick", "api"]);
}

#[test]
fn pure_rooms_name_no_clock_no_socket_no_entropy_and_no_cluster() {
    let mut wrong = Vec::new();
    for file in source_files().into_iter().filter(|f| PURE.contains(&room(f).as_str())) {
        let code = production_code(&file);
        for name in IMPURE.iter().filter(|name| code.contains(**name)) {
            wrong.push(format!("{} names {name}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_source_file_says_what_it_is_for() {
    let silent: Vec<String> = source_files()
        .into_iter()
        .filter(|f| !std::fs::read_to_string(f).unwrap().trim_start_matches("#![").starts_with("//!"))
        .map(|f| f.display().to_string())
        .collect();
    assert!(silent.is_empty(), "{}", silent.join("\n"));
}

#[test]
fn there_is_no_mod_rs() {
    let found: Vec<_> = source_files().into_iter().filter(|f| f.ends_with("mod.rs")).collect();
    assert!(found.is_empty(), "{found:?}");
}
