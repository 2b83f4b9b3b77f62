//! The memory that argon2 fills. It is 19 MiB for each comparison, and pages that come from the system and go back to it
//! cost as much as a third of the comparison, in the system, where not even a thread of the lowest priority gives way. So
//! a thread that compares keeps it from one to the next.

use argon2::password_hash::{Error, Output, PasswordHash};
use argon2::{Algorithm, Argon2, Block, Params, Version};

/// What a comparison with argon2 works in. Empty until the first; written over by the next.
#[derive(Default)]
pub(super) struct Workspace {
    blocks: Vec<Block>,
}

impl Workspace {
    /// More than this is not kept from one comparison to the next: 64 MiB, in blocks of 1 KiB.
    const KEPT_MAX: usize = 64 << 10;

    /// Whether `hash` is of this password.
    ///
    /// # Errors
    ///
    /// What `hash` says of algorithm, version or parameters cannot be followed, or it has no salt or no output.
    pub(super) fn is_of(&mut self, hash: &PasswordHash<'_>, password: &[u8]) -> Result<bool, Error> {
        let (Some(salt), Some(expected)) = (&hash.salt, &hash.hash) else { return Err(Error::Password) };
        let algorithm = Algorithm::try_from(hash.algorithm)?;
        let version = hash.version.map(Version::try_from).transpose()?.unwrap_or_default();
        let params = Params::try_from(hash)?;
        let mut room = [0; 64];
        let salt = salt.decode_b64(&mut room)?;
        let needed = params.block_count();
        if self.blocks.len() < needed {
            self.blocks = vec![Block::default(); needed];
        }
        let argon2 = Argon2::new(algorithm, version, params);
        let found = Output::init_with(expected.len(), |out| {
            Ok(argon2.hash_password_into_with_memory(password, salt, out, &mut self.blocks)?)
        });
        if self.blocks.len() > Self::KEPT_MAX {
            self.clear();
        }
        // `Output` is compared in constant time.
        Ok(found? == *expected)
    }

    /// Gives the memory back.
    pub(super) fn clear(&mut self) {
        self.blocks = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _, Salt};
    use proptest::prelude::*;

    use super::*;

    fn hashed(algorithm: Algorithm, version: Version, memory: u32, lanes: u32, password: &str) -> String {
        let params = Params::new(memory, 2, lanes, None).unwrap();
        let salt = Salt::from_b64("c2FsdHNhbHRzYWx0").unwrap();
        Argon2::new(algorithm, version, params).hash_password(password.as_bytes(), salt).unwrap().to_string()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        /// What earlier comparisons left there changes nothing, whatever their size was: the library alone says the same.
        #[test]
        fn memory_that_was_used_before_gives_the_same_answers(
            all in prop::collection::vec((0..3_usize, any::<bool>(), 8..200_u32, 1..3_u32, "[ab]", "[ab]"), 1..6),
        ) {
            let mut workspace = Workspace::default();
            for (algorithm, is_old, memory, lanes, password, given) in all {
                let algorithm = [Algorithm::Argon2d, Algorithm::Argon2i, Algorithm::Argon2id][algorithm];
                let version = if is_old { Version::V0x10 } else { Version::V0x13 };
                let text = hashed(algorithm, version, memory * lanes, lanes, &password);
                let hash = PasswordHash::new(&text).unwrap();
                let found = workspace.is_of(&hash, given.as_bytes()).unwrap();
                prop_assert_eq!(found, password == given);
                prop_assert_eq!(found, Argon2::default().verify_password(given.as_bytes(), &hash).is_ok());
            }
        }
    }

    #[test]
    fn memory_is_kept_for_the_next_up_to_a_bound() {
        let mut workspace = Workspace::default();
        let small = hashed(Algorithm::Argon2id, Version::V0x13, 64, 1, "pw");
        assert!(workspace.is_of(&PasswordHash::new(&small).unwrap(), b"pw").unwrap());
        let place = workspace.blocks.as_ptr();
        assert!(workspace.is_of(&PasswordHash::new(&small).unwrap(), b"pw").unwrap());
        assert_eq!((place, workspace.blocks.len()), (workspace.blocks.as_ptr(), 64));
        let large = small.replace("m=64,", "m=65540,");
        assert!(!workspace.is_of(&PasswordHash::new(&large).unwrap(), b"pw").unwrap());
        assert_eq!(workspace.blocks.capacity(), 0);
    }

    #[test]
    fn what_cannot_be_followed_is_an_error() {
        for text in [
            "$argon2id$v=19$m=64,t=2,p=1",
            "$argon2id$v=19$m=64,t=2,p=1$c2FsdHNhbHRzYWx0",
            "$argon2x$v=19$m=64,t=2,p=1$c2FsdHNhbHRzYWx0$3EjCOSYGRRmWnEXsTDdiPg",
            "$argon2id$v=20$m=64,t=2,p=1$c2FsdHNhbHRzYWx0$3EjCOSYGRRmWnEXsTDdiPg",
            "$argon2id$v=19$m=1,t=2,p=1$c2FsdHNhbHRzYWx0$3EjCOSYGRRmWnEXsTDdiPg",
        ] {
            let hash = PasswordHash::new(text).unwrap();
            assert!(Workspace::default().is_of(&hash, b"pw").is_err(), "{text}");
        }
    }
}
