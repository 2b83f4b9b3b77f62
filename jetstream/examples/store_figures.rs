//! Figures of the stores: `cargo run --release -p cordon-jetstream --example store_figures [folder] [messages]`.
#![expect(clippy::print_stdout, reason = "a program for a terminal")]

use std::path::Path;
use std::time::Instant;

use cordon_accounts::subject::Pattern;
use cordon_jetstream::store::file::{AccountKey, FileOptions, FileStore, SyncMode};
use cordon_jetstream::store::memory::MemoryStore;
use cordon_jetstream::store::{Filter, NewMessage, Store};

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> Outcome {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().unwrap_or_else(|| "store-figures".to_owned());
    let messages: u64 = arguments.next().map_or(Ok(10_000_000), |text| text.parse())?;
    let folder = Path::new(&folder);
    println!("appends of 128 bytes to 1000 subjects, flushed by 500:");
    fill("memory", &mut MemoryStore::new(), 1_000_000, 1000, 500)?;
    let later = FileOptions { sync: SyncMode::Async, ..FileOptions::default() };
    fill("files, synced later", &mut FileStore::create(&folder.join("later"), &later, b"")?, 1_000_000, 1000, 500)?;
    let always = FileOptions::default();
    fill("files, synced each time", &mut FileStore::create(&folder.join("always"), &always, b"")?, 200_000, 1000, 500)?;
    let sealed = FileOptions { key: Some(AccountKey::generate("A")), ..later.clone() };
    fill("files, encrypted", &mut FileStore::create(&folder.join("sealed"), &sealed, b"")?, 1_000_000, 1000, 500)?;
    let place = folder.join("many");
    println!("{messages} messages of 1000000 subjects:");
    let mut store = FileStore::create(&place, &later, b"")?;
    fill("files, synced later", &mut store, messages, 1_000_000, 1000)?;
    println!("  index: {} bytes, {:.1} a message", store.index_bytes(), store.index_bytes() as f64 / messages as f64);
    resident();
    read(&store, messages)?;
    timed("close", || {
        drop(store);
        Ok(())
    })?;
    timed("open", || {
        let opened = FileStore::open(&place, &later)?;
        println!("  {:?}", opened.store.state());
        std::mem::forget(opened);
        Ok(())
    })?;
    resident();
    std::fs::remove_dir_all(folder)?;
    Ok(())
}

fn timed(what: &str, act: impl FnOnce() -> Outcome) -> Outcome {
    let begin = Instant::now();
    act()?;
    println!("  {what}: {:?}", begin.elapsed());
    Ok(())
}

fn fill(what: &str, store: &mut dyn Store, messages: u64, subjects: u64, group: u64) -> Outcome {
    let payload = [7; 128];
    let begin = Instant::now();
    let mut subject = Vec::new();
    for number in 0..messages {
        subject.clear();
        subject.extend_from_slice(b"orders.");
        subject.extend_from_slice((number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % subjects).to_string().as_bytes());
        subject.extend_from_slice(b".placed");
        let ts = i64::try_from(number)?;
        store.append(&NewMessage { subject: &subject, payload: &payload, ts, ..NewMessage::default() })?;
        if number % group == group - 1
            && let Some(sync) = store.flush()?
        {
            sync.run()?;
        }
    }
    let took = begin.elapsed();
    println!(
        "  {what}: {:.0} ns each, {:.0} a second",
        took.as_nanos() as f64 / messages as f64,
        messages as f64 / took.as_secs_f64()
    );
    Ok(())
}

fn read(store: &dyn Store, messages: u64) -> Outcome {
    let begin = Instant::now();
    let count = messages.min(1_000_000);
    let mut bytes = 0;
    for seq in 1..=count {
        bytes += store.get(seq)?.map_or(0, |stored| stored.payload().len());
    }
    println!("  get in order: {:.0} ns each ({bytes} bytes)", begin.elapsed().as_nanos() as f64 / count as f64);
    let begin = Instant::now();
    for number in 0..100_000_u64 {
        store.get(1 + number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % messages)?;
    }
    println!("  get anywhere: {:.0} ns each", begin.elapsed().as_nanos() as f64 / 100_000.0);
    for pattern in ["orders.777.placed", "orders.*.placed", "orders.77.>", "*.777.*", "nothing.>"] {
        let filter = Filter::one(Pattern::parse(pattern)?);
        let begin = Instant::now();
        let (mut at, mut found) = (messages / 2, 0);
        while found < 100
            && let Some(seq) = store.next(&filter, at)
        {
            at = seq + 1;
            found += 1;
        }
        let next = begin.elapsed();
        let begin = Instant::now();
        let counted = store.count(&filter, messages / 3);
        println!("  `{pattern}`: {found} next in {next:?}, count {counted} in {:?}", begin.elapsed());
    }
    Ok(())
}

fn resident() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or("VmRSS unknown");
    println!("  {line}");
}
