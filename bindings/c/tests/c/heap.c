/* What is promised to allocate nothing allocates nothing: every call of the C allocator is counted. Linked to the static
   library with --wrap=malloc,calloc,realloc,posix_memalign,aligned_alloc. */
#include "check.h"

static unsigned long allocations;

#define WRAPPED(result, name, parameters, arguments)                                     \
    result __real_##name parameters;                                                     \
    result __wrap_##name parameters;                                                     \
    result __wrap_##name parameters {                                                    \
        allocations++;                                                                   \
        return __real_##name arguments;                                                  \
    }
WRAPPED(void *, malloc, (size_t size), (size))
WRAPPED(void *, calloc, (size_t count, size_t size), (count, size))
WRAPPED(void *, realloc, (void *old, size_t size), (old, size))
WRAPPED(int, posix_memalign, (void **place, size_t align, size_t size), (place, align, size))
WRAPPED(void *, aligned_alloc, (size_t align, size_t size), (align, size))

#define PROMPT(tier) "{\"format\":\"edgeweave-prompt/1\",\"tier\":\"" tier "\",\"version\":1,\"template\":\"Is {text} ill?\"}"

int main(void) {
    ms_agent_options options;
    ms_agent *agent = NULL;
    ms_emitted emitted;
    ms_agent_counters counters;
    po_set *set = NULL;
    po_choice *choice = NULL;
    po_context context;
    ew_str prompts[3], name = S("text"), text = S("bella");
    static uint8_t batch[MS_BATCH_BYTES_MAX], rendered[64];
    static int64_t times[100];
    static float values[100];
    size_t count = 0, len = 0;
    unsigned long before;
    int at;
    prompts[0] = S(PROMPT("ultra"));
    prompts[1] = S(PROMPT("fast"));
    prompts[2] = S(PROMPT("quality"));
    ms_agent_options_init(&options);
    options.alarm_above = 0.9f;
    options.alarm_below = 0.5f;
    OK(ms_agent_new(&options, &agent, &err));
    OK(po_set_new(prompts, 3, none(), &set, &err));
    OK(po_choice_new(&choice, &err));
    po_context_init(&context);
    /* That the counter counts is seen by what was made. */
    CHECK(allocations > 3);
    /* A choice takes its memory with the first prompt. */
    OK(po_select(set, &context, no_bytes(), choice, &err));
    OK(po_choice_render(choice, &name, &text, 1, rendered, sizeof rendered, &len, &err));
    before = allocations;
    for (at = 0; at < 100000; at++) {
        OK(ms_agent_push(agent, at * 10, (float)(at % 100) / 100.0f, &emitted, batch, sizeof batch, &err));
        if (at % 100 != 0) continue;
        OK(ms_agent_ring(agent, times, values, 100, &count, &err));
        context.battery = (double)(at % 1000) / 1000.0;
        OK(po_select(set, &context, no_bytes(), choice, &err));
        OK(po_choice_render(choice, &name, &text, 1, rendered, sizeof rendered, &len, &err));
    }
    OK(ms_agent_flush(agent, batch, sizeof batch, &len, &err));
    OK(ms_agent_stats(agent, &counters, &err));
    CHECK(counters.samples_in == 100000 && counters.alarms > 0 && counters.batches > 0);
    printf("heap: %lu allocations in 100,000 samples and 1,000 prompts\n", allocations - before);
    CHECK(allocations == before);
    ms_agent_free(agent);
    po_choice_free(choice);
    po_set_free(set);
    return 0;
}
