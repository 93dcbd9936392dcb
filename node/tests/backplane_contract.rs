//! One suite for every backplane: what `chat_node::backplane` promises.

mod contract;
mod support;

use contract::{On, hints, log, nodes};

macro_rules! contract {
    ($($suite:ident: $($name:ident)*;)*) => {
        mod memory {
            $($(#[tokio::test] async fn $name() { super::$suite::$name(super::On::Memory).await; })*)*
        }

        mod redis {
            $($(#[tokio::test] async fn $name() { super::$suite::$name(super::On::Redis).await; })*)*
        }
    };
}

contract! {
    log:
        seqs_are_dense_and_in_order
        many_writers_get_one_order
        a_repeat_gets_its_first_answer
        a_repeat_is_known_before_it_is_appended
        repeats_within_a_batch_take_no_place
        nonces_are_remembered_up_to_the_window
        what_cannot_be_in_a_log_is_refused
        reading_goes_on_from_any_place
        pages_join_without_a_hole
        pages_are_bounded_by_bytes
        the_last_entries_are_read
        a_room_that_is_read_has_an_epoch
        old_entries_make_room
        entries_end_by_age
        an_unused_room_is_forgotten
        a_cursor_of_another_epoch_is_told
        a_log_behind_what_is_known_begins_anew
        many_forks_are_remembered
        numbers_beyond_fourteen_digits_stay_exact
        the_topic_is_kept;
    hints:
        announcements_reach_all_nodes_in_order
        only_subscribed_rooms_are_announced
        many_subscriptions_at_once
        a_node_that_does_not_read_is_told_what_it_missed
        gossip_reaches_every_node
        whispers_reach_all_subscribed_nodes_and_enter_no_log
        whispers_make_nobody_miss_anything;
    nodes:
        a_registry_is_as_written_last
        a_large_registry_is_written_at_once
        leases_end_with_all_that_hangs_on_them
        a_renewed_lease_goes_on
        a_claim_is_held_by_one_session
        a_claim_made_again_moves_nothing
        a_racing_claim_is_granted_once
        the_first_secret_is_everybodys;
}
