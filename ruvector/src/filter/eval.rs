//! A filter as a set of slots, column by column.

use std::cmp::Ordering;

use super::{Filter, Literal, Node, Op};
use crate::bits::Bits;
use crate::payload::{Cell, Column, Payloads};

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
        Node::Compare(field, Op::NotEqual, literal) => {
            let mut bits = equal_to(payloads.column(field), literal, length);
            bits.invert();
            bits
        }
        Node::Compare(field, Op::Equal, literal) => {
            equal_to(payloads.column(field), literal, length)
        }
        Node::Compare(field, op, literal) => {
            let Some(column) = payloads.column(field) else {
                return Bits::zeros(length);
            };
            collect(column, length, |cell| {
                let order = match (cell, literal) {
                    (Cell::Number(x), Literal::Number(y)) => x.partial_cmp(y),
                    (Cell::Text(x), Literal::Text(y)) => column
                        .texts
                        .get(*x as usize)
                        .map(|x| x.as_ref().cmp(y.as_ref())),
                    _ => None,
                };
                order.is_some_and(|order| match op {
                    Op::Less => order == Ordering::Less,
                    Op::LessEqual => order != Ordering::Greater,
                    Op::Greater => order == Ordering::Greater,
                    Op::GreaterEqual => order != Ordering::Less,
                    Op::Equal | Op::NotEqual => false,
                })
            })
        }
        Node::In(field, literals) => {
            let column = payloads.column(field);
            let mut bits = Bits::zeros(length);
            for literal in literals {
                bits.or(&equal_to(column, literal, length));
            }
            bits
        }
        Node::Exists(field) => payloads.column(field).map_or_else(
            || Bits::zeros(length),
            |column| collect(column, length, |cell| *cell != Cell::Missing),
        ),
    }
}

fn equal_to(column: Option<&Column>, literal: &Literal, length: usize) -> Bits {
    let Some(column) = column else {
        return Bits::zeros(length);
    };
    let wanted = match literal {
        Literal::Null => Cell::Null,
        Literal::Bool(b) => Cell::Bool(*b),
        Literal::Number(n) => Cell::Number(*n),
        Literal::Text(text) => match column.find(text) {
            Some(at) => Cell::Text(at),
            None => return Bits::zeros(length),
        },
    };
    collect(column, length, |cell| *cell == wanted)
}

fn collect(column: &Column, length: usize, test: impl Fn(&Cell) -> bool) -> Bits {
    let mut words = vec![0_u64; length.div_ceil(64)];
    let cells = &column.cells[..column.cells.len().min(length)];
    for (word, cells) in words.iter_mut().zip(cells.chunks(64)) {
        for (bit, cell) in cells.iter().enumerate() {
            *word |= u64::from(test(cell)) << bit;
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
