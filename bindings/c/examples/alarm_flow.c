/* Durable workflows: YAML, actions in C, every finished step on disk.
   cc alarm_flow.c $(pkg-config --cflags --libs edgeweave) && ./a.out flows.db */
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

/* Called with the step's parameters and input as JSON; answers with JSON. */
static int32_t answer(void *user, ew_str call, ew_reply *reply) {
    const char *text = (const char *)user;
    printf("called with %.*s\n", (int)call.len, call.ptr);
    const ew_bytes bytes = {(const uint8_t *)text, strlen(text)};
    return ew_reply_set(reply, bytes, NULL);
}

int main(int argc, char **argv) {
    fc_engine *engine = NULL;
    uint64_t run = 0;
    ew_buffer *info = NULL;
    must(fc_engine_new(ew_str_of(argc > 1 ? argv[1] : NULL), &engine, &error));
    must(fc_action(engine, ew_str_of("threshold_check"), answer, (void *)"{\"result\": \"anomaly\"}", &error));
    must(fc_action(engine, ew_str_of("send_event"), answer, (void *)"{\"sent\": true}", &error));
    must(fc_deploy_yaml(engine,
                        ew_str_of("workflow:\n"
                                  "  name: anomaly_detection\n"
                                  "  trigger: sensor_reading\n"
                                  "  steps:\n"
                                  "    - {id: detect, action: threshold_check, params: {threshold: 0.8}}\n"
                                  "    - {id: alert, action: send_event, condition: \"detect.result == 'anomaly'\"}\n"),
                        NULL, &error));
    must(fc_trigger(engine, ew_str_of("sensor_reading"), ew_str_of(NULL), ew_str_of("{\"value\": 0.93}"), 1000, &run, &error));
    must(fc_run_until_idle(engine, 1000, NULL, &error));
    must(fc_status(engine, run, &info, &error));
    printf("%s\n", ew_buffer_data(info));
    const int done = strstr(ew_buffer_data(info), "\"succeeded\"") != NULL;
    ew_buffer_free(info);
    fc_engine_free(engine);
    return done ? 0 : 1;
}
