//! `chat-cli completions` and `chat-cli man`: made from the table of arguments, so that they cannot
//! tell of anything else.

use std::fs;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::args::CommandLine;
use crate::config::command::print;
use crate::exit::{Exit, Failure};

/// Prints what makes a shell complete this program's arguments.
///
/// # Errors
/// When standard output cannot be written.
pub fn completions(shell: Shell) -> Result<Exit, Failure> {
    print(&completion(shell))
}

/// Writes the manual into a folder, a page for each command, or the page of the program to standard
/// output.
///
/// # Errors
/// When it cannot be written.
pub fn man(dir: Option<&Path>) -> Result<Exit, Failure> {
    let Some(dir) = dir else {
        let first = pages().into_iter().next();
        return print(&first.map(|(_, page)| page).unwrap_or_default());
    };
    let write = || {
        fs::create_dir_all(dir)?;
        let pages = pages().into_iter().map(|(name, page)| {
            let path = dir.join(name);
            fs::write(&path, page).map(|()| path)
        });
        pages.collect::<Result<Vec<PathBuf>, _>>()
    };
    let written = write().map_err(|error| {
        let what = format!("the manual cannot be written to {}", dir.display());
        Failure::new(Exit::Failed, "system", what).because(error.to_string())
    })?;
    let lines = written.iter().map(|path| format!("{}\n", path.display()));
    print(&lines.collect::<String>())
}

fn completion(shell: Shell) -> String {
    let mut script = vec![];
    clap_complete::generate(shell, &mut CommandLine::command(), NAME, &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// The pages with their file names: the program first, then its commands and theirs.
fn pages() -> Vec<(String, String)> {
    let mut program = CommandLine::command().disable_help_subcommand(true);
    program.build();
    let mut pages = vec![];
    add_pages(&program, NAME, &mut pages);
    pages
}

fn add_pages(command: &clap::Command, name: &str, pages: &mut Vec<(String, String)>) {
    let mut page = vec![];
    let man = Man::new(command.clone().display_name(name.to_owned()))
        .title(name.to_uppercase())
        .source(concat!("chat-cli ", env!("CARGO_PKG_VERSION")));
    // Writing to memory does not fail.
    let _ = man.render(&mut page);
    pages.push((
        format!("{name}.1"),
        String::from_utf8_lossy(&page).into_owned(),
    ));
    for inner in command
        .get_subcommands()
        .filter(|inner| !inner.is_hide_set())
    {
        add_pages(inner, &format!("{name}-{}", inner.get_name()), pages);
    }
}

/// The program.
const NAME: &str = "chat-cli";

#[cfg(test)]
mod tests {
    use super::*;

    /// Every command with its page, and the long options that it has.
    fn commands() -> Vec<(String, Vec<String>)> {
        fn add(command: &clap::Command, name: &str, all: &mut Vec<(String, Vec<String>)>) {
            let options = command.get_arguments().filter_map(clap::Arg::get_long);
            all.push((name.to_owned(), options.map(str::to_owned).collect()));
            for inner in command.get_subcommands() {
                add(inner, &format!("{name}-{}", inner.get_name()), all);
            }
        }
        let mut all = vec![];
        let mut program = CommandLine::command().disable_help_subcommand(true);
        program.build();
        add(&program, NAME, &mut all);
        all
    }

    #[test]
    fn the_manual_has_a_page_for_each_command_with_all_its_options() {
        let pages = pages();
        let commands = commands();
        assert_eq!(pages.len(), commands.len());
        for ((file, page), (name, options)) in pages.iter().zip(commands) {
            assert_eq!(*file, format!("{name}.1"));
            assert!(
                page.contains(".SH NAME") && page.contains(".SH SYNOPSIS"),
                "{page}"
            );
            for option in options {
                // Dashes are escaped, so that they can be searched and copied.
                let option = format!("\\-\\-{}", option.replace('-', "\\-"));
                assert!(page.contains(&option), "{option} is not in {file}: {page}");
            }
        }
        let names: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
        for name in [
            "chat-cli.1",
            "chat-cli-bot.1",
            "chat-cli-send.1",
            "chat-cli-trust-add.1",
        ] {
            assert!(names.contains(&name), "{names:?}");
        }
        assert!(pages[0].1.contains("Exit codes"), "{}", pages[0].1);
    }

    #[test]
    fn every_shell_completes_all_commands_and_options() {
        for shell in [
            Shell::Bash,
            Shell::Zsh,
            Shell::Fish,
            Shell::Elvish,
            Shell::PowerShell,
        ] {
            let script = completion(shell);
            for (name, options) in commands() {
                let word = name.rsplit('-').next().unwrap();
                assert!(script.contains(word), "{word} for {shell}");
                for option in options {
                    assert!(script.contains(&option), "{option} for {shell}");
                }
            }
        }
    }
}
