//! The table as a page of the documentation.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::cell::When;
use super::check::{Check, Side};
use super::reasons::why_not;
use super::way::{Group, Way};

/// The cells that are tests, way by way.
pub fn cells(group: Group) -> Vec<(Way, Check)> {
    let ways = Way::ALL.into_iter().filter(|way| way.group() == group);
    ways.flat_map(|way| Check::ALL.map(|check| (way, check)))
        .filter(|(way, check)| why_not(*way, *check).is_none())
        .collect()
}

/// Those of the cells whose scenes are the controls: for each way, one cell of each form and side whose check stands there
/// before anybody connects. Other cells have their control in themselves.
pub fn controls(cells: &[(Way, Check)]) -> Vec<(Way, Check)> {
    let mut seen = BTreeSet::new();
    let before = cells.iter().filter(|(_, check)| check.when() == When::Before);
    before.filter(|(way, check)| seen.insert((*way, check.form(), check.side() == Side::Sender))).copied().collect()
}

/// The page.
pub fn markdown() -> String {
    let mut reasons: Vec<&str> = Vec::new();
    let mut rows = String::new();
    let mut tested = 0;
    for (number, way) in (1..).zip(Way::ALL) {
        write!(rows, "| {number} | {} |", way.title()).unwrap();
        for check in Check::ALL {
            match why_not(way, check) {
                None => {
                    tested += 1;
                    rows.push_str(" **x** |");
                }
                Some(reason) => {
                    let index = reasons.iter().position(|known| *known == reason).unwrap_or_else(|| {
                        reasons.push(reason);
                        reasons.len() - 1
                    });
                    write!(rows, " {} |", letter(index)).unwrap();
                }
            }
        }
        rows.push('\n');
    }
    let mut page = HEAD.replace("{tested}", &tested.to_string());
    page.push_str("\n## The checks\n\n| | check |\n|---|---|\n");
    for (number, check) in (1..).zip(Check::ALL) {
        writeln!(page, "| {number} | {} |", check.title()).unwrap();
    }
    page.push_str("\n## The table\n\n| | way |");
    page.extend((1..=Check::ALL.len()).map(|number| format!(" {number} |")));
    page.push_str("\n|---|---|");
    page.push_str(&"---|".repeat(Check::ALL.len()));
    page.push('\n');
    page.push_str(&rows);
    page.push_str("\n## Why there is no test\n\n| | reason |\n|---|---|\n");
    for (index, reason) in reasons.iter().enumerate() {
        writeln!(page, "| {} | {reason} |", letter(index)).unwrap();
    }
    page.push_str(ELSEWHERE);
    for way in Way::ALL {
        match way.group() {
            Group::Elsewhere(test) => writeln!(page, "| {} | shown by | `{test}` |", way.title()).unwrap(),
            Group::Absent(option) => writeln!(page, "| {} | absent | `{option}` |", way.title()).unwrap(),
            _ => {}
        }
    }
    page
}

const HEAD: &str = "# Ways in

Every way in times every check. Each cell with an **x** is a test, {tested} in all: a message passes on the way, and passes no
more when the check stands in its way, refused in the words that the check has. Each letter is a reason why there is nothing to
test. `cargo test -p cordon-tests --test ways` runs all of them against the broker's binary, and fails when this page is not
what it tests, or when the product has a way that is not in it.

This page is written by `CORDON_WRITE_DOCS=1 cargo test -p cordon-tests --test ways`.
";

const ELSEWHERE: &str = "
## Ways that are shown elsewhere, and ways that will come

A way that is not there yet has a row, so that it is not forgotten: its tests have to be there when the configuration that switches
it on is acted on.

| way | | |
|---|---|---|
";

fn letter(index: usize) -> String {
    let letter = |index: usize| char::from(b'a' + u8::try_from(index % 26).unwrap_or_default());
    if index < 26 { letter(index).to_string() } else { format!("{}{}", letter(index / 26 - 1), letter(index)) }
}
