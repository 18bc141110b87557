/* Random calls over the whole interface with wrong handles, NULLs, texts of rubbish and huge lengths: nothing may crash.
   argv: how many calls, the seed. Handles are live ones of any kind, NULL, small numbers or misaligned; freed ones are
   left out, since to use them is undefined by contract. */
#include "check.h"

static uint64_t state;

static uint32_t below(uint32_t limit) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 33) % limit;
}

#define LIVE 32
static void *live[LIVE];
static void (*frees[LIVE])(void *);

static void *handle(void) {
    switch (below(8)) {
    case 0: return NULL;
    case 1: return (void *)(uintptr_t)below(4000);
    case 2: {
        void *any = live[below(LIVE)];
        return any == NULL ? NULL : (char *)any + 1;
    }
    default: return live[below(LIVE)];
    }
}

static void keep(void *made, void (*release)(void *)) {
    uint32_t place;
    if (made == NULL) return;
    place = below(LIVE);
    if (live[place] != NULL) frees[place](live[place]);
    live[place] = made;
    frees[place] = release;
}

#define RELEASE(name, kind, function)                                                    \
    static void name(void *made) { function((kind *)made); }
RELEASE(free_index, rv_index, rv_index_free)
RELEASE(free_filter, rv_filter, rv_filter_free)
RELEASE(free_store, adb_store, adb_store_free)
RELEASE(free_list, adb_list, adb_list_free)
RELEASE(free_version, adb_version, adb_version_free)
RELEASE(free_flow, fc_engine, fc_engine_free)
RELEASE(free_call, fc_call, fc_call_free)
RELEASE(free_set, po_set, po_set_free)
RELEASE(free_choice, po_choice, po_choice_free)
RELEASE(free_engine, ms_engine, ms_engine_free)
RELEASE(free_outputs, ms_outputs, ms_outputs_free)
RELEASE(free_standardizer, ms_standardizer, ms_standardizer_free)
RELEASE(free_agent, ms_agent, ms_agent_free)
RELEASE(free_watch, adb_watch, adb_watch_free)
RELEASE(free_endpoint, adb_endpoint, adb_endpoint_free)
RELEASE(free_session, adb_session, adb_session_free)

static const char *const TEXTS[] = {
    "", "x", "null", "{}", "[1,2]", "{\"a\": 1}", "\"barn\"", "zone == 1 && a < 2", "cow", "bella", "zone", "steps",
    "health", "well", "workflow: {name: w, steps: [{id: a, set: {b: 1}}]}", "w", "{\"cow\": {\"zone\": \"lww\"}}",
    "RULE r: FROM s HAVING COUNT(*) > 1 WITHIN TUMBLING WINDOW 1 SECONDS", "s", "f", "text", "ultra", "\xff\xfe\xfd",
    "{\"format\":\"edgeweave-prompt/1\",\"tier\":\"fast\",\"version\":9,\"template\":\"{text}\"}", "(((((((((((((((",
    "{\"cow\": {\"steps\": \"pn_counter\", \"health\": {\"status\": [\"well\", \"ill\"]}}}",
};

static uint8_t rubbish[256];

static ew_str text(void) {
    ew_str made = S(TEXTS[below(sizeof TEXTS / sizeof TEXTS[0])]);
    switch (below(12)) {
    case 0: return none();
    case 1: made.len = (size_t)-1 - below(3); return made;
    case 2: made.len = (size_t)EW_BYTES_MAX + 1 + below(1000); return made;
    case 3: made.ptr = NULL; made.len = below(100); return made;
    case 4: made.ptr = (const char *)rubbish; made.len = below(sizeof rubbish); return made;
    case 5: made.len = made.len == 0 ? 0 : below((uint32_t)made.len); return made;
    default: return made;
    }
}

static ew_bytes bytes(void) {
    ew_str from = text();
    return bytes_of(from.ptr, from.len);
}

