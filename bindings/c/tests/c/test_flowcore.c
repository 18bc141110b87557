/* Workflows: actions in C, state writes, approvals, waits, the raw loop, recovery. */
#include "check.h"

static fc_engine *used;
static int calls;

static int32_t measure(void *user, ew_str call, ew_reply *reply) {
    calls++;
    CHECK(user == &calls);
    CHECK(call.len > 0 && call.ptr[0] == '{');
    OK(fc_reply_write(reply, S("readings"), S("barn-2"), S("{\"mean\": 0.93}"), &err));
    OK(ew_reply_set(reply, bytes_of("{\"mean\": 0.93}", 14), &err));
    return EW_OK;
}

static int32_t broken(void *user, ew_str call, ew_reply *reply) {
    (void)user;
    (void)call;
    OK(ew_reply_fail(reply, S("NoModel"), S("the model is away"), &err));
    return EW_OK;
}

static int32_t not_json(void *user, ew_str call, ew_reply *reply) {
    (void)user;
    (void)call;
    OK(ew_reply_set(reply, bytes_of("{", 1), &err));
    return EW_OK;
}

static int32_t own_engine(void *user, ew_str call, ew_reply *reply) {
    ew_buffer *json = NULL;
    (void)user;
    (void)call;
    (void)reply;
    FAILS(EW_BUSY, fc_live_runs(used, &json, &err));
    fc_engine_free(used); /* in use: nothing happens */
    return 5;
}

static void actions_run_and_their_failures_are_told(void) {
    fc_engine *engine = NULL;
    ew_buffer *json = NULL;
    uint64_t run = 0, executed = 0, stale = 9;
    OK(fc_engine_new(none(), &engine, &err));
    OK(fc_action(engine, S("measure"), measure, &calls, &err));
    OK(fc_action(engine, S("broken"), broken, NULL, &err));
    OK(fc_action(engine, S("not_json"), not_json, NULL, &err));
    OK(fc_action(engine, S("own_engine"), own_engine, NULL, &err));
    FAILS(EW_NULL, fc_action(engine, S("none"), NULL, NULL, &err));
    OK(fc_deploy_yaml(engine,
                      S("workflow: {name: watch, trigger: reading, steps: ["
                        "{id: mean, action: measure}, {id: alarm, if: 'mean.mean > 0.9', then: [{id: set, set: {hot: true}}]}]}"),
                      &json, &err));
    CHECK(ew_buffer_len(json) > 8);
    ew_buffer_free(json);
    FAILS(EW_INVALID, fc_deploy_yaml(engine, S("workflow: {name: w, steps: [{id: a, action: unknown}]}"), NULL, &err));
    FAILS(EW_INVALID, fc_deploy_json(engine, S("{"), NULL, &err));
    FAILS(EW_NOT_FOUND, fc_trigger(engine, S("nothing"), none(), S("{}"), 0, &run, &err));
    FAILS(EW_NOT_FOUND, fc_status(engine, 77, &json, &err));
    OK(fc_trigger(engine, S("reading"), none(), S("{\"value\": 1}"), 1000, &run, &err));
    OK(fc_run_until_idle(engine, 1000, &executed, &err));
    CHECK(executed == 1 && calls == 1);
    OK(fc_status(engine, run, &json, &err));
    CHECK(has(json, "\"succeeded\""));
    OK(fc_state(engine, S("readings"), S("barn-2"), &json, &err));
    CHECK(has(json, "0.93"));
    FAILS(EW_NOT_FOUND, fc_state(engine, S("readings"), S("barn-9"), &json, &err));

    OK(fc_deploy_json(engine, S("{\"workflow\": {\"name\": \"bad\", \"steps\": [{\"id\": \"a\", \"action\": \"broken\"}]}}"),
                      NULL, &err));
    OK(fc_start(engine, S("bad"), none(), S("{}"), 2000, &run, &err));
    OK(fc_run_until_ended(engine, run, &json, &err));
    CHECK(has(json, "NoModel"));
    OK(fc_deploy_yaml(engine, S("workflow: {name: odd, steps: [{id: a, action: not_json}]}"), NULL, &err));
    OK(fc_start(engine, S("odd"), none(), S("{}"), 2000, &run, &err));
    OK(fc_run_until_ended(engine, run, &json, &err));
    CHECK(has(json, "NotJson"));
    used = engine;
    OK(fc_deploy_yaml(engine, S("workflow: {name: self, steps: [{id: a, action: own_engine}]}"), NULL, &err));
    OK(fc_start(engine, S("self"), none(), S("{}"), 2000, &run, &err));
    OK(fc_run_until_ended(engine, run, &json, &err));
    CHECK(has(json, "returned 5"));
    OK(fc_ended_runs(engine, 0, 10, &json, &err));
    CHECK(has(json, "\"watch\""));
    OK(fc_stale_results(engine, &stale, &err));
    CHECK(stale == 0);
    fc_engine_free(engine);
}

