//! The farm's configuration, `farm.toml`: what is watched, with which limits, and where alerts go.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::frame::CameraId;
use crate::night::Night;
use crate::zone::Zone;

/// The largest configuration file that is read, in bytes.
const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// All of `farm.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The farm's name: the first word of each MQTT topic.
    #[serde(default = "default_name")]
    pub name: String,
    /// The folder that keeps what must survive: state, workflows, alerts that wait.
    #[serde(default = "default_state")]
    pub state: PathBuf,
    /// When it is night.
    #[serde(default)]
    pub night: Night,
    /// What is too long, too many, too still.
    #[serde(default)]
    pub limits: Limits,
    /// The farm's broker; without it the gateway runs one of its own on loopback.
    pub mqtt: Option<Mqtt>,
    /// The detector.
    #[serde(default)]
    pub model: Model,
    /// Cameras.
    #[serde(default, rename = "camera")]
    pub cameras: Vec<Camera>,
    /// Zones of the cameras' pictures.
    #[serde(default, rename = "zone")]
    pub zones: Vec<Zone>,
    /// A folder of leg accelerometer recordings.
    pub collars: Option<PathBuf>,
    /// A folder of prompt tiers; without it the built-in ones.
    pub prompts: Option<PathBuf>,
}

/// A camera and where its pictures come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Camera {
    /// Its name, unique on the farm.
    pub name: CameraId,
    /// Where its pictures come from.
    #[serde(flatten)]
    pub input: CameraInput,
}

/// Where a camera's pictures come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CameraInput {
    /// A folder of photos, in order of their names.
    Photos(PathBuf),
    /// A recording.
    Video(PathBuf),
}

/// The detector that the model runner loads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Model {
    /// A background model: needs no weights.
    #[default]
    Motion,
    /// SSD-MobileNetV2, an ONNX file.
    Ssd(PathBuf),
}

/// A broker on the farm's network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mqtt {
    /// Host name or address.
    pub host: String,
    /// Port.
    #[serde(default = "default_mqtt_port")]
    pub port: u16,
    /// Account, where the broker asks for one.
    pub user: Option<String>,
    /// A file whose first line is the account's password.
    pub password_file: Option<PathBuf>,
}

/// What is too long, too many, too still: what a farmer would set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// A person shorter in the pen than this is no incident, in seconds.
    pub person_dwell_s: f64,
    /// An animal that lies longer than this lies longer than usual, in seconds.
    pub lying_limit_s: f64,
    /// A lying animal whose mean activity, in g, stays below this hardly moves.
    pub activity_limit_g: f64,
    /// The time over which activity is averaged, in seconds.
    pub activity_window_s: f64,
    /// This many animals at the trough are too many.
    pub crowd_size: u32,
    /// A crowd shorter than this is ordinary, in seconds.
    pub crowd_window_s: f64,
    /// Postures shorter than this are noise, in seconds.
    pub bout_min_s: f64,
    /// One case goes on while its pattern comes again within this time, in seconds.
    pub case_quiet_s: f64,
    /// An alert that nobody acknowledges within this time is escalated, in seconds.
    pub acknowledge_s: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            person_dwell_s: 3.0,
            lying_limit_s: 3.0 * 3600.0,
            activity_limit_g: 0.06,
            activity_window_s: 900.0,
            crowd_size: 5,
            crowd_window_s: 300.0,
            bout_min_s: 120.0,
            case_quiet_s: 600.0,
            acknowledge_s: 900.0,
        }
    }
}

