//! How fast documents are read: `read FILES…` says bytes, documents and seconds, with and without taking JSON apart.

#![allow(clippy::print_stdout, reason = "an example for people")]

use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = sai_documents::find(&std::env::args().skip(1).collect::<Vec<_>>())?;
    let began = Instant::now();
    let mut reader = sai_documents::Reader::open(files.clone(), sai_documents::Options::default())?;
    let mut raws = Vec::new();
    while let Some(raw) = reader.next_raw() {
        raws.push(raw?);
    }
    let read = began.elapsed().as_secs_f64();
    let began = Instant::now();
    let (mut documents, mut bytes) = (0, 0);
    for raw in raws {
        let batch = raw.parse()?;
        documents += batch.len();
        bytes += batch.text_bytes();
    }
    let parsed = began.elapsed().as_secs_f64();
    let mb = bytes as f64 / 1e6;
    println!("{documents} documents, {mb:.1} MB of text");
    println!(
        "read and decompressed at {:.0} MB/s, taken apart at {:.0} MB/s on one thread",
        mb / read,
        mb / parsed
    );
    Ok(())
}
