//! Connected pieces of a mask.

/// One connected piece.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Blob {
    /// Left, top, right and bottom pixel, all inside.
    pub x0: usize,
    pub y0: usize,
    pub x1: usize,
    pub y1: usize,
    /// Its pixels, by their place in the mask.
    pub pixels: Vec<u32>,
}

impl Blob {
    pub fn width(&self) -> usize {
        self.x1 - self.x0 + 1
    }

    pub fn height(&self) -> usize {
        self.y1 - self.y0 + 1
    }

    /// The blob of some pixels of a mask of this width; none without pixels.
    pub fn of(pixels: Vec<u32>, width: usize) -> Option<Self> {
        let first = *pixels.first()? as usize;
        let (x, y) = (first % width, first / width);
        let mut blob = Self {
            x0: x,
            y0: y,
            x1: x,
            y1: y,
            pixels: Vec::new(),
        };
        for at in &pixels {
            let (x, y) = (*at as usize % width, *at as usize / width);
            blob.x0 = blob.x0.min(x);
            blob.x1 = blob.x1.max(x);
            blob.y0 = blob.y0.min(y);
            blob.y1 = blob.y1.max(y);
        }
        blob.pixels = pixels;
        Some(blob)
    }
}

/// Closes gaps of up to two pixels: a pixel is set when its surroundings are, and stays only where they
/// all are. Linear in the pixels; the mask's outermost pixels are left as they are.
pub(super) fn close_gaps(mask: &mut [bool], scratch: &mut Vec<bool>, width: usize) {
    spread(mask, scratch, width, true);
    spread(mask, scratch, width, false);
}

/// Sets each pixel of which a neighbour has `value` to `value`.
fn spread(mask: &mut [bool], scratch: &mut Vec<bool>, width: usize, value: bool) {
    let height = mask.len() / width;
    scratch.clear();
    scratch.extend_from_slice(mask);
    for y in 1..height.saturating_sub(1) {
        for x in 1..width.saturating_sub(1) {
            let at = y * width + x;
            let rows = [at - width, at, at + width];
            if rows
                .iter()
                .any(|row| scratch[row - 1..=row + 1].contains(&value))
            {
                mask[at] = value;
            }
        }
    }
}

/// The pieces of at least `area_min` pixels, eight-connected, in order of their first pixel. Clears the
/// mask. Linear in the pixels.
pub(super) fn blobs(mask: &mut [bool], width: usize, area_min: usize) -> Vec<Blob> {
    let height = mask.len() / width;
    let mut found = Vec::new();
    for start in 0..mask.len() {
        if !mask[start] {
            continue;
        }
        mask[start] = false;
        let mut pixels = vec![start as u32];
        let mut next = 0;
        while let Some(at) = pixels.get(next) {
            next += 1;
            let (x, y) = (*at as usize % width, *at as usize / width);
            for ny in y.saturating_sub(1)..=(y + 1).min(height - 1) {
                for nx in x.saturating_sub(1)..=(x + 1).min(width - 1) {
                    let neighbour = ny * width + nx;
                    if mask[neighbour] {
                        mask[neighbour] = false;
                        pixels.push(neighbour as u32);
                    }
                }
            }
        }
        if pixels.len() >= area_min {
            found.extend(Blob::of(pixels, width));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(rows: &[&str]) -> (Vec<bool>, usize) {
        (
            rows.iter()
                .flat_map(|row| row.bytes().map(|b| b == b'#'))
                .collect(),
            rows[0].len(),
        )
    }

    #[test]
    fn pieces_are_found_whole_and_small_ones_left_out() {
        let (mut mask, width) = mask(&["##....", ".#...#", "..#...", "......"]);
        let found = blobs(&mut mask, width, 2);
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].x0, found[0].y0, found[0].x1, found[0].y1),
            (0, 0, 2, 2)
        );
        assert_eq!(found[0].pixels.len(), 4);
    }

    #[test]
    fn a_gap_of_one_pixel_is_closed_and_the_outline_kept() {
        let (mut closed, width) = mask(&[
            ".........",
            ".........",
            "..##.##..",
            "..##.##..",
            ".........",
            ".........",
        ]);
        let mut scratch = Vec::new();
        close_gaps(&mut closed, &mut scratch, width);
        let (wanted, _) = mask(&[
            ".........",
            ".........",
            "..#####..",
            "..#####..",
            ".........",
            ".........",
        ]);
        assert_eq!(closed, wanted);
    }
}
