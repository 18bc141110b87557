//! A detector that fails on demand, for trying what the gateway does then: the camera's name says how.
//!
//! `misbehaving_detector serve|old|silent|broken --socket PATH`
#![allow(clippy::print_stderr, reason = "a program")]

use std::path::Path;
use std::time::Duration;

use livestock::detection::{Detection, Label, Rect};
use livestock::frame::Frame;
use livestock::plugins::{Detector, DetectorError};
use livestock::runner::{self, Description};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::{Request, Response, Status};

#[allow(
    missing_docs,
    dead_code,
    clippy::all,
    clippy::pedantic,
    unused_qualifications,
    reason = "generated"
)]
#[path = "../../../src/runner/proto.rs"]
mod proto;

struct Misbehaving;

impl Detector for Misbehaving {
    fn describe(&self) -> Description {
        Description {
            name: format!("process {}", std::process::id()),
            embedding_length: 2,
        }
    }

    fn infer(&mut self, frame: &Frame) -> Result<Vec<Detection>, DetectorError> {
        let good = Detection {
            label: Label::Cattle,
            score: 0.75,
            rect: Rect {
                x0: 0.1,
                y0: 0.2,
                x1: 0.3,
                y1: 0.4,
            },
            embedding: vec![0.6, 0.8],
        };
        match frame.camera.as_str() {
            "hang" => loop {
                std::thread::sleep(Duration::from_secs(60));
            },
            "crash" => std::process::abort(),
            "refuse" => Err(DetectorError("too dark".into())),
            "score" => Ok(vec![Detection {
                score: f32::NAN,
                ..good
            }]),
            "many" => Ok(vec![good; 1001]),
            // 40 MB in one message.
            "huge" => Ok(vec![Detection {
                embedding: vec![0.5; 10_000_000],
                ..good
            }]),
            _ => Ok(vec![good]),
        }
    }
}

/// A detector of another release.
struct Old;

#[tonic::async_trait]
impl proto::detector_server::Detector for Old {
    async fn describe(
        &self,
        _: Request<proto::DescribeRequest>,
    ) -> Result<Response<proto::Description>, Status> {
        Ok(Response::new(proto::Description {
            protocol: 99,
            name: "old".into(),
            embedding_length: 0,
        }))
    }

    async fn infer(&self, _: Request<proto::Frame>) -> Result<Response<proto::Detections>, Status> {
        Err(Status::unimplemented("another protocol"))
    }
}

fn serve_old(socket: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = tokio::net::UnixListener::bind(socket)?;
        let service = proto::detector_server::DetectorServer::new(Old);
        let incoming = UnixListenerStream::new(listener);
        Ok(tonic::transport::Server::builder()
            .add_service(service)
            .serve_with_incoming(incoming)
            .await?)
    })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let [_, kind, flag, socket] = args.as_slice() else {
        return Err("serve|old|silent|broken --socket PATH".into());
    };
    if flag != "--socket" {
        return Err("--socket PATH is missing".into());
    }
    let socket = Path::new(socket);
    match kind.as_str() {
        "serve" => Ok(runner::serve(Box::new(Misbehaving), socket)?),
        "old" => serve_old(socket),
        "silent" => loop {
            std::thread::sleep(Duration::from_secs(60));
        },
        _ => {
            eprintln!("cannot read the model barn.onnx: it is cut short");
            std::process::exit(2);
        }
    }
}