static void a_person_decides_and_an_event_wakes(void) {
    fc_engine *engine = NULL;
    ew_buffer *json = NULL;
    uint64_t run = 0;
    int64_t wake = 0;
    bool busy = true;
    size_t reached = 0;
    OK(fc_engine_new(none(), &engine, &err));
    OK(fc_deploy_yaml(engine,
                      S("workflow: {name: gate, steps: [{id: ok, approval: {prompt: 'open?', timeout: 1m}},"
                        " {id: ack, wait: {event: seen, timeout: 1h}}, {id: out, set: {done: true}}]}"),
                      NULL, &err));
    OK(fc_start(engine, S("gate"), S("gate-3"), S("{}"), 0, &run, &err));
    OK(fc_run_until_idle(engine, 0, NULL, &err));
    OK(fc_next_wake(engine, &wake, &busy, &err));
    CHECK(wake == 60000 && !busy);
    OK(fc_steps(engine, run, &json, &err));
    CHECK(has(json, "\"ok\""));
    FAILS(EW_INVALID, fc_decide(engine, run, S("ok"), 7, S("ann"), none(), 0, &err));
    OK(fc_decide(engine, run, S("ok"), FC_APPROVED, S("ann"), S("looked"), 10, &err));
    OK(fc_run_until_idle(engine, 10, NULL, &err));
    OK(fc_publish(engine, S("seen"), none(), S("{\"by\": \"bob\"}"), 20, &reached, &err));
    CHECK(reached == 1);
    OK(fc_run_until_idle(engine, 20, NULL, &err));
    OK(fc_status(engine, run, &json, &err));
    CHECK(has(json, "\"succeeded\""));

    OK(fc_start(engine, S("gate"), S("gate-4"), S("{}"), 30, &run, &err));
    OK(fc_run_until_idle(engine, 30, NULL, &err));
    OK(fc_signal(engine, run, S("seen"), none(), S("{}"), 30, &err));
    OK(fc_cancel(engine, run, S("false alarm"), 40, &err));
    OK(fc_run_until_idle(engine, 40, NULL, &err));
    OK(fc_status(engine, run, &json, &err));
    CHECK(has(json, "\"cancelled\""));
    OK(fc_live_runs(engine, &json, &err));
    CHECK(has(json, "[]"));

    OK(fc_start(engine, S("gate"), S("gate-5"), S("{}"), 50, &run, &err));
    OK(fc_run_until_idle(engine, 50, NULL, &err));
    OK(fc_pause(engine, run, S("the vet is here"), 60, &err));
    OK(fc_run_until_idle(engine, 60, NULL, &err));
    OK(fc_status(engine, run, &json, &err));
    CHECK(has(json, "\"paused\""));
    OK(fc_resume(engine, run, 70, &err));
    OK(fc_set_link(engine, S("cloud"), 1, &err));
    FAILS(EW_INVALID, fc_set_link(engine, S("cloud"), 2, &err));
    CHECK(fc_fork(engine, run, S("no such step"), 70, NULL, NULL) != EW_OK);
    fc_engine_free(engine);
}

