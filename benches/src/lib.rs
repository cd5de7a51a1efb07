//! waybill-bench
