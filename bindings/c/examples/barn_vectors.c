/* The vector index: store what was seen, ask what is near, keep it in a file.
   cc barn_vectors.c $(pkg-config --cflags --libs edgeweave) && ./a.out barn.index */
#include <edgeweave.h>
#include <stdio.h>
#include <stdlib.h>

static void must(int32_t status, ew_error *error) {
    if (status == EW_OK) return;
    fprintf(stderr, "%s: %s\n", ew_status_str(status), ew_error_message(error));
    exit(1);
}

int main(int argc, char **argv) {
    ew_error *error = NULL;
    rv_options options;
    rv_index *index = NULL;
    rv_options_init(&options, 3);
    if (argc > 1) options.path = ew_str_of(argv[1]);
    must(rv_index_build(&options, &index, &error), error);

    const float seen[3][3] = {{0.9f, 0.1f, 0.0f}, {0.8f, 0.3f, 0.1f}, {0.0f, 0.2f, 0.9f}};
    const char *const payloads[3] = {"{\"zone\": \"barn-1\", \"age\": 3}", "{\"zone\": \"barn-2\", \"age\": 4}",
                                     "{\"zone\": \"barn-2\", \"age\": 9}"};
    for (int at = 0; at < 3; at++)
        must(rv_index_upsert(index, (uint64_t)at + 1, seen[at], 3, ew_str_of(payloads[at]), &error), error);

    /* A filter is parsed once and used for every search. */
    rv_filter *young = NULL;
    must(rv_filter_parse(ew_str_of("zone == 'barn-2' && age < 5"), &young, &error), error);
    rv_search_options search = {0};
    search.struct_size = sizeof search;
    search.filter = young;

    const float query[3] = {1.0f, 0.0f, 0.0f};
    rv_hit hits[2];
    size_t found = 0;
    must(rv_index_search(index, query, 3, 2, &search, hits, &found, &error), error);
    for (size_t at = 0; at < found; at++) printf("id %llu, cosine %.3f\n", (unsigned long long)hits[at].id, hits[at].score);

    if (argc > 1) must(rv_index_flush(index, &error), error);
    rv_filter_free(young);
    rv_index_free(index);
    return found == 1 ? 0 : 1;
}
