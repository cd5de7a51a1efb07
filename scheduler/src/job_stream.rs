//! The events of one job as the `Dispatch` trait promises them, from a worker's link or from a remote scheduler.

use crate::messages::{MessageStreamError, Messages};
use futures_util::{Stream, StreamExt};
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Instant, Sleep};
use waybill_protocol::frame::{Event, EventKind, Fault, FaultCode, FrameError};

/// How long the peer may take to end a stream after its last event.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

type FailureReport = Box<dyn FnOnce(&Fault) + Send>;

/// `G` is dropped with the stream: what the job held (its slot, its place in the count of jobs).
pub(crate) struct JobStream<G: Send + 'static> {
    messages: Option<Messages<Event>>,
    /// Read while choosing the worker, delivered first.
    first: Option<Event>,
    stall: Duration,
    clock: Option<Pin<Box<Sleep>>>,
    waiting: bool,
    on_failure: Option<FailureReport>,
    guard: Option<G>,
}

impl<G: Send + 'static> JobStream<G> {
    pub fn new(messages: Messages<Event>, first: Option<Event>, stall: Duration, guard: G) -> Self {
        Self {
            messages: Some(messages),
            first,
            stall,
            clock: None,
            waiting: false,
            on_failure: None,
            guard: Some(guard),
        }
    }

    /// Called once if the job fails after its first event.
    pub fn on_failure(mut self, report: impl FnOnce(&Fault) + Send + 'static) -> Self {
        self.on_failure = Some(Box::new(report));
        self
    }

    /// The last event is out. The peer ends the stream itself, because resetting it now would look like a consumer that
    /// left; only then is the job's place with the worker free again.
    fn close(&mut self) {
        self.on_failure = None;
        if let (Some(messages), Some(guard)) = (self.messages.take(), self.guard.take()) {
            tokio::spawn(async move {
                messages.finish(CLOSE_PATIENCE).await;
                drop(guard);
            });
        }
    }

    fn fail(&mut self, fault: Fault) -> Fault {
        if let Some(report) = self.on_failure.take() {
            report(&fault);
        }
        self.guard = None;
        self.messages = None;
        fault
    }

    /// Ready once the worker has been silent for too long while somebody waited for it.
    fn poll_stall(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = Instant::now() + self.stall;
        let clock = self.clock.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if !self.waiting {
            // The consumer's own pauses do not count.
            clock.as_mut().reset(deadline);
            self.waiting = true;
        }
        clock.as_mut().poll(cx)
    }
}

impl<G: Send + Unpin + 'static> Stream for JobStream<G> {
    type Item = Result<Event, Fault>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let Some(messages) = &mut this.messages else {
            return Poll::Ready(None);
        };
        let next = match this.first.take() {
            Some(first) => Some(Ok(first)),
            None => match messages.poll_next_unpin(cx) {
                Poll::Ready(next) => next,
                Poll::Pending => {
                    ready!(this.poll_stall(cx));
                    let silence = format!("no event for {} s", this.stall.as_secs());
                    return Poll::Ready(Some(Err(this.fail(Fault::new(FaultCode::Lost, silence)))));
                }
            },
        };
        this.waiting = false;
        Poll::Ready(Some(match read_event(next) {
            Ok(event) => {
                if matches!(event.kind, Some(EventKind::Closed(_))) {
                    this.close();
                }
                Ok(event)
            }
            Err(Refused::ByPeer(fault)) => {
                this.close();
                Err(fault)
            }
            Err(Refused::Broken(fault)) => Err(this.fail(fault)),
        }))
    }
}

pub(crate) enum Refused {
    /// A fault that the worker itself reported, in order.
    ByPeer(Fault),
    /// The stream is unusable.
    Broken(Fault),
}

impl Refused {
    pub fn into_fault(self) -> Fault {
        match self {
            Self::ByPeer(fault) | Self::Broken(fault) => fault,
        }
    }
}

/// What one read of the stream means.
pub(crate) fn read_event(next: Option<Result<Event, MessageStreamError>>) -> Result<Event, Refused> {
    let broken = |code, detail: String| Err(Refused::Broken(Fault::new(code, detail)));
    match next {
        Some(Ok(Event { kind: Some(EventKind::Fault(fault)) })) => Err(Refused::ByPeer(fault)),
        Some(Ok(Event { kind: None })) => broken(FaultCode::Protocol, "an event without content".into()),
        Some(Ok(event)) => Ok(event),
        Some(Err(MessageStreamError::Frame(FrameError::Truncated))) => {
            broken(FaultCode::Lost, "the stream ended inside an event".into())
        }
        Some(Err(MessageStreamError::Frame(error))) => broken(FaultCode::Protocol, error.to_string()),
        Some(Err(MessageStreamError::Broken(error))) => broken(FaultCode::Lost, error.to_string()),
        None => broken(FaultCode::Lost, "the stream ended before the job".into()),
    }
}
