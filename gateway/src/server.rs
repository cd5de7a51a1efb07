//! Accepts connections and lets them go: sockets without delay, timeouts on heads, and a drain that finishes what is open.

use crate::config::{Limits, Times};
use crate::state::{App, Phase};
use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Pause after a failed accept (out of file descriptors), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until `shutdown`, then drains. Returns once no connection is left or the drain's time is over.
pub(crate) async fn serve(app: Arc<App>, listener: TcpListener, router: Router, shutdown: CancellationToken) {
    let connections = TaskTracker::new();
    let leaving = CancellationToken::new();
    let Times { drain_notice, drain, .. } = app.config.times;
    {
        let mut accepting = pin!(accept(&app, &listener, router, &connections, &leaving));
        tokio::select! {
            () = &mut accepting => {}
            () = shutdown.cancelled() => {}
        }
        app.phase.set(Phase::Leaving);
        tracing::info!(notice = ?drain_notice, "leaving: not ready any more");
        // Load balancers need a moment to see it; until then requests are served.
        let _ = tokio::time::timeout(drain_notice, accepting).await;
    }
    drop(listener);
    app.phase.set(Phase::Draining);
    leaving.cancel();
    connections.close();
    app.tasks.close();
    let done = async {
        connections.wait().await;
        app.tasks.wait().await;
    };
    if tokio::time::timeout(drain, done).await.is_err() {
        tracing::warn!(connections = connections.len(), "the drain's time is over; what is still open is cut");
    }
}

async fn accept(
    app: &Arc<App>,
    listener: &TcpListener,
    router: Router,
    connections: &TaskTracker,
    leaving: &CancellationToken,
) {
    let Limits { connections: limit, .. } = app.config.limits;
    let places = Arc::new(Semaphore::new(limit.max(1)));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let socket = match listener.accept().await {
            Ok((socket, _)) => socket,
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (router, leaving, read_head) = (router.clone(), leaving.clone(), app.config.times.read_head);
        connections.spawn(async move {
            let _place = place;
            let gauge = metrics::gauge!("waybill_http_connections_active");
            gauge.increment(1.0);
            if let Err(error) = connection(socket, router, read_head, leaving).await {
                tracing::debug!(%error, "a connection ended early");
            }
            gauge.decrement(1.0);
        });
    }
}

async fn connection(
    socket: TcpStream,
    router: Router,
    read_head: Duration,
    leaving: CancellationToken,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    set_no_delay(&socket)?;
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(read_head);
    server.http2().timer(TokioTimer::new()).keep_alive_interval(Duration::from_secs(20)).max_concurrent_streams(256);
    let mut connection = pin!(server.serve_connection(TokioIo::new(socket), TowerToHyperService::new(router)));
    tokio::select! {
        done = connection.as_mut() => return done,
        () = leaving.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}

/// Without it every small frame of a stream waits up to 40 ms for the peer's acknowledgement.
fn set_no_delay(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)
}
