//! What others write changes nothing on the screen but its own cells.

use crate::support::screen::Screen;
use crate::support::{Node, run};

use super::{count, open, wait_for};

/// Texts that nodes let through and that terminals disagree about.
const TEXTS: [&str; 9] = [
    "\u{202a}", // Refused: said nowhere.
    "family 👩\u{200d}👩\u{200d}👧\u{200d}👦 end",
    "flag 🏳\u{fe0f}\u{200d}🌈 end",
    "thumb 👍🏽 end",
    "zalgo z\u{300}\u{301}\u{302}\u{303}\u{304}\u{305}\u{306}\u{307}\u{308}\u{309} end",
    "hidden a\u{200b}b\u{feff}c\u{ad}d\u{3164}e end",
    "wide 日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語 end",
    "tags x\u{e0041}\u{e0042}\u{e007f} end",
    "שלום עולם العربية end",
];

#[test]
fn texts_stay_in_their_pane() {
    let node = Node::start(&[]);
    let ann = open(&node, "ann", 100, 30);
    for text in TEXTS {
        run(
            node.cli(&["--name", "mallory", "--raw"]),
            &format!("{text}\n"),
        );
    }
    run(node.cli(&["--name", "mallory"]), "the last\n").expect_code(0);
    wait_for(&ann, " the last");
    assert_walls(&ann);
    assert_eq!(
        count(&ann.lines(), " end"),
        TEXTS.len() - 1,
        "{:#?}",
        ann.lines()
    );
}

/// Every row between topic and status has its two walls where they belong.
fn assert_walls(screen: &Screen) {
    let rows = screen.cells();
    for (index, row) in rows.iter().enumerate().take(rows.len() - 2).skip(1) {
        for column in [17, 82] {
            assert_eq!(row[column], "│", "row {index}: {row:?}");
        }
    }
}
