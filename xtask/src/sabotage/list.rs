//! What is broken on purpose, where, and which test must notice.

/// One place in a file of the copy, and what stands there instead.
#[derive(Clone, Debug)]
pub(crate) struct Edit {
    /// Relative to the workspace.
    pub(crate) file: &'static str,
    /// Occurs there once.
    pub(crate) find: &'static str,
    /// Of a sabotage, `SABOTAGED` in it is true when that sabotage is asked for.
    pub(crate) replace: &'static str,
}

/// A promise that is broken, and a test that fails when it is.
#[derive(Debug)]
pub(crate) struct Sabotage {
    /// What goes wrong.
    pub(crate) name: &'static str,
    pub(crate) edit: Edit,
    /// One of [`TEST_BINARIES`].
    pub(crate) binary: &'static str,
    pub(crate) test: &'static str,
}

/// Test binaries that are built with all edits.
pub(crate) const TEST_BINARIES: [&str; 5] = [
    "backplane_contract",
    "backplane_redis",
    "repair",
    "scripted",
    "simulation",
];

/// The version of the workspace, as the files have it.
macro_rules! version {
    ($($more:literal)?) => {
        concat!("\"", env!("CARGO_PKG_VERSION"), $($more,)? "\"")
    };
}

/// What a crate asks for the wanted sabotage.
macro_rules! asking {
    () => {
        r#"
#[allow(dead_code)]
fn sabotage() -> &'static str {
    static NAME: std::sync::LazyLock<String> =
        std::sync::LazyLock::new(|| std::env::var("CHAT_SABOTAGE").unwrap_or_default());
    &NAME
}

fn sabotaged(name: &str) -> bool {
    sabotage() == name
}
"#
    };
}

/// Makes the copy a workspace beside the original, and lets it ask which sabotage is wanted.
pub(crate) const PREPARATIONS: &[Edit] = &[
    // Both are built into one folder, which saves building the dependencies again. Cargo tells
    // packages of one folder apart by name and version, not by where they are: with the same ones
    // it would take what was built of the original for the copy's, and the other way round.
    Edit {
        file: "Cargo.toml",
        find: concat!("version = ", version!(), "\nedition"),
        replace: concat!("version = ", version!("-sabotage"), "\nedition"),
    },
    Edit {
        file: "Cargo.lock",
        find: concat!("name = \"chat-cli\"\nversion = ", version!()),
        replace: concat!("name = \"chat-cli\"\nversion = ", version!("-sabotage")),
    },
    Edit {
        file: "Cargo.lock",
        find: concat!("name = \"chat-client\"\nversion = ", version!()),
        replace: concat!("name = \"chat-client\"\nversion = ", version!("-sabotage")),
    },
    Edit {
        file: "Cargo.lock",
        find: concat!("name = \"chat-node\"\nversion = ", version!()),
        replace: concat!("name = \"chat-node\"\nversion = ", version!("-sabotage")),
    },
    Edit {
        file: "Cargo.lock",
        find: concat!("name = \"chat-protocol\"\nversion = ", version!()),
        replace: concat!(
            "name = \"chat-protocol\"\nversion = ",
            version!("-sabotage")
        ),
    },
    Edit {
        file: "Cargo.lock",
        find: concat!("name = \"xtask\"\nversion = ", version!()),
        replace: concat!("name = \"xtask\"\nversion = ", version!("-sabotage")),
    },
    // And the original's program must stay what it is.
    Edit {
        file: "node/Cargo.toml",
        find: "[dependencies]\n",
        replace: "[[bin]]\nname = \"chat-node-sabotaged\"\npath = \"src/main.rs\"\n\n[dependencies]\n",
    },
    Edit {
        file: "node/tests/support/process.rs",
        find: "CARGO_BIN_EXE_chat-node",
        replace: "CARGO_BIN_EXE_chat-node-sabotaged",
    },
    Edit {
        file: "node/src/lib.rs",
        find: "pub mod backplane;\n",
        replace: concat!("pub mod backplane;\n", asking!()),
    },
    Edit {
        file: "client/src/lib.rs",
        find: "mod backoff;\n",
        replace: concat!("mod backoff;\n", asking!()),
    },
    Edit {
        file: "node/src/backplane/redis/rooms.rs",
        find: r##"    Script::new(concat!(
        "#!lua\n",
        include_str!("log.lua"),
        include_str!("epoch.lua"),
        include_str!("senders.lua"),
        include_str!("append.lua")
    ))"##,
        replace: r##"    Script::new(
        &concat!(
            "#!lua\n",
            include_str!("log.lua"),
            include_str!("epoch.lua"),
            include_str!("senders.lua"),
            include_str!("append.lua")
        )
        .replace("SABOTAGE_NAME", &format!("'{}'", crate::sabotage())),
    )"##,
    },
];

