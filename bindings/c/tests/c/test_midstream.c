/* Rules over events and columns. */
#include "check.h"

static ms_engine *engine_of(const char *rules, uint64_t disorder_ms) {
    ms_field fields[3];
    ms_source source;
    ms_rules text;
    ms_options options;
    ms_engine *engine = NULL;
    fields[0].name = S("machine");
    fields[0].kind = MS_TEXT;
    fields[1].name = S("temperature");
    fields[1].kind = MS_FLOAT;
    fields[2].name = S("alarms");
    fields[2].kind = MS_INT;
    source.name = S("machines");
    source.fields = fields;
    source.field_count = 3;
    text.text = S(rules);
    text.source = S("machines");
    text.key = S("machine");
    memset(&options, 0, sizeof options);
    options.struct_size = sizeof options;
    options.sources = &source;
    options.source_count = 1;
    options.rules = &text;
    options.rules_count = 1;
    options.disorder_ms = disorder_ms;
    OK(ms_engine_new(&options, &engine, &err));
    text.text = S("RULE r: FROM machines HAVING");
    FAILS(EW_INVALID, ms_engine_new(&options, &engine, &err));
    fields[0].kind = 9;
    FAILS(EW_INVALID, ms_engine_new(&options, &engine, &err));
    return engine;
}

static ms_value text_of(const char *name, const char *text) {
    ms_value value;
    memset(&value, 0, sizeof value);
    value.name = S(name);
    value.kind = MS_TEXT;
    value.text = S(text);
    return value;
}

static ms_value number_of(const char *name, double number) {
    ms_value value;
    memset(&value, 0, sizeof value);
    value.name = S(name);
    value.kind = MS_FLOAT;
    value.number = number;
    return value;
}

static void a_sequence_is_found_and_the_counters_add_up(void) {
    ms_engine *engine = engine_of("RULE hot: PATTERN SEQUENCE(a (temperature > 80), b (temperature > 90)) WITHIN 30 SECONDS", 0);
    ms_outputs *outputs = NULL;
    ms_output output;
    ms_value values[2];
    ew_buffer *json = NULL;
    int64_t watermark = 0;
    OK(ms_outputs_new(&outputs, &err));
    values[0] = text_of("machine", "m-7");
    values[1] = number_of("temperature", 85.0);
    OK(ms_push(engine, S("machines"), S("1"), 0, values, 2, outputs, &err));
    CHECK(ms_outputs_len(outputs) == 0);
    values[1] = number_of("temperature", 95.0);
    OK(ms_push(engine, S("machines"), S("2"), 20000, values, 2, outputs, &err));
    CHECK(ms_outputs_len(outputs) == 1);
    OK(ms_outputs_get(outputs, 0, &output, &err));
    CHECK(output.first == 0 && output.last == 20000);
    CHECK(output.rule.len == 3 && memcmp(output.rule.ptr, "hot", 3) == 0);
    OK(ms_outputs_json(outputs, 0, &json, &err));
    CHECK(has(json, "\"m-7\""));
    FAILS(EW_NOT_FOUND, ms_outputs_get(outputs, 1, &output, &err));
    /* Seen before: dropped and counted. */
    OK(ms_push(engine, S("machines"), S("2"), 20000, values, 2, outputs, &err));
    FAILS(EW_NOT_FOUND, ms_push(engine, S("barns"), S("3"), 20000, values, 2, outputs, &err));
    values[1].name = S("pressure");
    FAILS(EW_INVALID, ms_push(engine, S("machines"), S("4"), 20000, values, 2, outputs, &err));
    OK(ms_watermark(engine, &watermark, &err));
    CHECK(watermark == 20000);
    OK(ms_metrics(engine, &json, &err));
    CHECK(strstr(ew_buffer_data(json), "\"events_in\":3") && has(json, "\"duplicate\":1"));
    OK(ms_outputs_clear(outputs, &err));
    CHECK(ms_outputs_len(outputs) == 0);
    ms_outputs_free(outputs);
    ms_engine_free(engine);
}

