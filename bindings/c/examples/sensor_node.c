/* A program for a device with little memory: vibration of a motor at 100 samples a second goes through an agent, which
   keeps the newest samples, warns, and packs what is sent on; the spectrum of each second is compared with what was
   seen before, and what is new picks a prompt. All of it is made at the start; then taking samples, selecting and
   rendering allocate nothing, and memory stays as it is. Uses the crates ruvector, midstream and promptopt only.

   make FEATURES=ruvector,midstream,promptopt PROFILE=firmware
   cc sensor_node.c libedgeweave.a -lm -lpthread -ldl && ./a.out [seconds [most KiB resident, 0 for any]]

   Fails when more memory was resident at the peak than the limit, 16 MiB by default. */
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

/* 0 where the system does not tell. */
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
    const unsigned long most_kib = argc > 2 ? strtoul(argv[2], NULL, 10) : 16 * 1024;
    const ew_str nothing = ew_str_of(NULL);

    /* Everything that is needed is made here. */
    ms_agent_options plan;
    ms_agent *agent = NULL;
    ms_agent_options_init(&plan);
    plan.ring_bytes = 60 * RATE * 16; /* a minute */
    plan.average_over = 40; /* two turns of the motor */
    plan.alarm_above = 1.0f;
    plan.alarm_below = 0.5f;
    must(ms_agent_new(&plan, &agent, &error));

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

    static uint8_t batch[MS_BATCH_BYTES_MAX];
    static int64_t times[RATE];
    static float samples[RATE];
    unsigned long sent_bytes = 0;
    long novel = 0, asked = 0, alarms = 0;
    double at_phase = 0.0;
    for (long second = 0; second < seconds; second++) {
        const double fault = second % 3000 > 2700 ? 2.0 : 0.2;
        for (int sample = 0; sample < RATE; sample++) {
            ms_emitted emitted;
            at_phase += 0.31;
            const double value = fault * sin(at_phase) + 0.05 * noise();
            const int64_t at = second * 1000 + sample * (1000 / RATE);
            must(ms_agent_push(agent, at, (float)fabs(value), &emitted, batch, sizeof batch, &error));
            sent_bytes += emitted.batch_len;
            alarms += emitted.alarm == MS_ALARM_RAISED;
        }

        /* The last second as it came: its energy, and a spectrum (here a made-up one). */
        size_t count = 0;
        double squares = 0.0;
        float bands[BANDS];
        must(ms_agent_ring(agent, times, samples, RATE, &count, &error));
        for (size_t sample = 0; sample < count; sample++) squares += (double)samples[sample] * samples[sample];
        for (int band = 0; band < BANDS; band++)
            bands[band] = (float)(fault * exp(-0.1 * fabs(band - 20.0 - (double)(second % 7))) + 0.05 * noise());

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
        char rms[24];
        uint8_t prompt[128];
        size_t len = 0;
        snprintf(rms, sizeof rms, "%.3f", sqrt(squares / (double)count));
        const ew_str text = ew_str_of(rms);
        must(po_select(set, &context, no_key, choice, &error));
        must(po_choice_render(choice, &name, &text, 1, prompt, sizeof prompt, &len, &error));
        asked++;
    }
    ms_agent_counters counters;
    must(ms_agent_stats(agent, &counters, &error));
    const unsigned long peak_kib = resident_kib();
    printf("%ld seconds, %llu samples, %llu batches of %lu bytes, %ld alarms, %ld spectra new, %ld prompts, %zu kept, peak %lu KiB\n",
           seconds, (unsigned long long)counters.samples_in, (unsigned long long)counters.batches, sent_bytes, alarms, novel,
           asked, rv_index_len(seen), peak_kib);
    ms_agent_free(agent);
    rv_index_free(seen);
    po_choice_free(choice);
    po_set_free(set);
    if (most_kib != 0 && peak_kib > most_kib) {
        fprintf(stderr, "%lu KiB were resident, at most %lu are allowed\n", peak_kib, most_kib);
        return 1;
    }
    return 0;
}