static const char FAR[] = "workflow: {name: far, steps: [{id: a, action: elsewhere}, {id: b, action: measure}]}";

static void the_raw_loop_hands_calls_out_and_survives_a_restart(const char *folder) {
    char path[512];
    fc_engine *engine = NULL;
    fc_call *call = NULL, *again = NULL;
    ew_buffer *json = NULL;
    uint64_t run = 0;
    int32_t what = -1, round;
    bool same = false;
    snprintf(path, sizeof path, "%s/journal.db", folder);
    for (round = 0; round < 2; round++) {
        OK(fc_engine_new(S(path), &engine, &err));
        OK(fc_action_external(engine, S("elsewhere"), &err));
        OK(fc_action(engine, S("measure"), measure, &calls, &err));
        OK(fc_deploy_yaml(engine, S(FAR), NULL, &err));
        OK(fc_recover(engine, 100, &err));
        if (round == 0) OK(fc_start(engine, S("far"), S("one"), S("{}"), 100, &run, &err));
        OK(fc_next(engine, 100, &what, &call, &err));
        CHECK(what == FC_EXECUTE);
        OK(fc_call_json(call, &json, &err));
        CHECK(has(json, "\"elsewhere\""));
        OK(fc_next(engine, 100, &what, &again, &err));
        CHECK(what == FC_NOTHING && again == NULL);
        if (round == 0) { /* as if the process had died with the call in work */
            fc_call_free(call);
            fc_engine_free(engine);
        }
    }
    FAILS(EW_INVALID, fc_perform(engine, call, 110, &err));
    OK(fc_call_same(call, call, &same, &err));
    CHECK(same);
    OK(fc_complete(engine, call, S("{\"done\": 1}"), 110, &err));
    fc_call_free(call);
    OK(fc_next(engine, 110, &what, &call, &err));
    CHECK(what == FC_EXECUTE);
    OK(fc_perform(engine, call, 110, &err));
    fc_call_free(call);
    OK(fc_next(engine, 120, &what, &again, &err));
    CHECK(what == FC_NOTHING);
    OK(fc_status(engine, run, &json, &err));
    CHECK(has(json, "\"succeeded\""));

    OK(fc_start(engine, S("far"), S("two"), S("{}"), 130, &run, &err));
    OK(fc_next(engine, 130, &what, &call, &err));
    OK(fc_fail(engine, call, S("Away"), S("no link"), 130, &err));
    fc_call_free(call);
    OK(fc_next(engine, 130, &what, &again, &err));
    OK(fc_status(engine, run, &json, &err));
    CHECK(has(json, "Away"));
    fc_engine_free(engine);
}

static const char ONE[] = "workflow: {name: watch, durability: step, trigger: look, steps: [{id: a, wait: {event: go}}, {id: b, set: {v: 1}}]}";
static const char TWO[] = "workflow: {name: watch, durability: step, trigger: look, steps: [{id: a, wait: {event: go}}, {id: b, set: {v: 2}}]}";
static const char OTHER[] = "workflow: {name: watch, durability: step, trigger: look, steps: [{id: z, wait: {event: go}}]}";

static int changes;

static void listen(void *user, ew_str line) {
    CHECK(user == &changes && line.len > 0 && line.ptr[0] == '{');
    changes++;
}

