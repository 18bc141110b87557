//! A deployment at work.

use std::path::PathBuf;

use clap::Args;
use midstream::deploy::Deployment;
use midstream::serve::serve;

use super::table::Failure;

/// A deployment over MQTT, until SIGTERM or Ctrl-C.
#[derive(Args)]
pub struct Serve {
    /// The deployment; its keys are in DEPLOYMENT.md.
    #[arg(long, value_name = "FILE")]
    deploy: PathBuf,
    /// Only say whether the file is right.
    #[arg(long)]
    check: bool,
}

pub fn run(options: &Serve) -> Result<(), Failure> {
    let path = options.deploy.display();
    let text =
        std::fs::read_to_string(&options.deploy).map_err(|cause| format!("{path}: {cause}"))?;
    let deployment = Deployment::parse(&text).map_err(|cause| format!("{path}: {cause}"))?;
    if options.check {
        println!("{path}: it is right");
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let metrics = runtime.block_on(async {
        let stop = stop()?;
        let told = |change: &midstream::backpressure::Change| {
            if let Ok(line) = serde_json::to_string(change) {
                eprintln!("{line}");
            }
        };
        serve(&deployment, told, stop).await.map_err(Failure::from)
    })?;
    println!("{}", serde_json::to_string(&metrics)?);
    Ok(())
}

/// Comes with SIGTERM or Ctrl-C.
#[cfg(unix)]
fn stop() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut end = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = end.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn stop() -> std::io::Result<impl Future<Output = ()>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}
