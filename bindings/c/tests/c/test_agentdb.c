/* Documents, events, records, transactions; a text that merges. */
#include "check.h"

static adb_store *store_of(const char *path, uint64_t replica) {
    adb_options options;
    adb_store *store = NULL;
    memset(&options, 0, sizeof options);
    options.struct_size = sizeof options;
    options.replica = replica;
    options.schemas = S("{\"cow\": {\"zone\": \"lww\", \"steps\": \"pn_counter\", \"speed\": \"max\","
                        " \"health\": {\"status\": [\"well\", \"watched\", \"ill\"]}}}");
    OK(adb_store_open(S(path), &options, &store, &err));
    return store;
}

static void a_transaction_is_kept_whole_or_not_at_all(const char *folder) {
    char path[512];
    adb_store *store, *other = NULL;
    adb_tx *tx = NULL, *second = NULL;
    adb_options options;
    ew_buffer *json = NULL;
    int64_t sequence = 0;
    uint64_t waiting = 0;
    size_t removed = 0;
    snprintf(path, sizeof path, "%s/state.db", folder);
    store = store_of(path, 1);
    OK(adb_begin(store, 1000, &tx, &err));
    /* While it is open the store is in use, and is not freed under it. */
    FAILS(EW_BUSY, adb_begin(store, 1000, &second, &err));
    FAILS(EW_BUSY, adb_waiting(store, &waiting, &err));
    adb_store_free(store);
    OK(adb_tx_set(tx, S("cow"), S("bella"), S("zone"), S("\"barn-2\""), &err));
    OK(adb_tx_add(tx, S("cow"), S("bella"), S("steps"), 120, &err));
    OK(adb_tx_max(tx, S("cow"), S("bella"), S("speed"), 1.5, &err));
    OK(adb_tx_status(tx, S("cow"), S("bella"), S("health"), S("watched"), &err));
    FAILS(EW_INVALID, adb_tx_set(tx, S("cow"), S("bella"), S("name"), S("1"), &err));
    FAILS(EW_INVALID, adb_tx_status(tx, S("cow"), S("bella"), S("health"), S("fine"), &err));
    OK(adb_tx_append_event(tx, S("bella"), S("lame"), S("{\"leg\": 3}"), ADB_PRIORITY_SAFETY_CRITICAL, &sequence, &err));
    OK(adb_tx_put_record(tx, S("notes"), S("a"), bytes_of("\0x", 2), &err));
    OK(adb_tx_put_record(tx, S("notes"), S("b"), bytes_of("y", 1), &err));
    OK(adb_tx_get_record(tx, S("notes"), S("a"), &json, &err));
    CHECK(ew_buffer_len(json) == 2 && memcmp(ew_buffer_data(json), "\0x", 2) == 0);
    ew_buffer_free(json);
    OK(adb_tx_commit(tx, &err));
    CHECK(sequence > 0);

    OK(adb_begin(store, 2000, &tx, &err));
    OK(adb_tx_add(tx, S("cow"), S("bella"), S("steps"), 1000, &err));
    adb_tx_rollback(tx);

    OK(adb_get(store, S("bella"), &json, &err));
    CHECK(has(json, "\"steps\":120"));
    FAILS(EW_NOT_FOUND, adb_get(store, S("nobody"), &json, &err));
    OK(adb_query(store, S("cow"), S("steps > 100 && health == 'watched'"), &json, &err));
    CHECK(has(json, "\"id\":\"bella\""));
    FAILS(EW_INVALID, adb_query(store, S("cow"), S("steps >"), &json, &err));
    OK(adb_events(store, ADB_EVENTS_ALL, none(), 0, 10, &json, &err));
    CHECK(has(json, "\"priority\":\"safety_critical\""));
    OK(adb_events(store, ADB_EVENTS_ALL, S("calm"), 0, 10, &json, &err));
    CHECK(has(json, "[]"));
    OK(adb_waiting(store, &waiting, &err));
    CHECK(waiting == 1);
    OK(adb_last_event(store, &sequence, &err));
    OK(adb_begin(store, 3000, &tx, &err));
    OK(adb_tx_mark(tx, sequence, ADB_SYNC_DELIVERED, S("cloud 17"), &err));
    OK(adb_tx_delete_record(tx, S("notes"), S("a"), &err));
    OK(adb_tx_delete_records(tx, S("notes"), S("a"), S("z"), &removed, &err));
    CHECK(removed == 1);
    OK(adb_tx_commit(tx, &err));
    OK(adb_waiting(store, &waiting, &err));
    CHECK(waiting == 0);
    OK(adb_events(store, ADB_EVENTS_WAITING, none(), 0, 10, &json, &err));
    CHECK(has(json, "[]"));
    OK(adb_scan_records(store, S("notes"), S(""), 10, &json, &err));
    CHECK(has(json, "[]"));
    FAILS(EW_NOT_FOUND, adb_get_record(store, S("notes"), S("a"), &json, &err));
    OK(adb_flush(store, &err));
    adb_store_free(store);

    store = store_of(path, 1);
    OK(adb_get(store, S("bella"), &json, &err));
    CHECK(has(json, "\"zone\":\"barn-2\""));
    adb_store_free(store);

    memset(&options, 0, sizeof options);
    options.struct_size = sizeof options;
    options.schemas = S("{\"cow\": {\"zone\": \"newest\"}}");
    FAILS(EW_INVALID, adb_store_open(none(), &options, &other, &err));
    options.schemas = S("{}");
    FAILS(EW_SYSTEM, adb_store_open(S("/nowhere/at/all.db"), &options, &other, &err));
}

