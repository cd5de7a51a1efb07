#![no_main]

libfuzzer_sys::fuzz_target!(init: waybill_fuzz::write_seeds("charge_note"), |data: &[u8]| waybill_fuzz::charge_note(data));
