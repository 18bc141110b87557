/* The document store: state and events of one transaction, in a file or in memory, merged with another copy.
   cc robot_state.c $(pkg-config --cflags --libs edgeweave) && ./a.out */
#include <edgeweave.h>
#include <stdio.h>
#include <stdlib.h>

static ew_error *error;

static void must(int32_t status) {
    if (status == EW_OK) return;
    fprintf(stderr, "%s: %s\n", ew_status_str(status), ew_error_message(error));
    exit(1);
}

static adb_store *open_copy(uint64_t replica) {
    adb_options options = {0};
    adb_store *store = NULL;
    options.struct_size = sizeof options;
    options.replica = replica;
    options.schemas = ew_str_of("{\"robot\": {\"battery\": \"lww\", \"odometer\": \"pn_counter\","
                                " \"task\": {\"status\": [\"queued\", \"active\", \"done\"]}}}");
    must(adb_store_open(ew_str_of(NULL), &options, &store, &error));
    return store;
}

static void drive(adb_store *store, int64_t now, int64_t metres) {
    const ew_str robot = ew_str_of("robot"), id = ew_str_of("R042");
    adb_tx *tx = NULL;
    must(adb_begin(store, now, &tx, &error));
    must(adb_tx_set(tx, robot, id, ew_str_of("battery"), ew_str_of("17"), &error));
    must(adb_tx_add(tx, robot, id, ew_str_of("odometer"), metres, &error));
    must(adb_tx_status(tx, robot, id, ew_str_of("task"), ew_str_of("active"), &error));
    must(adb_tx_append_event(tx, id, ew_str_of("driven"), ew_str_of("{}"), ADB_PRIORITY_NORMAL, NULL, &error));
    must(adb_tx_commit(tx, &error));
}

int main(void) {
    adb_store *robot = open_copy(1), *gateway = open_copy(2);
    drive(robot, 1000, 120);
    drive(gateway, 1500, 30);

    /* The robot's copy travels to the gateway by whatever link there is. */
    ew_buffer *copy = NULL, *state = NULL;
    adb_tx *tx = NULL;
    must(adb_document(robot, ew_str_of("R042"), &copy, &error));
    const ew_bytes bytes = {(const uint8_t *)ew_buffer_data(copy), ew_buffer_len(copy)};
    must(adb_begin(gateway, 2000, &tx, &error));
    must(adb_tx_merge(tx, ew_str_of("R042"), bytes, &error));
    must(adb_tx_commit(tx, &error));
    must(adb_get(gateway, ew_str_of("R042"), &state, &error));
    printf("%s\n", ew_buffer_data(state)); /* odometer 150: counters add up */

    ew_buffer_free(copy);
    ew_buffer_free(state);
    adb_store_free(robot);
    adb_store_free(gateway);
    return 0;
}