static void columns_give_windows(void) {
    ms_engine *engine = engine_of("RULE warm: FROM machines GROUP BY machine HAVING AVG(temperature) >= 80 "
                                  "WITHIN TUMBLING WINDOW 1 SECONDS EMIT EVERY", 0);
    ms_outputs *outputs = NULL;
    ms_output output;
    ms_column columns[3];
    ew_str machines[2];
    int64_t at[100], alarms[100];
    double temperatures[100];
    uint32_t codes[100];
    size_t row;
    for (row = 0; row < 100; row++) {
        at[row] = (int64_t)row * 100;
        codes[row] = row % 2;
        temperatures[row] = row % 2 ? 90.0 : 20.0;
        alarms[row] = 0;
    }
    machines[0] = S("cool");
    machines[1] = S("hot");
    memset(columns, 0, sizeof columns);
    columns[0].codes = codes;
    columns[0].dictionary = machines;
    columns[0].dictionary_count = 2;
    columns[1].numbers = temperatures;
    columns[2].integers = alarms;
    OK(ms_outputs_new(&outputs, &err));
    OK(ms_push_batch(engine, S("machines"), S("b"), at, 100, columns, 3, outputs, &err));
    OK(ms_advance_to(engine, 10000, outputs, &err));
    CHECK(ms_outputs_len(outputs) == 10);
    OK(ms_outputs_get(outputs, 9, &output, &err));
    CHECK(output.found == MS_FOUND_WINDOW && output.first == 9000 && output.last == 10000);
    FAILS(EW_INVALID, ms_push_batch(engine, S("machines"), S("c"), at, 100, columns, 2, outputs, &err));
    codes[3] = 2; /* no text has this place */
    FAILS(EW_INVALID, ms_push_batch(engine, S("machines"), S("c"), at, 100, columns, 3, outputs, &err));
    columns[1].numbers = NULL;
    FAILS(EW_NULL, ms_push_batch(engine, S("machines"), S("c"), at, 100, columns, 3, outputs, &err));
    ms_outputs_free(outputs);
    ms_engine_free(engine);
}

static void values_are_told_in_deviations(void) {
    ms_standardizer *standardizer = NULL;
    double values[2], standard[2];
    int second;
    OK(ms_standardizer_new(2, 10000, &standardizer, &err));
    for (second = 0; second < 10; second++) {
        values[0] = 20.0 + second % 2;
        values[1] = NAN;
        OK(ms_standardizer_push(standardizer, second * 1000, values, 2, standard, &err));
        CHECK(isnan(standard[0]));
    }
    values[0] = 22.0;
    OK(ms_standardizer_push(standardizer, 10000, values, 2, standard, &err));
    CHECK(fabs(standard[0] - 3.0) < 1e-9 && isnan(standard[1]));
    FAILS(EW_INVALID, ms_standardizer_push(standardizer, 10000, values, 1, standard, &err));
    ms_standardizer_free(standardizer);
}

static ms_rules rule_of(const char *text) {
    ms_rules rule;
    rule.text = S(text);
    rule.source = S("machines");
    rule.key = S("machine");
    return rule;
}

static const char HOT[] = "RULE hot: FROM machines GROUP BY machine HAVING AVG(temperature) > 80 WITHIN TUMBLING WINDOW 10 SECONDS";

static void rules_change_while_events_come(void) {
    ms_engine *engine = engine_of(HOT, 0);
    ms_outputs *outputs = NULL;
    ms_rules rule = rule_of("RULE hot: FROM machines GROUP BY machine HAVING AVG(temperature) > 60 WITHIN TUMBLING WINDOW 10 SECONDS");
    ms_value values[2];
    ew_buffer *json = NULL;
    bool kept = false;
    OK(ms_outputs_new(&outputs, &err));
    values[0] = text_of("machine", "m-7");
    values[1] = number_of("temperature", 70.0);
    OK(ms_push(engine, S("machines"), S("1"), 0, values, 2, outputs, &err));
    /* With another threshold it goes on from what it held. */
    OK(ms_rule_replace(engine, &rule, &kept, &err));
    CHECK(kept);
    OK(ms_advance_to(engine, 10000, outputs, &err));
    CHECK(ms_outputs_len(outputs) == 1);
    FAILS(EW_INVALID, ms_rule_add(engine, &rule, &err)); /* its name is taken */
    rule = rule_of("RULE alarm: PATTERN SEQUENCE(a (alarms > 0)) WITHIN 1 SECONDS");
    OK(ms_rule_add(engine, &rule, &err));
    OK(ms_rule_metrics(engine, &json, &err));
    CHECK(strstr(ew_buffer_data(json), "\"hot\"") && has(json, "\"alarm\""));
    OK(ms_rule_remove(engine, S("hot"), &err));
    FAILS(EW_NOT_FOUND, ms_rule_remove(engine, S("hot"), &err));
    rule = rule_of(HOT);
    FAILS(EW_NOT_FOUND, ms_rule_replace(engine, &rule, NULL, &err));
    rule = rule_of("");
    FAILS(EW_INVALID, ms_rule_add(engine, &rule, &err));
    FAILS(EW_NULL, ms_rule_add(engine, NULL, &err));
    ms_outputs_free(outputs);
    ms_engine_free(engine);
}

