//! Headers of proxies: whatever is read of them does not depend on how the bytes come, nor on what follows.

use cordon_server::listener::proxy::header::{LONGEST, Reading, read};

/// Panics when more bytes change what was decided, or a header is said to be longer than it is.
pub fn check(data: &[u8]) {
    let whole = read(data);
    for cut in 0..data.len().min(LONGEST) {
        let part = read(&data[..cut]);
        assert!(part == Ok(Reading::Partial) || part == whole, "{part:?} of {cut} bytes, then {whole:?}");
    }
    let Ok(Reading::Header { length, source }) = whole else {
        assert!(whole != Ok(Reading::Partial) || data.len() < LONGEST, "a header has an end");
        return;
    };
    assert!((8..=data.len().min(LONGEST)).contains(&length));
    let header = &data[..length];
    assert_eq!(read(header), whole, "what follows counts for nothing");
    if let (Ok(text), Some(source)) = (std::str::from_utf8(header), source)
        && let Some(line) = text.strip_prefix("PROXY ")
    {
        let words: Vec<&str> = line.trim_end_matches("\r\n").split(' ').collect();
        assert_eq!(words[3].parse(), Ok(source.port()), "{text:?}");
        assert_eq!(words[1].parse(), Ok(source.ip()), "{text:?}");
        assert_eq!(words[0] == "TCP4", source.is_ipv4());
    }
}