static void two_copies_converge(void) {
    adb_store *a = store_of(NULL, 1), *b = store_of(NULL, 2);
    adb_tx *tx = NULL;
    ew_buffer *copy = NULL, *first = NULL, *second = NULL;
    OK(adb_begin(a, 1000, &tx, &err));
    OK(adb_tx_add(tx, S("cow"), S("bella"), S("steps"), 5, &err));
    OK(adb_tx_commit(tx, &err));
    OK(adb_begin(b, 1000, &tx, &err));
    OK(adb_tx_add(tx, S("cow"), S("bella"), S("steps"), 7, &err));
    OK(adb_tx_commit(tx, &err));
    OK(adb_document(a, S("bella"), &copy, &err));
    OK(adb_begin(b, 2000, &tx, &err));
    OK(adb_tx_merge(tx, S("bella"), bytes_of(ew_buffer_data(copy), ew_buffer_len(copy)), &err));
    OK(adb_tx_merge(tx, S("bella"), bytes_of(ew_buffer_data(copy), ew_buffer_len(copy)), &err));
    FAILS(EW_CORRUPT, adb_tx_merge(tx, S("bella"), bytes_of("rubbish", 7), &err));
    OK(adb_tx_commit(tx, &err));
    ew_buffer_free(copy);
    OK(adb_document(b, S("bella"), &copy, &err));
    OK(adb_begin(a, 2000, &tx, &err));
    OK(adb_tx_merge(tx, S("bella"), bytes_of(ew_buffer_data(copy), ew_buffer_len(copy)), &err));
    OK(adb_tx_commit(tx, &err));
    ew_buffer_free(copy);
    OK(adb_get(a, S("bella"), &first, &err));
    OK(adb_get(b, S("bella"), &second, &err));
    CHECK(has(first, "\"steps\":12"));
    CHECK(has(second, "\"steps\":12"));
    adb_store_free(a);
    adb_store_free(b);
}

