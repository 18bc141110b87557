//! What cannot be improved in one respect without losing in another.

/// Positions of the rows that no other row is at least as good as in every value and better in one;
/// larger is better. Equal rows all stay.
pub fn front<const N: usize>(rows: &[[f64; N]]) -> Vec<usize> {
    let dominates = |a: &[f64; N], b: &[f64; N]| {
        a.iter().zip(b).all(|(a, b)| a >= b) && a.iter().zip(b).any(|(a, b)| a > b)
    };
    (0..rows.len())
        .filter(|at| !rows.iter().any(|other| dominates(other, &rows[*at])))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_front_is_exactly_what_nothing_dominates(
            rows in prop::collection::vec([0..4i32, 0..4i32, 0..4i32], 0..30)
        ) {
            let rows: Vec<[f64; 3]> = rows.into_iter().map(|row| row.map(f64::from)).collect();
            let kept = front(&rows);
            for at in 0..rows.len() {
                let beaten = rows.iter().any(|other| {
                    (0..3).all(|k| other[k] >= rows[at][k]) && (0..3).any(|k| other[k] > rows[at][k])
                });
                prop_assert_eq!(kept.contains(&at), !beaten);
            }
            prop_assert_eq!(rows.is_empty(), kept.is_empty());
        }
    }
}
