//! waybill-scheduler
