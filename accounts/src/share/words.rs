//! Permissions in words: `stream ORDERS: consume eu.>`, compiled to lists of subjects.
//!
//! ```text
//! stream  NAME [at PREFIX]: inspect
//! stream  NAME [at PREFIX]: consume [PATTERN …] [as CONSUMER]
//! stream  NAME [at PREFIX]: read [PATTERN …]
//! stream  NAME [at PREFIX]: publish PATTERN …
//! stream  NAME: manage
//! bucket  NAME [at PREFIX]: read [KEYS …] | write [KEYS …] | manage
//! objects NAME [at PREFIX]: read | write | manage
//! ```
//!
//! `at` names the prefix under which another account's stream is used. A list of words allows what they say, and the
//! inboxes that answers come to; nothing else.

use std::collections::BTreeSet;

use crate::claims::SubjectsClaim;
use crate::subject::Pattern;

/// Where answers come to.
const INBOXES: &str = "_INBOX.>";
const API: &str = "$JS.API";

/// What a list of words allows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// Subjects to publish to.
    pub publish: BTreeSet<String>,
    /// Subjects to subscribe to.
    pub subscribe: BTreeSet<String>,
}

/// Words that mean nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{words}`: {problem}")]
pub struct WordsError {
    /// The words.
    pub words: String,
    /// What is wrong with them.
    pub problem: String,
}

impl Words {
    /// Reads a list of words.
    ///
    /// # Errors
    ///
    /// [`WordsError`] names those that mean nothing, and says what would.
    pub fn parse<T: AsRef<str>>(list: &[T]) -> Result<Self, WordsError> {
        let mut words = Self::default();
        for line in list {
            let line = line.as_ref();
            let grant = Grant::parse(line).and_then(|grant| grant.write(&mut words));
            grant.map_err(|problem| WordsError { words: line.to_owned(), problem })?;
        }
        if !list.is_empty() {
            words.subscribe.insert(INBOXES.to_owned());
        }
        Ok(words)
    }

