//! Durable steps a second of `duroxide` over its SQLite provider: the chain that `workflows` measures,
//! so many activities after each other, so many orchestrations side by side. A program of its own,
//! which `workflows --durable-peer` starts in the folder where it measures.
//! `edgeweave-durable-peer RUNS LEN FOLDER` prints one number.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use duroxide::providers::sqlite::SqliteProvider;
use duroxide::runtime::Runtime;
use duroxide::runtime::registry::ActivityRegistry;
use duroxide::{
    ActivityContext, Client, OrchestrationContext, OrchestrationRegistry, OrchestrationStatus,
};

const LONGEST: Duration = Duration::from_secs(600);

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [runs, len, folder] = arguments.as_slice() else {
        return Err("usage: edgeweave-durable-peer RUNS LEN FOLDER".into());
    };
    let (runs, len): (usize, usize) = (runs.parse()?, len.parse()?);
    let file = tempfile::Builder::new().suffix(".db").tempfile_in(folder)?;
    let url = format!("sqlite:{}", file.path().display());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    println!("{}", runtime.block_on(chains(&url, runs, len))?);
    Ok(())
}

async fn chains(url: &str, runs: usize, len: usize) -> Result<f64, Box<dyn Error>> {
    let store = Arc::new(SqliteProvider::new(url, None).await?);
    let activities = ActivityRegistry::builder()
        .register("noop", |_: ActivityContext, input: String| async move {
            Ok(input)
        })
        .build();
    let orchestrations = OrchestrationRegistry::builder()
        .register(
            "chain",
            move |ctx: OrchestrationContext, input: String| async move {
                let mut value = input;
                for _ in 0..len {
                    value = ctx.schedule_activity("noop", value).await?;
                }
                Ok::<_, String>(value)
            },
        )
        .build();
    let runtime = Runtime::start_with_store(store.clone(), activities, orchestrations).await;
    let client = Client::new(store);
    let start = Instant::now();
    for run in 0..runs {
        client
            .start_orchestration(&format!("run-{run}"), "chain", "x")
            .await?;
    }
    for run in 0..runs {
        match client
            .wait_for_orchestration(&format!("run-{run}"), LONGEST)
            .await?
        {
            OrchestrationStatus::Completed { .. } => {}
            other => return Err(format!("run {run} ended as {other:?}").into()),
        }
    }
    let rate = (runs * len) as f64 / start.elapsed().as_secs_f64();
    runtime.shutdown(None).await;
    Ok(rate)
}
