#![no_main]

libfuzzer_sys::fuzz_target!(init: waybill_fuzz::write_seeds("settlement_instruction"), |data: &[u8]| waybill_fuzz::settlement_instruction(data));
