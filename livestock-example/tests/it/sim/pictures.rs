//! What is said to be visible is drawn there, and nothing else.

use livestock::detection::{Label, Rect};
use livestock::frame::Frame;
use livestock::sim::{Farm, FarmOptions, Visible};

use super::{frames, seconds, small};

/// How much two pictures differ at a pixel.
fn difference(a: &Frame, b: &Frame, x: u32, y: u32) -> u32 {
    let i = ((y * a.width() + x) * 3) as usize;
    let channels = i..i + 3;
    channels
        .map(|c| u32::from(a.rgb()[c].abs_diff(b.rgb()[c])))
        .max()
        .unwrap()
}

fn inside(rect: &Rect, margin: f32, x: f32, y: f32) -> bool {
    (rect.x0 - margin..=rect.x1 + margin).contains(&x)
        && (rect.y0 - margin..=rect.y1 + margin).contains(&y)
}

#[test]
fn pictures_change_where_something_is_visible_and_only_there() {
    // By day everything that differs from the empty pen is someone, but for a shadow that passes.
    let mut farm = Farm::new(FarmOptions {
        fps: 2.0,
        ..small(1)
    })
    .unwrap();
    let dusk = farm.start().after(std::time::Duration::from_secs(18));
    let pictures = frames(&mut farm);
    let mut checked = 0;
    let (mut whole, mut stray) = (0, 0);
    for frame in pictures.iter().filter(|frame| frame.at < dusk) {
        let empty = pictures.iter().find(|f| f.camera == frame.camera).unwrap();
        let visible = farm.visible(&frame.camera, frame.at);
        let (w, h) = (frame.width(), frame.height());
        let (mut outside, mut changed) = (0, 0);
        let mut drawn = vec![(0_u32, 0_u32); visible.len()];
        for y in 0..h {
            for x in 0..w {
                let differs = difference(frame, empty, x, y) > 45;
                let (px, py) = ((x as f32 + 0.5) / w as f32, (y as f32 + 0.5) / h as f32);
                for (v, drawn) in visible.iter().zip(&mut drawn) {
                    if inside(&v.rect, 0.0, px, py) {
                        drawn.0 += u32::from(differs);
                        drawn.1 += 1;
                    }
                }
                if !visible.iter().any(|v| inside(&v.rect, 0.02, px, py)) {
                    outside += 1;
                    changed += u32::from(differs);
                }
            }
        }
        whole += 1;
        stray += u32::from(f64::from(changed) > 0.005 * f64::from(outside));
        for (v, (differs, all)) in visible.iter().zip(drawn) {
            if v.fraction > 0.9 {
                let share = f64::from(differs) / f64::from(all);
                assert!(share > 0.2, "{v:?} at {}: {share}", frame.at);
                checked += 1;
            }
        }
    }
    assert!(stray * 8 < whole, "{stray} of {whole}");
    assert!(checked > 300, "{checked}");
}

#[test]
fn pens_are_empty_at_first_and_then_full() {
    for seed in 0..4 {
        let farm = Farm::new(small(seed)).unwrap();
        let camera = farm.zones()[0].camera.clone();
        let after = |millis| farm.start().after(std::time::Duration::from_millis(millis));
        for t in (0..1500).step_by(250) {
            assert!(farm.visible(&camera, after(t)).is_empty());
        }
        let cattle = farm.visible(&camera, after(17_000));
        assert_eq!(
            cattle.iter().filter(|v| v.label == Label::Cattle).count(),
            8
        );
    }
}

#[test]
fn boxes_are_inside_the_picture_and_shares_are_shares() {
    let farm = Farm::new(seconds(9, 30)).unwrap();
    for camera in ["cam-1", "cam-2"].map(livestock::frame::CameraId::new) {
        for t in (0..30_000).step_by(500) {
            let at = farm.start().after(std::time::Duration::from_millis(t));
            for v in farm.visible(&camera, at) {
                assert!(v.rect.x0 >= 0.0 && v.rect.y0 >= 0.0);
                assert!(v.rect.x1 <= 1.0 && v.rect.y1 <= 1.0);
                assert!(v.rect.area() > 0.0);
                assert!((0.0..=1.0).contains(&v.fraction));
            }
        }
    }
}

#[test]
fn people_are_upright_and_cattle_are_wide() {
    let farm = Farm::new(FarmOptions::default()).unwrap();
    let mut seen = [0, 0];
    for camera in ["cam-1", "cam-2"].map(livestock::frame::CameraId::new) {
        for t in (0..60_000).step_by(500) {
            let at = farm.start().after(std::time::Duration::from_millis(t));
            for v in farm
                .visible(&camera, at)
                .iter()
                .filter(|v| v.fraction > 0.95)
            {
                // In pixels: the picture is four by three.
                let aspect = v.rect.width() * 4.0 / (v.rect.height() * 3.0);
                match v.label {
                    Label::Person => {
                        assert!((0.2..0.7).contains(&aspect), "{v:?}");
                        seen[0] += 1;
                    }
                    Label::Cattle => {
                        assert!((1.2..3.2).contains(&aspect), "{v:?}");
                        seen[1] += 1;
                    }
                    _ => {}
                }
            }
        }
    }
    assert!(seen[0] > 30 && seen[1] > 500, "{seen:?}");
}

#[test]
fn no_animal_stands_inside_another() {
    for seed in 0..3 {
        let farm = Farm::new(small(seed)).unwrap();
        let (mut inside, mut all) = (0, 0);
        for camera in ["cam-1", "cam-2"].map(livestock::frame::CameraId::new) {
            for t in (0..60_000).step_by(400) {
                let at = farm.start().after(std::time::Duration::from_millis(t));
                let mut seen = farm.visible(&camera, at);
                seen.retain(|v| v.label == Label::Cattle);
                for (i, one) in seen.iter().enumerate() {
                    let same = |other: &Visible| one.rect.iou(&other.rect) > 0.7;
                    inside += usize::from(seen[i + 1..].iter().any(same));
                    all += 1;
                }
            }
        }
        // Those that walk may pass in front of each other.
        assert!(inside * 100 < all, "{inside} of {all}");
    }
}
