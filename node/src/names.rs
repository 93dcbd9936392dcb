//! Which names are the same to the eye, and which are the server's.
//!
//! Names are unique in the cluster by their **key**, so that `аnn` with a Cyrillic а, `ANN` and
//! `ann` are one name, as are `paypal`, `paypaI` and `paypa1`. Keys are compared, never shown.
//! Pure; the claims themselves are the backplane's.

use chat_protocol::UserName;
use chat_protocol::limits::USER_NAME_CHARS_MAX;
use unicode_normalization::UnicodeNormalization;

/// What two names have in common when people take one for the other: the confusable skeleton of
/// Unicode Technical Standard 39, then lower case, with `i`, `l`, `1` and `|` as one.
#[must_use]
pub fn key(name: &str) -> String {
    let composed: String = name.nfkc().collect();
    let folded: String = unicode_security::skeleton(&composed)
        .flat_map(char::to_lowercase)
        .collect();
    // Lower case can make new look-alikes (a capital of another script), so once more.
    unicode_security::skeleton(&folded)
        .map(|letter| {
            if matches!(letter, 'i' | '1' | '|' | 'ı') {
                'l'
            } else {
                letter
            }
        })
        .collect()
}

/// Whether a name could pass for the server's own: a reserved word, also with marks and digits
/// around it (`_SERVER_`, `admin2`).
#[must_use]
pub fn is_reserved(name: &UserName) -> bool {
    let letters: String = name
        .as_str()
        .chars()
        .filter(|letter| letter.is_alphabetic())
        .collect();
    let key = key(&letters);
    RESERVED.iter().any(|word| self::key(word) == key)
}

/// The `attempt`-th name to try when `name` is taken: `ann-2`, `ann-3` and so on, cut to fit.
#[must_use]
pub fn suffixed(name: &UserName, attempt: u32) -> UserName {
    let suffix = format!("-{}", attempt.saturating_add(1));
    let mut base: String = name
        .as_str()
        .chars()
        .take(USER_NAME_CHARS_MAX - suffix.chars().count())
        .collect();
    loop {
        match UserName::try_from(format!("{base}{suffix}")) {
            Ok(name) => return name,
            // Too many bytes: only a shorter base can help, and an empty one is never reached.
            Err(_) => match base.pop() {
                Some(_) if !base.is_empty() => {}
                _ => return name.clone(),
            },
        }
    }
}

/// Words people take for the server's voice.
const RESERVED: &[&str] = &[
    "server",
    "system",
    "admin",
    "administrator",
    "root",
    "node",
    "notice",
    "moderator",
    "operator",
    "support",
    "everyone",
    "all",
    "here",
    "channel",
    "chat",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> UserName {
        text.parse().unwrap()
    }

    #[test]
    fn names_that_look_alike_have_one_key() {
        for (one, other) in [
            ("ann", "Ann"),
            ("ann", "аnn"), // A Cyrillic а.
            ("paypal", "paypaI"),
            ("paypal", "paypa1"),
            ("bill", "BILL"),
            ("bob", "b0b"),
            ("ｆｕｌｌ", "full"),
        ] {
            assert_eq!(key(one), key(other), "{one} and {other}");
        }
        for (one, other) in [("ann", "anna"), ("bot-2", "bot-3"), ("田中", "田口")] {
            assert_ne!(key(one), key(other), "{one} and {other}");
        }
    }

    #[test]
    fn the_server_cannot_be_imitated() {
        for taken in [
            "server",
            "SERVER",
            "Sеrver",
            "_system_",
            "admin2",
            "Root",
            "server-1",
            "a.d.m.i.n",
        ] {
            assert!(is_reserved(&name(taken)), "{taken}");
        }
        for free in ["ann", "observer", "nodejs", "chatty"] {
            assert!(!is_reserved(&name(free)), "{free}");
        }
    }

    #[test]
    fn a_suffix_always_fits() {
        assert_eq!(suffixed(&name("ann"), 1).as_str(), "ann-2");
        assert_eq!(
            suffixed(&name(&"x".repeat(32)), 9).as_str(),
            format!("{}-10", "x".repeat(29))
        );
        let wide = name(&"田".repeat(21));
        assert!(suffixed(&wide, 1).as_str().ends_with("-2"));
    }
}
