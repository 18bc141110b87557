/* The index, its files, the cache and the retriever. */
#include "check.h"

#define DIM 16
#define COUNT 500

static float vectors[COUNT * DIM];
static uint64_t ids[COUNT];

static void fill(void) {
    uint32_t state = 7;
    size_t at;
    for (at = 0; at < COUNT * DIM; at++) {
        state = state * 1664525u + 1013904223u;
        vectors[at] = (float)(state >> 8) / 16777216.0f - 0.5f;
    }
    for (at = 0; at < COUNT; at++) ids[at] = 1000 + at;
}

/* The nearest by squared distance, as a program without the library would find it. */
static uint64_t naive(const float *query, float *distance) {
    uint64_t best = 0;
    size_t row, at;
    *distance = INFINITY;
    for (row = 0; row < COUNT; row++) {
        float sum = 0.0f;
        for (at = 0; at < DIM; at++) {
            float off = vectors[row * DIM + at] - query[at];
            sum += off * off;
        }
        if (sum < *distance) {
            *distance = sum;
            best = ids[row];
        }
    }
    return best;
}

static rv_index *filled(const char *path) {
    rv_options options;
    rv_index *index = NULL;
    rv_options_init(&options, DIM);
    options.metric = RV_METRIC_L2;
    options.kind = RV_KIND_EXACT;
    options.quantization = RV_QUANTIZATION_NONE;
    options.path = S(path);
    OK(rv_index_build(&options, &index, &err));
    OK(rv_index_upsert_batch(index, ids, vectors, COUNT, DIM, NULL, &err));
    return index;
}

static void neighbours_are_those_of_a_naive_search(void) {
    rv_index *index = filled(NULL);
    rv_hit hits[20 * 3];
    size_t found[20], one, query;
    float distance;
    OK(rv_index_search_batch(index, vectors + DIM, 20, DIM, 3, NULL, hits, found, &err));
    for (query = 0; query < 20; query++) {
        const float *numbers = vectors + DIM * (query + 1);
        rv_hit hit;
        CHECK(found[query] == 3);
        CHECK(hits[query * 3].id == naive(numbers, &distance));
        OK(rv_index_search(index, numbers, DIM, 1, NULL, &hit, &one, &err));
        CHECK(one == 1 && hit.id == hits[query * 3].id && fabsf(hit.score + distance) < 1e-4f);
    }
    FAILS(EW_INVALID, rv_index_search(index, vectors, DIM - 1, 1, NULL, hits, &one, &err));
    FAILS(EW_INVALID, rv_index_search(index, vectors, DIM, 0, NULL, hits, &one, &err));
    FAILS(EW_NULL, rv_index_search(index, vectors, DIM, 1, NULL, NULL, &one, &err));
    FAILS(EW_LIMIT, rv_index_search_batch(index, vectors, (size_t)-1, DIM, 3, NULL, hits, found, &err));
    CHECK(rv_index_len(index) == COUNT && rv_index_dim(index) == DIM);
    rv_index_free(index);
}

static void payloads_filter_and_come_back(void) {
    rv_options options;
    rv_search_options search;
    rv_index *index = NULL;
    rv_filter *filter = NULL;
    ew_buffer *payload = NULL;
    rv_hit hits[4];
    size_t found;
    bool removed = false;
    float kept[DIM];
    rv_options_init(&options, DIM);
    options.metric = RV_METRIC_DOT;
    OK(rv_index_build(&options, &index, &err));
    OK(rv_index_upsert(index, 1, vectors, DIM, S("{\"zone\":\"barn-1\",\"age\":3}"), &err));
    OK(rv_index_upsert(index, 2, vectors, DIM, S("{\"zone\":\"barn-2\",\"age\":4}"), &err));
    FAILS(EW_BAD_TEXT, rv_index_upsert(index, 3, vectors, DIM, S("{"), &err));
    FAILS(EW_INVALID, rv_index_upsert(index, 3, vectors, DIM, S("[1]"), &err));
    OK(rv_filter_parse(S("zone == 'barn-2' && age < 5"), &filter, &err));
    memset(&search, 0, sizeof search);
    search.struct_size = sizeof search;
    search.filter = filter;
    OK(rv_index_search(index, vectors, DIM, 4, &search, hits, &found, &err));
    CHECK(found == 1 && hits[0].id == 2);
    OK(rv_index_get(index, 2, kept, DIM, &payload, &err));
    CHECK(memcmp(kept, vectors, sizeof kept) == 0);
    CHECK(has(payload, "\"zone\":\"barn-2\""));
    FAILS(EW_NOT_FOUND, rv_index_get(index, 9, NULL, 0, NULL, &err));
    OK(rv_index_search_range(index, vectors, DIM, -1000.0f, NULL, hits, 4, &found, &err));
    CHECK(found == 2);
    FAILS(EW_TOO_SMALL, rv_index_search_range(index, vectors, DIM, -1000.0f, NULL, hits, 1, &found, &err));
    CHECK(found == 2);
    OK(rv_index_delete(index, 1, &removed, &err));
    CHECK(removed && rv_index_len(index) == 1);
    OK(rv_index_compact(index, &err));
    rv_filter_free(filter);
    rv_index_free(index);
}