/* Machines, and a table of what each may reach, which events are enriched from. */
static void options_with_a_table(ms_options *options) {
    static ms_field fields[2], columns[2];
    static ms_source source;
    static ms_table table;
    static ms_rules rule;
    fields[0].name = S("machine");
    fields[0].kind = MS_TEXT;
    fields[1].name = S("temperature");
    fields[1].kind = MS_FLOAT;
    source.name = S("machines");
    source.fields = fields;
    source.field_count = 2;
    columns[0].name = S("machine");
    columns[0].kind = MS_TEXT;
    columns[1].name = S("most");
    columns[1].kind = MS_FLOAT;
    memset(&table, 0, sizeof table);
    table.name = S("limits");
    table.fields = columns;
    table.field_count = 2;
    table.key = S("machine");
    rule.text = S("ENRICH machines FROM limits ON machine; "
                  "RULE over: SELECT machine FROM machines WHERE temperature > limits.most");
    rule.source = S("machines");
    rule.key = none();
    memset(options, 0, sizeof *options);
    options->struct_size = sizeof *options;
    options->sources = &source;
    options->source_count = 1;
    options->rules = &rule;
    options->rules_count = 1;
    options->tables = &table;
    options->table_count = 1;
    options->late_kept = 4;
}

static void an_engine_goes_on_from_a_snapshot_and_its_tables_enrich(void) {
    ms_options options;
    ms_engine *engine = NULL;
    ms_outputs *outputs = NULL;
    ms_value values[2];
    ew_buffer *bytes = NULL, *json = NULL;
    size_t rows = 0;
    options_with_a_table(&options);
    OK(ms_engine_new(&options, &engine, &err));
    OK(ms_outputs_new(&outputs, &err));
    values[0] = text_of("machine", "m-7");
    values[1] = number_of("most", 90.0);
    OK(ms_table_put(engine, S("limits"), 0, values, 2, &err));
    FAILS(EW_NOT_FOUND, ms_table_put(engine, S("nothing"), 0, values, 2, &err));
    OK(ms_table_len(engine, S("limits"), &rows, &err));
    CHECK(rows == 1);
    values[1] = number_of("temperature", 85.0);
    OK(ms_push(engine, S("machines"), S("1"), 1000, values, 2, outputs, &err));
    CHECK(ms_outputs_len(outputs) == 0);
    values[1] = number_of("temperature", 95.0);
    OK(ms_push(engine, S("machines"), S("2"), 2000, values, 2, outputs, &err));
    CHECK(ms_outputs_len(outputs) == 1);
    OK(ms_push(engine, S("machines"), S("3"), 500, values, 2, outputs, &err)); /* late */
    OK(ms_snapshot(engine, &bytes, &err));
    OK(ms_take_late(engine, &json, &err));
    CHECK(has(json, "[{\"at\":500,\"id\":\"3\",\"source\":\"machines\"}]"));
    OK(ms_take_late(engine, &json, &err));
    CHECK(has(json, "[]"));
    ms_engine_free(engine);
    engine = NULL;
    OK(ms_engine_restore(&options, bytes_of(ew_buffer_data(bytes), ew_buffer_len(bytes)), &engine, &err));
    /* Seen before the snapshot: a duplicate. */
    OK(ms_push(engine, S("machines"), S("2"), 2000, values, 2, outputs, &err));
    OK(ms_metrics(engine, &json, &err));
    CHECK(has(json, "\"duplicate\":1"));
    ms_engine_free(engine);
    FAILS(EW_CORRUPT, ms_engine_restore(&options, bytes_of(ew_buffer_data(bytes), ew_buffer_len(bytes) - 1), &engine, &err));
    options.watermark = MS_WATERMARK_BY_KEY;
    options.watermark_key = S("pressure");
    FAILS(EW_INVALID, ms_engine_new(&options, &engine, &err));
    options.watermark = 7;
    FAILS(EW_INVALID, ms_engine_new(&options, &engine, &err));
    ew_buffer_free(bytes);
    ms_outputs_free(outputs);
}