static size_t small_or_huge(uint32_t limit) { return below(6) == 0 ? (size_t)-1 / (1u + below(40)) : below(limit); }

static float floats[64];
static double doubles[64];

/* No call may meet a defect, whether its error is asked for or not. */
#define SOUND(call) CHECK((call) != EW_PANIC)

static void call(void) {
    ew_error **at = below(5) == 0 ? NULL : &err;
    ew_buffer *buffer = NULL, **out = below(6) == 0 ? NULL : &buffer;
    rv_hit hits[8];
    size_t size = 0, *sizes = below(6) == 0 ? NULL : &size;
    uint64_t count = 0;
    uint32_t version = 0;
    int64_t time = 0;
    int32_t number = 0;
    bool truth = false;
    void *h = handle();
    const float *vector = below(6) == 0 ? NULL : floats;
    switch (below(98)) {
    case 0: {
        rv_options options;
        rv_index *made = NULL;
        rv_options_init(&options, small_or_huge(20));
        options.metric = (int32_t)below(6) - 1;
        options.kind = (int32_t)below(7) - 1;
        options.quantization = (int32_t)below(7) - 1;
        options.subspaces = below(5);
        options.links = below(70);
        options.build_effort = below(300);
        options.max_bytes = 1 << 20;
        options.struct_size = below(4) == 0 ? small_or_huge(300) : sizeof options;
        SOUND(rv_index_build(below(9) == 0 ? NULL : &options, below(9) == 0 ? NULL : &made, at));
        keep(made, free_index);
        break;
    }
    case 1: case 2: case 3: rv_index_upsert((rv_index *)h, below(50), vector, small_or_huge(20), text(), at); break;
    case 4: SOUND(rv_index_delete((rv_index *)h, below(50), &truth, at)); break;
    case 5: case 6: {
        rv_search_options search;
        memset(&search, 0, sizeof search);
        search.struct_size = below(4) == 0 ? small_or_huge(100) : sizeof search;
        search.filter = (const rv_filter *)(below(2) == 0 ? NULL : handle());
        search.effort = below(200);
        SOUND(rv_index_search((rv_index *)h, vector, small_or_huge(20), below(9), &search, hits, sizes, at));
        break;
    }
    case 7: SOUND(rv_index_search_batch((rv_index *)h, vector, below(2) == 0 ? 1 : small_or_huge(1) + 1, small_or_huge(20), 1, NULL, hits, sizes, at)); break;
    case 8: SOUND(rv_index_search_range((rv_index *)h, vector, small_or_huge(20), -100.0f, NULL, hits, below(8), sizes, at)); break;
    case 9: SOUND(rv_index_get((rv_index *)h, below(50), NULL, 0, out, at)); break;
    case 10: SOUND(rv_index_compact((rv_index *)h, at)); break;
    case 11: SOUND(rv_index_flush((rv_index *)h, at)); break;
    case 12: SOUND(rv_index_stats((rv_index *)h, out, at)); break;
    case 13: {
        rv_filter *made = NULL;
        SOUND(rv_filter_parse(text(), &made, at));
        keep(made, free_filter);
        break;
    }
    case 14: rv_index_len((rv_index *)h); rv_index_dim((rv_index *)h); break;
    case 15: {
        uint64_t ids[4] = {1, 2, 3, 4};
        ew_str payloads[4];
        payloads[0] = text(); payloads[1] = text(); payloads[2] = text(); payloads[3] = text();
        SOUND(rv_index_upsert_batch((rv_index *)h, ids, vector, below(5), below(17), below(2) == 0 ? NULL : payloads, at));
        break;
    }
    case 16: {
        adb_options options;
        adb_store *made = NULL;
        if (below(40) != 0) break; /* opening costs more than the rest together */
        memset(&options, 0, sizeof options);
        options.struct_size = below(4) == 0 ? small_or_huge(100) : sizeof options;
        options.schemas = text();
        options.replica = below(3);
        options.durability = (int32_t)below(3);
        SOUND(adb_store_open(none(), &options, &made, at));
        keep(made, free_store);
        break;
    }
    case 17: case 18: case 19: {
        adb_tx *tx = NULL;
        SOUND(adb_begin((adb_store *)h, (int64_t)state, &tx, at));
        if (tx == NULL) break;
        SOUND(adb_tx_set(tx, text(), text(), text(), text(), NULL));
        SOUND(adb_tx_add(tx, S("cow"), text(), S("steps"), (int64_t)state, NULL));
        SOUND(adb_tx_max(tx, text(), text(), text(), doubles[below(64)], NULL));
        SOUND(adb_tx_status(tx, S("cow"), text(), S("health"), text(), NULL));
        SOUND(adb_tx_merge(tx, text(), bytes(), NULL));
        SOUND(adb_tx_min(tx, text(), text(), text(), doubles[below(64)], NULL));
        SOUND(adb_tx_enable(tx, S("cow"), text(), text(), NULL));
        SOUND(adb_tx_reset(tx, S("cow"), text(), S("steps"), NULL));
        SOUND(adb_tx_insert(tx, text(), text(), text(), text(), NULL));
        SOUND(adb_tx_remove(tx, text(), text(), text(), text(), NULL));
        SOUND(adb_tx_remove_key(tx, text(), text(), text(), NULL));
        SOUND(adb_tx_splice(tx, text(), text(), text(), small_or_huge(4), small_or_huge(4), text(), NULL));
        SOUND(adb_tx_append_event(tx, text(), text(), text(), (int32_t)below(4), &time, NULL));
        SOUND(adb_tx_mark(tx, below(5), (int32_t)below(4), text(), NULL));
        SOUND(adb_tx_put_record(tx, text(), text(), bytes(), NULL));
        SOUND(adb_tx_get_record(tx, text(), text(), out, NULL));
        SOUND(adb_tx_delete_record(tx, text(), text(), NULL));
        SOUND(adb_tx_delete_records(tx, text(), text(), text(), &size, NULL));
        if (below(2) == 0) SOUND(adb_tx_commit(tx, NULL));
        else adb_tx_rollback(tx);
        break;
    }
    case 20: SOUND(adb_get((adb_store *)h, text(), out, at)); break;
    case 21: SOUND(adb_query((adb_store *)h, text(), text(), out, at)); break;
    case 22: SOUND(adb_document((adb_store *)h, text(), out, at)); break;
    case 23: SOUND(adb_events((adb_store *)h, (int32_t)below(3), text(), below(5), below(20), out, at)); break;
    case 24: SOUND(adb_waiting((adb_store *)h, &count, at)); break;
    case 25: SOUND(adb_scan_records((adb_store *)h, text(), text(), below(9), out, at)); break;
    case 26: case 27: {
        adb_list *made = NULL;
        if (below(2) == 0) SOUND(adb_list_new(below(4), &made, at));
        else adb_list_decode(below(4), bytes(), &made, at);
        keep(made, free_list);
        break;
    }
    case 28: case 29: adb_list_insert((adb_list *)h, small_or_huge(8), text(), at); break;
    case 30: SOUND(adb_list_delete((adb_list *)h, small_or_huge(8), small_or_huge(8), at)); break;
    case 31: SOUND(adb_list_merge((adb_list *)h, bytes(), &number, at)); break;
    case 32: SOUND(adb_list_text((adb_list *)h, out, sizes, at)); break;
    case 33: {
        adb_version *made = NULL;
        SOUND(adb_list_version((adb_list *)h, &made, at));
        keep(made, free_version);
        break;
    }
    case 34: SOUND(adb_list_delta((adb_list *)h, (adb_version *)handle(), out, at)); break;
    case 35: SOUND(adb_version_join((adb_version *)h, (adb_version *)handle(), at)); break;
    case 36: SOUND(adb_version_covers((adb_version *)h, (adb_version *)handle(), &truth, at)); break;
    case 37: if (below(20) == 0) adb_list_encode((adb_list *)h, out, at); break;
    case 38: {
        fc_engine *made = NULL;
        if (below(4) != 0) break;
        SOUND(fc_engine_new(none(), &made, at));
        keep(made, free_flow);
        break;
    }
    case 39: SOUND(fc_deploy_yaml((fc_engine *)h, text(), out, at)); break;
    case 40: SOUND(fc_deploy_json((fc_engine *)h, text(), out, at)); break;
    case 41: if (below(4) == 0) fc_start((fc_engine *)h, text(), text(), text(), (int64_t)state, &count, at); break;
    case 42: SOUND(fc_trigger((fc_engine *)h, text(), text(), text(), 0, &count, at)); break;
    case 43: SOUND(fc_publish((fc_engine *)h, text(), text(), text(), 0, sizes, at)); break;
    case 44: SOUND(fc_run_until_idle((fc_engine *)h, (int64_t)below(1000), &count, at)); break;
    case 45: SOUND(fc_status((fc_engine *)h, below(20), out, at)); break;
    case 46: SOUND(fc_steps((fc_engine *)h, below(20), out, at)); break;
    case 47: {
        fc_call *made = NULL;
        SOUND(fc_next((fc_engine *)h, 0, &number, &made, at));
        keep(made, free_call);
        break;
    }
    case 48: SOUND(fc_complete((fc_engine *)h, (fc_call *)handle(), text(), 0, at)); break;
    case 49: SOUND(fc_action_external((fc_engine *)h, S("a"), at)); break;
    case 50: SOUND(fc_decide((fc_engine *)h, below(20), text(), (int32_t)below(3), text(), text(), 0, at)); break;
    case 51: SOUND(fc_cancel((fc_engine *)h, below(20), text(), 0, at)); break;
    case 52: SOUND(fc_next_wake((fc_engine *)h, &time, &truth, at)); break;
    case 53: {
        ew_str prompts[3];
        po_set *made = NULL;
        prompts[0] = S("{\"format\":\"edgeweave-prompt/1\",\"tier\":\"ultra\",\"version\":1,\"template\":\"{text}\"}");
        prompts[1] = S("{\"format\":\"edgeweave-prompt/1\",\"tier\":\"fast\",\"version\":1,\"template\":\"{text}\"}");
        prompts[2] = below(4) == 0 ? text() : S("{\"format\":\"edgeweave-prompt/1\",\"tier\":\"quality\",\"version\":1,\"template\":\"{text}\"}");
        SOUND(po_set_new(prompts, below(8) == 0 ? below(4) : 3, below(3) == 0 ? text() : none(), &made, at));
        keep(made, free_set);
        break;
    }
    case 54: {
        po_choice *made = NULL;
        SOUND(po_choice_new(&made, at));
        keep(made, free_choice);
        break;
    }
    case 55: case 56: {
        po_context context;
        po_context_init(&context);
        context.battery = doubles[below(64)];
        context.confidence = doubles[below(64)];
        context.criticality = (int32_t)below(4);
        context.online = (int32_t)below(3);
        context.struct_size = below(5) == 0 ? small_or_huge(100) : sizeof context;
        SOUND(po_select((po_set *)h, &context, bytes(), (po_choice *)handle(), at));
        break;
    }
    case 57: case 58: {
        ew_str names[2], texts[2];
        uint8_t rendered[300];
        names[0] = S("text"); names[1] = text(); texts[0] = text(); texts[1] = text();
        SOUND(po_choice_render((po_choice *)h, names, texts, below(9) == 0 ? small_or_huge(3) % 3 : 1, rendered, below(300), sizes, at));
        break;
    }
    case 59: SOUND(po_record((po_set *)h, (po_choice *)handle(), text(), below(1000), (int32_t)below(5), 0, at)); break;
    case 60: SOUND(po_choice_reason((po_choice *)h, out, at)); break;
    case 61: SOUND(po_swap((po_set *)h, text(), &version, at)); SOUND(po_rollback((po_set *)h, (int32_t)below(4), &version, NULL)); break;
    case 62: SOUND(po_import((po_set *)h, bytes(), sizes, at)); break;
    case 63: SOUND(po_experiment_start((po_set *)h, text(), NULL, at)); SOUND(po_experiment_status((po_set *)h, (int32_t)below(4), out, NULL)); break;
    case 64: SOUND(po_drain_outcomes((po_set *)h, out, at)); break;
    case 65: {
        ms_field fields[2];
        ms_source source;
        ms_rules rules;
        ms_options options;
        ms_engine *made = NULL;
        fields[0].name = S("f"); fields[0].kind = (int32_t)below(5);
        fields[1].name = text(); fields[1].kind = MS_FLOAT;
        source.name = S("s"); source.fields = fields; source.field_count = below(3);
        rules.text = text(); rules.source = S("s"); rules.key = text();
        memset(&options, 0, sizeof options);
        options.struct_size = below(5) == 0 ? small_or_huge(100) : sizeof options;
        options.sources = &source; options.source_count = below(2);
        options.rules = &rules; options.rules_count = below(2);
        options.disorder_ms = below(1000);
        SOUND(ms_engine_new(&options, &made, at));
        keep(made, free_engine);
        break;
    }
    case 66: {
        ms_outputs *made = NULL;
        SOUND(ms_outputs_new(&made, at));
        keep(made, free_outputs);
        break;
    }
    case 67: case 68: {
        ms_value value;
        memset(&value, 0, sizeof value);
        value.name = S("f"); value.kind = (int32_t)below(5); value.integer = (int64_t)state;
        value.number = doubles[below(64)]; value.text = text();
        SOUND(ms_push((ms_engine *)h, S("s"), text(), (int64_t)below(100000), &value, below(2), (ms_outputs *)handle(), at));
        break;
    }
    case 69: {
        ms_output output;
        SOUND(ms_outputs_get((ms_outputs *)h, below(4), &output, at));
        SOUND(ms_outputs_json((ms_outputs *)h, below(4), out, NULL));
        SOUND(ms_metrics((ms_engine *)h, NULL, NULL));
        break;
    }
    case 70: SOUND(ms_advance_to((ms_engine *)h, (int64_t)below(200000), (ms_outputs *)handle(), at)); break;
    case 71: case 72: {
        ms_agent_options options;
        ms_agent *made = NULL;
        ms_agent_options_init(&options);
        options.struct_size = below(4) == 0 ? small_or_huge(100) : sizeof options;
        options.ring_bytes = small_or_huge(2000);
        if (options.ring_bytes > MS_RING_BYTES_MAX / 1024 && options.ring_bytes <= MS_RING_BYTES_MAX) options.ring_bytes = 1024;
        options.average_over = small_or_huge(9);
        options.one_in = below(5);
        options.batch_ms = below(50);
        options.alarm_above = floats[below(64)];
        SOUND(ms_agent_new(below(9) == 0 ? NULL : &options, &made, at));
        keep(made, free_agent);
        break;
    }
    case 73: case 74: case 75: {
        static uint8_t batch[MS_BATCH_BYTES_MAX];
        int64_t times[16];
        float samples[16];
        ms_emitted emitted;
        ms_agent_counters counters;
        SOUND(ms_agent_push((ms_agent *)h, (int64_t)state, (float)doubles[below(64)], below(9) == 0 ? NULL : &emitted, batch, below(9) == 0 ? below(4000) % MS_BATCH_BYTES_MAX : sizeof batch, at));
        SOUND(ms_agent_flush((ms_agent *)handle(), batch, sizeof batch, sizes, NULL));
        SOUND(ms_agent_stats((ms_agent *)handle(), &counters, NULL));
        SOUND(ms_agent_ring((ms_agent *)handle(), times, samples, below(17), sizes, NULL));
        SOUND(ms_batch_decode(bytes(), times, samples, below(17), sizes, NULL, NULL, NULL));
        break;
    }
    case 76: {
        ms_rules rule;
        rule.text = text(); rule.source = S("s"); rule.key = text();
        SOUND(ms_rule_add((ms_engine *)h, below(9) == 0 ? NULL : &rule, at));
        SOUND(ms_rule_replace((ms_engine *)handle(), &rule, &truth, NULL));
        SOUND(ms_rule_remove((ms_engine *)handle(), text(), NULL));
        SOUND(ms_rule_metrics((ms_engine *)handle(), out, NULL));
        break;
    }
    case 77: SOUND(ms_snapshot((ms_engine *)h, out, at)); break;
    case 78: SOUND(ms_take_late((ms_engine *)h, out, at)); break;
    case 79: {
        ms_value value;
        memset(&value, 0, sizeof value);
        value.name = text(); value.kind = (int32_t)below(5); value.text = text();
        SOUND(ms_table_put((ms_engine *)h, text(), 0, &value, below(2), at));
        SOUND(ms_table_len((ms_engine *)handle(), text(), sizes, NULL));
        break;
    }
    case 80: {
        ms_options options;
        ms_engine *made = NULL;
        memset(&options, 0, sizeof options);
        options.struct_size = sizeof options;
        options.watermark = (int32_t)below(4);
        options.watermark_key = text();
        SOUND(ms_engine_restore(&options, bytes(), &made, at));
        keep(made, free_engine);
        break;
    }
    case 81: case 82: {
        adb_watch *made = NULL;
        SOUND(adb_watch_new((adb_store *)h, text(), &made, at));
        keep(made, free_watch);
        SOUND(adb_watch_next((adb_watch *)handle(), 0, out, NULL));
        SOUND(adb_watch_missed((adb_watch *)handle(), &count, NULL));
        break;
    }
    case 83: {
        adb_sync_options options;
        adb_endpoint *made = NULL;
        memset(&options, 0, sizeof options);
        options.struct_size = below(4) == 0 ? small_or_huge(100) : sizeof options;
        options.role = (int32_t)below(4);
        options.events_a_batch = below(5);
        SOUND(adb_endpoint_new((adb_store *)h, below(3) == 0 ? NULL : &options, &made, at));
        keep(made, free_endpoint);
        break;
    }
    case 84: case 85: {
        adb_session *made = NULL;
        SOUND(adb_session_new((adb_endpoint *)h, (int32_t)below(4), (int64_t)below(1000), &made, at));
        keep(made, free_session);
        break;
    }
    case 86: case 87: adb_session_poll((adb_session *)h, (adb_endpoint *)handle(), (int64_t)below(100000), out, at); break;
    case 88: SOUND(adb_session_receive((adb_session *)h, (adb_endpoint *)handle(), bytes(), (int64_t)state, &truth, at)); break;
    case 89: {
        SOUND(adb_session_state((adb_session *)h, (adb_endpoint *)handle(), &number, &count, &truth, at));
        SOUND(adb_session_reset((adb_session *)handle(), (adb_endpoint *)handle(), 0, NULL));
        SOUND(adb_endpoint_set_peers((adb_endpoint *)handle(), below(2) == 0 ? NULL : &count, below(2), &count, below(2), NULL));
        SOUND(adb_endpoint_is_degraded((adb_endpoint *)handle(), &truth, NULL));
        break;
    }
    case 90: {
        adb_find_options options;
        memset(&options, 0, sizeof options);
        options.struct_size = below(4) == 0 ? small_or_huge(100) : sizeof options;
        options.expression = text(); options.order_by = text();
        options.direction = (int32_t)below(3); options.limit = small_or_huge(4);
        SOUND(adb_find((adb_store *)h, text(), below(3) == 0 ? NULL : &options, out, at));
        SOUND(adb_explain((adb_store *)handle(), text(), &options, NULL, NULL));
        break;
    }
    case 91: SOUND(adb_series((adb_store *)h, text(), text(), text(), (int64_t)state, (int64_t)below(9), below(3) == 0 ? state : below(9), out, at)); break;
    case 92: {
        adb_tx *tx = NULL;
        SOUND(adb_begin((adb_store *)h, (int64_t)state, &tx, at));
        if (tx == NULL) break;
        SOUND(adb_tx_merge_patch(tx, S("cow"), text(), text(), NULL));
        SOUND(adb_tx_retain(tx, text(), below(9), text(), below(2) == 0 ? state : below(9), small_or_huge(9), sizes, NULL, NULL));
        SOUND(adb_tx_document(tx, text(), out, NULL));
        SOUND(adb_tx_commit(tx, NULL));
        break;
    }
    case 93: {
        SOUND(rv_index_upsert_bits((rv_index *)h, below(50), bytes(), text(), at));
        SOUND(rv_index_search_bits((rv_index *)handle(), bytes(), below(9), NULL, hits, sizes, NULL));
        SOUND(rv_index_search_range_bits((rv_index *)handle(), bytes(), -9.0f, NULL, hits, below(9), sizes, NULL));
        break;
    }
    case 94: {
        fc_limits limits;
        memset(&limits, 0, sizeof limits);
        limits.struct_size = below(3) == 0 ? small_or_huge(100) : sizeof limits;
        limits.audit_entries = below(20); limits.measure = (int32_t)below(2); limits.has_budget = (int32_t)below(2);
        SOUND(fc_limit((fc_engine *)h, &limits, at));
        SOUND(fc_quota((fc_engine *)handle(), text(), below(3), below(3), below(3), NULL));
        SOUND(fc_start_for((fc_engine *)handle(), text(), text(), text(), text(), 0, &count, NULL));
        break;
    }
    case 95: {
        SOUND(fc_deploy_standby((fc_engine *)h, text(), out, at));
        SOUND(fc_activate((fc_engine *)handle(), text(), 0, NULL));
        SOUND(fc_check_upgrade((fc_engine *)handle(), below(20), text(), NULL, NULL));
        SOUND(fc_upgrade((fc_engine *)handle(), below(20), text(), 0, NULL));
        break;
    }
    case 96: {
        SOUND(fc_audit_log((fc_engine *)h, below(9), small_or_huge(9), out, at));
        SOUND(fc_forget_ended((fc_engine *)handle(), (int64_t)below(1000), below(9), sizes, NULL));
        SOUND(fc_lease((fc_engine *)handle(), text(), below(1000), (int64_t)below(1000), &count, NULL));
        break;
    }
    default: {
        ms_standardizer *made = NULL;
        double standard[64];
        SOUND(ms_standardizer_new(below(4), below(100), &made, at));
        keep(made, free_standardizer);
        SOUND(ms_standardizer_push((ms_standardizer *)handle(), below(1000), doubles, below(4), standard, NULL));
    }
    }
    CHECK(err == NULL || ew_error_status(err) != EW_PANIC);
    ew_buffer_free(buffer);
    ew_error_free(err);
    err = NULL;
}

int main(int argc, char **argv) {
    size_t calls = argc > 1 ? (size_t)strtoul(argv[1], NULL, 10) : 100000, done;
    size_t at;
    state = (argc > 2 ? strtoull(argv[2], NULL, 10) : 1) * 0x9e3779b97f4a7c15u + 1;
    for (at = 0; at < 64; at++) {
        floats[at] = (float)below(1000) / 500.0f - 1.0f;
        doubles[at] = at == 3 ? NAN : at == 4 ? INFINITY : (double)below(1000) / 500.0 - 1.0;
    }
    for (at = 0; at < sizeof rubbish; at++) rubbish[at] = (uint8_t)below(256);
    for (done = 0; done < calls; done++) call();
    for (at = 0; at < LIVE; at++)
        if (live[at] != NULL) frees[at](live[at]);
    printf("fuzz: %lu calls\n", (unsigned long)calls);
    return 0;
}