impl Limits {
    fn durations(&self) -> [(&'static str, f64); 7] {
        [
            ("person_dwell_s", self.person_dwell_s),
            ("lying_limit_s", self.lying_limit_s),
            ("activity_window_s", self.activity_window_s),
            ("crowd_window_s", self.crowd_window_s),
            ("bout_min_s", self.bout_min_s),
            ("case_quiet_s", self.case_quiet_s),
            ("acknowledge_s", self.acknowledge_s),
        ]
    }
}

/// A number of seconds from the configuration, checked by [`Config::check`], as a duration.
pub fn seconds(s: f64) -> Duration {
    Duration::try_from_secs_f64(s).unwrap_or(Duration::MAX)
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}: {cause}; name a farm.toml, or try `livestock-gateway demo`, which needs none", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The file is far larger than a configuration.
    #[error("{} has {bytes} bytes, a configuration at most {CONFIG_BYTES_MAX}: is it the right file?", path.display())]
    Size {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// The file is not TOML, or has a field that is unknown or of the wrong type.
    #[error("{}, line {line}, column {column}: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
        /// What is wrong, in one line.
        message: String,
    },
    /// A value makes no sense.
    #[error("{field} is {value}: {wanted}")]
    Value {
        /// Which field.
        field: String,
        /// What it says.
        value: String,
        /// What it should be.
        wanted: &'static str,
    },
}

impl Config {
    /// Reads and checks a file; paths in it count from its folder.
    ///
    /// # Errors
    /// [`ConfigError`], with the line and column where the text is at fault.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |cause| ConfigError::Read {
            path: path.into(),
            cause,
        };
        let bytes = fs::metadata(path).map_err(unreadable)?.len();
        if bytes > CONFIG_BYTES_MAX {
            return Err(ConfigError::Size {
                path: path.into(),
                bytes,
            });
        }
        let text = fs::read_to_string(path).map_err(unreadable)?;
        let mut config: Self = toml::from_str(&text).map_err(|cause| {
            let start = cause.span().map_or(0, |span| span.start);
            let before = text.get(..start).unwrap_or_default();
            ConfigError::Syntax {
                path: path.into(),
                line: before.matches('\n').count() + 1,
                column: before.chars().rev().take_while(|c| *c != '\n').count() + 1,
                message: cause
                    .message()
                    .lines()
                    .next()
                    .unwrap_or("not TOML")
                    .to_owned(),
            }
        })?;
        config.anchor(path.parent().unwrap_or(Path::new("")));
        config.check()?;
        Ok(config)
    }

    fn anchor(&mut self, folder: &Path) {
        let anchor = |path: &mut PathBuf| *path = folder.join(&*path);
        anchor(&mut self.state);
        self.collars.iter_mut().for_each(anchor);
        self.prompts.iter_mut().for_each(anchor);
        if let Model::Ssd(path) = &mut self.model {
            anchor(path);
        }
        if let Some(Mqtt {
            password_file: Some(path),
            ..
        }) = &mut self.mqtt
        {
            anchor(path);
        }
        for camera in &mut self.cameras {
            match &mut camera.input {
                CameraInput::Photos(path) | CameraInput::Video(path) => anchor(path),
            }
        }
    }

    /// Checks what the types do not say.
    ///
    /// # Errors
    /// [`ConfigError::Value`] naming the first field that makes no sense.
    pub fn check(&self) -> Result<(), ConfigError> {
        let bad = |field: String, value: String, wanted| {
            Err(ConfigError::Value {
                field,
                value,
                wanted,
            })
        };
        if self.name.is_empty() || self.name.contains(['/', '+', '#']) {
            return bad(
                "name".into(),
                format!("{:?}", self.name),
                "give the farm a name without / + #",
            );
        }
        for (name, value) in self.limits.durations() {
            if !(value.is_finite() && (0.0..=31.0 * 86400.0).contains(&value)) {
                return bad(
                    format!("limits.{name}"),
                    value.to_string(),
                    "give seconds between 0 and 31 days",
                );
            }
        }
        let activity = self.limits.activity_limit_g;
        if !(0.0..=8.0).contains(&activity) {
            return bad(
                "limits.activity_limit_g".into(),
                activity.to_string(),
                "give 0 to 8 g",
            );
        }
        for (i, camera) in self.cameras.iter().enumerate() {
            if self.cameras[..i]
                .iter()
                .any(|other| other.name == camera.name)
            {
                return bad(
                    format!("camera[{i}].name"),
                    camera.name.to_string(),
                    "camera names are unique",
                );
            }
        }
        for (i, zone) in self.zones.iter().enumerate() {
            if self.zones[..i].iter().any(|other| other.name == zone.name) {
                return bad(
                    format!("zone[{i}].name"),
                    zone.name.clone(),
                    "zone names are unique",
                );
            }
            if zone.polygon.len() < 3 {
                return bad(
                    format!("zone[{i}].polygon"),
                    format!("{} corners", zone.polygon.len()),
                    "give three or more",
                );
            }
            if !self.cameras.is_empty()
                && self.cameras.iter().all(|camera| camera.name != zone.camera)
            {
                return bad(
                    format!("zone[{i}].camera"),
                    zone.camera.to_string(),
                    "name one of the cameras",
                );
            }
        }
        Ok(())
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: default_name(),
            state: default_state(),
            night: Night::default(),
            limits: Limits::default(),
            mqtt: None,
            model: Model::default(),
            cameras: Vec::new(),
            zones: Vec::new(),
            collars: None,
            prompts: None,
        }
    }
}

