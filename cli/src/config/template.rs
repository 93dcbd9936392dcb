//! The configuration file that `chat-cli config init` writes: every key, its default, what it does.

use std::fmt::Write;

use crate::tui::action::{BINDINGS, Group};

/// The text of the file. It says nothing: every key is a comment.
#[must_use]
pub fn text() -> String {
    let mut text = HEAD.to_owned();
    let mut group: Option<Group> = None;
    for binding in BINDINGS {
        if group.replace(binding.group) != Some(binding.group) {
            let _ = writeln!(text, "# {}", binding.group.title());
        }
        let keys: Vec<String> = binding
            .keys
            .split(' ')
            .map(|key| format!("{key:?}"))
            .collect();
        let key = format!("#{} = [{}]", binding.name, keys.join(", "));
        let _ = writeln!(text, "{key:<48} # {}", binding.about);
    }
    text.push_str(TAIL);
    text
}

const HEAD: &str = r#"# chat-cli. Remove the # before a key to set it; the values are the defaults, or examples.
# A flag wins over the environment, that over a profile, that over the rest of this file.
# What applies, and where it comes from:  chat-cli config show

# Nodes to connect to: PORT, HOST, HOST:PORT or quic://HOST:PORT, one or several.
#target = ["8081"]
# Your name; without it $USER.
#name = "ann"
# Rooms to join. What you type goes to the first.
#rooms = ["lobby"]
# Whom to trust: an authority, one certificate, or where the development certificates are.
# Paths start at the folder of this file, or with ~/.
#ca = "ca.pem"
#pin = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#certs = "~/chat/certs"

# A profile has the same keys, and is chosen by --profile work or CHAT_PROFILE=work.
#[profile.work]
#target = ["chat.example"]
#rooms = ["ops", "dev"]
#ca = "work.pem"

#[ui]
#theme = "auto"          # "auto", "dark", "light" or "mono"
#time_format = "%H:%M"   # as strftime has it
#mouse = true            # wheel and clicks; Shift selects text all the same
#bell = true             # ring for what [notify] says
#typing = true           # tell others that you are typing
#member_list = true      # show the members beside the messages
#room_list = true        # show the rooms beside the messages
#ascii = false           # frames and marks of ASCII alone

# Keys: one, or a list. An action that is named here loses the keys it had.
#[keys]
"#;

const TAIL: &str = r##"
# When to ring: "off", "mentions" or "all"; for single rooms by their names.
#[notify]
#default = "mentions"
#"#lobby" = "off"
"##;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::file::{LAYER_KEYS, UI_KEYS, parse};
    use crate::config::ui::Ui;

    /// The text with all its keys set.
    fn uncommented() -> String {
        let text = text();
        let lines = text.lines().map(|line| {
            let is_key = line.starts_with('#') && !line.starts_with("# ");
            line.get(usize::from(is_key)..).unwrap_or("").to_owned() + "\n"
        });
        lines.collect()
    }

    #[test]
    fn it_says_nothing_until_keys_are_set() {
        let file = parse(&text()).unwrap();
        assert!(file.here.targets.is_none() && file.profiles.is_empty() && file.keys.is_empty());
    }

    #[test]
    fn every_key_is_in_it_with_its_default() {
        let full = uncommented();
        let file = parse(&full).unwrap_or_else(|faults| panic!("{faults:?}"));
        for key in LAYER_KEYS.iter().chain(UI_KEYS) {
            assert!(full.contains(&format!("\n{key} = ")), "{key} is missing");
        }
        assert_eq!(file.keys.len(), BINDINGS.len());
        let (said, default) = (file.ui, Ui::default());
        assert_eq!(said.theme.unwrap().value, default.theme);
        assert_eq!(said.time_format.unwrap().value, default.time_format);
        for (said, default) in [
            (said.mouse, default.mouse),
            (said.bell, default.bell),
            (said.typing, default.typing),
            (said.member_list, default.member_list),
            (said.room_list, default.room_list),
            (said.ascii, default.ascii),
        ] {
            assert_eq!(said.unwrap().value, default);
        }
        for binding in BINDINGS {
            for key in binding.keys.split(' ') {
                let action = file.keymap.action(key.parse().unwrap());
                assert_eq!(action, Some(binding.action), "{key}");
            }
        }
    }
}
