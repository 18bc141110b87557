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

int main(void) {
    a_sequence_is_found_and_the_counters_add_up();
    columns_give_windows();
    values_are_told_in_deviations();
    puts("midstream: ok");
    return 0;
}
