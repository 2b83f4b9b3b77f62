//! The memory allocator: mimalloc, told to give pages back soon.
//!
//! It keeps pages that nothing uses for a second before the system has them back, and some for the thread that used them
//! last; a broker under load uses others in the meantime: after ten million messages for a stream it held 68 MiB, of
//! which 25 were such pages (docs/performance-log.md).

use std::ffi::{c_int, c_long};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// An option's place in mimalloc's `mi_option_t`, its name in the environment, and what it is set to. The bindings do not name
/// them; a test holds each to its place.
const OPTIONS: [(c_int, &str, c_long); 4] = [
    // Pages that nothing uses are given back after so many milliseconds..
    (15, "MIMALLOC_PURGE_DELAY", 1),
    // .. times this, where they are of an arena, as nearly all are.
    (24, "MIMALLOC_ARENA_PURGE_MULT", 1),
    // A thread looks for pages of its own that nothing uses, once in so many of its longer ways to memory.
    (34, "MIMALLOC_GENERIC_COLLECT", 300),
    // It keeps no empty page of each size for itself.
    (36, "MIMALLOC_PAGE_FULL_RETAIN", 0),
];

/// Sets how the allocator works. What the environment says comes before it. Call it before there are threads.
#[expect(unsafe_code, reason = "the allocator's options are set by its C interface alone")]
pub(crate) fn set_up() {
    for (option, _, value) in OPTIONS {
        // SAFETY: the function takes two numbers and no pointer; it checks the first for its range and then writes one
        // element of a static table, or nothing where the environment set that. The table is plain memory that allocating
        // threads read: there is no other thread yet, and this one does not allocate meanwhile.
        unsafe { libmimalloc_sys::mi_option_set_default(option, value) }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[expect(unsafe_code, reason = "as above")]
    fn value(option: c_int) -> c_long {
        // SAFETY: it takes a number, checks its range, and reads one element of a static table.
        unsafe { libmimalloc_sys::mi_option_get(option) }
    }

    /// Options belong to the process: each case has one, which runs this test with `OWN` set and says what holds there. That
    /// the environment reaches an option by its name shows that its place is right.
    #[test]
    fn options_are_set_unless_the_environment_says_otherwise() {
        const OWN: &str = "CORDON_TEST_TELLS_OPTIONS";
        if std::env::var_os(OWN).is_some() {
            set_up();
            for (option, name, _) in OPTIONS {
                eprintln!("{name}={}.", value(option));
            }
            return;
        }
        for given in [None, Some(7)] {
            let name = "allocator::tests::options_are_set_unless_the_environment_says_otherwise";
            let mut own = Command::new(std::env::current_exe().unwrap());
            own.args(["--exact", name, "--nocapture"]).env(OWN, "1");
            for (number, (_, name, _)) in (0..).zip(OPTIONS) {
                own.env_remove(name).envs(given.map(|given: c_long| (name, (given + number).to_string())));
            }
            let text = String::from_utf8_lossy(&own.output().unwrap().stderr).into_owned();
            for (number, (_, name, ours)) in (0..).zip(OPTIONS) {
                let expected = given.map_or(ours, |given| given + number);
                assert!(text.contains(&format!("{name}={expected}.")), "{given:?}: {text}");
            }
        }
    }
}
