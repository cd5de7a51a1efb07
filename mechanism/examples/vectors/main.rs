//! Vector runner: answers each JSON line on stdin with one on stdout, in order, so that another implementation can be
//! compared with this one: `cargo run -p waybill-mechanism --example vectors < requests.jsonl`.

use std::io::{self, BufRead, Write};

mod runner;

fn main() -> io::Result<()> {
    let mut stdout = io::BufWriter::new(io::stdout().lock());
    for line in io::stdin().lock().split(b'\n') {
        writeln!(stdout, "{}", runner::respond(&line?))?;
    }
    stdout.flush()
}
