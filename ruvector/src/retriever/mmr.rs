//! Maximal marginal relevance (Carbonell and Goldstein, 1998): near the query, far from what was
//! chosen already.

/// Positions of the chosen candidates, in order. `relevance` holds each candidate's similarity to the query,
/// `similarity(a, b)` tells that of two candidates; `weight` 1 is relevance alone. O(candidates x k).
pub(super) fn choose(
    relevance: &[f32],
    k: usize,
    weight: f32,
    mut similarity: impl FnMut(usize, usize) -> f32,
) -> Vec<usize> {
    let mut left: Vec<usize> = (0..relevance.len()).collect();
    let mut nearest_chosen = vec![f32::NEG_INFINITY; relevance.len()];
    let mut chosen = Vec::with_capacity(k.min(relevance.len()));
    while chosen.len() < k {
        let worth = |at: usize| {
            let redundancy = match chosen.is_empty() {
                true => 0.0,
                false => nearest_chosen[at],
            };
            weight * relevance[at] - (1.0 - weight) * redundancy
        };
        // The first of equals, so that the order is the search's.
        let best = left
            .iter()
            .enumerate()
            .max_by(|(i, a), (j, b)| worth(**a).total_cmp(&worth(**b)).then(j.cmp(i)))
            .map(|(place, _)| place);
        let Some(best) = best else {
            break;
        };
        let taken = left.remove(best);
        chosen.push(taken);
        for at in &left {
            nearest_chosen[*at] = nearest_chosen[*at].max(similarity(*at, taken));
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_of_the_best_is_passed_over() {
        let points = [[1.0_f32, 0.0], [1.0, 0.0], [0.8, 0.6]];
        let relevance = [0.99, 0.98, 0.9];
        let dot = |a: usize, b: usize| points[a][0] * points[b][0] + points[a][1] * points[b][1];
        assert_eq!(choose(&relevance, 2, 0.5, dot), [0, 2]);
        assert_eq!(choose(&relevance, 2, 1.0, dot), [0, 1]);
        assert_eq!(choose(&relevance, 9, 0.5, dot).len(), 3);
    }
}
