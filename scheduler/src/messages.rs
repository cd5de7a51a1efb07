//! A response body as a stream of length-delimited messages.

use futures_util::Stream;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use prost::Message;
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use waybill_protocol::frame::{FrameError, FrameReader};

#[derive(Debug, thiserror::Error)]
pub(crate) enum MessageStreamError {
    #[error("the stream broke: {0}")]
    Broken(#[from] hyper::Error),
    #[error(transparent)]
    Frame(#[from] FrameError),
}

pub(crate) struct Messages<M> {
    body: Incoming,
    reader: FrameReader<M>,
    failed: bool,
}

impl<M: Message + Default> Messages<M> {
    pub fn new(body: Incoming) -> Self {
        Self { body, reader: FrameReader::default(), failed: false }
    }

    /// Reads what is left of the body, so that closing it is not a cancellation.
    pub async fn finish(mut self, patience: Duration) {
        let to_the_end = async { while self.body.frame().await.is_some_and(|frame| frame.is_ok()) {} };
        // A peer that does not end in time is cut off, which is all that can be done.
        let _ = tokio::time::timeout(patience, to_the_end).await;
    }
}

impl<M: Message + Default> Stream for Messages<M> {
    type Item = Result<M, MessageStreamError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.failed {
            return Poll::Ready(None);
        }
        let outcome = loop {
            match this.reader.next_message() {
                Ok(Some(message)) => return Poll::Ready(Some(Ok(message))),
                Ok(None) => {}
                Err(error) => break error.into(),
            }
            match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    if let Ok(piece) = frame.into_data() {
                        this.reader.push(&piece);
                    }
                }
                Some(Err(error)) => break error.into(),
                None => match this.reader.finish() {
                    Ok(()) => return Poll::Ready(None),
                    Err(error) => break error.into(),
                },
            }
        };
        this.failed = true;
        Poll::Ready(Some(Err(outcome)))
    }
}