static void every_kind_of_field_is_written(void) {
    const ew_str cow = S("cow"), id = S("bella");
    adb_options options;
    adb_store *store = NULL;
    adb_tx *tx = NULL;
    ew_buffer *json = NULL;
    memset(&options, 0, sizeof options);
    options.struct_size = sizeof options;
    options.replica = 1;
    options.schemas = S("{\"cow\": {\"coldest\": \"min\", \"zone\": \"mv\", \"milked\": \"flag\", \"tags\": \"or_set\","
                        " \"visits\": {\"or_map\": \"pn_counter\"}, \"notes\": \"list\"}}");
    OK(adb_store_open(none(), &options, &store, &err));
    OK(adb_begin(store, 1000, &tx, &err));
    OK(adb_tx_min(tx, cow, id, S("coldest"), 37.5, &err));
    OK(adb_tx_set(tx, cow, id, S("zone"), S("\"barn\""), &err));
    OK(adb_tx_enable(tx, cow, id, S("milked"), &err));
    OK(adb_tx_insert(tx, cow, id, S("tags"), S("\"lame\""), &err));
    OK(adb_tx_insert(tx, cow, id, S("tags"), S("\"calm\""), &err));
    OK(adb_tx_remove(tx, cow, id, S("tags"), S("\"lame\""), &err));
    OK(adb_tx_add(tx, cow, id, S("visits/vet"), 2, &err));
    OK(adb_tx_add(tx, cow, id, S("visits/farmer"), 7, &err));
    OK(adb_tx_remove_key(tx, cow, id, S("visits/farmer"), &err));
    OK(adb_tx_reset(tx, cow, id, S("visits/vet"), &err));
    OK(adb_tx_add(tx, cow, id, S("visits/vet"), 3, &err));
    OK(adb_tx_splice(tx, cow, id, S("notes"), 0, 0, S("trim hooves"), &err));
    OK(adb_tx_splice(tx, cow, id, S("notes"), 0, 4, S("check"), &err));
    FAILS(EW_INVALID, adb_tx_enable(tx, cow, id, S("tags"), &err));
    OK(adb_tx_disable(tx, cow, id, S("milked"), &err));
    OK(adb_tx_commit(tx, &err));
    OK(adb_get(store, id, &json, &err));
    CHECK(strstr(ew_buffer_data(json), "\"tags\":[\"calm\"]") && strstr(ew_buffer_data(json), "\"visits\":{\"vet\":3}"));
    CHECK(has(json, "check hooves"));
    OK(adb_conflicts(store, id, &json, &err));
    CHECK(has(json, "[]"));
    OK(adb_changes(store, 0, 10, &json, &err));
    CHECK(has(json, "\"bella\""));
    OK(adb_verify(store, &json, &err));
    CHECK(has(json, "[]"));
    OK(adb_compact(store, &err));
    adb_store_free(store);
}

static void a_text_merges_in_any_order(void) {
    adb_list *a = NULL, *b = NULL, *c = NULL;
    adb_version *seen = NULL, *later = NULL;
    ew_buffer *first = NULL, *second = NULL, *text = NULL;
    int32_t merged = -1;
    size_t letters = 0;
    bool covers = true;
    uint32_t inserted = 0;
    OK(adb_list_new(1, &a, &err));
    OK(adb_list_new(2, &b, &err));
    OK(adb_list_insert(a, 0, S("barn"), &err));
    OK(adb_list_delta(a, NULL, &first, &err));
    OK(adb_list_version(a, &seen, &err));
    OK(adb_list_insert(a, 4, S(" two"), &err));
    OK(adb_list_delta(a, seen, &second, &err));
    OK(adb_list_version(a, &later, &err));
    OK(adb_version_covers(seen, later, &covers, &err));
    CHECK(!covers);
    OK(adb_version_join(seen, later, &err));
    OK(adb_version_covers(seen, later, &covers, &err));
    CHECK(covers);
    OK(adb_version_seen(seen, 1, &inserted, NULL, &err));
    CHECK(inserted == 8);
    FAILS(EW_BUSY, adb_version_join(seen, seen, &err));
    OK(adb_list_merge(b, bytes_of(ew_buffer_data(second), ew_buffer_len(second)), &merged, &err));
    CHECK(merged == ADB_MERGED_WAITS);
    OK(adb_list_merge(b, bytes_of(ew_buffer_data(first), ew_buffer_len(first)), &merged, &err));
    CHECK(merged == ADB_MERGED_NEW);
    OK(adb_list_merge(b, bytes_of(ew_buffer_data(first), ew_buffer_len(first)), &merged, &err));
    CHECK(merged == ADB_MERGED_KNOWN);
    FAILS(EW_CORRUPT, adb_list_merge(b, bytes_of("rubbish", 7), &merged, &err));
    OK(adb_list_delete(b, 0, 5, &err));
    FAILS(EW_INVALID, adb_list_insert(b, 99, S("x"), &err));
    OK(adb_list_text(b, &text, &letters, &err));
    CHECK(letters == 3 && has(text, "two"));
    ew_buffer_free(first);
    OK(adb_list_encode(b, &first, &err));
    OK(adb_list_decode(3, bytes_of(ew_buffer_data(first), ew_buffer_len(first)), &c, &err));
    OK(adb_list_text(c, &text, NULL, &err));
    CHECK(has(text, "two"));
    OK(adb_list_waiting(c, &letters, NULL, &err));
    CHECK(letters == 0);
    ew_buffer_free(first);
    ew_buffer_free(second);
    adb_version_free(seen);
    adb_version_free(later);
    adb_list_free(a);
    adb_list_free(b);
    adb_list_free(c);
}

