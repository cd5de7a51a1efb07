#![no_main]

libfuzzer_sys::fuzz_target!(init: waybill_fuzz::write_seeds("voucher"), |data: &[u8]| waybill_fuzz::voucher(data));
