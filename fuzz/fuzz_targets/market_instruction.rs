#![no_main]

libfuzzer_sys::fuzz_target!(init: waybill_fuzz::write_seeds("market_instruction"), |data: &[u8]| waybill_fuzz::market_instruction(data));
