//! waybill-worker