static void a_file_is_opened_again_verified_and_found_damaged(const char *folder) {
    char path[512], copy[512];
    rv_index *index = NULL, *other = NULL;
    ew_buffer *stats = NULL;
    FILE *file;
    snprintf(path, sizeof path, "%s/vectors.index", folder);
    snprintf(copy, sizeof copy, "%s/copy.index", folder);
    index = filled(path);
    OK(rv_index_flush(index, &err));
    OK(rv_index_snapshot(index, &err));
    OK(rv_index_save(index, S(copy), &err));
    FAILS(EW_SYSTEM, rv_index_open(S(path), &other, &err));
    rv_index_free(index);
    OK(rv_index_open(S(path), &index, &err));
    CHECK(rv_index_len(index) == COUNT);
    OK(rv_index_stats(index, &stats, &err));
    CHECK(has(stats, "\"vectors\":500"));
    rv_index_free(index);
    OK(rv_index_verify(S(copy), &err));
    file = fopen(copy, "r+b");
    CHECK(file != NULL);
    fseek(file, 0, SEEK_END);
    fseek(file, ftell(file) / 2, SEEK_SET);
    fputs("damage", file);
    fclose(file);
    FAILS(EW_CORRUPT, rv_index_verify(S(copy), &err));
}

/* Letters as a vector: texts of the same letters are near. */
static int32_t embed(void *user, const char *text, size_t len, float *vector, size_t dim) {
    size_t at;
    ++*(int *)user;
    if (len > 0 && text[0] == '!') return 77;
    for (at = 0; at < dim; at++) vector[at] = 0.01f;
    for (at = 0; at < len; at++) vector[(unsigned char)text[at] % dim] += 1.0f;
    return EW_OK;
}

static int32_t compute(void *user, ew_reply *reply) {
    if (user == NULL) {
        OK(ew_reply_fail(reply, S("Timeout"), S("the model is away"), &err));
        return EW_OK;
    }
    ++*(int *)user;
    OK(rv_reply_cost(reply, 3.5, &err));
    OK(ew_reply_set(reply, bytes_of("a lame cow", 10), &err));
    return EW_OK;
}

static void a_cache_computes_once_and_expires(void) {
    int embedded = 0, computed = 0;
    int32_t how = -1;
    float similarity = 0.0f;
    int64_t ttl = 0;
    bool known = false;
    size_t gone = 0;
    rv_embedder *embedder = NULL;
    rv_cache *cache = NULL;
    rv_cache_options options;
    ew_buffer *answer = NULL;
    OK(rv_embedder_new(S("letters-1"), 32, embed, &embedded, &embedder, &err));
    memset(&options, 0, sizeof options);
    options.struct_size = sizeof options;
    options.policies = S("{\"farm\": {\"threshold\": 0.9, \"ttl\": 60000}, \"\": {\"ttl\": \"static\"}}");
    OK(rv_cache_new(embedder, &options, &cache, &err));
    FAILS(EW_NOT_FOUND, rv_cache_get(cache, S("farm"), S("what is seen"), 0, &answer, NULL, NULL, &err));
    FAILS(EW_CALLBACK, rv_cache_get_or_compute(cache, S("farm"), S("what is seen"), 0, compute, NULL, &answer, &how,
                                               &similarity, &err));
    OK(rv_cache_get_or_compute(cache, S("farm"), S("what is seen"), 0, compute, &computed, &answer, &how, &similarity,
                               &err));
    CHECK(how == RV_HOW_COMPUTED && computed == 1 && ew_buffer_len(answer) == 10);
    ew_buffer_free(answer);
    OK(rv_cache_get_or_compute(cache, S("farm"), S("what is seen"), 1, compute, &computed, &answer, &how, NULL, &err));
    CHECK(how == RV_HOW_EXACT && computed == 1 && has(answer, "a lame cow"));
    OK(rv_cache_get(cache, S("farm"), S("what is  SEEN"), 2, &answer, &how, &similarity, &err));
    CHECK(has(answer, "a lame cow"));
    OK(rv_cache_ttl(cache, S("farm"), S("what is seen"), &ttl, &err));
    CHECK(ttl == 60000);
    FAILS(EW_NOT_FOUND, rv_cache_get(cache, S("farm"), S("what is seen"), 60001, &answer, NULL, NULL, &err));
    FAILS(EW_CALLBACK, rv_cache_get(cache, S("farm"), S("!broken"), 0, &answer, NULL, NULL, &err));
    OK(rv_cache_put(cache, S("farm"), S("who"), bytes_of("bella", 5), 1.0, 0, &err));
    OK(rv_cache_report(cache, S("farm"), S("who"), 0, 1, &known, &err));
    CHECK(known);
    FAILS(EW_NOT_FOUND, rv_cache_get(cache, S("farm"), S("who"), 2, &answer, NULL, NULL, &err));
    OK(rv_cache_dedupe(cache, 0.99f, &answer, &err));
    CHECK(has(answer, "\"examined\":2"));
    OK(rv_cache_advance_epoch(cache, S("farm"), &gone, &err));
    CHECK(gone == 2);
    OK(rv_cache_stats(cache, &answer, &err));
    CHECK(has(answer, "\"computed\":1"));
    OK(rv_cache_set_embedder(cache, embedder, &err));
    options.policies = S("{\"farm\": {\"treshold\": 0.9}}");
    FAILS(EW_INVALID, rv_cache_new(embedder, &options, &cache, &err));
    rv_embedder_free(embedder);
    rv_cache_free(cache);
    CHECK(embedded > 0);
}

