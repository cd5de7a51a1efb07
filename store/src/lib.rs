//! waybill-store
