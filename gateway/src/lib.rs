//! waybill-gateway