static void write_steps(adb_store *store, const char *id, int64_t now, int64_t by) {
    adb_tx *tx = NULL;
    OK(adb_begin(store, now, &tx, &err));
    OK(adb_tx_add(tx, S("cow"), S(id), S("steps"), by, &err));
    OK(adb_tx_commit(tx, &err));
}

static void queries_are_ordered_limited_and_explained(void) {
    adb_store *store = store_of(NULL, 1);
    adb_find_options options;
    ew_buffer *json = NULL;
    int64_t change = 0;
    uint32_t incarnation = 9;
    write_steps(store, "a", 1000, 5);
    write_steps(store, "b", 1000, 50);
    write_steps(store, "c", 1000, 500);
    memset(&options, 0, sizeof options);
    options.struct_size = sizeof options;
    options.expression = S("steps > 10");
    options.order_by = S("steps");
    options.direction = ADB_DESCENDING;
    options.limit = 1;
    OK(adb_find(store, S("cow"), &options, &json, &err));
    CHECK(strstr(ew_buffer_data(json), "\"b\"") == NULL && has(json, "\"c\""));
    OK(adb_find(store, S("cow"), NULL, &json, &err));
    CHECK(strstr(ew_buffer_data(json), "\"a\"") && has(json, "\"c\""));
    options.limit = 0;
    OK(adb_explain(store, S("cow"), &options, &json, &err));
    CHECK(strstr(ew_buffer_data(json), "\"count\":2") && has(json, "\"plan\":"));
    options.direction = 2;
    FAILS(EW_INVALID, adb_find(store, S("cow"), &options, &json, &err));
    OK(adb_ids(store, S("a"), 10, &json, &err));
    CHECK(has(json, "[\"b\",\"c\"]"));
    OK(adb_durable(store, &change, &incarnation, &err));
    CHECK(change > 0);
    adb_store_free(store);
}

static void the_earliest_time_is_a_time(void) {
    adb_store *store = store_of(NULL, 1);
    ew_buffer *json = NULL;
    write_steps(store, "a", INT64_MIN, 5);
    OK(adb_get(store, S("a"), &json, &err));
    CHECK(has(json, "\"steps\":5"));
    adb_store_free(store);
}

static void a_watch_tells_of_what_it_was_asked_for(void) {
    adb_store *store = store_of(NULL, 1);
    adb_watch *watch = NULL;
    ew_buffer *json = NULL;
    uint64_t missed = 9;
    FAILS(EW_INVALID, adb_watch_new(store, S("{\"robots\": 1}"), &watch, &err));
    OK(adb_watch_new(store, S("{\"documents\": \"cow\", \"matching\": \"steps > 10\"}"), &watch, &err));
    write_steps(store, "a", 1000, 5);
    OK(adb_watch_next(watch, 0, &json, &err));
    CHECK(has(json, "null"));
    write_steps(store, "a", 2000, 50);
    OK(adb_watch_next(watch, 100, &json, &err));
    CHECK(strstr(ew_buffer_data(json), "\"document\"") && has(json, "\"steps\":55"));
    OK(adb_watch_missed(watch, &missed, &err));
    CHECK(missed == 0);
    adb_watch_free(watch);
    adb_store_free(store);
}

