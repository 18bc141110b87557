//! A folder of photos as the frames of one camera.

use std::ffi::OsStr;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use image::imageops::FilterType;
use image::{ImageReader, Limits, RgbImage};

use crate::frame::{CameraId, Frame, SIDE_PIXELS_MAX};
use crate::time::Timestamp;

use super::{Input, Source, SourceError};

/// Photos are scaled down until their longer side is this many pixels: what a camera of a farm gives.
pub const PHOTO_SIDE_PIXELS: u32 = 1280;
/// Larger files are not read.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// Memory for one decoded photo: the largest frame, and once more for the decoder.
const DECODE_BYTES_MAX: u64 = SIDE_PIXELS_MAX as u64 * SIDE_PIXELS_MAX as u64 * 6;
/// The most photos of one folder.
const PHOTOS_MAX: usize = 100_000;
/// Photos carry no usable time: they are taken to be a second apart, from the epoch on.
const PERIOD: Duration = Duration::from_secs(1);

/// The JPEG and PNG files of a folder in order of their names; folders inside it are not looked into.
#[derive(Debug)]
pub struct Photos {
    camera: CameraId,
    paths: std::vec::IntoIter<PathBuf>,
    seq: u64,
    at: Timestamp,
}

impl Photos {
    /// Lists the folder; photos are read one by one, later.
    ///
    /// # Errors
    /// [`SourceError::Read`] when the folder cannot be listed, [`SourceError::Empty`] when it holds no photo.
    pub fn open(folder: &Path, camera: CameraId) -> Result<Self, SourceError> {
        let unreadable = |cause| SourceError::Read {
            path: folder.to_owned(),
            cause,
        };
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            if is_photo(&path) {
                paths.push(path);
            }
            if paths.len() > PHOTOS_MAX {
                let cause = std::io::Error::other(format!(
                    "more than {PHOTOS_MAX} photos: split the folder"
                ));
                return Err(unreadable(cause));
            }
        }
        if paths.is_empty() {
            return Err(SourceError::Empty {
                path: folder.to_owned(),
                wanted: "photos (.jpg, .jpeg, .png)",
            });
        }
        paths.sort();
        Ok(Self {
            camera,
            paths: paths.into_iter(),
            seq: 0,
            at: Timestamp::default(),
        })
    }

    fn frame(&self, path: &Path) -> Result<Frame, SourceError> {
        let (width, height, rgb) = decode(path)?;
        Ok(Frame::new(
            self.camera.clone(),
            self.seq,
            self.at,
            width,
            height,
            rgb,
        )?)
    }
}

impl Source for Photos {
    fn next_input(&mut self) -> Option<Result<Input, SourceError>> {
        let path = self.paths.next()?;
        let frame = self.frame(&path);
        self.at = self.at.after(PERIOD);
        if frame.is_ok() {
            self.seq += 1;
        }
        Some(frame.map(Input::Frame))
    }
}

fn is_photo(path: &Path) -> bool {
    let ending = path
        .extension()
        .and_then(OsStr::to_str)
        .map(str::to_ascii_lowercase);
    matches!(ending.as_deref(), Some("jpg" | "jpeg" | "png")) && path.is_file()
}

/// Width, height and pixels of a photo, scaled down to [`PHOTO_SIDE_PIXELS`].
fn decode(path: &Path) -> Result<(u32, u32, Arc<[u8]>), SourceError> {
    let damaged = |cause: String| SourceError::Item {
        path: path.to_owned(),
        cause,
    };
    let bytes = std::fs::metadata(path)
        .map_err(|cause| damaged(cause.to_string()))?
        .len();
    if bytes > FILE_BYTES_MAX {
        return Err(damaged(format!(
            "{bytes} bytes, photos of up to {FILE_BYTES_MAX} are read"
        )));
    }
    let file = std::fs::read(path).map_err(|cause| damaged(cause.to_string()))?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(SIDE_PIXELS_MAX);
    limits.max_image_height = Some(SIDE_PIXELS_MAX);
    limits.max_alloc = Some(DECODE_BYTES_MAX);
    // The content says what it is; the ending may lie.
    let mut reader = ImageReader::new(Cursor::new(file))
        .with_guessed_format()
        .map_err(|cause| damaged(cause.to_string()))?;
    reader.limits(limits);
    let photo = reader
        .decode()
        .map_err(|cause| damaged(cause.to_string()))?
        .into_rgb8();
    let photo = scaled(photo);
    Ok((photo.width(), photo.height(), Arc::from(photo.into_raw())))
}

fn scaled(photo: RgbImage) -> RgbImage {
    let (width, height) = photo.dimensions();
    let longer = width.max(height);
    if longer <= PHOTO_SIDE_PIXELS {
        return photo;
    }
    let side = |pixels: u32| {
        let scaled = u64::from(pixels) * u64::from(PHOTO_SIDE_PIXELS) / u64::from(longer);
        u32::try_from(scaled).unwrap_or(PHOTO_SIDE_PIXELS).max(1)
    };
    image::imageops::resize(&photo, side(width), side(height), FilterType::Triangle)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            RgbImage::from_pixel(4, 2, image::Rgb([10, 200, 30]))
                .save(folder.path().join(name))
                .unwrap();
        }
        folder
    }

    fn open(folder: &Path) -> Result<Photos, SourceError> {
        Photos::open(folder, CameraId::new("photos"))
    }

    fn frame(input: Option<Result<Input, SourceError>>) -> Frame {
        match input.unwrap().unwrap() {
            Input::Frame(frame) => frame,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_damaged_photo_is_told_and_the_others_come_in_order_of_name() {
        let folder = folder(&["c.png", "a.JPG"]);
        std::fs::write(folder.path().join("b.jpg"), b"no picture at all").unwrap();
        std::fs::write(folder.path().join("notes.txt"), b"x").unwrap();
        let mut photos = open(folder.path()).unwrap();
        let first = frame(photos.next_input());
        assert_eq!((first.width(), first.height(), first.seq), (4, 2, 0));
        let damaged = photos.next_input().unwrap().unwrap_err();
        assert!(
            matches!(&damaged, SourceError::Item { path, .. } if path.ends_with("b.jpg")),
            "{damaged}"
        );
        let last = frame(photos.next_input());
        assert_eq!(last.rgb()[..3], [10, 200, 30]);
        assert_eq!((last.seq, last.at), (1, Timestamp::from_millis(2000)));
        assert!(photos.next_input().is_none());
    }

    #[test]
    fn a_cut_png_is_damaged() {
        let folder = folder(&["a.png"]);
        let path = folder.path().join("a.png");
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        let told = open(folder.path()).unwrap().next_input().unwrap();
        assert!(matches!(told, Err(SourceError::Item { .. })), "{told:?}");
    }

    #[test]
    fn an_empty_and_a_missing_folder_are_told_apart() {
        let folder = folder(&[]);
        assert!(matches!(
            open(folder.path()),
            Err(SourceError::Empty { .. })
        ));
        assert!(matches!(
            open(&folder.path().join("gone")),
            Err(SourceError::Read { .. })
        ));
    }

    #[test]
    fn a_large_photo_is_scaled_down_and_keeps_its_shape() {
        let folder = tempfile::tempdir().unwrap();
        RgbImage::from_pixel(2560, 640, image::Rgb([1, 2, 3]))
            .save(folder.path().join("wide.png"))
            .unwrap();
        let wide = frame(open(folder.path()).unwrap().next_input());
        assert_eq!((wide.width(), wide.height()), (1280, 320));
    }
}