static void versions_stand_side_by_side_and_live_runs_move(void) {
    fc_engine *engine = NULL;
    fc_limits limits;
    ew_buffer *one = NULL, *two = NULL, *json = NULL;
    uint64_t run = 0, epoch = 0;
    size_t forgotten = 0, reached = 0;
    OK(fc_engine_new(none(), &engine, &err));
    memset(&limits, 0, sizeof limits);
    limits.struct_size = sizeof limits;
    limits.audit_entries = 100;
    limits.measure = 1;
    limits.has_budget = 1;
    limits.total.cpu_milli = 1000;
    OK(fc_limit(engine, &limits, &err));
    FAILS(EW_NULL, fc_limit(engine, NULL, &err));
    OK(fc_progress(engine, listen, &changes, &err));
    FAILS(EW_NULL, fc_progress(engine, NULL, NULL, &err));
    OK(fc_place(engine, FC_TIER_NETWORK, measure, &calls, &err));
    FAILS(EW_INVALID, fc_place(engine, 3, measure, &calls, &err));
    OK(fc_lease(engine, S("gateway-1"), 60000, 100, &epoch, &err));
    CHECK(epoch > 0);
    OK(fc_deploy_yaml(engine, S(ONE), &one, &err));
    OK(fc_start(engine, S("watch"), none(), S("{}"), 100, &run, &err));
    OK(fc_run_until_idle(engine, 100, NULL, &err));
    OK(fc_deploy_standby(engine, S(TWO), &two, &err));
    OK(fc_active_version(engine, S("watch"), &json, &err));
    CHECK(has(json, ew_buffer_data(one)));
    OK(fc_activate(engine, S(ew_buffer_data(two)), 200, &err));
    FAILS(EW_INVALID, fc_activate(engine, S("no hash"), 200, &err));
    OK(fc_workflow(engine, S("watch"), &json, &err));
    CHECK(has(json, "\"v\":2"));
    FAILS(EW_NOT_FOUND, fc_workflow(engine, S("nothing"), &json, &err));
    FAILS(EW_NOT_FOUND, fc_active_version(engine, S("nothing"), &json, &err));
    OK(fc_check_upgrade(engine, run, S(OTHER), &json, &err));
    CHECK(has(json, "\"possible\":false"));
    OK(fc_check_upgrade(engine, run, S(TWO), &json, &err));
    CHECK(has(json, "\"possible\":true"));
    OK(fc_upgrade(engine, run, S(ew_buffer_data(two)), 210, &err));
    OK(fc_publish(engine, S("go"), none(), S("{}"), 220, &reached, &err));
    CHECK(reached == 1);
    OK(fc_run_until_idle(engine, 230, NULL, &err));
    OK(fc_status(engine, run, &json, &err));
    CHECK(has(json, "\"succeeded\""));
    OK(fc_rollback(engine, S("watch"), 240, &json, &err));
    CHECK(has(json, ew_buffer_data(one)));
    OK(fc_audit_log(engine, 0, 100, &json, &err));
    CHECK(strstr(ew_buffer_data(json), "\"activated\"") && has(json, "\"moved\""));
    OK(fc_latencies(engine, &json, &err));
    ew_buffer_free(json);
    OK(fc_held(engine, &json, &err));
    CHECK(has(json, "\"budget\":0"));
    CHECK(changes > 2);
    OK(fc_forget_ended(engine, 1000, 10, &forgotten, &err));
    CHECK(forgotten == 1);
    OK(fc_quota(engine, S("farm-1"), 1, UINT64_MAX, UINT64_MAX, &err));
    OK(fc_start_for(engine, S("farm-1"), S("watch"), S("k"), S("{}"), 300, &run, &err));
    FAILS(EW_LIMIT, fc_start_for(engine, S("farm-1"), S("watch"), S("l"), S("{}"), 300, &run, &err));
    OK(fc_start_for(engine, S("farm-2"), S("watch"), none(), S("{}"), 300, &run, &err));
    ew_buffer_free(one);
    ew_buffer_free(two);
    fc_engine_free(engine);
}

int main(int argc, char **argv) {
    versions_stand_side_by_side_and_live_runs_move();
    actions_run_and_their_failures_are_told();
    a_person_decides_and_an_event_wakes();
    the_raw_loop_hands_calls_out_and_survives_a_restart(argc > 1 ? argv[1] : ".");
    puts("flowcore: ok");
    return 0;
}