fn default_name() -> String {
    "farm".into()
}

fn default_state() -> PathBuf {
    "livestock-state".into()
}

fn default_mqtt_port() -> u16 {
    1883
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("farm.toml");
        fs::write(&path, text).unwrap();
        Config::read(&path)
    }

    #[test]
    fn a_whole_configuration_is_read_with_paths_from_its_folder() {
        let config = read(
            r#"
            name = "home"
            state = "var"
            collars = "legs"
            [night]
            from = "20:30"
            to = "05:45"
            utc_offset_minutes = 60
            [limits]
            crowd_size = 7
            [mqtt]
            host = "broker.local"
            [model]
            ssd = "ssd.onnx"
            [[camera]]
            name = "barn"
            photos = "photos"
            [[zone]]
            name = "pen"
            camera = "barn"
            kind = "pen"
            polygon = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]
            "#,
        )
        .unwrap();
        assert_eq!(config.limits.crowd_size, 7);
        assert_eq!(config.limits.bout_min_s, Limits::default().bout_min_s);
        assert_eq!(config.mqtt.unwrap().port, 1883);
        assert!(config.state.is_absolute() && config.state.ends_with("var"));
        assert!(matches!(&config.model, Model::Ssd(path) if path.is_absolute()));
        assert!(
            matches!(&config.cameras[0].input, CameraInput::Photos(path) if path.is_absolute())
        );
    }

    #[test]
    fn a_mistake_is_told_with_its_line_and_column() {
        let error = read("name = \"home\"\n[limits]\ncrowd_sise = 7\n").unwrap_err();
        let ConfigError::Syntax {
            line,
            column,
            message,
            ..
        } = &error
        else {
            panic!("{error}")
        };
        assert_eq!((*line, *column), (3, 1));
        assert!(message.contains("crowd_sise"), "{message}");
        assert!(!error.to_string().contains('\n'));
    }

    #[test]
    fn a_value_without_sense_is_told_with_its_field() {
        for (text, field) in [
            ("[limits]\nlying_limit_s = -1.0", "limits.lying_limit_s"),
            ("[limits]\nlying_limit_s = nan", "limits.lying_limit_s"),
            ("name = \"a/b\"", "name"),
            (
                "[[camera]]\nname='a'\nvideo='v'\n[[camera]]\nname='a'\nvideo='w'",
                "camera[1].name",
            ),
            (
                "[[zone]]\nname='z'\ncamera='a'\nkind='pen'\npolygon=[[0.0,0.0]]",
                "zone[0].polygon",
            ),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.starts_with(field), "{error}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_told_with_the_way_out() {
        let error = Config::read(Path::new("no/such/farm.toml"))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("no/such/farm.toml") && error.contains("demo"),
            "{error}"
        );
    }
}
