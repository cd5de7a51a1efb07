//! waybill-market
