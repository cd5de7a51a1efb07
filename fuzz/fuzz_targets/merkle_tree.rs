#![no_main]

libfuzzer_sys::fuzz_target!(init: waybill_fuzz::write_seeds("merkle_tree"), |data: &[u8]| waybill_fuzz::merkle_tree(data));
