/* The whole path of a gateway in one process: events go through a rule; what it finds is checked for novelty, given to
   a workflow, which picks a prompt and keeps state and event in one transaction.
   cc gateway.c $(pkg-config --cflags --libs edgeweave) && ./a.out */
#include <edgeweave.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static ew_error *error;

static void must(int32_t status) {
    if (status == EW_OK) return;
    fprintf(stderr, "%s: %s\n", ew_status_str(status), ew_error_message(error));
    exit(1);
}

typedef struct {
    adb_store *store;
    po_set *prompts;
    po_choice *choice;
} gateway;

static int32_t reply(ew_reply *place, const char *text) {
    const ew_bytes bytes = {(const uint8_t *)text, strlen(text)};
    return ew_reply_set(place, bytes, NULL);
}

/* Writes the prompt that a model would be asked with. */
static int32_t summarise(void *user, ew_str call, ew_reply *place) {
    gateway *self = (gateway *)user;
    po_context context;
    const ew_bytes key = {(const uint8_t *)call.ptr, call.len};
    const ew_str name = ew_str_of("text"), input = ew_str_of("bella: 39.9, 40.2, 40.4 degrees");
    char prompt[256], quoted[300];
    size_t len = 0;
    po_context_init(&context);
    context.criticality = PO_CRITICALITY_HIGH;
    if (po_select(self->prompts, &context, key, self->choice, NULL) != EW_OK) return EW_CALLBACK;
    if (po_choice_render(self->choice, &name, &input, 1, (uint8_t *)prompt, sizeof prompt, &len, NULL) != EW_OK)
        return EW_CALLBACK;
    snprintf(quoted, sizeof quoted, "\"%.*s\"", (int)len, prompt);
    return reply(place, quoted);
}

/* State and event of the incident are kept together. */
static int32_t keep(void *user, ew_str call, ew_reply *place) {
    gateway *self = (gateway *)user;
    const ew_str cow = ew_str_of("cow"), id = ew_str_of("bella");
    adb_tx *tx = NULL;
    if (adb_begin(self->store, 30000, &tx, NULL) != EW_OK) return EW_CALLBACK;
    if (adb_tx_status(tx, cow, id, ew_str_of("health"), ew_str_of("watched"), NULL) != EW_OK ||
        adb_tx_append_event(tx, id, ew_str_of("fever"), call, ADB_PRIORITY_SAFETY_CRITICAL, NULL, NULL) != EW_OK) {
        adb_tx_rollback(tx);
        return ew_reply_fail(place, ew_str_of("Store"), ew_str_of("the incident was not kept"), NULL);
    }
    return adb_tx_commit(tx, NULL);
}

#define PROMPT(tier, text) \
    "{\"format\": \"edgeweave-prompt/1\", \"tier\": \"" tier "\", \"version\": 1, \"template\": \"" text "\"}"

int main(void) {
    gateway self = {NULL, NULL, NULL};
    const ew_str nothing = ew_str_of(NULL);

    adb_options kept = {0};
    kept.struct_size = sizeof kept;
    kept.replica = 1;
    kept.schemas = ew_str_of("{\"cow\": {\"health\": {\"status\": [\"well\", \"watched\", \"ill\"]}}}");
    must(adb_store_open(nothing, &kept, &self.store, &error));

    const ew_str prompts[3] = {ew_str_of(PROMPT("ultra", "{text} ill?")), ew_str_of(PROMPT("fast", "Ill? {text}")),
                               ew_str_of(PROMPT("quality", "A cow, {text}. What is wrong?"))};
    must(po_set_new(prompts, 3, nothing, &self.prompts, &error));
    must(po_choice_new(&self.choice, &error));

    rv_options seen = {0};
    rv_index *index = NULL;
    rv_options_init(&seen, 4);
    must(rv_index_build(&seen, &index, &error));

    fc_engine *flows = NULL;
    must(fc_engine_new(nothing, &flows, &error));
    must(fc_action(flows, ew_str_of("summarise"), summarise, &self, &error));
    must(fc_action(flows, ew_str_of("keep"), keep, &self, &error));
    must(fc_deploy_yaml(flows,
                        ew_str_of("workflow:\n  name: incident\n  trigger: fever\n  steps:\n"
                                  "    - {id: summary, action: summarise}\n"
                                  "    - {id: kept, action: keep, params: {text: '${summary}'}}\n"),
                        NULL, &error));

    const ms_field fields[] = {{ew_str_of("cow"), MS_TEXT}, {ew_str_of("degrees"), MS_FLOAT}};
    const ms_source source = {ew_str_of("boluses"), fields, 2};
    const ms_rules rules = {ew_str_of("RULE fever: PATTERN SEQUENCE(a (degrees > 39.5), b (degrees > 40)) BY cow "
                                      "WITHIN 1 HOURS"),
                            ew_str_of("boluses"), nothing};
    ms_options options = {0};
    options.struct_size = sizeof options;
    options.sources = &source;
    options.source_count = 1;
    options.rules = &rules;
    options.rules_count = 1;
    ms_engine *events = NULL;
    ms_outputs *outputs = NULL;
    must(ms_engine_new(&options, &events, &error));
    must(ms_outputs_new(&outputs, &error));

    const double degrees[] = {38.6, 39.9, 40.2, 39.8, 40.4};
    size_t incidents = 0, repeated = 0;
    for (int at = 0; at < 5; at++) {
        char id[8];
        ms_value values[2];
        snprintf(id, sizeof id, "%d", at);
        memset(values, 0, sizeof values);
        values[0].name = ew_str_of("cow");
        values[0].kind = MS_TEXT;
        values[0].text = ew_str_of("bella");
        values[1].name = ew_str_of("degrees");
        values[1].kind = MS_FLOAT;
        values[1].number = degrees[at];
        must(ms_outputs_clear(outputs, &error));
        must(ms_push(events, ew_str_of("boluses"), ew_str_of(id), at * 10000, values, 2, outputs, &error));
        if (ms_outputs_len(outputs) == 0) continue;

        /* What looks like an incident that was seen is dropped, and counted. */
        const float looks[4] = {1.0f, (float)degrees[at] / 40.0f, 0.2f, 0.0f};
        rv_hit hit = {0, 0.0f};
        size_t found = 0;
        must(rv_index_search(index, looks, 4, 1, NULL, &hit, &found, &error));
        if (found == 1 && hit.score > 0.95f) {
            repeated++;
            continue;
        }
        must(rv_index_upsert(index, ++incidents, looks, 4, nothing, &error));
        uint64_t run = 0;
        ew_buffer *info = NULL;
        must(fc_trigger(flows, ew_str_of("fever"), nothing, ew_str_of("{\"cow\": \"bella\"}"), at * 10000, &run, &error));
        must(fc_run_until_idle(flows, at * 10000, NULL, &error));
        must(fc_status(flows, run, &info, &error));
        printf("%s\n", ew_buffer_data(info));
        ew_buffer_free(info);
    }
    uint64_t waiting = 0;
    must(adb_waiting(self.store, &waiting, &error));
    printf("%zu incident, %zu repeated, %llu event waits for its receiver\n", incidents, repeated,
           (unsigned long long)waiting);

    ms_outputs_free(outputs);
    ms_engine_free(events);
    fc_engine_free(flows);
    rv_index_free(index);
    po_choice_free(self.choice);
    po_set_free(self.prompts);
    adb_store_free(self.store);
    return incidents == 1 && repeated == 1 && waiting == 1 ? 0 : 1;
}
