//! Measures charges per second; being written.
fn main() {}
