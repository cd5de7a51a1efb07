//! waybill-coin
