"""Which test keeps which line of the protocol's "Failures to survive"?

One entry a line, in the protocol's order and words. `test_every_line.py` fails when a named test is gone.
"""

from typing import Final

FEED: Final = "tests/failures/test_feed.py"
PUSH: Final = "tests/failures/test_push.py"
TIME: Final = "tests/failures/test_time.py"
PUSHED: Final = "tests/api/test_push.py"
PULLED: Final = "tests/api/test_pull.py"
ITEMS: Final = "tests/api/test_items.py"
BROKEN: Final = "tests/api/test_files_interrupted.py"
WIRE: Final = "tests/api/test_files_network.py"

LINES: Final[dict[str, tuple[str, ...]]] = {
    # Feed.
    "T1 allocates before T2 and commits after: every cursor sees both": (
        f"{FEED}::test_the_first_to_take_a_number_commits_last",
        f"{FEED}::test_writers_and_readers_at_once_miss_no_row",
        f"{PULLED}::test_sixteen_writers_lose_no_row_of_the_feed",
    ),
    "an unrelated open transaction does not stall the feed": (
        f"{FEED}::test_an_unrelated_open_transaction_stalls_nobody",
    ),
    "a rollback leaves no gap": (f"{FEED}::test_a_rollback_leaves_no_gap",),
    "same cursor twice, same rows": (f"{FEED}::test_the_same_cursor_twice_gives_the_same_rows",),
    "phone dies between applying a page and saving the cursor": (
        f"{FEED}::test_a_phone_that_dies_at_any_moment_of_applying_a_page",
    ),
    "writes during a 50-page first sync": (f"{FEED}::test_writes_go_on_during_a_first_sync_of_fifty_pages",),
    "reassign: remove and put together": (f"{FEED}::test_a_reassignment_takes_and_gives_in_one_transaction",),
    "regained access gives a full put": (f"{FEED}::test_regained_access_gives_the_whole_body_again",),
    "stale cursor: 410, then the same state": (
        f"{FEED}::test_a_stale_cursor_starts_over_and_ends_in_the_same_state",
        f"{PULLED}::test_a_cursor_that_is_not_ours_asks_for_a_reset",
    ),
    "database restored from a backup": (
        f"{FEED}::test_the_database_is_restored_from_a_backup",
        f"{PULLED}::test_after_a_restored_backup_the_phone_starts_over_and_ends_in_the_same_state",
    ),
    "server clock stepped back an hour": (f"{FEED}::test_a_server_clock_stepped_back_an_hour_hides_nothing",),
    # Push.
    "response lost": (
        f"{PUSH}::test_response_lost",
        f"{PUSHED}::test_replayed_batch_returns_the_first_receipts",
    ),
    "two identical batches at once (2, 3, 5, 10, 30 ways)": (
        f"{PUSH}::test_identical_batches_at_once_over_real_processes",
        f"{PUSHED}::test_identical_batches_at_once_are_applied_once",
    ),
    "kill -9 after the inbox commit": (
        f"{PUSH}::test_killed_after_the_inbox_commit",
        f"{PUSHED}::test_items_left_in_the_inbox_by_a_crash_are_applied_by_the_periodic_job",
    ),
    "kill -9 before it": (
        f"{PUSH}::test_killed_before_the_inbox_commit",
        f"{PUSH}::test_killed_while_the_items_are_applied",
    ),
    "one poison item of 50": (f"{PUSHED}::test_one_poison_item_of_fifty_does_not_hold_up_the_others",),
    "same id, other bytes": (f"{PUSHED}::test_same_id_with_other_bytes_keeps_both",),
    "seq 7 before 6": (
        f"{PUSHED}::test_a_later_number_before_an_earlier_one_is_applied_and_the_gap_is_named",
    ),
    "amendment before its parent": (f"{ITEMS}::test_an_amendment_waits_for_its_parent",),
    "cancelled or unknown assignment": (
        f"{PUSH}::test_reassigned_away_before_the_visit_is_reported",
        f"{ITEMS}::test_a_visit_without_a_known_assignment_is_stored_and_flagged",
    ),
    "revoked key": (f"{ITEMS}::test_a_revoked_phone_may_hand_in_but_not_pull",),
    "token expires mid-batch": (f"{PUSH}::test_the_token_expires_mid_batch",),
    "unknown fields round-trip": (f"{PUSH}::test_unknown_fields_round_trip",),
    "disk full or database down: 503": (
        f"{PUSH}::test_the_database_is_down",
        f"{PUSH}::test_the_database_goes_away_between_inbox_and_projection",
        "tests/api/test_push_locks.py::test_a_full_disk_is_no_fault_of_the_items",
    ),
    "NUL, lone surrogate, oversized JSON": (
        f"{PUSHED}::test_bytes_that_are_no_batch_get_a_precise_problem",
        f"{PUSHED}::test_the_client_bisects_to_the_one_item_the_server_cannot_read",
    ),
    # Upload.
    "connection cut at every byte offset": (f"{BROKEN}::test_cut_at_every_byte_every_received_byte_is_kept",),
    "FIN, RST, stall": (
        f"{WIRE}::test_an_upload_cut_at_many_places_arrives_whole",
        "tests/api/test_silence.py::test_a_phone_that_falls_silent_within_a_file_keeps_what_had_arrived",
    ),
    "old PATCH alive when HEAD arrives": (
        f"{BROKEN}::test_an_older_request_can_write_no_more_once_somebody_asked_head",
        f"{WIRE}::test_a_stalled_old_connection_does_not_keep_the_phone_from_going_on",
    ),
    "concurrent PATCHes at one offset: one wins": (
        f"{WIRE}::test_of_many_patches_at_one_offset_one_wins_and_the_file_is_right",
        f"{BROKEN}::test_of_two_patches_at_one_offset_the_newer_one_wins",
    ),
    "final 204 lost": (
        f"{BROKEN}::test_a_lost_final_204_is_seen_by_head_and_an_empty_patch_is_welcome",
        f"{WIRE}::test_a_lost_201_and_a_lost_final_204_cost_no_second_upload",
    ),
    "201 lost": (f"{BROKEN}::test_a_lost_201_leads_to_the_same_upload",),
    "wrong chunk checksum": (
        "tests/api/test_files.py::test_a_wrong_chunk_checksum_is_460_and_nothing_of_the_chunk_counts",
    ),
    "wrong whole-file digest": (
        "tests/api/test_files_digests.py::test_bytes_that_are_not_the_promised_file_never_show_as_complete",
        "tests/api/test_files_digests.py::test_after_two_mismatches_the_third_creation_is_refused_for_good",
    ),
    "the wrong file resumed": (f"{WIRE}::test_a_wrong_file_fails_with_words_and_never_completes",),
    "a staged segment missing": (
        f"{BROKEN}::test_an_upload_whose_staged_bytes_are_lost_is_gone_and_can_be_made_anew",
        "tests/media/test_store.py::test_a_lost_segment_is_noticed_and_nothing_is_assembled",
    ),
    "crash between the final put and the commit": (
        f"{BROKEN}::test_a_crash_between_the_final_put_and_the_commit_loses_nothing",
        "tests/api/test_files_s3.py::test_a_crash_between_the_final_put_and_the_commit_costs_one_segment",
    ),
    "media before account and account before media": (
        "tests/api/test_evidence.py::test_a_promise_that_comes_after_the_bytes_settles_them",
        "tests/api/test_files_digests.py::test_media_after_its_promise_is_verified",
    ),
    "S3 answers 409, 412, 503 or times out after success": (
        "tests/media/test_s3_faults.py::test_a_busy_store_is_asked_again",
        "tests/media/test_s3_faults.py::test_a_race_with_a_twin_is_settled_by_trying_again",
        "tests/media/test_s3_faults.py::test_a_time_out_after_success_ends_in_success",
    ),
    "decompression bomb, corrupt image: original kept, thumbnail fails": (
        "tests/media/test_inspect.py::test_a_broken_or_hostile_file_is_a_result_that_says_why",
        "tests/api/test_evidence.py::test_a_broken_photo_is_kept_and_its_inspection_says_why",
    ),
    # Time and proof.
    "phone clock ±5 years": (
        f"{TIME}::test_a_phone_clock_five_years_wrong_with_an_anchor",
        f"{TIME}::test_a_phone_clock_five_years_wrong_without_an_anchor",
    ),
    "reboot offline": (
        f"{TIME}::test_a_phone_that_restarts_offline_keeps_its_chain_and_is_trusted_less_if_it_does_so_twice",
    ),
    "cloned device": (f"{TIME}::test_a_cloned_phone_loses_nothing_and_both_sides_are_flagged",),
    "one bit flipped in the database or the store: the verifier names it": (
        "tests/ledger/test_alterations.py::test_one_alteration_is_named",
        "tests/ledger/test_bundle.py::test_every_flipped_bit_of_every_part_is_noticed",
    ),
    "a log row deleted or reordered": (
        "tests/ledger/test_alterations.py::test_two_leaves_that_changed_places_are_named",
        "tests/ledger/test_alterations.py::test_a_row_that_was_slipped_in_past_the_log_is_named",
    ),
    "content erased": (
        "tests/privacy/test_retention.py::test_nothing_is_left_of_a_person_and_everything_else_stays_proven",
        "tests/ledger/test_alterations.py::test_a_record_that_is_gone_without_an_erasure_is_named",
    ),
}
