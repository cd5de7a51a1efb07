//! Listeners: HTTP/1 and HTTP/2 without delay, with upgrades, and a graceful end.

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use std::{sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Streams that one gateway may have open at once.
const STREAMS: u32 = 16_384;

/// Accepts until `stop`, then ends every connection after the requests that it carries.
pub(crate) async fn serve(listener: TcpListener, router: Router, connections: usize, stop: CancellationToken) {
    let open = TaskTracker::new();
    let places = Arc::new(Semaphore::new(connections));
    loop {
        let place = tokio::select! {
            () = stop.cancelled() => break,
            place = Arc::clone(&places).acquire_owned() => place,
        };
        let socket = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((socket, _)) => socket,
                Err(error) => {
                    // Out of descriptors, most likely: give the others time to close some.
                    tracing::warn!(%error, "accept failed");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        let connection = connection(socket, router.clone(), stop.clone());
        open.spawn(async move {
            connection.await;
            drop(place);
        });
    }
    drop(listener);
    open.close();
    open.wait().await;
}

async fn connection(socket: TcpStream, router: Router, stop: CancellationToken) {
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, "a connection ended before it began");
        return;
    }
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(10));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        // Consumers who leave in a crowd are no attack.
        .max_pending_accept_reset_streams(Some(STREAMS as usize))
        .initial_connection_window_size(8 << 20)
        .initial_stream_window_size(1 << 20)
        .keep_alive_interval(Duration::from_secs(10))
        .keep_alive_timeout(Duration::from_secs(10));
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(socket), TowerToHyperService::new(router));
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended");
    }
}
