//! The engine as a process.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use midstream::deploy::Deployment;

use crate::MACHINES;

#[derive(Args)]
pub struct Options {
    #[arg(long)]
    port: u16,
    #[arg(long)]
    state: PathBuf,
}

fn deployment(options: &Options) -> Result<Deployment> {
    let mut rows = String::new();
    for machine in 0..MACHINES * 16 {
        rows.push_str(&format!(
            "      - {{ machine: m-{machine}, hall: h-{} }}\n",
            machine % 7
        ));
    }
    let text = format!(
        "
broker: {{ host: 127.0.0.1, port: {}, client_id: engine }}
state: {}
engine: {{ disorder: 2s, dedup: 20s }}
sources:
  machines:
    topic: in/+
    fields: {{ machine: text, temp: float, load: float }}
tables:
  halls:
    key: machine
    fields: {{ machine: text, hall: text }}
    rows:
{rows}
rules: |
  ENRICH machines FROM halls ON machine;
  RULE load: FROM machines WHERE \"halls.hall\" != 'none' GROUP BY machine HAVING COUNT(load) > 0
    WITHIN TUMBLING WINDOW 1 SECONDS EMIT EVERY;
  RULE overheat: PATTERN SEQUENCE(hot (temp > 90), hotter (temp > 95)) FROM machines BY machine WITHIN 60 SECONDS
sinks:
  windows: {{ topic: out/windows }}
  alerts: {{ topic: out/alerts }}
  dead: {{ topic: out/dead }}
routes:
  - {{ rules: [load], to: [windows] }}
  - {{ rules: [overheat], to: [alerts] }}
  - {{ dead_letters: true, to: [dead] }}
limits: {{ snapshot_every: 10s }}
",
        options.port,
        options.state.display()
    );
    Ok(Deployment::parse(&text)?)
}

pub fn run(options: &Options) -> Result<()> {
    let deployment = deployment(options)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut end = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        let told = |change: &midstream::backpressure::Change| {
            eprintln!("{}", serde_json::to_string(change).unwrap_or_default());
        };
        let stop = async move {
            end.recv().await;
        };
        let metrics = midstream::serve::serve(&deployment, told, stop).await?;
        eprintln!("{}", serde_json::to_string(&metrics)?);
        Ok(())
    })
}
