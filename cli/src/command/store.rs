//! `cordon store`: the streams on disk while no broker has them: what is there, what is damaged, what can be mended.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use cordon_jetstream::offline::{Folder, Report, StreamReport};
use cordon_jetstream::store::file::StorageKey;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::failure::Told;
use crate::output::{self, column};

#[derive(Args, Debug)]
pub(crate) struct Store {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Read everything and say what is damaged; nothing is changed. The status is 1 when something was lost
    Check(Where),
    /// Cut off what a crash tore, make caches anew, remove what deleted streams left; copy what is damaged
    Repair(Where),
    /// Messages, bytes, subjects and files of each stream; nothing is changed
    Stats(Where),
}

#[derive(Args, Debug)]
struct Where {
    /// The folder of the streams, as `store_dir` or `-sd` of the broker
    #[arg(long, value_name = "DIR")]
    store_dir: PathBuf,
    /// A file with the key that the streams are encrypted with, as `key` of the broker
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// The same for what they were encrypted with before, as `prev_key`
    #[arg(long, value_name = "FILE")]
    prev_key_file: Option<PathBuf>,
    /// Print for scripts
    #[arg(long)]
    json: bool,
}

/// `-sd DIR` is how brokers are told of the folder; here it stands for `--store-dir DIR`.
pub(crate) fn spelled(mut words: Vec<OsString>) -> Vec<OsString> {
    if words.get(1).is_some_and(|word| word == "store") {
        for word in words.iter_mut().filter(|word| *word == "-sd" || *word == "--sd") {
            *word = OsString::from("--store-dir");
        }
    }
    words
}

impl Store {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let (place, report) = match &self.act {
            Act::Check(place) | Act::Stats(place) => (place, place.open()?.check()?),
            Act::Repair(place) => (place, place.open()?.repair()?),
        };
        if place.json {
            output::json(&serde_json::to_value(&report)?);
        } else {
            output::say(&figures(&report));
            if !matches!(self.act, Act::Stats(_)) {
                output::say(&findings(&report).join("\n"));
            }
        }
        if !matches!(self.act, Act::Stats(_)) && report.is_damaged() { Err(Told.into()) } else { Ok(()) }
    }
}

impl Where {
    fn open(&self) -> anyhow::Result<Folder> {
        let mut keys = Vec::new();
        for file in [&self.key_file, &self.prev_key_file].into_iter().flatten() {
            let text = std::fs::read_to_string(file).map(Zeroizing::new);
            let text = text.with_context(|| format!("cannot read the key in `{}`", file.display()))?;
            keys.push(StorageKey::from_text(text.trim_end_matches(['\r', '\n'])));
        }
        Ok(Folder::open(&self.store_dir, keys)?)
    }
}

fn figures(report: &Report) -> String {
    let mut rows = Vec::new();
    for account in &report.accounts {
        for stream in &account.streams {
            let mut row = serde_json::to_value(stream).unwrap_or_default();
            if let Value::Object(fields) = &mut row {
                fields.insert("account".to_owned(), json!(account.name));
                fields.insert("is".to_owned(), json!(word(stream)));
            }
            rows.push(row);
        }
    }
    let columns = [
        column("account", "account"),
        column("stream", "name"),
        column("messages", "messages"),
        column("bytes", "bytes"),
        column("first", "first_seq"),
        column("last", "last_seq"),
        column("subjects", "subjects"),
        column("consumers", "consumers"),
        column("files", "segments"),
        column("on disk", "disk_bytes"),
        column("lost", "lost"),
        column("", "is"),
    ];
    output::table(&columns, &rows)
}

fn word(stream: &StreamReport) -> &'static str {
    match stream {
        _ if stream.problem.is_some() => "unreadable",
        _ if stream.is_damaged() => "damaged",
        _ if stream.can_be_mended() => "to be mended",
        _ => "good",
    }
}

/// What is wrong, and what was done, a line for each.
fn findings(report: &Report) -> Vec<String> {
    let mut lines = Vec::new();
    let stray = |lines: &mut Vec<String>, place: &str, names: &[String], what: &str| {
        lines.extend(names.iter().map(|name| format!("{place}`{}` {what}", name.escape_debug())));
    };
    for account in &report.accounts {
        let place = format!("{}: ", account.name.escape_debug());
        lines.extend(account.problem.iter().map(|problem| format!("{place}{problem}; it is left as it is")));
        account.streams.iter().for_each(|stream| of_stream(&account.name, stream, &mut lines));
        stray(&mut lines, &place, &account.stray, "is no stream's; it is left as it is");
        stray(&mut lines, &place, &account.leftovers, "was left of a stream that is no more");
    }
    stray(&mut lines, "", &report.stray, "is no account's; it is left as it is");
    stray(&mut lines, "", &report.leftovers, "was left of an account that is no more");
    let verdict = if report.is_damaged() { "Something was lost or cannot be read." } else { "Nothing is damaged." };
    lines.push(verdict.to_owned());
    lines
}

fn of_stream(account: &str, stream: &StreamReport, lines: &mut Vec<String>) {
    let place = format!("{} > {}: ", account.escape_debug(), stream.name);
    let mut say = |text: String| lines.push(format!("{place}{text}"));
    if let Some(problem) = &stream.problem {
        say(format!("{problem}; it is left as it is"));
    }
    for damage in &stream.damage {
        let of = damage.seq.map(|seq| format!(", which were message {seq}")).unwrap_or_default();
        say(format!("bytes {} to {} of `{}` are damaged{of}", damage.from, damage.to, damage.file));
    }
    if stream.lost > 0 {
        let few: Vec<String> = stream.lost_seqs.iter().take(10).map(ToString::to_string).collect();
        let more = if stream.lost > few.len() { ", .." } else { "" };
        say(format!("{} messages are lost: {}{more}", stream.lost, few.join(", ")));
    }
    for torn in &stream.torn {
        say(format!(
            "the last {} bytes of `{}` were torn by a crash; nothing promised is in them",
            torn.bytes, torn.file
        ));
    }
    let caches = stream.bad_caches.iter().map(|file| format!("the cache `{file}` cannot be read; it can be made anew"));
    let leftovers = stream.leftovers.iter().map(|file| format!("`{file}` is of no use any more"));
    let stray = stream.stray.iter().map(|file| format!("`{}` is not the stream's", file.escape_debug()));
    let done = stream.done.iter().map(|done| format!("done: {done}"));
    caches.chain(leftovers).chain(stray).chain(done).for_each(say);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_spelled_as_brokers_have_it() {
        let words = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
        assert_eq!(spelled(words("cordon store check -sd d")), words("cordon store check --store-dir d"));
        assert_eq!(spelled(words("cordon broker -sd d")), words("cordon broker -sd d"));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let stream =
            StreamReport { name: "S".to_owned(), lost: 12, lost_seqs: (1..=12).collect(), ..Default::default() };
        let account = cordon_jetstream::offline::AccountReport {
            name: "A\n".to_owned(),
            streams: vec![stream],
            stray: vec!["x\u{1b}".to_owned()],
            ..Default::default()
        };
        let lines = findings(&Report { accounts: vec![account], ..Report::default() });
        assert_eq!(lines[0], "A\\n > S: 12 messages are lost: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, ..");
        assert_eq!(lines[1], "A\\n: `x\\u{1b}` is no stream's; it is left as it is");
        assert_eq!(lines[2], "Something was lost or cannot be read.");
    }
}
