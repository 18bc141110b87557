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

int main(int argc, char **argv) {
    a_transaction_is_kept_whole_or_not_at_all(argc > 1 ? argv[1] : ".");
    two_copies_converge();
    every_kind_of_field_is_written();
    a_text_merges_in_any_order();
    puts("agentdb: ok");
    return 0;
}
