#![no_main]

libfuzzer_sys::fuzz_target!(init: waybill_fuzz::write_seeds("signed_message"), |data: &[u8]| waybill_fuzz::signed_message(data));
