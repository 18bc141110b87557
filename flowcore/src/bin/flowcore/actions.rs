//! The actions that the command has by itself, for workflows without code.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use flowcore::{ActionError, ActionResult, Call};
use serde_json::{Value, json};

/// Longest output of a program that is kept, in bytes.
const OUTPUT_LEN_MAX: u64 = 1 << 20;
/// Pause between two looks at a program.
const POLL: Duration = Duration::from_millis(5);

/// Whether workflows may start programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Programs {
    Allowed,
    Refused,
}

/// Names with what they do.
pub const BUILT_IN: [(&str, &str); 6] = [
    ("log", "prints its params to the standard error; gives them"),
    ("echo", "gives its params"),
    (
        "exec",
        "runs a program: {program, args, stdin}; gives {code, stdout, stderr}; needs --allow-exec",
    ),
    (
        "moving_average",
        "gives {value, count}: the mean of the last `window` of params.values, else of input.values",
    ),
    (
        "threshold_check",
        "gives {result: anomaly or normal, value}: params.value (else input.value, else the mean of input.values) against `threshold`",
    ),
    (
        "send_event",
        "prints an event line; gives {sent: idempotency key}",
    ),
];

pub fn is_built_in(name: &str) -> bool {
    BUILT_IN.iter().any(|(known, _)| *known == name)
}

/// Runs a built-in action; `None` for any other.
pub fn perform(call: &Call, programs: Programs) -> Option<ActionResult> {
    let params = call.params();
    Some(match call.action() {
        "log" => {
            eprintln!("{}{}: {params}", call.path(), call.step());
            Ok(params.clone().into())
        }
        "echo" => Ok(params.clone().into()),
        "send_event" => {
            let event = json!({"event": call.step(), "run": call.run().as_u64(), "params": params});
            eprintln!("{event}");
            Ok(json!({"sent": call.idempotency_key()}).into())
        }
        "moving_average" => moving_average(params, call.input()),
        "threshold_check" => threshold_check(params, call.input()),
        "exec" if programs == Programs::Refused => Err(ActionError::new(
            "ExecRefused",
            "workflows may start programs only with --allow-exec",
        )),
        "exec" => exec(call),
        _ => return None,
    })
}

fn numbers(value: &Value) -> Option<Vec<f64>> {
    value.as_array()?.iter().map(Value::as_f64).collect()
}

fn moving_average(params: &Value, input: &Value) -> ActionResult {
    let values = numbers(&params["values"])
        .or_else(|| numbers(&input["values"]))
        .or_else(|| input["value"].as_f64().map(|value| vec![value]))
        .filter(|values| !values.is_empty())
        .ok_or_else(|| {
            ActionError::new(
                "Input",
                "neither params.values nor input.values are numbers",
            )
        })?;
    let window = params["window"]
        .as_u64()
        .and_then(|window| usize::try_from(window).ok());
    let window = window.unwrap_or(values.len()).clamp(1, values.len());
    let last = &values[values.len() - window..];
    let mean = last.iter().sum::<f64>() / last.len() as f64;
    Ok(json!({"value": mean, "count": last.len()}).into())
}

fn threshold_check(params: &Value, input: &Value) -> ActionResult {
    let mean = || {
        let values = numbers(&input["values"]).filter(|values| !values.is_empty())?;
        Some(values.iter().sum::<f64>() / values.len() as f64)
    };
    let value = params["value"]
        .as_f64()
        .or_else(|| input["value"].as_f64())
        .or_else(mean)
        .ok_or_else(|| {
            ActionError::new("Input", "neither params.value nor input.value is a number")
        })?;
    let threshold = params["threshold"]
        .as_f64()
        .ok_or_else(|| ActionError::new("Input", "params.threshold is no number"))?;
    let result = if value > threshold {
        "anomaly"
    } else {
        "normal"
    };
    Ok(json!({"result": result, "value": value}).into())
}

/// Runs a program until it ends or the attempt's time is over.
fn exec(call: &Call) -> ActionResult {
    let params = call.params();
    let wrong = |message: String| ActionError::new("Exec", message);
    let program = params["program"]
        .as_str()
        .ok_or_else(|| wrong("params.program is no text".to_owned()))?;
    let mut command = Command::new(program);
    for argument in params["args"].as_array().into_iter().flatten() {
        command.arg(plain(argument));
    }
    command
        .env("FLOWCORE_IDEMPOTENCY_KEY", call.idempotency_key())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .map_err(|error| wrong(format!("`{program}` does not start: {error}")))?;
    let stdin = match &params["stdin"] {
        Value::Null => String::new(),
        value => plain(value),
    };
    // Pipes are served on threads of their own, so that a full one blocks nobody.
    let writer = child.stdin.take().map(|mut pipe| {
        thread::spawn(move || {
            // A program that reads no input closes the pipe early, which is its right.
            let _ = pipe.write_all(stdin.as_bytes());
        })
    });
    let readers = (
        child
            .stdout
            .take()
            .map(|pipe| thread::spawn(move || read(pipe))),
        child
            .stderr
            .take()
            .map(|pipe| thread::spawn(move || read(pipe))),
    );
    let limit = call.timeout();
    let begun = Instant::now();
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if limit.is_some_and(|limit| begun.elapsed() >= limit) => {
                let killed = child.kill().and_then(|()| child.wait());
                killed.map_err(|error| wrong(format!("`{program}` cannot be stopped: {error}")))?;
                return Err(ActionError::new(
                    "Timeout",
                    format!("`{program}` took too long"),
                ));
            }
            Ok(None) => thread::sleep(POLL),
            Err(error) => return Err(wrong(format!("`{program}` is lost: {error}"))),
        }
    };
    let gathered = |reader: Option<thread::JoinHandle<Vec<u8>>>| {
        let bytes = reader
            .and_then(|reader| reader.join().ok())
            .unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let (stdout, stderr) = (gathered(readers.0), gathered(readers.1));
    if let Some(writer) = writer {
        let _ = writer.join();
    }
    if !status.success() {
        return Err(ActionError::new(
            "ExitStatus",
            format!("`{program}` ended with {status}: {}", stderr.trim()),
        ));
    }
    let stdout = serde_json::from_str(&stdout).unwrap_or(Value::from(stdout));
    Ok(json!({"code": status.code(), "stdout": stdout, "stderr": stderr}).into())
}

fn read(pipe: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut pipe = pipe.take(OUTPUT_LEN_MAX);
    // What came before an error is kept.
    let _ = pipe.read_to_end(&mut bytes);
    // The rest is read and dropped, so that the program can end.
    let _ = std::io::copy(pipe.get_mut(), &mut std::io::sink());
    bytes
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
