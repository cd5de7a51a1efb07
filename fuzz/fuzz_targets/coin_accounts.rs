#![no_main]

libfuzzer_sys::fuzz_target!(init: waybill_fuzz::write_seeds("coin_accounts"), |data: &[u8]| waybill_fuzz::coin_accounts(data));
