/* The prompt selector: which prompt a small model gets depends on the state of the device. Selecting and rendering
   allocate nothing after the first time.
   cc pick_prompt.c $(pkg-config --cflags --libs edgeweave) && ./a.out [folder with prompt_*.json] */
#include <edgeweave.h>
#include <stdio.h>
#include <stdlib.h>

static ew_error *error;

static void must(int32_t status) {
    if (status == EW_OK) return;
    fprintf(stderr, "%s: %s\n", ew_status_str(status), ew_error_message(error));
    exit(1);
}

#define PROMPT(tier, text) \
    "{\"format\": \"edgeweave-prompt/1\", \"tier\": \"" tier "\", \"version\": 1, \"template\": \"" text "\"}"

int main(int argc, char **argv) {
    po_set *set = NULL;
    po_choice *choice = NULL;
    if (argc > 1) {
        must(po_set_load(ew_str_of(argv[1]), &set, &error));
    } else {
        const ew_str prompts[3] = {ew_str_of(PROMPT("ultra", "{text}\\nFault:")),
                                   ew_str_of(PROMPT("fast", "Sensor: {text}\\nFault:")),
                                   ew_str_of(PROMPT("quality", "Is it failing? {text}\\nFault:"))};
        must(po_set_new(prompts, 3, ew_str_of(NULL), &set, &error));
    }
    must(po_choice_new(&choice, &error));

    po_context context;
    po_context_init(&context);
    context.battery = 0.15;
    context.latency_budget_ms = 80;
    const ew_bytes no_key = {NULL, 0};
    must(po_select(set, &context, no_key, choice, &error));

    po_chosen chosen;
    must(po_choice_get(choice, &chosen, &error));
    const ew_str name = ew_str_of("text"), input = ew_str_of("0.1 0.9 0.2");
    uint8_t prompt[256];
    size_t len = 0;
    must(po_choice_render(choice, &name, &input, 1, prompt, sizeof prompt, &len, &error));
    printf("by rule %.*s, version %u:\n%.*s\n", (int)chosen.rule.len, chosen.rule.ptr, chosen.version, (int)len,
           (const char *)prompt);

    po_choice_free(choice);
    po_set_free(set);
    return 0;
}
