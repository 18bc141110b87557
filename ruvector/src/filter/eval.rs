//! A filter as a set of slots, column by column.
//!
//! Every comparison with a number is a range, and every one with another value an equality of codes:
//! two kernels that read a column as fast as memory gives it.

use std::cmp::Ordering;

use super::{Filter, Literal, Node, Op};
use crate::bits::Bits;
use crate::kernel::kernels;
use crate::payload::{Column, FALSE, NO_CODE, NULL, Payloads, TRUE};

impl Filter {
    /// The slots below `length` whose payload meets the condition.
    pub(crate) fn matching(&self, payloads: &Payloads, length: usize) -> Bits {
        evaluate(&self.root, payloads, length)
    }
}

fn evaluate(node: &Node, payloads: &Payloads, length: usize) -> Bits {
    match node {
        Node::And(left, right) => {
            let mut bits = evaluate(left, payloads, length);
            bits.and(&evaluate(right, payloads, length));
            bits
        }
        Node::Or(left, right) => {
            let mut bits = evaluate(left, payloads, length);
            bits.or(&evaluate(right, payloads, length));
            bits
        }
        Node::Not(inner) => {
            let mut bits = evaluate(inner, payloads, length);
            bits.invert();
            bits
        }
        Node::Compare(field, op, literal) => match payloads.column(field) {
            Some(column) => compare(column, *op, literal, length),
            None if *op == Op::NotEqual => inverse(Bits::zeros(length)),
            None => Bits::zeros(length),
        },
        Node::In(field, literals) => {
            let mut bits = Bits::zeros(length);
            if let Some(column) = payloads.column(field) {
                for literal in literals {
                    bits.or(&compare(column, Op::Equal, literal, length));
                }
            }
            bits
        }
        Node::Exists(field) => payloads.column(field).map_or_else(
            || Bits::zeros(length),
            |column| {
                let mut bits = between(column, f64::NEG_INFINITY, f64::INFINITY, length);
                bits.or(&collect(&column.codes, length, |code| code != NO_CODE));
                bits
            },
        ),
    }
}

fn inverse(mut bits: Bits) -> Bits {
    bits.invert();
    bits
}

fn compare(column: &Column, op: Op, literal: &Literal, length: usize) -> Bits {
    match (op, literal) {
        (Op::NotEqual, _) => inverse(compare(column, Op::Equal, literal, length)),
        (Op::Equal, Literal::Number(n)) => between(column, *n, *n, length),
        (Op::Less, Literal::Number(n)) => between(column, f64::NEG_INFINITY, n.next_down(), length),
        (Op::LessEqual, Literal::Number(n)) => between(column, f64::NEG_INFINITY, *n, length),
        (Op::Greater, Literal::Number(n)) => between(column, n.next_up(), f64::INFINITY, length),
        (Op::GreaterEqual, Literal::Number(n)) => between(column, *n, f64::INFINITY, length),
        (Op::Equal, Literal::Null) => coded(column, NULL, length),
        (Op::Equal, Literal::Bool(false)) => coded(column, FALSE, length),
        (Op::Equal, Literal::Bool(true)) => coded(column, TRUE, length),
        (Op::Equal, Literal::Text(text)) => column
            .find(text)
            .map_or_else(|| Bits::zeros(length), |code| coded(column, code, length)),
        (_, Literal::Text(text)) => {
            // Each text of the dictionary is compared once.
            let fits = |known: &str| match known.cmp(text) {
                Ordering::Less => matches!(op, Op::Less | Op::LessEqual),
                Ordering::Equal => matches!(op, Op::LessEqual | Op::GreaterEqual),
                Ordering::Greater => matches!(op, Op::Greater | Op::GreaterEqual),
            };
            let fitting: Vec<bool> = column.texts.iter().map(|known| fits(known)).collect();
            collect(&column.codes, length, |code| {
                fitting.get(code as usize).is_some_and(|fits| *fits)
            })
        }
        (_, Literal::Null | Literal::Bool(_)) => Bits::zeros(length),
    }
}

/// Slots whose number lies between two bounds, both included.
fn between(column: &Column, low: f64, high: f64, length: usize) -> Bits {
    let numbers = &column.numbers[..column.numbers.len().min(length)];
    let mut words = vec![0; length.div_ceil(64)];
    (kernels().within_f64)(numbers, low, high, &mut words);
    Bits::from_words(words, length).unwrap_or_else(|| Bits::zeros(length))
}

/// Slots that have a code.
fn coded(column: &Column, code: u32, length: usize) -> Bits {
    let codes = &column.codes[..column.codes.len().min(length)];
    let mut words = vec![0; length.div_ceil(64)];
    (kernels().equal_u32)(codes, code, &mut words);
    Bits::from_words(words, length).unwrap_or_else(|| Bits::zeros(length))
}

/// Slots whose code passes a test.
fn collect(codes: &[u32], length: usize, test: impl Fn(u32) -> bool) -> Bits {
    let mut words = vec![0_u64; length.div_ceil(64)];
    let codes = &codes[..codes.len().min(length)];
    for (word, codes) in words.iter_mut().zip(codes.chunks(64)) {
        for (bit, code) in codes.iter().enumerate() {
            *word |= u64::from(test(*code)) << bit;
        }
    }
    Bits::from_words(words, length).unwrap_or_else(|| Bits::zeros(length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::Encoded;
    use serde_json::json;

    #[test]
    fn comparisons_follow_types_and_missing_fields() {
        let rows = [
            json!({"zone": "barn-2", "age": 3, "camera": {"lens": "wide"}, "ok": true}),
            json!({"zone": "barn-1", "age": 7.5, "ok": null}),
            json!({"zone": 5}),
            json!(null),
        ];
        let mut payloads = Payloads::default();
        for (slot, row) in rows.into_iter().enumerate() {
            payloads.set(slot as u32, &Encoded::new(row).unwrap());
        }
        let cases: [(&str, &[u32]); 14] = [
            ("zone == 'barn-2'", &[0]),
            ("zone != 'barn-2'", &[1, 2, 3]),
            ("zone == 5", &[2]),
            ("zone < 'barn-2'", &[1]),
            ("age <= 3", &[0]),
            ("age > 3 && zone >= 'a'", &[1]),
            ("camera.lens == \"wide\"", &[0]),
            ("ok == null", &[1]),
            ("ok == true || zone == 5", &[0, 2]),
            ("exists(ok)", &[0, 1]),
            ("!exists(age)", &[2, 3]),
            ("zone in ['barn-1', 5, 'none']", &[1, 2]),
            ("zone in []", &[]),
            ("nothing == 1 || nothing != 1", &[0, 1, 2, 3]),
        ];
        for (text, wanted) in cases {
            let found: Vec<u32> = Filter::parse(text)
                .unwrap()
                .matching(&payloads, 4)
                .ones()
                .collect();
            assert_eq!(found, wanted, "{text}");
        }
    }
}
