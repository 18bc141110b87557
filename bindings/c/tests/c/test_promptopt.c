/* The selector: choices, rendering, decisions, versions, experiments, bundles. */
#include "check.h"

#define PROMPT(tier, version, text)                                                          \
    "{\"format\":\"edgeweave-prompt/1\",\"tier\":\"" tier "\",\"version\":" version          \
    ",\"template\":\"" text "\"}"

static const char *const TEXTS[3] = {
    PROMPT("ultra", "1", "{text}\\nFault:"),
    PROMPT("fast", "1", "Sensor: {text}\\nFault:"),
    PROMPT("quality", "1", "Is it failing? {text}\\nFault:"),
};

static po_set *set_of(void) {
    ew_str prompts[3];
    po_set *set = NULL;
    size_t at;
    for (at = 0; at < 3; at++) prompts[at] = S(TEXTS[at]);
    FAILS(EW_INVALID, po_set_new(prompts, 2, none(), &set, &err));
    FAILS(EW_BAD_TEXT, po_set_new(prompts, 3, S("{"), &set, &err));
    OK(po_set_new(prompts, 3, none(), &set, &err));
    return set;
}

static void the_state_of_the_device_picks_the_prompt(po_set *set) {
    po_context context;
    po_choice *choice = NULL;
    po_chosen chosen;
    po_outcome_stats stats;
    ew_buffer *buffer = NULL;
    ew_str name = S("text"), text = S("0.1 0.9"), label;
    char rendered[64];
    double log_prob = 0.0;
    size_t len = 0;
    OK(po_choice_new(&choice, &err));
    FAILS(EW_STATE, po_choice_get(choice, &chosen, &err));
    po_context_init(&context);
    context.battery = 0.15;
    OK(po_select(set, &context, no_bytes(), choice, &err));
    OK(po_choice_get(choice, &chosen, &err));
    CHECK(chosen.tier == PO_TIER_ULTRA && chosen.version == 1 && chosen.offload == 0 && chosen.propensity == 1.0);
    CHECK(chosen.rule.len == 11 && memcmp(chosen.rule.ptr, "battery-low", 11) == 0);
    OK(po_choice_reason(choice, &buffer, &err));
    CHECK(has(buffer, "battery < 0.2"));
    OK(po_choice_render(choice, &name, &text, 1, (uint8_t *)rendered, sizeof rendered, &len, &err));
    CHECK(len == 14 && memcmp(rendered, "0.1 0.9\nFault:", 14) == 0);
    len = 0;
    FAILS(EW_TOO_SMALL, po_choice_render(choice, &name, &text, 1, NULL, 0, &len, &err));
    CHECK(len == 14);
    FAILS(EW_INVALID, po_choice_render(choice, NULL, NULL, 0, (uint8_t *)rendered, sizeof rendered, &len, &err));
    FAILS(EW_NOT_FOUND, po_choice_options(choice, &buffer, &err));
    FAILS(EW_NOT_FOUND, po_choice_decide(choice, &log_prob, 1, &label, NULL, &err));
    OK(po_choice_prompt(choice, &buffer, &err));
    CHECK(has(buffer, "edgeweave-prompt/1"));
    OK(po_record(set, choice, S("yes"), 40000, PO_FEEDBACK_RIGHT, 1700000000000, &err));
    FAILS(EW_INVALID, po_record(set, choice, S("yes"), 40000, 9, 0, &err));
    OK(po_set_outcome_stats(set, &stats, &err));
    CHECK(stats.recorded == 1 && stats.held == 1);
    OK(po_drain_outcomes(set, &buffer, &err));
    CHECK(has(buffer, "\"feedback\":\"right\""));
    context.battery = 1.0;
    context.criticality = PO_CRITICALITY_HIGH;
    context.online = 1;
    OK(po_select(set, &context, no_bytes(), choice, &err));
    OK(po_choice_get(choice, &chosen, &err));
    CHECK(chosen.tier == PO_TIER_QUALITY && chosen.offload == 1);
    context.online = 2;
    FAILS(EW_INVALID, po_select(set, &context, no_bytes(), choice, &err));
    OK(po_policy(set, &buffer, &err));
    CHECK(has(buffer, "battery-low"));
    po_choice_free(choice);
}

static void versions_come_and_go(po_set *set) {
    uint32_t version = 0;
    ew_buffer *json = NULL;
    FAILS(EW_STATE, po_rollback(set, PO_TIER_FAST, &version, &err));
    FAILS(EW_STATE, po_swap(set, S(TEXTS[PO_TIER_FAST]), &version, &err));
    OK(po_swap(set, S(PROMPT("fast", "2", "Reading {text}. Fault:")), &version, &err));
    CHECK(version == 1);
    OK(po_running(set, PO_TIER_FAST, &json, &err));
    CHECK(has(json, "Reading"));
    OK(po_rollback(set, PO_TIER_FAST, &version, &err));
    CHECK(version == 1);
    FAILS(EW_INVALID, po_running(set, 3, &json, &err));
}

