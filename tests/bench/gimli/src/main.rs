//! Names of addresses by gimli's addr2line crate: a file, and addresses on
//! stdin.
use std::io::{BufRead, Write};

fn main() {
    let path = std::env::args().nth(1).expect("no file");
    let bytes = std::fs::read(path).expect("cannot be read");
    let file = object::File::parse(&*bytes).expect("no object file");
    let context = addr2line::Context::new(&file).expect("no DWARF");
    let out = std::io::stdout();
    let mut out = std::io::BufWriter::new(out.lock());
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let address = u64::from_str_radix(line.trim_start_matches("0x"), 16);
        let mut frames = context.find_frames(address.unwrap()).unwrap();
        while let Some(frame) = frames.next().unwrap() {
            match frame.function {
                Some(f) => writeln!(out, "{}", f.demangle().unwrap()),
                None => writeln!(out, "??"),
            }
            .unwrap();
            match frame.location {
                Some(l) => writeln!(out, "{}:{}", l.file.unwrap_or("??"),
                                    l.line.unwrap_or(0)),
                None => writeln!(out, "??:0"),
            }
            .unwrap();
        }
    }
}
