//! The configuration, as the program reads it.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::support::{Ended, Node, cli, run};

fn home_with(config: &str) -> (TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("chat/config.toml");
    fs::create_dir(path.parent().unwrap()).unwrap();
    fs::write(&path, config).unwrap();
    (home, path)
}

#[track_caller]
fn expect_remark(ended: &Ended, expected: &str) {
    let remarks = ended.stderr.join("\n");
    assert!(
        remarks.contains(expected),
        "{expected:?} is not in {ended:#?}"
    );
}

#[test]
fn a_wrong_file_is_told_with_its_place_before_anything_is_done() {
    let (home, path) = home_with("[ui]\n\n  time_fromat = \"%H\"\nmouse = 1\n");
    let place = format!(
        "error: {}:3:3: unknown key `time_fromat` in [ui]",
        path.display()
    );
    // Nothing listens there: a connection would end with 3.
    let ended = run(cli(&home, &["1"]), "hi\n");
    ended.expect_code(8);
    expect_remark(&ended, &place);
    expect_remark(&ended, "help:  did you mean `time_format`?");
    expect_remark(&ended, "1 more:  chat-cli config check");

    let ended = run(cli(&home, &["config", "check"]), "");
    ended.expect_code(8);
    expect_remark(&ended, &place);
    expect_remark(
        &ended,
        ":4:9: `mouse` is a number; it must be true or false",
    );

    let other = home.path().join("other.toml");
    fs::write(&other, "name = \"bo\"\n").unwrap();
    let other = other.to_str().unwrap();
    run(cli(&home, &["config", "check", other]), "").expect_code(0);
    let ended = run(cli(&home, &["config", "show", "--config", other]), "");
    ended.expect_code(0);
    let gone = run(cli(&home, &["1", "--config", "gone.toml"]), "");
    gone.expect_code(8);
    expect_remark(&gone, "the configuration file gone.toml cannot be read");
}

#[test]
fn flag_environment_profile_file_and_default_come_in_this_order() {
    let node = Node::start(&[]);
    let path = node.home().join("chat/config.toml");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let file = format!(
        "name = \"from-file\"\nrooms = [\"file-room\"]\ntarget = \"{}\"\n\
         [profile.work]\nname = \"from-profile\"\n",
        node.port()
    );
    let who = |file: &str, arguments: &[&str], environment: &[(&str, &str)]| {
        fs::write(&path, file).unwrap();
        // Where to go comes from the file.
        let mut command = node.cli_without_target(arguments);
        command.envs(environment.iter().copied());
        let ended = run(command, "hi\n");
        ended.expect_code(0);
        let line = &ended.stdout[0];
        let (room, rest) = line[line.find('#').unwrap()..].split_once(" <").unwrap();
        // The name of the run before may still be taken.
        let name = rest.split('>').next().unwrap();
        let name = name.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == '-');
        (room.to_owned(), name.to_owned())
    };
    let told = |room: &str, name: &str| (room.to_owned(), name.to_owned());
    let variable = [("CHAT_NAME", "from-variable")];
    let bare = format!("target = \"{}\"\n", node.port());
    assert_eq!(who(&bare, &[], &[]), told("#lobby", "user"));
    assert_eq!(who(&file, &[], &[]), told("#file-room", "from-file"));
    let work = ["--profile", "work"];
    assert_eq!(who(&file, &work, &[]), told("#file-room", "from-profile"));
    assert_eq!(
        who(&file, &[], &[("CHAT_PROFILE", "work")]).1,
        "from-profile"
    );
    assert_eq!(
        who(&file, &work, &variable),
        told("#file-room", "from-variable")
    );
    let flags = ["--profile", "work", "--name", "from-flag", "--room", "dev"];
    assert_eq!(who(&file, &flags, &variable), told("#dev", "from-flag"));

    let mut command = node.cli_without_target(&["config", "show", "--profile", "work"]);
    command.env("CHAT_ROOM", "ops");
    let shown = run(command, "");
    shown.expect_code(0);
    for (key, source) in [
        ("name = \"from-profile\"", "# line 5, profile work"),
        ("rooms = [\"ops\"]", "# $CHAT_ROOM"),
        ("target = [", "# line 3"),
        ("time_format = \"%H:%M\"", "# default"),
        ("picker = [\"ctrl-g\", \"alt-k\"]", "# default"),
    ] {
        let is_it = |line: &&String| line.starts_with(key) && line.ends_with(source);
        assert_eq!(
            shown.stdout.iter().filter(is_it).count(),
            1,
            "{key}: {shown:#?}"
        );
    }
    let ended = run(node.cli_without_target(&["--profile", "wrok"]), "");
    ended.expect_code(8);
    expect_remark(&ended, "did you mean \"work\"?");
}

#[test]
fn a_first_file_is_written_once() {
    let home = tempfile::tempdir().unwrap();
    let path = run(cli(&home, &["config", "path"]), "");
    path.expect_code(0);
    let expected = home.path().join("chat/config.toml");
    assert_eq!(path.stdout, [expected.to_str().unwrap()]);
    run(cli(&home, &["config", "init"]), "").expect_code(0);
    let text = fs::read_to_string(&expected).unwrap();
    assert!(text.contains("#time_format = "), "{text}");
    run(cli(&home, &["config", "check"]), "").expect_code(0);
    fs::write(&expected, "name = \"mine\"\n").unwrap();
    let again = run(cli(&home, &["config", "init"]), "");
    again.expect_code(1);
    assert_eq!(fs::read_to_string(&expected).unwrap(), "name = \"mine\"\n");
    let printed = run(cli(&home, &["config", "init", "--print"]), "");
    assert_eq!(printed.stdout.join("\n").trim_end(), text.trim_end());
}
