//! Parameters of a page, read as nats-server reads them.

use crate::monitoring::Fault;

/// Parameters looked at; what comes after them is ignored.
const PARAMETERS: usize = 32;

/// The parameters of one request. Of several with one name the first counts.
#[derive(Debug)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Takes the text behind the question mark.
    pub fn new(text: Option<String>) -> Self {
        let text = text.unwrap_or_default();
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).take(PARAMETERS).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        });
        Self(pairs.collect())
    }

    /// A text, empty if not given.
    pub fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(given, _)| given == name).map_or("", |(_, value)| value)
    }

    /// A switch, off if not given.
    ///
    /// # Errors
    ///
    /// If it is neither on nor off.
    pub fn switch(&self, name: &str) -> Result<bool, Fault> {
        match self.text(name) {
            "" | "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
            other => {
                Err(Fault::new(format!("Error decoding boolean for '{name}': `{other}` is neither true nor false")))
            }
        }
    }

    /// A switch that may also say `detail`: whether it is on, and whether in detail.
    ///
    /// # Errors
    ///
    /// If it is neither.
    pub fn switch_or_detail(&self, name: &str) -> Result<(bool, bool), Fault> {
        if self.text(name) == "detail" {
            return Ok((false, true));
        }
        Ok((self.switch(name)?, false))
    }

    /// A whole number, 0 if not given.
    ///
    /// # Errors
    ///
    /// If it is none.
    pub fn integer(&self, name: &str) -> Result<i64, Fault> {
        self.number(name, "int")
    }

    /// A whole number that is not negative, 0 if not given.
    ///
    /// # Errors
    ///
    /// If it is none.
    pub fn natural(&self, name: &str) -> Result<u64, Fault> {
        self.number(name, "uint64")
    }

    fn number<T: std::str::FromStr + Default>(&self, name: &str, kind: &str) -> Result<T, Fault> {
        match self.text(name) {
            "" => Ok(T::default()),
            text => text
                .parse()
                .map_err(|_| Fault::new(format!("Error decoding {kind} for '{name}': `{text}` is no number"))),
        }
    }
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let decoded = match byte {
            b'+' => Some(b' '),
            b'%' => {
                let pair = [rest.clone().next(), rest.clone().nth(1)]
                    .map(|digit| (digit.unwrap_or(b'x') as char).to_digit(16));
                match pair {
                    [Some(high), Some(low)] => {
                        rest.nth(1);
                        u8::try_from(high * 16 + low).ok()
                    }
                    _ => Some(b'%'),
                }
            }
            other => Some(other),
        };
        bytes.extend(decoded);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Query {
        Query::new(Some(text.to_owned()))
    }

    #[test]
    fn parameters_are_decoded_and_the_first_counts() {
        let query = query("acc=a%2eb+c&acc=x&bad=%zz%4&empty");
        assert_eq!(
            (query.text("acc"), query.text("bad"), query.text("empty"), query.text("none")),
            ("a.b c", "%zz%4", "", "")
        );
    }

    #[test]
    fn wrong_values_are_named() {
        for text in ["auth=x", "auth=yes", "auth=2"] {
            assert!(
                query(text).switch("auth").unwrap_err().to_string().starts_with("Error decoding boolean for 'auth'")
            );
        }
        assert!(query("limit=many").integer("limit").is_err());
        assert!(query("cid=-1").natural("cid").is_err());
        assert!(query("subs=all").switch_or_detail("subs").is_err());
    }

    #[test]
    fn right_values_are_read() {
        assert_eq!(query("auth=True").switch("auth"), Ok(true));
        assert_eq!(query("").switch("auth"), Ok(false));
        assert_eq!(query("subs=detail").switch_or_detail("subs"), Ok((false, true)));
        assert_eq!(query("limit=-5").integer("limit"), Ok(-5));
        assert_eq!(Query::new(None).natural("cid"), Ok(0));
    }
}