static void old_events_are_rolled_up_into_the_series_that_they_were(void) {
    adb_store *store = store_of(NULL, 1);
    adb_tx *tx = NULL;
    ew_buffer *json = NULL, *bytes = NULL;
    size_t expired = 0, rolled_up = 0;
    int64_t sequence = 0;
    int at;
    for (at = 0; at < 4; at++) {
        char payload[32];
        snprintf(payload, sizeof payload, "{\"value\": %d}", at);
        OK(adb_begin(store, at * 1000, &tx, &err));
        OK(adb_tx_append_event(tx, S("bella"), S("milk"), S(payload), ADB_PRIORITY_TELEMETRY, &sequence, &err));
        OK(adb_tx_mark(tx, sequence, ADB_SYNC_DELIVERED, none(), &err));
        OK(adb_tx_commit(tx, &err));
    }
    OK(adb_series(store, S("bella"), S("milk"), S("value"), 0, 4000, 2000, &json, &err));
    CHECK(strstr(ew_buffer_data(json), "\"mean\":0.5") && has(json, "\"mean\":2.5"));
    FAILS(EW_LIMIT, adb_series(store, S("bella"), S("milk"), S("value"), 0, 4000, 0, &json, &err));
    OK(adb_begin(store, 100000, &tx, &err));
    OK(adb_tx_retain(tx, S("milk"), 1000, S("value"), 2000, 100, &expired, &rolled_up, &err));
    OK(adb_tx_merge_patch(tx, S("cow"), S("bella"), S("{\"zone\": \"barn-1\", \"steps\": 7}"), &err));
    FAILS(EW_INVALID, adb_tx_merge_patch(tx, S("cow"), S("bella"), S("7"), &err));
    OK(adb_tx_document(tx, S("bella"), &bytes, &err));
    CHECK(ew_buffer_len(bytes) > 0);
    ew_buffer_free(bytes);
    FAILS(EW_NOT_FOUND, adb_tx_document(tx, S("nobody"), &bytes, &err));
    OK(adb_tx_commit(tx, &err));
    CHECK(expired == 4 && rolled_up == 2);
    OK(adb_series(store, S("bella"), S("milk"), S("value"), 0, 4000, 2000, &json, &err));
    CHECK(strstr(ew_buffer_data(json), "\"mean\":0.5") && has(json, "\"mean\":2.5"));
    OK(adb_get(store, S("bella"), &json, &err));
    CHECK(strstr(ew_buffer_data(json), "\"steps\":7") && has(json, "\"barn-1\""));
    OK(adb_tally(store, &json, &err));
    CHECK(has(json, "\"telemetry\":{\"appended\":"));
    adb_store_free(store);
}

/* Carries frames both ways until neither side has anything to say. */
static void carry(adb_session **sessions, adb_endpoint **endpoints, int64_t now) {
    int quiet = 0, side = 0;
    while (quiet < 2) {
        ew_buffer *frame = NULL;
        OK(adb_session_poll(sessions[side], endpoints[side], now, &frame, &err));
        if (frame == NULL) {
            quiet++;
        } else {
            quiet = 0;
            OK(adb_session_receive(sessions[1 - side], endpoints[1 - side],
                                   bytes_of(ew_buffer_data(frame), ew_buffer_len(frame)), now, NULL, &err));
            ew_buffer_free(frame);
        }
        side = 1 - side;
    }
}

