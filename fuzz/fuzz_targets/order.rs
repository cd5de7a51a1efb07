#![no_main]

libfuzzer_sys::fuzz_target!(init: waybill_fuzz::write_seeds("order"), |data: &[u8]| waybill_fuzz::order(data));
