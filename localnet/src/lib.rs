//! waybill-localnet
