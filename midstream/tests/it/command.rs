//! The command as a user runs it: any CSV in, JSON lines out, counters that add up.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn midstream(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_midstream"))
        .args(args)
        .output()
        .unwrap()
}

/// Outputs and counters of a run.
fn lines(rules: &Path, input: &Path, more: &[&str]) -> (Vec<Value>, Value) {
    let mut args = vec!["run", "--json", "--rules", rules.to_str().unwrap()];
    args.extend(["--input", input.to_str().unwrap()]);
    args.extend(more);
    let output = midstream(&args);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let counters = lines.pop().unwrap();
    (lines, counters)
}

fn file(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    let mut file = std::fs::File::create(&path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    path
}

#[test]
fn rows_that_are_none_are_counted_and_the_others_are_used() {
    let folder = tempfile::tempdir().unwrap();
    let rules = file(
        folder.path(),
        "rules",
        "RULE hot: PATTERN SEQUENCE(a (temp > 85), b (temp < 50)) WITHIN 30 SECONDS;",
    );
    let input = file(
        folder.path(),
        "input.csv",
        "at,temp,room\n1000,90,\"a, b\"\n1005,40,b\nnonsense,1,c\n1010\n1012,40,\"a, b\"\n1013,,c\n",
    );
    let (found, counters) = lines(&rules, &input, &["--time", "at", "--key", "room"]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["rule"], "hot");
    assert_eq!(counters["rows"], 6);
    assert_eq!(counters["bad_rows"]["time"], 1);
    assert_eq!(counters["bad_rows"]["too few columns"], 1);
    assert_eq!(counters["counters"]["events_in"], 4);
    assert_eq!(counters["counters"]["events_out"], 4);
}

#[test]
fn what_cannot_be_read_is_told_in_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let input = file(folder.path(), "input.csv", "at,temp\n1,2\n");
    let rules = file(
        folder.path(),
        "rules",
        "PATERN SEQUENCE(a (temp > 1)) WITHIN 1 SECONDS",
    );
    let good = file(
        folder.path(),
        "good",
        "PATTERN SEQUENCE(a (temp > 1)) WITHIN 1 SECONDS",
    );
    let (rules, good) = (rules.to_str().unwrap(), good.to_str().unwrap());
    let input = input.to_str().unwrap();
    for (args, wanted) in [
        ([rules, input, "at"], "did you mean `PATTERN`"),
        ([good, "nowhere.csv", "at"], "nowhere.csv"),
        (
            [good, input, "when"],
            "no column `when`; there are at, temp",
        ),
    ] {
        let [rules, input, time] = args;
        let output = midstream(&["run", "--rules", rules, "--input", input, "--time", time]);
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains(wanted) && told.lines().count() == 1, "{told}");
    }
}

fn recording(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("EDGEWEAVE_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")),
        PathBuf::from,
    );
    let path = root.join("sensors").join(name);
    if !path.exists() {
        eprintln!("skipped: {} is absent (set EDGEWEAVE_DATA)", path.display());
        return None;
    }
    Some(path)
}

fn time(line: &str) -> i64 {
    let time: jiff::civil::DateTime = line[..19].parse().unwrap();
    let zoned = time.to_zoned(jiff::tz::TimeZone::UTC).unwrap();
    zoned.timestamp().as_millisecond()
}

/// When the labelled fault begins, in milliseconds since the Unix epoch.
fn fault(path: &Path) -> i64 {
    let text = std::fs::read_to_string(path).unwrap();
    let faulty = |line: &&str| {
        let label = line.split(';').nth(9);
        label.is_some_and(|label| label.starts_with('1'))
    };
    time(text.lines().skip(1).find(faulty).unwrap())
}

#[test]
fn the_example_finds_every_labelled_fault_of_the_pump_soon() {
    let rules = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/skab.rules"));
    for number in 0..4 {
        let Some(path) = recording(&format!("skab-valve1-{number}.csv")) else {
            return;
        };
        let more = [
            "--time",
            "datetime",
            "--delimiter",
            ";",
            "--label",
            "anomaly",
            "--hide",
            "changepoint",
        ];
        let (found, counters) = lines(rules, &path, &more);
        let begin = fault(&path);
        let told = found
            .iter()
            .filter(|output| output["found"]["row"].is_object());
        let after = told.map(|output| output["last"].as_i64().unwrap() - begin);
        let after = after.filter(|after| *after >= 0).min().unwrap() / 1000;
        let label = &counters["label"];
        eprintln!("recording {number}: told {after} s after the fault began; {label}");
        assert!(after < 60, "recording {number}: {after} s");
        assert_eq!(label["changes"], 2);
        assert_eq!(
            label["changes_told_within_2_minutes"], 2,
            "recording {number}: {label}"
        );
        assert!(label["precision"].as_f64().unwrap() > 0.8, "{label}");
        assert!(label["recall"].as_f64().unwrap() > 0.6, "{label}");
        assert!(
            counters["reduction"].as_f64().unwrap() >= 100.0,
            "{counters}"
        );
    }
}

#[test]
fn every_failure_of_the_machine_is_told_at_a_hundredth_of_its_bytes() {
    let rules = Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/examples/machine.rules"
    ));
    let (Some(path), Some(labels)) = (
        recording("nab-machine-temperature.csv"),
        recording("nab-machine-temperature.labels.json"),
    ) else {
        return;
    };
    let labels: Value = serde_json::from_slice(&std::fs::read(labels).unwrap()).unwrap();
    let windows = labels.as_object().unwrap().values().next().unwrap().clone();
    let (found, counters) = lines(rules, &path, &["--time", "timestamp"]);
    for window in windows.as_array().unwrap() {
        let [from, to] = [0, 1].map(|at| time(window[at].as_str().unwrap()));
        let told = found.iter().map(|output| output["last"].as_i64().unwrap());
        assert!(told.clone().any(|at| (from..=to).contains(&at)), "{window}");
    }
    assert!(
        counters["reduction"].as_f64().unwrap() >= 100.0,
        "{counters}"
    );
}

#[test]
fn rows_are_of_the_source_that_a_column_names_and_are_joined_with_a_table() {
    let folder = tempfile::tempdir().unwrap();
    let rules = file(
        folder.path(),
        "rules",
        "CORRELATE entry WITH pick WITHIN 10 MINUTES JOIN products ON item SELECT entry.item AS item, products.price AS price;
         ENRICH pick FROM products ON item;
         RULE dear: SELECT item, products.price AS price FROM pick WHERE products.price > 1",
    );
    let input = file(
        folder.path(),
        "input.csv",
        "at,kind,item\n0,entry,bolt\n60,pick,bolt\n120,pick,nut\n130,entry,nut\n",
    );
    let products = file(
        folder.path(),
        "products.csv",
        "item,price\nbolt,0.5\nnut,2\n",
    );
    let table = format!("products={}:item", products.display());
    let (found, _) = lines(
        &rules,
        &input,
        &["--time", "at", "--source", "kind", "--table", &table],
    );
    let told: Vec<(String, f64)> = found
        .iter()
        .map(|output| {
            let price = output["found"]["row"]["columns"]["price"].as_f64().unwrap();
            (output["rule"].as_str().unwrap().to_owned(), price)
        })
        .collect();
    let wanted = [("rule1", 0.5), ("dear", 2.0), ("rule1", 2.0)];
    assert_eq!(told, wanted.map(|(rule, price)| (rule.to_owned(), price)));
}
