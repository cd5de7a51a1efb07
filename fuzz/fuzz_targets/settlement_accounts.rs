#![no_main]

libfuzzer_sys::fuzz_target!(init: waybill_fuzz::write_seeds("settlement_accounts"), |data: &[u8]| waybill_fuzz::settlement_accounts(data));
