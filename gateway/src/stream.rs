//! Server-sent events of a streamed chat. A task relays the worker's events into a bounded channel that the response body
//! reads, so a slow consumer slows the worker, and a gone one cancels it.

use crate::auth::Caller;
use crate::chat::Answer;
use crate::error::ApiError;
use crate::paid::{Running, Settled};
use crate::pieces::{Output, Text, usage};
use bytes::Bytes;
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;
use waybill_protocol::frame::EventKind;

/// Frames between worker and consumer.
const FRAMES: usize = 32;

pub type Frames = mpsc::Receiver<Bytes>;

/// How one stream is written.
pub struct Style {
    pub answer: Answer,
    pub include_usage: bool,
    pub ping: Duration,
    pub stalled: Duration,
}

/// Why a stream ended before its end.
enum Broken {
    /// The consumer left, or reads nothing.
    Consumer,
    /// An error event tells the consumer.
    Failed(ApiError),
}

impl From<ApiError> for Broken {
    fn from(error: ApiError) -> Self {
        Self::Failed(error)
    }
}

/// Relays a running chat whose first event is `first`. `caller` keeps its place until the end.
pub async fn relay(running: Running, first: EventKind, style: Style, caller: Caller, frames: mpsc::Sender<Bytes>) {
    let _caller = caller;
    let writer = Writer { frames, style };
    match pump(running, first, &writer).await {
        Ok(()) | Err(Broken::Consumer) => {}
        Err(Broken::Failed(error)) => {
            // Without [DONE]: the SDKs raise on the error.
            let _ = writer.data(&error.to_json()).await;
        }
    }
}

pub fn channel() -> (mpsc::Sender<Bytes>, Frames) {
    mpsc::channel(FRAMES)
}

/// The response body.
pub fn body(mut frames: Frames) -> axum::body::Body {
    let frames = futures_util::stream::poll_fn(move |context| frames.poll_recv(context));
    axum::body::Body::from_stream(futures_util::StreamExt::map(frames, Ok::<_, Infallible>))
}

async fn pump(mut running: Running, first: EventKind, writer: &Writer) -> Result<(), Broken> {
    let (answer, with_usage) = (&writer.style.answer, writer.style.include_usage);
    let mut text = Text::new(running.max_tokens(), false);
    let mut last_token: Option<Instant> = None;
    let mut event = first;
    let mut sent = writer.data(&answer.opening(with_usage)).await;
    let closed = loop {
        if let EventKind::Closed(closed) = event {
            break closed;
        }
        if let Err(what) = text.take(&event) {
            return Err(running.garbage(what).into());
        }
        if let EventKind::Text(delta) = &event {
            let now = Instant::now();
            if let Some(last) = last_token.replace(now) {
                metrics::histogram!("waybill_inter_token_latency_seconds").record(now - last);
            }
            if !delta.text.is_empty() && sent.is_ok() {
                sent = writer.data(&answer.delta(&delta.text, with_usage)).await;
            }
        }
        let next = match sent {
            Ok(()) => next(&mut running, writer).await,
            Err(broken) => Err(broken),
        };
        event = match next {
            Ok(event) => event,
            Err(Broken::Failed(error)) => return Err(running.end("worker_failed", error).into()),
            Err(Broken::Consumer) => {
                running.leave(text).await;
                return Ok(());
            }
        };
        sent = Ok(());
    };
    let finish = closed.finish();
    let price = running.quote.per_1k;
    let id = running.request_id.clone();
    let Settled { receipt } = running.settle(closed, &text).await.map_err(ApiError::from)?;
    writer.data(&answer.finish(finish, with_usage)).await?;
    if with_usage {
        writer.data(&answer.usage(usage(&receipt))).await?;
    }
    let charge = receipt.price_nc;
    writer.send(format!(": waybill receipt={id} charge-nc={charge} price-nc={price}\n\n")).await?;
    writer.data("[DONE]").await
}

/// The next event; comments keep the connection alive while there is none.
async fn next(running: &mut Running, writer: &Writer) -> Result<EventKind, Broken> {
    loop {
        tokio::select! {
            biased;
            event = running.next() => return Ok(event?),
            () = writer.frames.closed() => return Err(Broken::Consumer),
            () = tokio::time::sleep(writer.style.ping) => writer.send(": ping\n\n".into()).await?,
        }
    }
}

struct Writer {
    frames: mpsc::Sender<Bytes>,
    style: Style,
}

impl Writer {
    async fn data(&self, json: &str) -> Result<(), Broken> {
        self.send(format!("data: {json}\n\n")).await
    }

    async fn send(&self, frame: String) -> Result<(), Broken> {
        self.frames.send_timeout(frame.into(), self.style.stalled).await.map_err(|_| Broken::Consumer)
    }
}