static void two_stores_sync_by_frames_that_the_caller_carries(void) {
    adb_store *stores[2];
    adb_endpoint *endpoints[2] = {NULL, NULL};
    adb_session *sessions[2] = {NULL, NULL};
    adb_sync_options options;
    adb_tx *tx = NULL;
    ew_buffer *json = NULL;
    int64_t now = 1000;
    int32_t phase = -1, side, round;
    uint64_t peer = 0, waiting = 9, revoked = 1;
    bool idle = false, degraded = true, ends = true;
    memset(&options, 0, sizeof options);
    options.struct_size = sizeof options;
    for (side = 0; side < 2; side++) {
        stores[side] = store_of(NULL, (uint64_t)side + 1);
        options.role = side == 0 ? ADB_ROLE_DEVICE : ADB_ROLE_ROOT;
        OK(adb_endpoint_new(stores[side], &options, &endpoints[side], &err));
        OK(adb_session_new(endpoints[side], side == 0 ? ADB_TOWARD_PARENT : ADB_TOWARD_CHILD, now, &sessions[side], &err));
    }
    options.role = 9;
    FAILS(EW_INVALID, adb_endpoint_new(stores[0], &options, &endpoints[0], &err));
    write_steps(stores[0], "bella", now, 120);
    OK(adb_begin(stores[0], now, &tx, &err));
    OK(adb_tx_append_event(tx, S("bella"), S("lame"), S("{}"), ADB_PRIORITY_SAFETY_CRITICAL, NULL, &err));
    OK(adb_tx_commit(tx, &err));
    for (round = 0; round < 20 && phase != ADB_PHASE_LIVE; round++) {
        carry(sessions, endpoints, now);
        now += 500;
        OK(adb_session_state(sessions[0], endpoints[0], &phase, &peer, &idle, &err));
    }
    CHECK(phase == ADB_PHASE_LIVE && peer == 2 && idle);
    OK(adb_get(stores[1], S("bella"), &json, &err));
    CHECK(has(json, "\"steps\":120"));
    OK(adb_events(stores[1], ADB_EVENTS_ALL, S("lame"), 0, 10, &json, &err));
    CHECK(has(json, "\"bella\""));
    OK(adb_waiting(stores[0], &waiting, &err));
    CHECK(waiting == 0);
    OK(adb_session_stats(sessions[0], &json, &err));
    CHECK(has(json, "\"events_sent\":1"));
    /* What comes wrong is refused; the link goes on, unless the peer is refused. */
    FAILS(EW_CORRUPT, adb_session_receive(sessions[1], endpoints[1], bytes_of("rubbish", 7), now, &ends, &err));
    CHECK(!ends);
    OK(adb_endpoint_set_peers(endpoints[1], NULL, 0, &revoked, 1, &err));
    write_steps(stores[0], "bella", now, 1);
    OK(adb_session_poll(sessions[0], endpoints[0], now, &json, &err));
    CHECK(json != NULL);
    FAILS(EW_INVALID, adb_session_receive(sessions[1], endpoints[1], bytes_of(ew_buffer_data(json), ew_buffer_len(json)), now, &ends, &err));
    CHECK(ends);
    ew_buffer_free(json);
    OK(adb_session_reset(sessions[0], endpoints[0], now, &err));
    OK(adb_session_state(sessions[0], endpoints[0], &phase, NULL, NULL, &err));
    CHECK(phase == ADB_PHASE_GREETING);
    OK(adb_endpoint_note_links(endpoints[0], 1, 60000, now, &json, &err));
    ew_buffer_free(json);
    OK(adb_endpoint_note_links(endpoints[0], 0, 60000, now + 1000, &json, &err));
    CHECK(has(json, "\"change\""));
    OK(adb_endpoint_is_degraded(endpoints[0], &degraded, &err));
    CHECK(degraded);
    for (side = 0; side < 2; side++) {
        adb_session_free(sessions[side]);
        adb_store_free(stores[side]); /* the endpoint has a handle of its own */
        adb_endpoint_free(endpoints[side]);
    }
}

int main(int argc, char **argv) {
    queries_are_ordered_limited_and_explained();
    the_earliest_time_is_a_time();
    a_watch_tells_of_what_it_was_asked_for();
    old_events_are_rolled_up_into_the_series_that_they_were();
    two_stores_sync_by_frames_that_the_caller_carries();
    a_transaction_is_kept_whole_or_not_at_all(argc > 1 ? argv[1] : ".");
    two_copies_converge();
    every_kind_of_field_is_written();
    a_text_merges_in_any_order();
    puts("agentdb: ok");
    return 0;
}
