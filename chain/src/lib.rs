//! waybill-chain