/// Each is harmless until it is asked for, so one build serves all.
pub(crate) const SABOTAGES: &[Sabotage] = &[
    Sabotage {
        name: "a room skips the hole before an announcement",
        edit: Edit {
            file: "node/src/room/follow.rs",
            find: "} else if block.first > last.seq.next() {",
            replace: "} else if block.first > last.seq.next() && !SABOTAGED {",
        },
        binary: "repair",
        test: "a_hole_is_read_once_and_no_reader_falls_behind",
    },
    Sabotage {
        name: "a reader skips what is no longer in the tail",
        edit: Edit {
            file: "node/src/room/mod.rs",
            find: "            Read::Behind(_) => return Next::Behind,",
            replace: "            Read::Behind(first) if SABOTAGED => {
                position.next = first;
                return Next::UpToDate;
            }
            Read::Behind(_) => return Next::Behind,",
        },
        binary: "simulation",
        test: ROUGH,
    },
    Sabotage {
        name: "a reader ignores that the log began a new epoch",
        edit: Edit {
            file: "node/src/room/mod.rs",
            find: "        if log.head().epoch != position.epoch {",
            replace: "        if log.head().epoch != position.epoch && !SABOTAGED {",
        },
        binary: "simulation",
        test: LOSSES,
    },
    Sabotage {
        name: "a room is not compared with the log's head",
        edit: Edit {
            file: "node/src/room/mod.rs",
            find: "        match ahead.look_again(log.head()) {
            Look::Reached => {}",
            replace: "        match ahead.look_again(log.head()) {
            Look::Reached => {}
            Look::Lost if SABOTAGED => {}",
        },
        binary: "simulation",
        test: ROUGH,
    },
    Sabotage {
        name: "a message is acked that is not in the log",
        edit: Edit {
            file: "node/src/room/task.rs",
            find: "                Err(error) => {
                    debug!(room = %self.name, %error, \"publishes are refused\");",
            replace: "                Err(_) if SABOTAGED => {
                    let mut cursor = self.head();
                    for submission in submissions {
                        cursor.seq = cursor.seq.next();
                        submission.acknowledge(cursor);
                    }
                }
                Err(error) => {
                    debug!(room = %self.name, %error, \"publishes are refused\");",
        },
        binary: "simulation",
        test: ROUGH,
    },
    Sabotage {
        name: "an append without an answer is repeated as if it were new",
        edit: Edit {
            file: "node/src/room/task.rs",
            find: "        match backplane.append(room, batch).await {",
            replace: "        let mut batch = batch.clone();
        for draft in batch.drafts.iter_mut().filter(|_| SABOTAGED) {
            draft.session = chat_protocol::SessionId(rand::random());
        }
        match backplane.append(room, &batch).await {",
        },
        binary: "simulation",
        test: ROUGH,
    },
    Sabotage {
        name: "an append does not say how much of the log is known",
        edit: Edit {
            file: "node/src/room/task.rs",
            find: "known: Some(self.head()),",
            replace: "known: (!SABOTAGED).then(|| self.head()),",
        },
        binary: "simulation",
        test: "a_log_that_went_back_gives_no_place_twice",
    },
    Sabotage {
        name: "the log takes a repeat for something new",
        edit: Edit {
            file: "node/src/backplane/redis/append.lua",
            find: "    if nonces[index] > window.last then",
            replace: "    if nonces[index] > window.last or SABOTAGED then",
        },
        binary: "backplane_contract",
        test: "redis::a_repeat_gets_its_first_answer",
    },
    Sabotage {
        name: "the log does not look which run of the server it is on",
        edit: Edit {
            file: "node/src/backplane/redis/rooms.rs",
            find: "            .arg(&*connected.run_id)
            .arg(
                known",
            replace: "            .arg(if SABOTAGED { \"\" } else { &*connected.run_id })
            .arg(
                known",
        },
        binary: "backplane_redis",
        test: "losses::",
    },
    Sabotage {
        name: "the SDK sends a message again as if it were new",
        edit: Edit {
            file: "client/src/outgoing.rs",
            find: "        item.until.get_or_insert(now + crate::REPEAT_TIME_MAX);",
            replace: "        if item.until.is_some() && SABOTAGED {
            (item.nonce, queue.next) = (queue.next, queue.next.next());
        }
        item.until.get_or_insert(now + crate::REPEAT_TIME_MAX);",
        },
        binary: "scripted",
        test: "a_lost_connection_is_resumed_with_the_same_nonces_and_nothing_twice",
    },
    Sabotage {
        name: "the SDK sends again what nodes may have forgotten",
        edit: Edit {
            file: "client/src/outgoing/doubt.rs",
            find: "        self.forgotten_at = doubts.min();",
            replace: "        self.forgotten_at = doubts.min().filter(|_| !SABOTAGED);",
        },
        binary: "scripted",
        test: "what_was_sent_is_not_sent_again_when_nodes_may_have_forgotten_it",
    },
    Sabotage {
        name: "the SDK shows an entry again that it has",
        edit: Edit {
            file: "client/src/driver/follow.rs",
            find: "        if seq <= self.reached {",
            replace: "        if seq <= self.reached && !SABOTAGED {",
        },
        binary: "scripted",
        test: "a_lane_that_starts_before_what_was_read_repeats_nothing",
    },
    Sabotage {
        name: "the SDK does not tell a hole",
        edit: Edit {
            file: "client/src/driver/follow.rs",
            find: "        (self.epoch, self.reached) = (gap.epoch, before);",
            replace: "        (self.epoch, self.reached) = (gap.epoch, before);
        if SABOTAGED {
            return Ok(Step::Nothing);
        }",
        },
        binary: "scripted",
        test: "a_hole_is_told_where_it_is",
    },
];

const ROUGH: &str = "nothing_is_lost_while_the_network_is_bad_and_nodes_crash";
const LOSSES: &str = "what_the_server_loses_is_said";