static void an_agent_smooths_thins_warns_and_packs(void) {
    ms_agent_options options;
    ms_agent *agent = NULL;
    ms_emitted emitted;
    ms_agent_counters counters;
    uint8_t batch[MS_BATCH_BYTES_MAX];
    int64_t at[MS_BATCH_SAMPLES_MAX];
    float values[MS_BATCH_SAMPLES_MAX];
    size_t len = 0, count = 0, batches = 0, samples = 0;
    uint32_t number = 9;
    uint16_t channel = 0;
    int sample, alarms[3] = {0, 0, 0};
    ms_agent_options_init(&options);
    options.channel = 5;
    options.ring_bytes = 64 * 16;
    options.average_over = 1;
    options.alarm_above = 50.0f;
    options.alarm_below = 40.0f;
    OK(ms_agent_new(&options, &agent, &err));
    for (sample = 0; sample < 1000; sample++) {
        float value = sample == 7 ? NAN : (float)(sample % 100);
        OK(ms_agent_push(agent, sample * 10, value, &emitted, batch, sizeof batch, &err));
        alarms[emitted.alarm]++;
        if (emitted.alarm == MS_ALARM_RAISED) CHECK(emitted.alarm_value == 51.0f && emitted.alarm_at % 1000 == 510);
        if (emitted.batch_len == 0) continue;
        OK(ms_batch_decode(bytes_of(batch, emitted.batch_len), at, values, MS_BATCH_SAMPLES_MAX, &count, &channel, &number, &err));
        CHECK(channel == 5 && number == batches && count > 0);
        batches++;
        samples += count;
    }
    CHECK(alarms[MS_ALARM_RAISED] == 10 && alarms[MS_ALARM_ENDED] == 9);
    OK(ms_agent_flush(agent, batch, sizeof batch, &len, &err));
    OK(ms_batch_decode(bytes_of(batch, len), at, values, MS_BATCH_SAMPLES_MAX, &count, NULL, NULL, &err));
    FAILS(EW_TOO_SMALL, ms_batch_decode(bytes_of(batch, len), at, values, count - 1, &count, NULL, NULL, &err));
    OK(ms_agent_flush(agent, batch, sizeof batch, &len, &err));
    CHECK(len == 0);
    OK(ms_agent_stats(agent, &counters, &err));
    CHECK(counters.samples_in == 1000 && counters.invalid == 1 && counters.samples_out == samples + count);
    CHECK(counters.samples_in == counters.samples_out + counters.averaged + counters.invalid + counters.held);
    OK(ms_agent_ring(agent, at, values, 3, &count, &err));
    CHECK(count == 3 && at[2] == 9990 && values[2] == 99.0f && values[0] == 97.0f);
    OK(ms_agent_ring(agent, at, values, MS_BATCH_SAMPLES_MAX, &count, &err));
    CHECK(count == 64);
    FAILS(EW_TOO_SMALL, ms_agent_push(agent, 0, 1.0f, &emitted, batch, 10, &err));
    FAILS(EW_CORRUPT, ms_batch_decode(bytes_of("rubbish", 7), at, values, MS_BATCH_SAMPLES_MAX, &count, NULL, NULL, &err));
    ms_agent_free(agent);
    options.one_in = 0;
    FAILS(EW_INVALID, ms_agent_new(&options, &agent, &err));
    options.ring_bytes = (size_t)-1;
    FAILS(EW_LIMIT, ms_agent_new(&options, &agent, &err));
}

int main(void) {
    rules_change_while_events_come();
    an_engine_goes_on_from_a_snapshot_and_its_tables_enrich();
    an_agent_smooths_thins_warns_and_packs();
    a_sequence_is_found_and_the_counters_add_up();
    columns_give_windows();
    values_are_told_in_deviations();
    puts("midstream: ok");
    return 0;
}