static void an_experiment_splits_the_keys(po_set *set) {
    po_experiment_options options;
    po_choice *choice = NULL;
    po_chosen chosen;
    ew_buffer *json = NULL;
    uint32_t version = 0, key, candidates = 0;
    memset(&options, 0, sizeof options);
    options.struct_size = sizeof options;
    options.share = 0.3;
    OK(po_choice_new(&choice, &err));
    FAILS(EW_NOT_FOUND, po_experiment_status(set, PO_TIER_FAST, &json, &err));
    OK(po_experiment_start(set, S(PROMPT("fast", "3", "New: {text}")), &options, &err));
    for (key = 0; key < 1000; key++) {
        OK(po_select(set, NULL, bytes_of(&key, sizeof key), choice, &err));
        OK(po_choice_get(choice, &chosen, &err));
        CHECK(chosen.tier == PO_TIER_FAST);
        candidates += chosen.version == 3;
    }
    CHECK(candidates > 240 && candidates < 360);
    OK(po_experiment_status(set, PO_TIER_FAST, &json, &err));
    CHECK(has(json, "\"candidate\":3"));
    OK(po_experiment_end(set, PO_TIER_FAST, PO_PROMOTE, &version, &err));
    CHECK(version == 3);
    options.alpha = 2.0;
    FAILS(EW_INVALID, po_experiment_start(set, S(PROMPT("fast", "4", "Newer: {text}")), &options, &err));
    po_choice_free(choice);
}

static void a_bundle_travels(po_set *set) {
    ew_str prompts[2];
    ew_buffer *bundle = NULL, *json = NULL;
    ew_bytes bytes;
    size_t swapped = 0;
    uint8_t *damaged;
    prompts[0] = S(PROMPT("ultra", "5", "Short {text}"));
    prompts[1] = S(PROMPT("quality", "5", "Long {text}"));
    OK(po_bundle_pack(prompts, 2, &bundle, &err));
    bytes = bytes_of(ew_buffer_data(bundle), ew_buffer_len(bundle));
    OK(po_bundle_prompt(bytes, PO_TIER_QUALITY, &json, &err));
    CHECK(has(json, "Long"));
    FAILS(EW_NOT_FOUND, po_bundle_prompt(bytes, PO_TIER_FAST, &json, &err));
    damaged = (uint8_t *)malloc(bytes.len);
    memcpy(damaged, bytes.ptr, bytes.len);
    damaged[bytes.len - 4] ^= 1;
    CHECK(po_import(set, bytes_of(damaged, bytes.len), &swapped, NULL) != EW_OK && swapped == 0);
    free(damaged);
    OK(po_import(set, bytes, &swapped, &err));
    CHECK(swapped == 2);
    OK(po_running(set, PO_TIER_ULTRA, &json, &err));
    CHECK(has(json, "Short"));
    ew_buffer_free(bundle);
}

static void a_decision_is_read_from_log_probabilities(void) {
    po_set *set = NULL, *loaded = NULL;
    po_choice *choice = NULL;
    ew_str prompts[3], label;
    double log_probs[2] = {-0.1, -2.5}, confidence = 0.0;
    prompts[0] = S(TEXTS[0]);
    prompts[1] = S("{\"format\":\"edgeweave-prompt/1\",\"tier\":\"fast\",\"version\":1,\"template\":\"{text}\",\"decision\":"
                   "{\"options\":[\" yes\",\" no\"],\"labels\":[{\"name\":\"lame\",\"bias\":0.0,\"weights\":[1.0,0.0]},"
                   "{\"name\":\"sound\",\"bias\":0.0,\"weights\":[0.0,1.0]}]}}");
    prompts[2] = S(TEXTS[2]);
    OK(po_set_new(prompts, 3, none(), &set, &err));
    OK(po_choice_new(&choice, &err));
    OK(po_select(set, NULL, no_bytes(), choice, &err));
    OK(po_choice_decide(choice, log_probs, 2, &label, &confidence, &err));
    CHECK(label.len == 4 && memcmp(label.ptr, "lame", 4) == 0 && confidence > 0.5);
    FAILS(EW_INVALID, po_choice_decide(choice, log_probs, 1, &label, NULL, &err));
    FAILS(EW_SYSTEM, po_set_load(S("/nowhere"), &loaded, &err));
    po_set_free(set);
    po_choice_free(choice);
}

int main(void) {
    po_set *set = set_of();
    the_state_of_the_device_picks_the_prompt(set);
    versions_come_and_go(set);
    an_experiment_splits_the_keys(set);
    a_bundle_travels(set);
    po_set_free(set);
    a_decision_is_read_from_log_probabilities();
    puts("promptopt: ok");
    return 0;
}
