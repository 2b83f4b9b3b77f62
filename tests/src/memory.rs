//! The memory of a running process, as a core dump of it would show it.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;

/// Read at once.
const STEP: usize = 1 << 20;

/// Which of `wanted` stand in the writable memory of process `id`, each with the bytes around it.
pub fn search(id: u32, wanted: &[&[u8]]) -> Vec<(usize, String)> {
    let maps = fs::read_to_string(format!("/proc/{id}/maps")).unwrap();
    let memory = File::open(format!("/proc/{id}/mem")).unwrap();
    let overlap = wanted.iter().map(|bytes| bytes.len()).max().unwrap_or(0);
    let mut found = Vec::new();
    let mut bytes = vec![0; STEP + overlap];
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (range, rights) = (words.next().unwrap(), words.next().unwrap());
        if !rights.starts_with("rw") {
            continue;
        }
        let (from, to) = range.split_once('-').unwrap();
        let (mut at, to) = (u64::from_str_radix(from, 16).unwrap(), u64::from_str_radix(to, 16).unwrap());
        while at < to {
            let length = bytes.len().min((to - at) as usize);
            let piece = &mut bytes[..length];
            // Pages that were never used cannot be read everywhere; nothing is in them.
            if memory.read_exact_at(piece, at).is_ok() && piece.iter().any(|byte| *byte != 0) {
                let name = line.split_whitespace().nth(5).unwrap_or("memory without a name");
                found.extend(
                    in_piece(piece, wanted).into_iter().map(|(index, text)| (index, format!("{name}: {text}"))),
                );
            }
            at += STEP as u64;
        }
    }
    found
}

fn in_piece(piece: &[u8], wanted: &[&[u8]]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (index, secret) in wanted.iter().enumerate() {
        for place in memchr::memmem::find_iter(piece, secret) {
            let around = &piece[place.saturating_sub(60)..(place + secret.len() + 10).min(piece.len())];
            found.push((index, String::from_utf8_lossy(around).into_owned()));
        }
    }
    found
}
