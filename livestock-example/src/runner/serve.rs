//! The detector's side: answers one call after the other until the gateway goes away.

use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use crate::frame::{CameraId, Frame};
use crate::plugins::Detector;
use crate::time::Timestamp;

use super::client::FRAME_BYTES_MAX;
use super::proto::detector_server::{Detector as Service, DetectorServer};
use super::{PROTOCOL, RunnerError, proto};

/// Serves a detector at `socket` until standard input closes, which it does when the gateway ends.
///
/// # Errors
/// [`RunnerError::Start`] when the socket cannot be had.
pub fn serve(detector: Box<dyn Detector>, socket: &Path) -> Result<(), RunnerError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(RunnerError::Start)?;
    runtime.block_on(async {
        let listener = UnixListener::bind(socket).map_err(RunnerError::Start)?;
        let service = DetectorServer::new(Served(Arc::new(Mutex::new(detector))))
            .max_decoding_message_size(FRAME_BYTES_MAX)
            .max_encoding_message_size(FRAME_BYTES_MAX);
        let (gone, is_gone) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
            let _ = gone.send(());
        });
        let served = Server::builder().add_service(service).serve_with_incoming(UnixListenerStream::new(listener));
        tokio::select! {
            ended = served => ended.map_err(|cause| RunnerError::Start(std::io::Error::other(cause))),
            _ = is_gone => Ok(()),
        }
    })
}

struct Served(Arc<Mutex<Box<dyn Detector>>>);

#[tonic::async_trait]
impl Service for Served {
    async fn describe(
        &self,
        _: Request<proto::DescribeRequest>,
    ) -> Result<Response<proto::Description>, Status> {
        let detector = self
            .0
            .lock()
            .map_err(|_| Status::internal("the detector failed before"))?;
        let description = detector.describe();
        Ok(Response::new(proto::Description {
            protocol: PROTOCOL,
            name: description.name,
            embedding_length: u32::try_from(description.embedding_length).unwrap_or(0),
        }))
    }

    async fn infer(
        &self,
        request: Request<proto::Frame>,
    ) -> Result<Response<proto::Detections>, Status> {
        let asked = request.into_inner();
        let frame = Frame::new(
            CameraId::new(&asked.camera),
            asked.seq,
            Timestamp::from_millis(asked.at_ms),
            asked.width,
            asked.height,
            Arc::from(asked.rgb.as_ref()),
        )
        .map_err(|cause| Status::invalid_argument(cause.to_string()))?;
        // One gateway, one call at a time: the thread may as well be this one.
        let mut detector = self
            .0
            .lock()
            .map_err(|_| Status::internal("the detector failed before"))?;
        let start = Instant::now();
        let found = detector
            .infer(&frame)
            .map_err(|cause| Status::failed_precondition(cause.to_string()))?;
        let model_us = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
        let detections = found
            .into_iter()
            .map(|detection| proto::Detection {
                label: detection.label.as_str().to_owned(),
                score: detection.score,
                x0: detection.rect.x0,
                y0: detection.rect.y0,
                x1: detection.rect.x1,
                y1: detection.rect.y1,
                embedding: detection.embedding,
            })
            .collect();
        Ok(Response::new(proto::Detections {
            detections,
            model_us,
        }))
    }
}
