/* A program for a device with little memory: vibration of a motor at 100 samples a second goes through a rule on
   windows, the spectrum of each second is compared with what was seen before, and what is new picks a prompt. All of
   it is made at the start; then selecting, reading and rendering allocate nothing, and memory stays as it is. Uses
   the crates ruvector, midstream and promptopt only.

   make FEATURES=ruvector,midstream,promptopt PROFILE=firmware
   cc sensor_node.c libedgeweave.a -lm -lpthread -ldl && ./a.out [seconds] */
#include <edgeweave.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define RATE 100
#define BANDS 64
#define SEEN_MAX 10000

static ew_error *error;

static void must(int32_t status) {
    if (status == EW_OK) return;
    fprintf(stderr, "%s: %s\n", ew_status_str(status), ew_error_message(error));
    exit(1);
}

static uint32_t noise_state = 1;

static double noise(void) {
    noise_state = noise_state * 1664525u + 1013904223u;
    return (double)(noise_state >> 8) / 16777216.0 - 0.5;
}

#define PROMPT(tier, text) \
    "{\"format\": \"edgeweave-prompt/1\", \"tier\": \"" tier "\", \"version\": 1, \"template\": \"" text "\"}"

static unsigned long resident_kib(void) {
    unsigned long kib = 0;
    char line[128];
    FILE *file = fopen("/proc/self/status", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "VmHWM: %lu kB", &kib) == 1) break;
    if (file != NULL) fclose(file);
    return kib;
}

int main(int argc, char **argv) {
    const long seconds = argc > 1 ? strtol(argv[1], NULL, 10) : 20000;
    const ew_str nothing = ew_str_of(NULL);

    /* Everything that is needed is made here. */
    const ms_field fields[] = {{ew_str_of("rms"), MS_FLOAT}};
    const ms_source source = {ew_str_of("motor"), fields, 1};
    const ms_rules rules = {ew_str_of("RULE shaking: FROM motor HAVING AVG(rms) > 0.5 WITHIN TUMBLING WINDOW 10 SECONDS"),
                            ew_str_of("motor"), nothing};
    ms_options plan = {0};
    ms_engine *engine = NULL;
    ms_outputs *outputs = NULL;
    plan.struct_size = sizeof plan;
    plan.sources = &source;
    plan.source_count = 1;
    plan.rules = &rules;
    plan.rules_count = 1;
    plan.dedup_ms = 60000;
    must(ms_engine_new(&plan, &engine, &error));
    must(ms_outputs_new(&outputs, &error));

    rv_options options;
    rv_index *seen = NULL;
    rv_options_init(&options, BANDS);
    options.max_vectors = SEEN_MAX;
    options.max_bytes = 8u << 20;
    must(rv_index_build(&options, &seen, &error));

    const ew_str prompts[3] = {ew_str_of(PROMPT("ultra", "{rms} fault?")), ew_str_of(PROMPT("fast", "Vibration {rms}. Fault?")),
                               ew_str_of(PROMPT("quality", "A motor vibrates at {rms}. Is it failing?"))};
    po_set *set = NULL;
    po_choice *choice = NULL;
    must(po_set_new(prompts, 3, nothing, &set, &error));
    must(po_choice_new(&choice, &error));

    long novel = 0, asked = 0, alarms = 0;
    double at_phase = 0.0;
    for (long second = 0; second < seconds; second++) {
        float bands[BANDS];
        double squares = 0.0;
        const double fault = second % 3000 > 2700 ? 2.0 : 0.2;
        for (int band = 0; band < BANDS; band++) {
            const double level = fault * exp(-0.1 * fabs(band - 20.0 - (double)(second % 7))) + 0.05 * noise();
            bands[band] = (float)level;
        }
        for (int sample = 0; sample < RATE; sample++) {
            at_phase += 0.31;
            const double value = fault * sin(at_phase) + 0.05 * noise();
            squares += value * value;
        }

        /* One event a second goes through the rule. */
        char id[24], rms_text[24];
        ms_value value = {0};
        snprintf(id, sizeof id, "%ld", second);
        value.name = fields[0].name;
        value.kind = MS_FLOAT;
        value.number = sqrt(squares / RATE);
        must(ms_outputs_clear(outputs, &error));
        must(ms_push(engine, source.name, ew_str_of(id), second * 1000, &value, 1, outputs, &error));
        alarms += (long)ms_outputs_len(outputs);

        /* A spectrum unlike all that were seen is kept, and picks a prompt for the model. */
        rv_hit hit = {0, -1.0f};
        size_t found = 0;
        must(rv_index_search(seen, bands, BANDS, 1, NULL, &hit, &found, &error));
        if (found == 1 && hit.score > 0.999f) continue;
        novel++;
        if (rv_index_len(seen) < SEEN_MAX) must(rv_index_upsert(seen, (uint64_t)second, bands, BANDS, nothing, &error));
        po_context context;
        po_context_init(&context);
        context.battery = 1.0 - (double)second / (double)seconds;
        const ew_bytes no_key = {NULL, 0};
        const ew_str name = ew_str_of("rms");
        uint8_t prompt[128];
        size_t len = 0;
        snprintf(rms_text, sizeof rms_text, "%.3f", value.number);
        const ew_str text = ew_str_of(rms_text);
        must(po_select(set, &context, no_key, choice, &error));
        must(po_choice_render(choice, &name, &text, 1, prompt, sizeof prompt, &len, &error));
        asked++;
    }
    printf("%ld seconds, %ld spectra new, %ld prompts, %ld alarms, %zu kept, peak %lu KiB\n", seconds, novel, asked,
           alarms, rv_index_len(seen), resident_kib());
    ms_outputs_free(outputs);
    ms_engine_free(engine);
    rv_index_free(seen);
    po_choice_free(choice);
    po_set_free(set);
    return resident_kib() < 16 * 1024 ? 0 : 1;
}
