//! Values of indexed fields as bytes that sort as the values do: false, true, numbers, texts.

use serde_json::Value;

/// Longer texts are cut: what an index finds is compared again.
const TEXT_BYTES_MAX: usize = 128;

const TRUTH: u8 = 1;
const NUMBER: u8 = 2;
const TEXT: u8 = 3;

/// The key of a value; none for one that no comparison is satisfied by.
pub(crate) fn of(value: &Value) -> Option<Vec<u8>> {
    Some(match value {
        Value::Bool(truth) => vec![TRUTH, u8::from(*truth)],
        Value::Number(number) => {
            let bits = number.as_f64()?.to_bits();
            // Negative numbers sort backwards by their bits.
            let sorted = if bits >> 63 == 0 {
                bits | 1 << 63
            } else {
                !bits
            };
            let mut key = vec![NUMBER];
            key.extend_from_slice(&sorted.to_be_bytes());
            key
        }
        Value::String(text) => {
            let bytes = text.as_bytes();
            let mut key = vec![TEXT];
            key.extend_from_slice(&bytes[..bytes.len().min(TEXT_BYTES_MAX)]);
            key
        }
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    })
}

/// The lowest and the highest key of the type of a value.
pub(crate) fn type_range(value: &Value) -> Option<(Vec<u8>, Vec<u8>)> {
    let tag = *of(value)?.first()?;
    Some((vec![tag], vec![tag + 1]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_sort_as_values_do() {
        let values = [
            json!(false),
            json!(true),
            json!(-1e300),
            json!(-2),
            json!(-1.5),
            json!(-0.0),
            json!(0),
            json!(1e-9),
            json!(1),
            json!(i64::MAX),
            json!(""),
            json!("a"),
            json!("a\u{0}"),
            json!("b"),
            json!("é"),
        ];
        let keys: Vec<_> = values.iter().map(|value| of(value).unwrap()).collect();
        assert!(keys.is_sorted(), "{keys:?}");
        for value in &values {
            let (low, high) = type_range(value).unwrap();
            let key = of(value).unwrap();
            assert!(low <= key && key < high);
        }
    }
}
