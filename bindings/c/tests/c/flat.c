/* Calls in a loop, a million by default (or argv[1]): memory stays where it was after the first tenth. */
#include "check.h"

#include <unistd.h>

static size_t resident_kib(void) {
    unsigned long size = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file != NULL && fscanf(file, "%lu %lu", &size, &resident) == 2);
    fclose(file);
    return resident * (size_t)sysconf(_SC_PAGESIZE) / 1024;
}

static float numbers[16];
static rv_index *index_;
static po_set *set;
static po_choice *choice;
static adb_store *store;
static ms_outputs *outputs;
static ms_standardizer *standardizer;

#define PROMPT(tier) "{\"format\":\"edgeweave-prompt/1\",\"tier\":\"" tier "\",\"version\":1,\"template\":\"Is {text} ill?\"}"

static void begin(void) {
    rv_options options;
    adb_options kept;
    ew_str prompts[3];
    size_t at;
    prompts[0] = S(PROMPT("ultra"));
    prompts[1] = S(PROMPT("fast"));
    prompts[2] = S(PROMPT("quality"));
    OK(po_set_new(prompts, 3, none(), &set, &err));
    OK(po_choice_new(&choice, &err));
    rv_options_init(&options, 16);
    OK(rv_index_build(&options, &index_, &err));
    for (at = 0; at < 64; at++) {
        numbers[at % 16] += 1.0f;
        OK(rv_index_upsert(index_, at, numbers, 16, S("{\"zone\": 1}"), &err));
    }
    memset(&kept, 0, sizeof kept);
    kept.struct_size = sizeof kept;
    kept.replica = 1;
    kept.schemas = S("{\"cow\": {\"zone\": \"lww\"}}");
    OK(adb_store_open(none(), &kept, &store, &err));
    OK(ms_outputs_new(&outputs, &err));
    OK(ms_standardizer_new(1, 1000, &standardizer, &err));
}

/* Every kind of call that makes something: errors, buffers, handles, hits. */
static void round_of_calls(size_t at) {
    rv_hit hits[4];
    rv_filter *filter = NULL;
    ew_buffer *buffer = NULL;
    adb_tx *tx = NULL;
    adb_list *list = NULL;
    ew_str name = S("text"), text = S("bella");
    uint8_t rendered[64];
    size_t found = 0, len = 0;
    double value = (double)(at % 7), standard;
    OK(rv_index_search(index_, numbers, 16, 4, NULL, hits, &found, &err));
    OK(rv_index_upsert(index_, at % 64, numbers, 16, S("{\"zone\": 2}"), &err));
    if (at % 64 == 0) OK(rv_index_compact(index_, &err));
    FAILS(EW_INVALID, rv_index_search(index_, numbers, 3, 4, NULL, hits, &found, &err));
    OK(rv_filter_parse(S("zone == 2"), &filter, &err));
    rv_filter_free(filter);
    OK(rv_index_get(index_, at % 64, NULL, 0, &buffer, &err));
    ew_buffer_free(buffer);
    OK(po_select(set, NULL, bytes_of(&at, sizeof at), choice, &err));
    OK(po_choice_render(choice, &name, &text, 1, rendered, sizeof rendered, &len, &err));
    OK(po_record(set, choice, S("yes"), 1000, PO_FEEDBACK_RIGHT, 0, &err));
    OK(ms_standardizer_push(standardizer, (int64_t)at, &value, 1, &standard, &err));
    OK(ms_outputs_clear(outputs, &err));
    if (at % 16 == 0) {
        OK(adb_begin(store, (int64_t)at, &tx, &err));
        OK(adb_tx_set(tx, S("cow"), S("bella"), S("zone"), S("3"), &err));
        if (at % 32 == 0) OK(adb_tx_commit(tx, &err));
        else adb_tx_rollback(tx);
        OK(adb_list_new(1, &list, &err));
        OK(adb_list_insert(list, 0, S("barn"), &err));
        adb_list_free(list);
    }
}

int main(int argc, char **argv) {
    size_t rounds = (argc > 1 ? (size_t)strtoul(argv[1], NULL, 10) : 1000000) / 12 + 20;
    size_t at, early = 0, late;
    begin();
    for (at = 0; at < rounds; at++) {
        round_of_calls(at);
        if (at == rounds / 10) early = resident_kib();
    }
    late = resident_kib();
    rv_index_free(index_);
    po_set_free(set);
    po_choice_free(choice);
    adb_store_free(store);
    ms_outputs_free(outputs);
    ms_standardizer_free(standardizer);
    printf("flat: %lu calls, %lu KiB after a tenth, %lu KiB at the end\n", (unsigned long)(rounds * 12),
           (unsigned long)early, (unsigned long)late);
    /* Pages of the allocator come and go; a leak of 8 bytes a round would show from 400,000 rounds on. */
    CHECK(late <= early + 512);
    return 0;
}
