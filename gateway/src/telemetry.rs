//! Prometheus metrics: one recorder per process, rendered at `/metrics`. Every name begins with `waybill_`, times are in
//! seconds, and no label holds a key, session or worker.

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::sync::OnceLock;

/// First bucket of histograms in seconds, growth and number of buckets: 10 µs to about 10 s.
const FIRST_BUCKET: f64 = 10e-6;
const BUCKET_GROWTH: f64 = 1.5;
const BUCKETS: i32 = 35;

/// The process's metrics. The first call installs the recorder; when another library has installed its own, the page
/// stays empty.
pub fn prometheus() -> &'static PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| {
        let buckets: Vec<f64> = (0..BUCKETS).map(|i| FIRST_BUCKET * BUCKET_GROWTH.powi(i)).collect();
        let builder = PrometheusBuilder::new();
        // Only an empty list is refused.
        let builder = builder.set_buckets(&buckets).unwrap_or_else(|_| PrometheusBuilder::new());
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("another metrics recorder is installed; /metrics stays empty");
        }
        handle
    })
}