static void a_retriever_finds_the_passage(void) {
    int embedded = 0;
    size_t chunks = 0;
    bool removed = false;
    rv_embedder *embedder = NULL;
    rv_retriever *retriever = NULL;
    rv_options options;
    rv_index *index = NULL;
    ew_buffer *json = NULL;
    OK(rv_embedder_new(S("letters-1"), 32, embed, &embedded, &embedder, &err));
    rv_options_init(&options, 16);
    OK(rv_index_build(&options, &index, &err));
    /* The index stays the caller's where it does not fit. */
    FAILS(EW_INVALID, rv_retriever_new(index, embedder, RV_CHUNK_SENTENCES, 60, 0, &retriever, &err));
    CHECK(rv_index_dim(index) == 16);
    rv_index_free(index);
    rv_options_init(&options, 32);
    OK(rv_index_build(&options, &index, &err));
    FAILS(EW_INVALID, rv_retriever_new(index, embedder, 9, 60, 0, &retriever, &err));
    OK(rv_retriever_new(index, embedder, RV_CHUNK_SENTENCES, 60, 0, &retriever, &err));
    OK(rv_retriever_add(retriever, 7, S("Cows rest for half of the day. Milk is cooled to four degrees at once."),
                        S("{\"page\": 3}"), &chunks, &err));
    CHECK(chunks == 2);
    OK(rv_retriever_retrieve(retriever, S("Milk is cooled to four degrees"), 1, none(), 1.0f, 0, -1.0f, &json, &err));
    CHECK(has(json, "four degrees"));
    OK(rv_retriever_retrieve(retriever, S("Milk"), 1, S("page == 4"), 0.5f, 20, -1.0f, &json, &err));
    CHECK(ew_buffer_len(json) == 2);
    ew_buffer_free(json);
    OK(rv_retriever_flush(retriever, &err));
    OK(rv_retriever_remove(retriever, 7, &removed, &err));
    CHECK(removed);
    rv_retriever_free(retriever);
    rv_embedder_free(embedder);
}

static void bits_are_found_by_how_many_differ(void) {
    static const uint8_t rows[6] = {0x0f, 0x00, 0xff, 0x01, 0x00, 0x00};
    static const uint64_t three[3] = {1, 2, 3};
    rv_options options;
    rv_index *index = NULL;
    rv_hit hits[3];
    size_t found = 0;
    rv_options_init(&options, 9);
    options.metric = RV_METRIC_HAMMING;
    OK(rv_index_build(&options, &index, &err));
    OK(rv_index_upsert_bits_batch(index, three, bytes_of(rows, 6), 3, NULL, &err));
    OK(rv_index_upsert_bits(index, 3, bytes_of("\x03\x00", 2), S("{\"zone\": 1}"), &err));
    OK(rv_index_search_bits(index, bytes_of("\x1f\x00", 2), 3, NULL, hits, &found, &err));
    CHECK(found == 3 && hits[0].id == 1 && hits[0].score == -1.0f);
    CHECK(hits[1].id == 3 && hits[1].score == -3.0f && hits[2].id == 2 && hits[2].score == -4.0f);
    OK(rv_index_search_range_bits(index, bytes_of("\x1f\x00", 2), -3.0f, NULL, hits, 3, &found, &err));
    CHECK(found == 2);
    FAILS(EW_TOO_SMALL, rv_index_search_range_bits(index, bytes_of("\x1f\x00", 2), -9.0f, NULL, hits, 2, &found, &err));
    CHECK(found == 3);
    FAILS(EW_INVALID, rv_index_upsert_bits(index, 4, bytes_of("\x03", 1), none(), &err));
    FAILS(EW_INVALID, rv_index_upsert_bits(index, 4, bytes_of("\x03\x02", 2), none(), &err)); /* a tenth bit */
    FAILS(EW_INVALID, rv_index_search_bits(index, no_bytes(), 3, NULL, hits, &found, &err));
    rv_index_free(index);
}

int main(int argc, char **argv) {
    bits_are_found_by_how_many_differ();
    fill();
    neighbours_are_those_of_a_naive_search();
    payloads_filter_and_come_back();
    a_file_is_opened_again_verified_and_found_damaged(argc > 1 ? argv[1] : ".");
    a_cache_computes_once_and_expires();
    a_retriever_finds_the_passage();
    puts("ruvector: ok");
    return 0;
}
