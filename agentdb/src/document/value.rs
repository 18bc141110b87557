//! JSON values as bytes.

use serde_json::Value;

use super::FIELD_BYTES_MAX;
use crate::bytes::{Malformed, Reader, put, put_bytes, put_signed};

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const WHOLE: u8 = 3;
const UNSIGNED: u8 = 4;
const REAL: u8 = 5;
const TEXT: u8 = 6;
const JSON: u8 = 7;
/// Beside the kind: the stamp was made by a wrong clock.
const SUSPECT: u8 = 0x80;

pub(super) fn write(out: &mut Vec<u8>, value: &Value, suspect: bool) {
    let mark = if suspect { SUSPECT } else { 0 };
    match value {
        Value::Null => out.push(NULL | mark),
        Value::Bool(false) => out.push(FALSE | mark),
        Value::Bool(true) => out.push(TRUE | mark),
        Value::Number(number) => {
            if let Some(whole) = number.as_i64() {
                out.push(WHOLE | mark);
                put_signed(out, whole);
            } else if let Some(whole) = number.as_u64() {
                out.push(UNSIGNED | mark);
                put(out, whole);
            } else {
                out.push(REAL | mark);
                let real = number.as_f64().unwrap_or_default();
                out.extend_from_slice(&real.to_le_bytes());
            }
        }
        Value::String(text) => {
            out.push(TEXT | mark);
            put_bytes(out, text.as_bytes());
        }
        Value::Array(_) | Value::Object(_) => {
            out.push(JSON | mark);
            put_bytes(out, value.to_string().as_bytes());
        }
    }
}

/// The value, and whether its stamp is marked.
pub(super) fn read(reader: &mut Reader<'_>) -> Result<(Value, bool), Malformed> {
    let head = reader.byte()?;
    let value = match head & !SUSPECT {
        NULL => Value::Null,
        FALSE => Value::Bool(false),
        TRUE => Value::Bool(true),
        WHOLE => reader.signed()?.into(),
        UNSIGNED => reader.number()?.into(),
        REAL => {
            let real = f64::from_le_bytes(reader.array()?);
            let number = serde_json::Number::from_f64(real);
            Value::Number(
                number.ok_or_else(|| reader.wrong::<Malformed>("a number is not finite"))?,
            )
        }
        TEXT => reader.string(FIELD_BYTES_MAX)?.into(),
        JSON => {
            let json = reader.bytes(FIELD_BYTES_MAX)?;
            serde_json::from_slice(json)
                .map_err(|_| reader.wrong::<Malformed>("a value is no JSON"))?
        }
        _ => return Err(reader.wrong("a value is of no known kind")),
    };
    Ok((value, head & SUSPECT != 0))
}
