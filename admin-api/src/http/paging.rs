//! Lists in pages: `?limit=&after=`, and a cursor that the server chooses.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::limits::{PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX};
use crate::problem::Problem;

/// Which part of a list is asked for.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// Most items wanted, 1 to 250; 100 when left out.
    pub limit: Option<u32>,
    /// `next` of the page before.
    pub after: Option<String>,
}

impl Page {
    /// The number of items, inside its bounds.
    ///
    /// # Errors
    ///
    /// A problem when the caller asks for none or for too many.
    pub fn size(&self) -> Result<u32, Problem> {
        size(self.limit)
    }
}

/// The number of items of a page, inside its bounds.
///
/// # Errors
///
/// A problem when the caller asks for none or for too many.
pub fn size(limit: Option<u32>) -> Result<u32, Problem> {
    match limit {
        None => Ok(PAGE_ITEMS_DEFAULT),
        Some(limit) if (1..=PAGE_ITEMS_MAX).contains(&limit) => Ok(limit),
        Some(limit) => Err(Problem::invalid("?limit", format!("`{limit}` is not between 1 and {PAGE_ITEMS_MAX}"))),
    }
}

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct List<T> {
    /// The items of this page.
    pub items: Vec<T>,
    /// Send it as `after` for the next page; null on the last.
    pub next: Option<String>,
}

impl<T> List<T> {
    /// A page of at most `size` items out of `items`, which may hold one more to show that there is more.
    ///
    /// `cursor` names an item so that the next page can begin after it.
    pub fn cut(mut items: Vec<T>, size: u32, cursor: impl Fn(&T) -> String) -> Self {
        let size = size as usize;
        let more = items.len() > size;
        items.truncate(size);
        let next = if more { items.last().map(cursor) } else { None };
        Self { items, next }
    }

    /// The page of a list that is in memory whole and sorted by `cursor`.
    pub fn of_sorted(items: Vec<T>, after: Option<&str>, size: u32, cursor: impl Fn(&T) -> String) -> Self {
        let rest: Vec<T> = match after {
            None => items,
            Some(after) => items.into_iter().skip_while(|item| cursor(item).as_str() <= after).collect(),
        };
        Self::cut(rest, size, cursor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_cover_a_list_without_gap_or_double() {
        let all: Vec<u32> = (100..350).collect();
        let mut seen = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = List::of_sorted(all.clone(), after.as_deref(), 100, u32::to_string);
            seen.extend(page.items);
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        assert_eq!(seen, all);
    }

    #[test]
    fn a_full_last_page_has_no_next() {
        let page = List::of_sorted(vec![1, 2], None, 2, u32::to_string);
        assert_eq!((page.items.len(), page.next), (2, None));
    }

    #[test]
    fn a_page_has_bounds() {
        for (limit, good) in [(None, true), (Some(0), false), (Some(1), true), (Some(250), true), (Some(251), false)] {
            assert_eq!(size(limit).is_ok(), good, "{limit:?}");
        }
    }
}
