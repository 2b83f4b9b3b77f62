//! The memory allocator: mimalloc, told to give pages back soon.
//!
//! It keeps pages that nothing uses for a second before the system has them back, and a broker under load uses others
//! in the meantime: after ten million messages for a stream it held 68 MiB, of which 21 were such pages
//! (docs/performance-log.md).

use std::ffi::{c_int, c_long};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc's `mi_option_t`, which the bindings do not name; a test holds it to that.
const PURGE_DELAY: c_int = 15;
/// Pages that nothing uses are given back after so many milliseconds.
const PURGE_AFTER: c_long = 10;

/// Sets how the allocator works. `MIMALLOC_PURGE_DELAY` in the environment comes before it. Call it before there are
/// threads.
#[expect(unsafe_code, reason = "the allocator's options are set by its C interface alone")]
pub(crate) fn set_up() {
    // SAFETY: the function takes two numbers and no pointer; it checks the first for its range and then writes one
    // element of a static table, or nothing where the environment set that. The table is plain memory that allocating
    // threads read: there is no other thread yet, and this one does not allocate meanwhile.
    unsafe { libmimalloc_sys::mi_option_set_default(PURGE_DELAY, PURGE_AFTER) }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[expect(unsafe_code, reason = "as above")]
    fn purge_delay() -> c_long {
        // SAFETY: it takes a number, checks its range, and reads one element of a static table.
        unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) }
    }

    /// Options belong to the process: each case has one, which runs this test with `OWN` set and says what holds there.
    #[test]
    fn the_delay_is_set_unless_the_environment_says_otherwise() {
        const OWN: &str = "CORDON_TEST_TELLS_PURGE_DELAY";
        if std::env::var_os(OWN).is_some() {
            set_up();
            eprintln!("delay={}.", purge_delay());
            return;
        }
        for (given, expected) in [(None, PURGE_AFTER), (Some("777"), 777)] {
            let name = "allocator::tests::the_delay_is_set_unless_the_environment_says_otherwise";
            let mut own = Command::new(std::env::current_exe().unwrap());
            own.args(["--exact", name, "--nocapture"]).env(OWN, "1").env_remove("MIMALLOC_PURGE_DELAY");
            own.envs(given.map(|given| ("MIMALLOC_PURGE_DELAY", given)));
            let text = String::from_utf8_lossy(&own.output().unwrap().stderr).into_owned();
            assert!(text.contains(&format!("delay={expected}.")), "{given:?}: {text}");
        }
    }
}
