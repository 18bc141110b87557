//! What each intrinsic function gives.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD as BASE64};
use flowcore::expr::Val;
use serde_json::{Map, Value};
use sha2::Digest as _;

use super::data::{Fault, Scope};
use super::intrinsics::literal_braces;

/// Reads Base64 that is cut short, as MIME readers do.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);
/// Longest array that `States.ArrayRange` makes.
const RANGE_LEN_MAX: usize = 1_000;
/// Longest text, in characters, for `Base64Encode`, `Base64Decode` and `Hash`.
const TEXT_LEN_MAX: usize = 10_000;

/// A call: its name without `States.`, and what it was given.
pub struct Arguments<'a> {
    pub name: &'a str,
    pub values: &'a [Value],
}

impl Arguments<'_> {
    /// The original does not say which argument it is.
    fn wrong(&self) -> Fault {
        Fault::intrinsic(format!("Invalid arguments in States.{}", self.name))
    }

    fn count(&self, allowed: std::ops::RangeInclusive<usize>) -> Result<(), Fault> {
        if allowed.contains(&self.values.len()) {
            Ok(())
        } else {
            Err(self.wrong())
        }
    }

    fn text(&self, index: usize) -> Result<&str, Fault> {
        self.values[index].as_str().ok_or_else(|| self.wrong())
    }

    fn array(&self, index: usize) -> Result<&Vec<Value>, Fault> {
        self.values[index].as_array().ok_or_else(|| self.wrong())
    }

    fn object(&self, index: usize) -> Result<&Map<String, Value>, Fault> {
        self.values[index].as_object().ok_or_else(|| self.wrong())
    }

    fn number(&self, index: usize) -> Result<f64, Fault> {
        self.values[index].as_f64().ok_or_else(|| self.wrong())
    }

    /// An integer; the fraction of another number is dropped.
    fn integer(&self, index: usize) -> Result<i64, Fault> {
        let whole = self.values[index].as_i64();
        whole.map_or_else(|| Ok(self.number(index)?.trunc() as i64), Ok)
    }

    /// An integer; another number is rounded, halves up, as the original (written in Java) does.
    fn rounded(&self, index: usize) -> Result<i64, Fault> {
        let whole = self.values[index].as_i64();
        whole.map_or_else(|| Ok((self.number(index)? + 0.5).floor() as i64), Ok)
    }

    fn short_text(&self, index: usize) -> Result<&str, Fault> {
        let text = self.text(index)?;
        if text.chars().count() > TEXT_LEN_MAX {
            return Err(self.wrong());
        }
        Ok(text)
    }
}

pub fn apply(arguments: &Arguments<'_>, scope: &Scope<'_>) -> Result<Value, Fault> {
    match arguments.name {
        "Format" => format(arguments),
        "StringToJson" => {
            arguments.count(1..=1)?;
            let text = arguments.text(0)?;
            match text.trim() {
                "" => Ok(Value::Null),
                "-0" => Ok(Value::from(0)),
                text => serde_json::from_str(text).map_err(|_| arguments.wrong()),
            }
        }
        "JsonToString" => {
            arguments.count(1..=1)?;
            Ok(Value::from(arguments.values[0].to_string()))
        }
        "Array" => Ok(Value::from(arguments.values.to_vec())),
        "ArrayPartition" => {
            arguments.count(2..=2)?;
            let size = usize::try_from(arguments.integer(1)?).unwrap_or(0);
            if size == 0 {
                return Err(arguments.wrong());
            }
            let parts = arguments.array(0)?.chunks(size);
            Ok(parts.map(|part| Value::from(part.to_vec())).collect())
        }
        "ArrayContains" => {
            arguments.count(2..=2)?;
            let wanted = &arguments.values[1];
            Ok(Value::from(
                arguments.array(0)?.iter().any(|item| same(item, wanted)),
            ))
        }
        "ArrayRange" => range(arguments),
        "ArrayGetItem" => {
            arguments.count(2..=2)?;
            let index = usize::try_from(arguments.integer(1)?).ok();
            let items = arguments.array(0)?;
            // As measured: of an empty array, any item is null.
            if items.is_empty() {
                return Ok(Value::Null);
            }
            let item = index.and_then(|index| items.get(index));
            item.cloned().ok_or_else(|| arguments.wrong())
        }
        "ArrayLength" => {
            arguments.count(1..=1)?;
            Ok(Value::from(arguments.array(0)?.len()))
        }
        "ArrayUnique" => {
            arguments.count(1..=1)?;
            let mut unique: Vec<Value> = Vec::new();
            for item in arguments.array(0)? {
                if !unique.iter().any(|known| same(known, item)) {
                    unique.push(item.clone());
                }
            }
            Ok(Value::from(unique))
        }
        "Base64Encode" => {
            arguments.count(1..=1)?;
            Ok(Value::from(BASE64.encode(arguments.short_text(0)?)))
        }
        "Base64Decode" => {
            arguments.count(1..=1)?;
            // As measured: what is no Base64 is read over, and nothing need fill up the end.
            let text: String = arguments
                .short_text(0)?
                .chars()
                .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '/'))
                .collect();
            let bytes = LENIENT.decode(text).ok();
            bytes
                .and_then(|bytes| String::from_utf8(bytes).ok())
                .map(Value::from)
                .ok_or_else(|| arguments.wrong())
        }
        "Hash" => hash(arguments),
        "JsonMerge" => {
            arguments.count(3..=3)?;
            if arguments.values[2] != Value::Bool(false) {
                return Err(arguments.wrong());
            }
            let mut merged = arguments.object(0)?.clone();
            merged.extend(arguments.object(1)?.clone());
            Ok(Value::from(merged))
        }
        "MathAdd" => {
            arguments.count(2..=2)?;
            let sum = arguments.rounded(0)?.checked_add(arguments.rounded(1)?);
            sum.map(Value::from).ok_or_else(|| arguments.wrong())
        }
        "MathRandom" => {
            arguments.count(2..=3)?;
            let (from, to) = (arguments.integer(0)?, arguments.integer(1)?);
            let span = to.checked_sub(from).filter(|span| *span > 0);
            let span = span.ok_or_else(|| arguments.wrong())?;
            let random = match arguments.values.get(2) {
                Some(_) => split_mix(arguments.integer(2)?.unsigned_abs()),
                None => scope.random(),
            };
            Ok(Value::from(
                from + i64::try_from(random % span.unsigned_abs()).unwrap_or(0),
            ))
        }
        "StringSplit" => {
            arguments.count(2..=2)?;
            let marks: Vec<char> = arguments.text(1)?.chars().collect();
            let parts = arguments.text(0)?.split(marks.as_slice());
            Ok(parts
                .filter(|part| !part.is_empty())
                .map(Value::from)
                .collect())
        }
        "UUID" => {
            arguments.count(0..=0)?;
            let bits = (u128::from(scope.random()) << 64) | u128::from(scope.random());
            // Version 4, variant 1 (RFC 9562).
            let bits = bits & !(0xf << 76) | (4 << 76);
            let bits = bits & !(0x3 << 62) | (2 << 62);
            let hex = format!("{bits:032x}");
            let parts = [
                &hex[..8],
                &hex[8..12],
                &hex[12..16],
                &hex[16..20],
                &hex[20..],
            ];
            Ok(Value::from(parts.join("-")))
        }
        name => Err(Fault::intrinsic(format!(
            "there is no intrinsic function States.{name}"
        ))),
    }
}

