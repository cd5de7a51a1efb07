#![no_main]

libfuzzer_sys::fuzz_target!(init: waybill_fuzz::write_seeds("verdict"), |data: &[u8]| waybill_fuzz::verdict(data));
