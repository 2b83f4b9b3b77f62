//! Writes a file anew with its sites in place; a site may hold others, more than once.

use std::ops::Range;

/// A place that is written anew.
pub struct Site {
    /// What it replaces; empty where something is only put in.
    pub range: Range<usize>,
    /// What stands there instead.
    pub pieces: Vec<Piece>,
    /// The mutants in it.
    pub ids: Vec<usize>,
}

/// Part of what a site becomes.
pub enum Piece {
    /// New text.
    Text(String),
    /// A part of the source, with the sites that are in it.
    Source(Range<usize>),
}

/// The source with all sites written anew; they come in the order of the tree, parents first.
pub fn render(source: &str, mut sites: Vec<Site>) -> String {
    sites.sort_by_key(|site| (site.range.start, std::cmp::Reverse(site.range.end)));
    let mut text = String::new();
    between(source, &sites, 0, 0..source.len(), &mut text);
    text
}

/// Writes a range, with the sites in it from number `next` on.
fn between(source: &str, sites: &[Site], next: usize, range: Range<usize>, text: &mut String) {
    let mut at = range.start;
    for (number, site) in sites.iter().enumerate().skip(next) {
        if site.range.start > range.end {
            break;
        }
        if site.range.start < at || site.range.end > range.end {
            continue;
        }
        text.push_str(&source[at..site.range.start]);
        for piece in &site.pieces {
            match piece {
                Piece::Text(new) => text.push_str(new),
                Piece::Source(part) => between(source, sites, number + 1, part.clone(), text),
            }
        }
        at = site.range.end;
    }
    text.push_str(&source[at..range.end]);
}
