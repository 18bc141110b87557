//! `check`: what a configuration would run, without running it.

use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

use crate::config::{CameraInput, Config, Model};
use crate::source::collars::Collars;
use crate::source::photos::Photos;
use crate::source::video::Video;

use super::CommandError;
use super::plugin::start_runner;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Reads a configuration, opens each input, starts the detector, tries the broker, and prints what would
/// run.
///
/// # Errors
/// The first thing that would not work.
pub fn check(path: &Path) -> Result<(), CommandError> {
    let config = Config::read(path)?;
    println!("farm {}, state in {}", config.name, config.state.display());
    for camera in &config.cameras {
        let zones = config
            .zones
            .iter()
            .filter(|zone| zone.camera == camera.name)
            .count();
        let input = match &camera.input {
            CameraInput::Photos(folder) => {
                Photos::open(folder, camera.name.clone())?;
                format!("photos in {}", folder.display())
            }
            CameraInput::Video(file) => {
                Video::open(file, camera.name.clone())?;
                format!("recording {}", file.display())
            }
        };
        println!("camera {}: {input}, {zones} zones", camera.name);
    }
    if let Some(folder) = &config.collars {
        Collars::open(folder)?;
        println!("leg recordings in {}", folder.display());
    }
    if !config.cameras.is_empty() {
        let runner = start_runner(&config.model)?;
        let model = match &config.model {
            Model::Motion => "motion".to_owned(),
            Model::Ssd(file) => format!("ssd, {}", file.display()),
        };
        println!("detector {model}: {}", runner.description().name);
    }
    match &config.mqtt {
        None => println!("broker: embedded, on loopback"),
        Some(mqtt) => {
            reach(&mqtt.host, mqtt.port)?;
            println!("broker: {}:{}", mqtt.host, mqtt.port);
        }
    }
    Ok(())
}

fn reach(host: &str, port: u16) -> Result<(), CommandError> {
    let unreachable = |cause: std::io::Error| {
        CommandError::Usage(format!(
            "cannot reach the MQTT broker at {host}:{port}: {cause}; alerts would wait on disk until it is back"
        ))
    };
    let address = (host, port)
        .to_socket_addrs()
        .and_then(|mut all| {
            all.next()
                .ok_or_else(|| std::io::Error::other("no such host"))
        })
        .map_err(unreachable)?;
    TcpStream::connect_timeout(&address, CONNECT_TIMEOUT)
        .map(drop)
        .map_err(unreachable)
}
