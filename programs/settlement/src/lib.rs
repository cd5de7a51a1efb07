//! waybill-settlement
