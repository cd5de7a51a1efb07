#![no_main]

libfuzzer_sys::fuzz_target!(init: waybill_fuzz::write_seeds("precompile_data"), |data: &[u8]| waybill_fuzz::precompile_data(data));
