//! The option `feature_flags`: behaviour that clients must be ready for, switched on by name.

use super::value::{Node, Problem};

/// What is switched on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// `js_ack_fc_v2`: deliveries of streams name domain and account in their reply subjects.
    pub long_acks: bool,
}

/// Reads the flags. One that is not known here changes nothing, and `warnings` says so.
///
/// # Errors
///
/// A [`Problem`] if a flag is neither on nor off.
pub fn read(node: &Node, warnings: &mut Vec<String>) -> Result<Features, Problem> {
    let mut features = Features::default();
    for entry in node.entries()? {
        let on = entry.node.switch()?;
        match entry.key.as_str() {
            "js_ack_fc_v2" => features.long_acks = on,
            other => {
                warnings.push(format!("the feature flag `{}` is not known: it changes nothing", other.escape_debug()));
            }
        }
    }
    Ok(features)
}

#[cfg(test)]
mod tests {
    use crate::config::load_text;

    #[test]
    fn a_flag_is_on_or_off_and_an_unknown_one_is_told() {
        for (text, on, told) in [
            ("feature_flags { js_ack_fc_v2: true }", true, false),
            ("feature_flags { js_ack_fc_v2: false }", false, false),
            ("feature_flags { js_ack_fc_v3: true }", false, true),
            ("", false, false),
        ] {
            let loaded = load_text(&format!("jetstream: enabled\n{text}"), "test.conf").unwrap();
            assert_eq!(loaded.jetstream.unwrap().long_acks, on, "{text}");
            assert_eq!(loaded.warnings.iter().any(|warning| warning.contains("`js_ack_fc_v3`")), told, "{text}");
        }
        for bad in ["feature_flags { js_ack_fc_v2: 1 }", "feature_flags: true", "feature_flags: [js_ack_fc_v2]"] {
            assert!(load_text(bad, "test.conf").is_err(), "{bad}");
        }
    }
}
