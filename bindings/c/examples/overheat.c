/* Event processing: a rule in text over events of two fields.
   cc overheat.c $(pkg-config --cflags --libs edgeweave) && ./a.out */
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

int main(void) {
    const ms_field fields[] = {{ew_str_of("machine"), MS_TEXT}, {ew_str_of("temp"), MS_FLOAT}};
    const ms_source source = {ew_str_of("machines"), fields, 2};
    const ms_rules rules = {ew_str_of("RULE overheat: PATTERN SEQUENCE(warm (temp > 80), hot (temp > 90)) BY machine "
                                      "WITHIN 30 SECONDS"),
                            ew_str_of("machines"), ew_str_of(NULL)};
    ms_options options = {0};
    options.struct_size = sizeof options;
    options.sources = &source;
    options.source_count = 1;
    options.rules = &rules;
    options.rules_count = 1;
    ms_engine *engine = NULL;
    ms_outputs *outputs = NULL;
    must(ms_engine_new(&options, &engine, &error));
    must(ms_outputs_new(&outputs, &error));

    const double temps[] = {60.0, 85.0, 95.0};
    for (int at = 0; at < 3; at++) {
        char id[8];
        snprintf(id, sizeof id, "%d", at);
        ms_value values[2];
        memset(values, 0, sizeof values);
        values[0].name = ew_str_of("machine");
        values[0].kind = MS_TEXT;
        values[0].text = ew_str_of("m-7");
        values[1].name = ew_str_of("temp");
        values[1].kind = MS_FLOAT;
        values[1].number = temps[at];
        must(ms_push(engine, ew_str_of("machines"), ew_str_of(id), at * 10000, values, 2, outputs, &error));
    }
    for (size_t at = 0; at < ms_outputs_len(outputs); at++) {
        ew_buffer *json = NULL;
        must(ms_outputs_json(outputs, at, &json, &error));
        printf("%s\n", ew_buffer_data(json));
        ew_buffer_free(json);
    }
    const int found = ms_outputs_len(outputs) == 1;
    ms_outputs_free(outputs);
    ms_engine_free(engine);
    return found ? 0 : 1;
}
