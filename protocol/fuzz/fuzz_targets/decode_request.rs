#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| protocol::testing::check_requests(input));
