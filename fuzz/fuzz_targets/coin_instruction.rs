#![no_main]

libfuzzer_sys::fuzz_target!(init: waybill_fuzz::write_seeds("coin_instruction"), |data: &[u8]| waybill_fuzz::coin_instruction(data));