    /// Adds what is allowed to the lists of a claim.
    pub fn allow(&self, publish: &mut SubjectsClaim, subscribe: &mut SubjectsClaim) {
        for (from, to) in [(&self.publish, publish), (&self.subscribe, subscribe)] {
            for subject in from {
                if !to.allow.contains(subject) {
                    to.allow.push(subject.clone());
                }
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Bucket,
    Objects,
    Stream,
}

/// One line, taken apart.
struct Grant<'a> {
    kind: Kind,
    name: &'a str,
    prefix: &'a str,
    verb: &'a str,
    patterns: Vec<&'a str>,
    consumer: Option<&'a str>,
}

impl<'a> Grant<'a> {
    fn parse(line: &'a str) -> Result<Self, String> {
        let shape = "say it like `stream ORDERS: consume eu.>`";
        let (head, tail) = line.split_once(':').ok_or_else(|| format!("there is no `:`; {shape}"))?;
        let head: Vec<&str> = head.split_whitespace().collect();
        let (kind, name, prefix) = match head.as_slice() {
            [kind, name] => (*kind, *name, API),
            [kind, name, "at", prefix] => (*kind, *name, *prefix),
            _ => return Err(format!("before the `:` goes what it is about, and its name; {shape}")),
        };
        let kind = match kind {
            "stream" => Kind::Stream,
            "bucket" => Kind::Bucket,
            "objects" => Kind::Objects,
            other => return Err(format!("`{other}` is none of `stream`, `bucket` and `objects`")),
        };
        if name.contains(['.', '*', '>', '/', '\\']) {
            return Err(format!("`{name}` is no name"));
        }
        if !Pattern::parse(prefix).is_ok_and(|prefix| prefix.is_literal()) {
            return Err(format!("the prefix `{prefix}` must be a subject without wildcards"));
        }
        let mut words = tail.split_whitespace();
        let verb = words.next().ok_or_else(|| format!("nothing stands after the `:`; {shape}"))?;
        let mut patterns: Vec<&str> = words.collect();
        let consumer = match patterns.as_slice() {
            [.., "as", consumer] => Some(*consumer),
            _ => None,
        };
        if let Some(consumer) = consumer {
            patterns.truncate(patterns.len().saturating_sub(2));
            if consumer.contains(['.', '*', '>', '/', '\\']) {
                return Err(format!("`{consumer}` is no name of a consumer"));
            }
        }
        for pattern in &patterns {
            Pattern::parse(pattern).map_err(|error| error.to_string())?;
        }
        Ok(Self { kind, name, prefix, verb, patterns, consumer })
    }

    fn write(&self, words: &mut Words) -> Result<(), String> {
        let verbs = match self.kind {
            Kind::Stream => ["inspect", "consume", "read", "publish", "manage"].as_slice(),
            Kind::Bucket | Kind::Objects => ["read", "write", "manage"].as_slice(),
        };
        if !verbs.contains(&self.verb) {
            return Err(format!("`{}` is none of `{}`", self.verb, verbs.join("`, `")));
        }
        if self.consumer.is_some() && self.verb != "consume" {
            return Err("`as` goes with `consume`".to_owned());
        }
        let takes_patterns = match self.kind {
            Kind::Stream => matches!(self.verb, "consume" | "read" | "publish"),
            Kind::Bucket => self.verb != "manage",
            Kind::Objects => false,
        };
        if !takes_patterns && !self.patterns.is_empty() {
            return Err(format!("`{}` is of all of it; leave the patterns out", self.verb));
        }
        self.api(words, &format!("STREAM.INFO.{}", self.stream()));
        match (self.kind, self.verb) {
            (_, "manage") => self.manage(words),
            (Kind::Stream, "consume") => self.consume(words)?,
            (Kind::Stream, "read") => self.read(words)?,
            (Kind::Stream, "publish") => self.publish(words)?,
            (Kind::Bucket | Kind::Objects, "read") => {
                self.read(words)?;
                self.consume(words)?;
            }
            (Kind::Bucket | Kind::Objects, "write") => self.put(words),
            _ => {}
        }
        Ok(())
    }

    fn stream(&self) -> String {
        match self.kind {
            Kind::Stream => self.name.to_owned(),
            Kind::Bucket => format!("KV_{}", self.name),
            Kind::Objects => format!("OBJ_{}", self.name),
        }
    }

    /// Patterns as the stream knows them; none if everything is meant and nobody knows what that is.
    fn subjects(&self) -> Vec<String> {
        match self.kind {
            Kind::Stream => self.patterns.iter().map(|pattern| (*pattern).to_owned()).collect(),
            Kind::Bucket if self.patterns.is_empty() => vec![format!("$KV.{}.>", self.name)],
            Kind::Bucket => self.patterns.iter().map(|keys| format!("$KV.{}.{keys}", self.name)).collect(),
            Kind::Objects => vec![format!("$O.{}.>", self.name)],
        }
    }

    fn api(&self, words: &mut Words, tail: &str) {
        words.publish.insert(format!("{}.{tail}", self.prefix));
    }

    /// What is read in part must be told by the subject of a request alone. A `*` at its end would let `>` pass.
    fn parts(&self) -> Result<Vec<String>, String> {
        let subjects = if self.patterns.is_empty() { Vec::new() } else { self.subjects() };
        match subjects.iter().find(|subject| subject.ends_with('*')) {
            Some(subject) => {
                Err(format!("`{subject}` ends in `*`, which subjects of requests cannot keep; end it in `>`"))
            }
            None => Ok(subjects),
        }
    }

    fn consume(&self, words: &mut Words) -> Result<(), String> {
        let (stream, consumer) = (self.stream(), self.consumer.unwrap_or("*"));
        for verb in ["INFO", "DELETE", "MSG.NEXT"] {
            self.api(words, &format!("CONSUMER.{verb}.{stream}.{consumer}"));
        }
        let parts = self.parts()?;
        for filter in &parts {
            self.api(words, &format!("CONSUMER.CREATE.{stream}.{consumer}.{filter}"));
        }
        if parts.is_empty() {
            self.api(words, &format!("CONSUMER.CREATE.{stream}.{consumer}"));
            self.api(words, &format!("CONSUMER.CREATE.{stream}.{consumer}.>"));
            self.api(words, &format!("CONSUMER.DURABLE.CREATE.{stream}.{consumer}"));
            if self.consumer.is_none() {
                self.api(words, &format!("CONSUMER.CREATE.{stream}"));
            }
        }
        let owner = if self.prefix == API { "" } else { "_.*." };
        for space in ["ACK", "FC"] {
            words.publish.insert(format!("$JS.{space}.{owner}{stream}.{consumer}.>"));
        }
        words.subscribe.extend(self.subjects());
        Ok(())
    }

    fn read(&self, words: &mut Words) -> Result<(), String> {
        let stream = self.stream();
        let parts = self.parts()?;
        for subject in &parts {
            self.api(words, &format!("DIRECT.GET.{stream}.{subject}"));
        }
        if parts.is_empty() {
            for tail in ["DIRECT.GET.", "STREAM.MSG.GET."] {
                self.api(words, &format!("{tail}{stream}"));
            }
            self.api(words, &format!("DIRECT.GET.{stream}.>"));
        }
        words.subscribe.extend(self.subjects());
        Ok(())
    }

    fn publish(&self, words: &mut Words) -> Result<(), String> {
        if self.patterns.is_empty() {
            return Err("say what may be published: `publish orders.>`".to_owned());
        }
        let reserved = |pattern: &&&str| {
            let overlaps = |space: &str| crate::subject::matching::overlaps(space.as_bytes(), pattern.as_bytes());
            overlaps("$JS.>") || overlaps("$SYS.>")
        };
        if let Some(pattern) = self.patterns.iter().find(reserved) {
            return Err(format!("`{pattern}` reaches subjects that are not for messages"));
        }
        words.publish.extend(self.subjects());
        Ok(())
    }

    /// Clients put a prefix before the keys of buckets, and before nothing else.
    fn put(&self, words: &mut Words) {
        let shared = self.kind == Kind::Bucket && self.prefix != API;
        for subject in self.subjects() {
            words.publish.insert(if shared { format!("{}.{subject}", self.prefix) } else { subject });
        }
        if self.kind == Kind::Objects {
            self.api(words, &format!("STREAM.PURGE.{}", self.stream()));
        }
    }

    fn manage(&self, words: &mut Words) {
        let stream = self.stream();
        self.api(words, "INFO");
        for verb in ["CREATE", "UPDATE", "DELETE", "PURGE", "MSG.GET", "MSG.DELETE", "SNAPSHOT", "RESTORE"] {
            self.api(words, &format!("STREAM.{verb}.{stream}"));
        }
        for verb in ["CREATE", "NAMES", "LIST"] {
            self.api(words, &format!("CONSUMER.{verb}.{stream}"));
        }
        for verb in ["CREATE", "INFO", "DELETE", "PAUSE", "UNPIN", "RESET", "MSG.NEXT", "DURABLE.CREATE"] {
            self.api(words, &format!("CONSUMER.{verb}.{stream}.>"));
        }
        self.api(words, &format!("DIRECT.GET.{stream}"));
        self.api(words, &format!("DIRECT.GET.{stream}.>"));
        for space in ["ACK", "FC"] {
            words.publish.insert(format!("$JS.{space}.{stream}.>"));
        }
        if self.kind != Kind::Stream {
            self.put(words);
            words.subscribe.extend(self.subjects());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &str) -> Words {
        Words::parse(&[words]).unwrap()
    }

    #[test]
    fn words_allow_what_they_say_and_nothing_else() {
        let matches = |list: &BTreeSet<String>, subject: &str| {
            list.iter().any(|one| crate::subject::matching::matches(one.as_bytes(), subject.as_bytes()))
        };
        let cases: &[(&str, &[&str], &[&str])] = &[
            (
                "stream ORDERS: consume eu.>",
                &[
                    "$JS.API.STREAM.INFO.ORDERS",
                    "$JS.API.CONSUMER.CREATE.ORDERS.c.eu.de",
                    "$JS.API.CONSUMER.CREATE.ORDERS.c.eu.>",
                    "$JS.API.CONSUMER.MSG.NEXT.ORDERS.c",
                    "$JS.ACK.ORDERS.c.1.2.3.4.5",
                    "$JS.FC.ORDERS.c.abcd",
                ],
                &[
                    "$JS.API.CONSUMER.CREATE.ORDERS.c",
                    "$JS.API.CONSUMER.CREATE.ORDERS.c.us.>",
                    "$JS.API.CONSUMER.CREATE.ORDERS.c.>",
                    "$JS.API.CONSUMER.CREATE.ORDERS",
                    "$JS.API.STREAM.DELETE.ORDERS",
                    "$JS.API.STREAM.PURGE.ORDERS",
                    "$JS.API.STREAM.INFO.OTHER",
                    "$JS.API.DIRECT.GET.ORDERS.eu.de",
                    "eu.de",
                ],
            ),
            (
                "stream ORDERS: consume eu.> as worker",
                &["$JS.API.CONSUMER.CREATE.ORDERS.worker.eu.>", "$JS.ACK.ORDERS.worker.1.2.3.4.5"],
                &["$JS.API.CONSUMER.MSG.NEXT.ORDERS.other", "$JS.ACK.ORDERS.other.1.2.3.4.5"],
            ),
            ("stream ORDERS: consume", &["$JS.API.CONSUMER.CREATE.ORDERS.c"], &["$JS.API.STREAM.PURGE.ORDERS"]),
            ("stream ORDERS: publish orders.*.new", &["orders.eu.new"], &["orders.eu.old", "$JS.API.INFO"]),
            ("stream ORDERS: manage", &["$JS.API.STREAM.DELETE.ORDERS"], &["$JS.API.STREAM.DELETE.OTHER"]),
            (
                "bucket CONFIG: read",
                &[
                    "$JS.API.DIRECT.GET.KV_CONFIG.$KV.CONFIG.a",
                    "$JS.API.CONSUMER.CREATE.KV_CONFIG.c.$KV.CONFIG.>",
                    "$JS.FC.KV_CONFIG.c.abcd",
                ],
                &["$KV.CONFIG.a", "$JS.API.DIRECT.GET.KV_OTHER.$KV.OTHER.a"],
            ),
            (
                "bucket CONFIG: read eu.>",
                &["$JS.API.DIRECT.GET.KV_CONFIG.$KV.CONFIG.eu.a"],
                &["$JS.API.DIRECT.GET.KV_CONFIG.$KV.CONFIG.us.a", "$JS.API.DIRECT.GET.KV_CONFIG"],
            ),
            ("bucket CONFIG: write eu.>", &["$KV.CONFIG.eu.a"], &["$KV.CONFIG.us.a", "$KV.OTHER.eu.a"]),
            ("bucket CONFIG at $JS.acme.API: write", &["$JS.acme.API.$KV.CONFIG.a"], &["$KV.CONFIG.a"]),
            (
                "stream S at $JS.acme.API: consume",
                &["$JS.ACK._.x.S.c.1", "$JS.acme.API.CONSUMER.CREATE.S"],
                &["$JS.ACK.S.c.1"],
            ),
            ("objects FILES: write", &["$O.FILES.C.x", "$JS.API.STREAM.PURGE.OBJ_FILES"], &["$O.OTHER.C.x"]),
        ];
        for (words, yes, no) in cases {
            let allowed = of(words);
            assert!(allowed.subscribe.contains(INBOXES), "{words}");
            for subject in *yes {
                assert!(matches(&allowed.publish, subject), "{words}: {subject} in {:?}", allowed.publish);
            }
            for subject in *no {
                assert!(!matches(&allowed.publish, subject), "{words}: {subject}");
            }
        }
    }

    #[test]
    fn what_is_consumed_may_be_subscribed_to() {
        assert!(of("stream ORDERS: consume eu.>").subscribe.contains("eu.>"));
        assert!(of("bucket CONFIG: read").subscribe.contains("$KV.CONFIG.>"));
        assert_eq!(Words::parse::<&str>(&[]).unwrap(), Words::default());
    }

    #[test]
    fn words_that_mean_nothing_are_refused() {
        for words in [
            "",
            "stream",
            "stream ORDERS",
            "stream ORDERS:",
            "stream: consume",
            "stream A B: consume",
            "stream A.B: consume",
            "stream *: consume",
            "stream A at: consume",
            "stream A at p.*: consume",
            "table A: read",
            "stream A: write",
            "stream A: publish",
            "stream A: publish >",
            "stream A: publish $JS.API.>",
            "stream A: consume eu.*",
            "stream A: consume eu..a",
            "stream A: consume >.a",
            "stream A: consume as a.b",
            "stream A: read as c",
            "stream A: manage eu.>",
            "bucket A: consume",
            "bucket A: read eu.*",
            "objects A: read eu.>",
        ] {
            let error = Words::parse(&["stream OK: inspect", words]).unwrap_err();
            assert_eq!(error.words, words);
            assert!(!error.problem.is_empty());
        }
    }
}