fn format(arguments: &Arguments<'_>) -> Result<Value, Fault> {
    if arguments.values.is_empty() {
        return Err(arguments.wrong());
    }
    let uneven = || {
        let cause = arguments.wrong().cause;
        Fault::intrinsic(format!(
            "{cause}: number of arguments do not match the occurrences of {{}}."
        ))
    };
    let unmatched = |found: char, wanted: char| {
        Fault::intrinsic(format!(
            "Invalid template in States.Format: matching '{wanted}' not found for '{found}'."
        ))
    };
    let mut values = arguments.values[1..].iter();
    let mut text = String::new();
    let mut template = arguments.text(0)?.chars();
    while let Some(c) = template.next() {
        match c {
            '{' if template.next() == Some('}') => {
                show(values.next().ok_or_else(uneven)?, &mut text);
            }
            '{' => return Err(unmatched('{', '}')),
            '}' => return Err(unmatched('}', '{')),
            c => text.push(c),
        }
    }
    if values.next().is_some() {
        return Err(uneven());
    }
    Ok(literal_braces(Value::String(text)))
}

/// Strings bare, lists and maps as the original (written in Java) prints them.
fn show(value: &Value, out: &mut String) {
    match value {
        Value::String(text) => out.push_str(text),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                show(item, out);
            }
            out.push(']');
        }
        Value::Object(map) => {
            out.push('{');
            for (index, (key, item)) in map.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                out.push_str(key);
                out.push('=');
                show(item, out);
            }
            out.push('}');
        }
        other => {
            let _ = write!(out, "{other}");
        }
    }
}

/// Equal, with 1 and 1.0 the same number.
fn same(a: &Value, b: &Value) -> bool {
    Val::from_json(a).equals(&Val::from_json(b))
}

fn range(arguments: &Arguments<'_>) -> Result<Value, Fault> {
    arguments.count(3..=3)?;
    let (first, last, by) = (
        arguments.integer(0)?,
        arguments.integer(1)?,
        arguments.integer(2)?,
    );
    if by == 0 {
        return Err(arguments.wrong());
    }
    let mut items = Vec::new();
    let mut next = Some(first);
    while let Some(number) = next
        && (if by > 0 {
            number <= last
        } else {
            number >= last
        })
    {
        if items.len() >= RANGE_LEN_MAX {
            return Err(arguments.wrong());
        }
        items.push(Value::from(number));
        next = number.checked_add(by);
    }
    Ok(Value::from(items))
}

fn hash(arguments: &Arguments<'_>) -> Result<Value, Fault> {
    arguments.count(2..=2)?;
    let data = match &arguments.values[0] {
        Value::String(_) => arguments.short_text(0)?.to_owned(),
        other => other.to_string(),
    };
    let hex = |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
    Ok(Value::from(match arguments.text(1)? {
        "MD5" => hex(&md5::Md5::digest(data)),
        "SHA-1" => hex(&sha1::Sha1::digest(data)),
        "SHA-256" => hex(&sha2::Sha256::digest(data)),
        "SHA-384" => hex(&sha2::Sha384::digest(data)),
        "SHA-512" => hex(&sha2::Sha512::digest(data)),
        _ => return Err(arguments.wrong()),
    }))
}

/// One step of `SplitMix64` from a seed.
pub fn split_mix(seed: u64) -> u64 {
    let mut state = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}
