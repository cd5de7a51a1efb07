//! waybill-cli
