//! The command `midstream-agent`: samples from a file, a pipe or a serial device, smoothed, thinned and packed,
//! to a broker.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command prints"
)]

mod options;
mod publish;
mod read;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use options::Options;
use publish::Queue;

/// What can go wrong, in words.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

fn run(options: Options) -> Result<String, Failure> {
    let queue = Arc::new(Queue::new(options.queue_batches, options.when_full));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let reading = {
        let (options, queue) = (options.clone(), queue.clone());
        std::thread::spawn(move || {
            let read = read::read(&options, &queue);
            queue.close();
            read
        })
    };
    let published = runtime.block_on(publish::publish_all(&options, &queue))?;
    runtime.shutdown_timeout(Duration::from_millis(100));
    let stats = reading
        .join()
        .map_err(|_| "the reading thread has died")??;
    let dropped = queue.dropped();
    Ok(format!(
        "{{\"samples_in\":{},\"samples_out\":{},\"averaged\":{},\"invalid\":{},\"held\":{},\"bad_lines\":{},\"alarms\":{},\"batches\":{},\"published\":{published},\"dropped\":{dropped}}}",
        stats.agent.samples_in,
        stats.agent.samples_out,
        stats.agent.averaged,
        stats.agent.invalid,
        stats.agent.held,
        stats.bad_lines,
        stats.agent.alarms,
        stats.agent.batches,
    ))
}

fn main() -> ExitCode {
    let options = match Options::from_args() {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{}", options::HELP);
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("midstream-agent: {error} (see --help)");
            return ExitCode::from(2);
        }
    };
    match run(options) {
        Ok(counters) => {
            println!("{counters}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("midstream-agent: {error}");
            ExitCode::FAILURE
        }
    }
}
