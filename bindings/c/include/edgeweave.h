// libedgeweave: five crates for AI at the edge behind one C interface. Generated from the sources; do not edit.
//
// rv_ vector index, semantic cache, retriever      adb_ documents that merge, events, in one file
// fc_ durable workflows                            po_ run-time prompt selector
// ms_ windowed complex event processing            ew_ what they share
//
// The contract of every function:
// - It returns EW_OK or another EW_ status, and with that writes an error to *err if err is not NULL; the caller frees
//   it with ew_error_free. *err is not touched on success: begin with NULL. Outputs are written on success only.
// - Texts and arrays are a pointer and a length. They are read during the call and not kept. Texts are UTF-8 and need
//   no NUL. A length must not be larger than what is there; over EW_BYTES_MAX (256 MiB) a text is refused unread.
// - Handles are opaque; each has its *_free, which takes NULL. A handle of another kind is EW_BAD_HANDLE. A freed
//   handle must not be used; that this is often noticed (EW_BAD_HANDLE) is no promise.
// - A handle belongs to one thread at a time unless its type says that threads may share it. Use by a second thread, or
//   by a callback further down, is EW_BUSY. A *_free of a handle in use does nothing.
// - Buffers (ew_buffer) belong to the caller, who frees them with ew_buffer_free.
// - Callbacks get the caller's `user` first. They run on the thread that called the library, during that call; they must
//   return (no longjmp, no exception through the library). Handles that they get are valid until they return.
// - Option structures begin with struct_size, so that a program goes on to work with a later library.
// - Times are milliseconds since the Unix epoch and are given by the caller: the library reads no clock, but for
//   fc_run_until_ended. It starts no thread that was not asked for, prints nothing, and has no global state.
// - A defect that would end the program is caught and is EW_PANIC (not in the firmware profile, where it aborts).

#ifndef EDGEWEAVE_H
#define EDGEWEAVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The number of the binary interface that this header describes.
#define EW_ABI_VERSION 0

// It worked.
#define EW_OK 0

// A pointer that must not be NULL is NULL.
#define EW_NULL 1

// A handle is not of the kind that the function takes, or was freed.
#define EW_BAD_HANDLE 2

// A text is not UTF-8 (or not JSON, where JSON is wanted).
#define EW_BAD_TEXT 3

// An argument makes no sense; the message says which and what is wanted.
#define EW_INVALID 4

// Something is larger than its limit.
#define EW_LIMIT 5

// What was asked for is not there.
#define EW_NOT_FOUND 6

// The system could not read, write or lock a file.
#define EW_SYSTEM 7

// Stored bytes do not match their checksums or make no sense.
#define EW_CORRUPT 8

// The handle is in use: by another thread, by a callback further up, or by an open transaction.
#define EW_BUSY 9

// The caller's buffer is too small; the size that is needed was written.
#define EW_TOO_SMALL 10

// A callback of the caller failed.
#define EW_CALLBACK 11

// The state does not allow it (a run that has ended, no earlier version, a file that broke).
#define EW_STATE 12

// A defect of the library was caught. The handles of the call should be freed.
#define EW_PANIC 13

// The longest text or array of bytes that a call takes.
#define EW_BYTES_MAX (256 << 20)

// The cosine of the angle; scores in -1..1.
#define RV_METRIC_COSINE 0

// The inner product.
#define RV_METRIC_DOT 1

// Squared Euclidean distance; the score is minus the distance.
#define RV_METRIC_L2 2

// Bits that differ; a component above 0 is a set bit. The score is minus their number.
#define RV_METRIC_HAMMING 3

// A scan while that is faster, then a graph.
#define RV_KIND_AUTO 0

// A scan of all rows.
#define RV_KIND_EXACT 1

// A graph from the first vector on.
#define RV_KIND_HNSW 2

// Inverted lists.
#define RV_KIND_IVF 3

// Inverted lists of product-quantised rows.
#define RV_KIND_IVFPQ 4

// One byte a component.
#define RV_QUANTIZATION_INT8 0

// The numbers as they are.
#define RV_QUANTIZATION_NONE 1

// Two bytes a component.
#define RV_QUANTIZATION_F16 2

// Product quantisation in rv_options.subspaces.
#define RV_QUANTIZATION_PQ 3

// One bit a component.
#define RV_QUANTIZATION_BINARY 4

// The same text was stored.
#define RV_HOW_EXACT 0

// A text that means the same was stored.
#define RV_HOW_SEMANTIC 1

// Another thread computed it meanwhile.
#define RV_HOW_SHARED 2

// This call computed it.
#define RV_HOW_COMPUTED 3

// Whole sentences up to a number of characters.
#define RV_CHUNK_SENTENCES 0

// So many characters, cut anywhere.
#define RV_CHUNK_CHARACTERS 1

// A commit is on disk when it returns.
#define ADB_DURABILITY_IMMEDIATE 0

// A commit is on disk after the next adb_flush; a power cut may take the last ones.
#define ADB_DURABILITY_BUFFERED 1

// All events.
#define ADB_EVENTS_ALL 0

// Only those that wait for their receiver.
#define ADB_EVENTS_WAITING 1

// Measurements.
#define ADB_PRIORITY_TELEMETRY 0

// What happens.
#define ADB_PRIORITY_NORMAL 1

// What must reach its receiver.
#define ADB_PRIORITY_SAFETY_CRITICAL 2

// It waits for a link.
#define ADB_SYNC_WAITING 0

// The receiver has it.
#define ADB_SYNC_DELIVERED 1

// The receiver will not have it.
#define ADB_SYNC_REFUSED 2

// Something of the delta was new.
#define ADB_MERGED_NEW 0

// All of it was known.
#define ADB_MERGED_KNOWN 1

// It waits for a delta that comes before it.
#define ADB_MERGED_WAITS 2

// The smallest first.
#define ADB_ASCENDING 0

// The largest first.
#define ADB_DESCENDING 1

// It has events of its own, and hands them to its parent.
#define ADB_ROLE_DEVICE 0

// It takes the events of its children and hands them on. It writes no documents.
#define ADB_ROLE_AGGREGATOR 1

// It keeps all events: nobody is above it.
#define ADB_ROLE_ROOT 2

// The other side is above. Documents go both ways, events to the parent alone.
#define ADB_TOWARD_PARENT 0

// It is below.
#define ADB_TOWARD_CHILD 1

// It is beside: no events.
#define ADB_TOWARD_PEER 2

// The peer was not heard yet, or no more.
#define ADB_PHASE_GREETING 0

// Both agree on where to go on.
#define ADB_PHASE_CHECKPOINT 1

// Documents go first.
#define ADB_PHASE_STATE 2

// Then the events that waited.
#define ADB_PHASE_EVENTS 3

// Then both compare what they have.
#define ADB_PHASE_COMPARE 4

// Everything is there; what is new goes as it comes.
#define ADB_PHASE_LIVE 5

// Go on.
#define FC_APPROVED 1

// Do not.
#define FC_REJECTED 0

// Nothing is to be done now.
#define FC_NOTHING 0

// A call is to be performed and ended with fc_complete, fc_fail or fc_perform.
#define FC_EXECUTE 1

// A call that was handed out is no longer wanted; its result will be dropped and counted.
#define FC_CANCEL 2

// On the camera, sensor or vehicle.
#define FC_TIER_FAR 0

// On the gateway of the site.
#define FC_TIER_MID 1

// In the operator's network or the cloud.
#define FC_TIER_NETWORK 2

// The shortest prompt.
#define PO_TIER_ULTRA 0

// The quick one.
#define PO_TIER_FAST 1

// The one with the best answers.
#define PO_TIER_QUALITY 2

// The new version becomes the running one, unless it was taken back.
#define PO_PROMOTE 1

// The new version goes.
#define PO_DISCARD 0

// A wrong answer costs nothing.
#define PO_CRITICALITY_LOW 0

// A wrong answer is a nuisance.
#define PO_CRITICALITY_NORMAL 1

// A wrong answer costs an animal, a machine or a person.
#define PO_CRITICALITY_HIGH 2

// Nobody said whether the answer was right.
#define PO_FEEDBACK_NONE 0

// It was right.
#define PO_FEEDBACK_RIGHT 1

// It was wrong.
#define PO_FEEDBACK_WRONG 2

// It could not be read, so it is wrong too.
#define PO_FEEDBACK_UNREADABLE 3

// A number (double).
#define MS_FLOAT 0

// A whole number (int64_t).
#define MS_INT 1

// True or false.
#define MS_BOOL 2

// A text.
#define MS_TEXT 3

// The newest event of all.
#define MS_WATERMARK_ALL 0

// That of the source that is furthest behind.
#define MS_WATERMARK_BY_SOURCE 1

// That of the device that is furthest behind: devices with clocks of their own.
#define MS_WATERMARK_BY_KEY 2

// A sequence of events.
#define MS_FOUND_SEQUENCE 0

// A pattern.
#define MS_FOUND_PATTERN 1

// A partial match whose time was over.
#define MS_FOUND_TIMEOUT 2

// A window's aggregates.
#define MS_FOUND_WINDOW 3

// Named values: of a window, of joined events, of a row.
#define MS_FOUND_ROW 4

// What was told holds no more.
#define MS_FOUND_OVER 5

// Something that this header does not know; see the JSON.
#define MS_FOUND_OTHER 100

// Most fields of a standardizer.
#define MS_STANDARDIZED_MAX 4096

// Room for any batch of an agent, in bytes.
#define MS_BATCH_BYTES_MAX 3862

// The most samples of a batch.
#define MS_BATCH_SAMPLES_MAX 256

// The largest ring, in bytes.
#define MS_RING_BYTES_MAX (1 << 30)

// No alarm began or ended.
#define MS_ALARM_NONE 0

// The smoothed value went above the limit.
#define MS_ALARM_RAISED 1

// It is below the lower limit again.
#define MS_ALARM_ENDED 2

// A store as its peers see it: what all its links share. One thread at a time.
typedef struct adb_endpoint adb_endpoint;

// A list of letters that merges with its copies. One thread at a time.
typedef struct adb_list adb_list;

// One side of a link to one peer. One thread at a time.
typedef struct adb_session adb_session;

// A store of documents, events and records. One thread at a time; while a transaction is open every other call
// on it is EW_BUSY.
typedef struct adb_store adb_store;

// Changes that are kept together. Ended by adb_tx_commit or adb_tx_rollback, by the thread that began it.
typedef struct adb_tx adb_tx;

// How much of a list a copy has seen. One thread at a time.
typedef struct adb_version adb_version;

// Notices of what is committed, in order; 4,096 wait at most. One thread at a time, which may be another than the
// store's.
typedef struct adb_watch adb_watch;

// Bytes that the library made: a text, JSON or binary. Freed by ew_buffer_free.
typedef struct ew_buffer ew_buffer;

// The error of a failed call: a status and a message. Freed by ew_error_free.
typedef struct ew_error ew_error;

// Where a callback puts the text or the bytes that it answers with. Valid while the callback runs.
typedef struct ew_reply ew_reply;

// A call that was handed out. One thread at a time.
typedef struct fc_call fc_call;

// An engine of durable workflows. One thread at a time; an action that calls its own engine gets EW_BUSY.
typedef struct fc_engine fc_engine;

// The samples of one channel. One thread at a time.
typedef struct ms_agent ms_agent;

// An engine of rules over events. One thread at a time.
typedef struct ms_engine ms_engine;

// A list of outputs that pushes add to, used again and again. One thread at a time.
typedef struct ms_outputs ms_outputs;

// Learns mean and standard deviation of fields from their first values and tells later ones in them. One thread at a
// time.
typedef struct ms_standardizer ms_standardizer;

// A place for a choice, used again and again. One thread at a time.
typedef struct po_choice po_choice;

// Three prompts for one task, and the policy that picks one. Threads may share one.
typedef struct po_set po_set;

// A cache of answers that are found by meaning. Threads may share one.
typedef struct rv_cache rv_cache;

// An embedding model of the caller, named. Threads may share one if the callback may run on several at once.
typedef struct rv_embedder rv_embedder;

// A condition on payloads, parsed once for many searches. Threads may share one.
typedef struct rv_filter rv_filter;

// A vector index. Threads may share one, also while it changes; it must not be freed meanwhile.
typedef struct rv_index rv_index;

// Finds passages of documents. Threads may share one.
typedef struct rv_retriever rv_retriever;

// A text: UTF-8, not NUL-terminated. `{NULL, 0}` is the empty text, or none where that makes a difference.
typedef struct {
    // The first byte.
    const char *ptr;
    // How many bytes there are.
    size_t len;
} ew_str;

// Bytes of any kind.
typedef struct {
    // The first byte.
    const uint8_t *ptr;
    // How many there are.
    size_t len;
} ew_bytes;

// Options of an index. Fill them with rv_options_init first; 0 is the default everywhere but for struct_size and dim.
typedef struct {
    // sizeof(rv_options), set by rv_options_init.
    size_t struct_size;
    // Components of each vector.
    size_t dim;
    // RV_METRIC_…
    int32_t metric;
    // RV_KIND_…
    int32_t kind;
    // RV_QUANTIZATION_…
    int32_t quantization;
    // Parts of a vector with RV_QUANTIZATION_PQ; 0 for one of each four components.
    uint32_t subspaces;
    // Links of a node in the graph; 0 for 16.
    size_t links;
    // Candidates while the graph is built; 0 for 128.
    size_t build_effort;
    // Seed of the levels and centres; 0 for the built-in one.
    uint64_t seed;
    // Threads that a build may use; 0 for 1.
    size_t threads;
    // Most vectors; 0 for no limit of its own.
    size_t max_vectors;
    // Most bytes of memory; 0 for no limit.
    size_t max_bytes;
    // Bytes of the file's log from which it is folded in; 0 for the default.
    uint64_t max_log_bytes;
    // The file; {NULL, 0} for an index in memory.
    ew_str path;
} rv_options;

// How to search. Set struct_size to sizeof(rv_search_options) and the rest to 0 for the defaults.
typedef struct {
    // sizeof(rv_search_options).
    size_t struct_size;
    // Only vectors whose payload meets it; NULL for all.
    const rv_filter *filter;
    // Candidates that are looked at; 0 for the default.
    size_t effort;
    // Candidates that are ranked again by the original numbers; 0 for the default.
    size_t rerank;
    // Leaves out lower scores if has_min_score is not 0.
    float min_score;
    // Whether min_score counts.
    int32_t has_min_score;
} rv_search_options;

// A neighbour.
typedef struct {
    // The vector's id.
    uint64_t id;
    // How near it is; higher is nearer.
    float score;
} rv_hit;

// Turns a text into a vector: writes `dim` numbers to `vector` and returns EW_OK, or returns anything else if it
// failed. Called by the thread that calls the cache or the retriever; it must not use that cache or retriever.
typedef int32_t (*rv_embed_fn)(void *user, const char *text, size_t len, float *vector, size_t dim);

// Whether one answer is right for both texts: 1 for yes. Called where similarity and word rules cannot decide, by
// the thread that asks the cache.
typedef int32_t (*rv_verify_fn)(void *user, ew_str asked, ew_str stored);

// Options of a cache. Set struct_size to sizeof(rv_cache_options) and the rest to 0 for the defaults.
typedef struct {
    // sizeof(rv_cache_options).
    size_t struct_size;
    // Most bytes of texts, vectors and answers; 0 for 64 MiB.
    size_t max_bytes;
    // Most answers; 0 for 100,000.
    size_t max_entries;
    // The rules of namespaces as a JSON object: {"name": {"threshold": 0.95, "grey_from": 0.9, "ttl": "dynamic",
    // "adaptive": true, "epoch": 1, "exclusive": [["dairy", "beef"]]}}; "" names the rules of all others. "ttl" is
    // "static", "dynamic", "user_specific", "realtime" or a number of milliseconds. {NULL, 0} for the defaults.
    ew_str policies;
    // Decides where similarity cannot; may be NULL.
    rv_verify_fn verify;
    // The first argument of verify.
    void *user;
} rv_cache_options;

// Computes an answer: calls ew_reply_set with its bytes and returns EW_OK, or fails. Called by the thread that asks;
// it must not ask for the same text.
typedef int32_t (*rv_compute_fn)(void *user, ew_reply *reply);

// Options of a store. Set struct_size to sizeof(adb_options) and what is not needed to 0.
typedef struct {
    // sizeof(adb_options).
    size_t struct_size;
    // The number of this copy, which no other copy has.
    uint64_t replica;
    // The schemas as JSON: {"robot": {"battery": "lww", "top_speed": "max", "odometer": "pn_counter",
    // "task": {"status": ["queued", "active", "done"]}}}.
    ew_str schemas;
    // ADB_DURABILITY_…
    int32_t durability;
    // How many milliseconds the clock of a copy that is merged may be ahead; 0 for an hour.
    uint64_t clock_ahead_max_ms;
    // From how many milliseconds ahead a write of a copy loses against concurrent ones; 0 for the default.
    uint64_t clock_drift_max_ms;
    // How many events may wait for a link before the least important are thinned; 0 for 10,000.
    uint64_t waiting_events_max;
    // How many bytes of payloads may wait; 0 for 64 MiB.
    uint64_t waiting_bytes_max;
    // For how many milliseconds an event may wait, but a safety-critical one; 0 for 72 hours.
    uint64_t waiting_age_max_ms;
    // 1 when the file is an older copy that was put in its place (a backup): the replica goes on under a new
    // incarnation, so that no write is named twice.
    int32_t restored;
} adb_options;

// Which documents of a schema. Set struct_size to sizeof(adb_find_options) and what is not needed to 0.
typedef struct {
    // sizeof(adb_find_options).
    size_t struct_size;
    // What holds for them ("battery < 20 && task != 'done'"); {NULL, 0} for all.
    ew_str expression;
    // The field by which they are ordered; {NULL, 0} for their ids.
    ew_str order_by;
    // ADB_ASCENDING or ADB_DESCENDING; documents without a value come last in both.
    int32_t direction;
    // At most so many; 0 for all.
    size_t limit;
} adb_find_options;

// How a store syncs. Set struct_size to sizeof(adb_sync_options) and what is not needed to 0 for the role's defaults.
typedef struct {
    // sizeof(adb_sync_options).
    size_t struct_size;
    // ADB_ROLE_…
    int32_t role;
    // At most so many events a second.
    uint32_t events_per_second;
    // For so many milliseconds changes of documents are gathered before they are sent.
    uint64_t window_ms;
    // The same for what goes to a parent.
    uint64_t upward_ms;
    // After so many milliseconds without an answer a frame is sent again.
    uint64_t retry_ms;
    // A word is said at least so often; a peer that is silent for three times as long is gone.
    uint64_t keep_alive_ms;
    // A peer that is known must agree on where to go on within this time.
    uint64_t checkpoint_ms;
    // So many events are committed at once by their receiver.
    size_t events_a_batch;
} adb_sync_options;

// An action. `call` is a JSON object: action, params, input, run, workflow, step, path, attempt, deadline,
// idempotency_key. It answers with ew_reply_set (JSON; nothing is null) and EW_OK, or fails with ew_reply_fail,
// whose name `retry.on` and `catch` match. Called by the thread that runs the engine.
typedef int32_t (*fc_action_fn)(void *user, ew_str call, ew_reply *reply);

// A part of a machine.
typedef struct {
    // Thousandths of a core.
    uint32_t cpu_milli;
    // GPUs.
    uint32_t gpus;
    // Bytes of memory.
    uint64_t memory_bytes;
} fc_resources;

// What an engine keeps and may use. Set struct_size to sizeof(fc_limits) and what is not needed to 0.
typedef struct {
    // sizeof(fc_limits).
    size_t struct_size;
    // The latest so many entries of an audit log are kept in the journal; 0 for none.
    uint64_t audit_entries;
    // How often in a row a run may be read back without getting any further before it is parked; 0 for 10.
    uint32_t recoveries_max;
    // 1 to measure how long each step's calls take, for fc_latencies.
    int32_t measure;
    // 1 to hold back what is beyond `total`, by what steps say under `resources`.
    int32_t has_budget;
    // What all actions together may occupy.
    fc_resources total;
    // The part of it that only safety-critical calls may use.
    fc_resources reserved_for_safety;
} fc_limits;

// Is told of a change: a line of JSON, {"event": "run", at, run, workflow, status} or {"event": "step", at, run, step,
// status, attempt}. Called by the thread that runs the engine; it must not use that engine.
typedef void (*fc_progress_fn)(void *user, ew_str line);

// What was chosen.
typedef struct {
    // PO_TIER_…
    int32_t tier;
    // Whether a larger model on the network may be asked instead: 0 or 1.
    int32_t offload;
    // The prompt's version.
    uint32_t version;
    // Tokens of the prompt without its inputs; 0 if not known.
    uint32_t tokens;
    // Probability with which this version was picked within its tier.
    double propensity;
    // The name of the rule that picked it. Lives until the choice is filled again or freed.
    ew_str rule;
} po_chosen;

// Settings of an experiment. Set struct_size to sizeof(po_experiment_options) and the rest to 0 for the defaults.
typedef struct {
    // sizeof(po_experiment_options).
    size_t struct_size;
    // Share of the keys that get the new version, 0 to 1; 0 for half (a version that nobody gets is no experiment).
    double share;
    // If not 0: the share is the probability that the new version is the better one, within this and 1 less this.
    double thompson_floor;
    // Probability that a version which is no worse is ever taken back; 0 for 0.05.
    double alpha;
    // Share of deciding pairs that the new version may lose; 0 for 0.5, "not worse".
    double tolerated_share;
    // Largest share of unreadable answers; 0 for 0.05.
    double unreadable_max;
    // Largest 95th percentile of the latency in milliseconds; 0 for 10,000.
    uint64_t latency_p95_max_ms;
    // Outcomes before the last two count; 0 for 50.
    uint64_t outcomes_min;
} po_experiment_options;

// The state of the device that a prompt is chosen for. Fill it with po_context_init first.
typedef struct {
    // sizeof(po_context), set by po_context_init.
    size_t struct_size;
    // Charge of the battery, 0 to 1; 1 on mains.
    double battery;
    // Load of the processor, 0 to 1.
    double load;
    // Confidence of the classifier that ran before, 0 to 1; NaN if not known.
    double confidence;
    // Milliseconds left for the answer.
    uint64_t latency_budget_ms;
    // PO_CRITICALITY_…
    int32_t criticality;
    // Whether a link to a larger model is there: 0 or 1.
    int32_t online;
} po_context;

// Counters of the log of outcomes: recorded = dropped + drained + held.
typedef struct {
    // Outcomes given to the log.
    uint64_t recorded;
    // The oldest, dropped because the log was full.
    uint64_t dropped;
    // Taken out by po_drain_outcomes.
    uint64_t drained;
    // Still in the log.
    uint64_t held;
} po_outcome_stats;

// A field of a source.
typedef struct {
    // Its name.
    ew_str name;
    // MS_FLOAT, MS_INT, MS_BOOL or MS_TEXT.
    int32_t kind;
} ms_field;

// A source of events.
typedef struct {
    // Its name.
    ew_str name;
    // Its fields.
    const ms_field *fields;
    // How many there are.
    size_t field_count;
} ms_source;

// Rules as text.
typedef struct {
    // The text.
    ew_str text;
    // The source of patterns without FROM.
    ew_str source;
    // The field by which rules without a key of their own are told apart; {NULL, 0} for none.
    ew_str key;
} ms_rules;

// A table: the newest row of each key counts from its time on. `ENRICH source FROM table ON field` in the rules adds
// its fields to events, a join reads it.
typedef struct {
    // Its name.
    ew_str name;
    // Its fields.
    const ms_field *fields;
    // How many there are.
    size_t field_count;
    // The field by which rows are told apart.
    ew_str key;
    // The source whose last event of a key is the key's row; {NULL, 0} for a table that ms_table_put writes.
    ew_str follows;
    // For how many milliseconds a row counts; 0 for ever.
    uint64_t lifetime_ms;
    // The most rows, over all versions; 0 for 1,000,000. The oldest written gives way, and is counted.
    size_t limit;
} ms_table;

// An engine's plan. Set struct_size to sizeof(ms_options) and what is not needed to 0.
typedef struct {
    // sizeof(ms_options).
    size_t struct_size;
    // The sources.
    const ms_source *sources;
    // How many there are.
    size_t source_count;
    // The rules.
    const ms_rules *rules;
    // How many texts there are.
    size_t rules_count;
    // How many milliseconds late an event may be; 0 for none.
    uint64_t disorder_ms;
    // For how many milliseconds ids are remembered; 0 for 600,000.
    uint64_t dedup_ms;
    // How many milliseconds an event may be ahead of the newest; 0 for a day.
    uint64_t future_ms;
    // Tables that rules join with and events are enriched from.
    const ms_table *tables;
    // How many there are.
    size_t table_count;
    // MS_WATERMARK_…: whose newest event the watermark follows.
    int32_t watermark;
    // With MS_WATERMARK_BY_KEY the field that names the device.
    ew_str watermark_key;
    // How many milliseconds behind the newest a source or device may be and is still waited for.
    uint64_t watermark_idle_ms;
    // How many late events are kept for ms_take_late, the newest; they are counted as dropped all the same.
    size_t late_kept;
} ms_options;

// The value of a field.
typedef struct {
    // The field's name.
    ew_str name;
    // MS_FLOAT, MS_INT, MS_BOOL or MS_TEXT: which of the following counts.
    int32_t kind;
    // For MS_INT, and for MS_BOOL 0 or 1.
    int64_t integer;
    // For MS_FLOAT.
    double number;
    // For MS_TEXT.
    ew_str text;
} ms_value;

// A column: one value a row. Which pointer counts follows from the field's kind.
typedef struct {
    // For MS_FLOAT.
    const double *numbers;
    // For MS_INT.
    const int64_t *integers;
    // For MS_BOOL: 0 is false.
    const uint8_t *truths;
    // For MS_TEXT: a place in `dictionary` for each row.
    const uint32_t *codes;
    // For MS_TEXT: the distinct texts.
    const ew_str *dictionary;
    // For MS_TEXT: how many there are.
    size_t dictionary_count;
} ms_column;

// An output at a glance. Texts live until the list is cleared or freed.
typedef struct {
    // The rule's name.
    ew_str rule;
    // The first event, or the window's begin: milliseconds since the Unix epoch.
    int64_t first;
    // The last event, or the window's end (exclusive).
    int64_t last;
    // MS_FOUND_…
    int32_t found;
} ms_output;

// What an agent does; ms_agent_options_init sets the defaults.
typedef struct {
    // sizeof(ms_agent_options).
    size_t struct_size;
    // Bytes of the ring of newest samples; default 1 MiB.
    size_t ring_bytes;
    // Samples that the moving average is over; default 4.
    size_t average_over;
    // One sample goes out for so many that come in; default 10.
    uint32_t one_in;
    // A batch spans so many milliseconds; default 100.
    uint32_t batch_ms;
    // An alarm begins above this; NaN (the default) for none.
    float alarm_above;
    // It ends below this.
    float alarm_below;
    // The channel's number in its batches.
    uint16_t channel;
} ms_agent_options;

// What came of a sample.
typedef struct {
    // When the alarm began or ended: milliseconds since the Unix epoch.
    int64_t alarm_at;
    // How many bytes were written to `batch`; 0 when no batch was full.
    size_t batch_len;
    // The smoothed value of the alarm.
    float alarm_value;
    // MS_ALARM_…
    int32_t alarm;
} ms_emitted;

// Counters: samples_in = samples_out + averaged + invalid + held.
typedef struct {
    // Samples given.
    uint64_t samples_in;
    // Samples in batches that were handed over.
    uint64_t samples_out;
    // Samples that are part of another's mean.
    uint64_t averaged;
    // Samples that are no number.
    uint64_t invalid;
    // Samples in the batch and the mean in hand.
    uint64_t held;
    // Samples that the ring no longer has.
    uint64_t overwritten;
    // Batches handed over.
    uint64_t batches;
    // Alarms raised and ended.
    uint64_t alarms;
} ms_agent_counters;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The number of the library's binary interface. A program refuses to start when it differs from the
// EW_ABI_VERSION that it was compiled with.
uint32_t ew_abi_version(void);

// The release, such as "0.1.0". Never freed.
const char *ew_version(void);

// A status in a few words, such as "invalid argument"; "unknown status" for a number that is none. Never freed.
const char *ew_status_str(int32_t status);

// The message, NUL-terminated UTF-8, "" for NULL. Lives as long as the error.
const char *ew_error_message(const ew_error *error);

// The status that the failed call returned; EW_OK for NULL.
int32_t ew_error_status(const ew_error *error);

// Frees an error. NULL is fine.
void ew_error_free(ew_error *error);

// A text from a NUL-terminated one; `{NULL, 0}` for NULL. The text is not copied.
ew_str ew_str_of(const char *text);

// The bytes, with a NUL behind them that does not count; "" for NULL. They live as long as the buffer.
const char *ew_buffer_data(const ew_buffer *buffer);

// How many bytes there are; 0 for NULL.
size_t ew_buffer_len(const ew_buffer *buffer);

// Frees a buffer. NULL is fine.
void ew_buffer_free(ew_buffer *buffer);

// Answers with bytes (JSON text where the callback's documentation says so), in the place of an earlier answer.
int32_t ew_reply_set(ew_reply *reply,
                     ew_bytes bytes,
                     ew_error **err);

// Answers with a failure: a short name that rules can match ("Timeout") and a message for people.
int32_t ew_reply_fail(ew_reply *reply, ew_str name, ew_str message, ew_error **err);

// Sets the defaults for vectors of `dim` components. NULL is ignored.
void rv_options_init(rv_options *options, size_t dim);

// Builds an index, or opens its file if there is one. The caller frees it with rv_index_free.
int32_t rv_index_build(const rv_options *options, rv_index **index, ew_error **err);

// Opens a file with the options that it was built with.
int32_t rv_index_open(ew_str path, rv_index **index, ew_error **err);

// Checks every byte of a file; EW_CORRUPT says what is damaged.
int32_t rv_index_verify(ew_str path, ew_error **err);

// Closes an index and frees it. Changes since the last rv_index_flush may be lost in a power cut. NULL is fine.
void rv_index_free(rv_index *index);

// Stores a vector in the place of what the id had. The payload is a JSON object or {NULL, 0}.
int32_t rv_index_upsert(const rv_index *index,
                        uint64_t id,
                        const float *vector,
                        size_t dim,
                        ew_str payload,
                        ew_error **err);

// Stores `count` vectors that lie one after the other, all or none. `payloads` is NULL or has `count` JSON
// objects, each of which may be {NULL, 0}.
int32_t rv_index_upsert_batch(const rv_index *index,
                              const uint64_t *ids,
                              const float *vectors,
                              size_t count,
                              size_t dim,
                              const ew_str *payloads,
                              ew_error **err);

// Stores a vector of bits under RV_METRIC_HAMMING, eight a byte, the lowest bit of a byte first; what the last byte has
// left over is 0.
int32_t rv_index_upsert_bits(const rv_index *index,
                             uint64_t id,
                             ew_bytes bits,
                             ew_str payload,
                             ew_error **err);

// Stores `count` vectors of bits, each in whole bytes, all or none. `payloads` as for rv_index_upsert_batch.
int32_t rv_index_upsert_bits_batch(const rv_index *index,
                                   const uint64_t *ids,
                                   ew_bytes bits,
                                   size_t count,
                                   const ew_str *payloads,
                                   ew_error **err);

// Reads a vector and its payload (JSON, "null" for none; freed by the caller). Either place may be NULL.
// EW_NOT_FOUND without the id.
int32_t rv_index_get(const rv_index *index,
                     uint64_t id,
                     float *vector,
                     size_t dim,
                     ew_buffer **payload,
                     ew_error **err);

// Removes a vector; `removed` (may be NULL) tells whether there was one.
int32_t rv_index_delete(const rv_index *index, uint64_t id, bool *removed, ew_error **err);

// Makes every change survive a power cut.
int32_t rv_index_flush(const rv_index *index, ew_error **err);

// Replaces the file by one without a log.
int32_t rv_index_snapshot(const rv_index *index, ew_error **err);

// Gives the memory of deleted vectors back.
int32_t rv_index_compact(const rv_index *index, ew_error **err);

// Writes a copy to another file.
int32_t rv_index_save(const rv_index *index, ew_str path, ew_error **err);

// How many vectors a search can find; 0 for what is no index.
size_t rv_index_len(const rv_index *index);

// Components of each vector; 0 for what is no index.
size_t rv_index_dim(const rv_index *index);

// Sizes and choices as JSON: vectors, deleted, dim, metric, quantization, search, kernels, heap_bytes, mapped_bytes,
// mapped_original_bytes, file_bytes, log_bytes.
int32_t rv_index_stats(const rv_index *index,
                       ew_buffer **json,
                       ew_error **err);

// Parses a condition, such as "zone == 'barn-2' && age < 5".
int32_t rv_filter_parse(ew_str text, rv_filter **filter, ew_error **err);

// Frees a condition. NULL is fine.
void rv_filter_free(rv_filter *filter);

// Finds the `k` nearest of a query, the nearest first. `hits` has room for `k`; `found` is how many were written,
// fewer than k only if fewer qualify. `options` may be NULL.
int32_t rv_index_search(const rv_index *index,
                        const float *query,
                        size_t dim,
                        size_t k,
                        const rv_search_options *options,
                        rv_hit *hits,
                        size_t *found,
                        ew_error **err);

// Searches for `count` queries that lie one after the other. `hits` has room for count times k; the hits of query i
// begin at i times k, and `found[i]` is how many there are.
int32_t rv_index_search_batch(const rv_index *index,
                              const float *queries,
                              size_t count,
                              size_t dim,
                              size_t k,
                              const rv_search_options *options,
                              rv_hit *hits,
                              size_t *found,
                              ew_error **err);

// Finds the `k` nearest of bits, packed as for rv_index_upsert_bits; otherwise as rv_index_search.
int32_t rv_index_search_bits(const rv_index *index,
                             ew_bytes query,
                             size_t k,
                             const rv_search_options *options,
                             rv_hit *hits,
                             size_t *found,
                             ew_error **err);

// All vectors that score at least `min_score`, the nearest first, exactly. At most `room` are written to `hits`;
// `found` is how many there are. EW_TOO_SMALL when there are more than `room`: then nothing but `found` is written.
int32_t rv_index_search_range(const rv_index *index,
                              const float *query,
                              size_t dim,
                              float min_score,
                              const rv_filter *filter,
                              rv_hit *hits,
                              size_t room,
                              size_t *found,
                              ew_error **err);

// rv_index_search_range for bits: all that differ from the query in at most `-min_score` of them.
int32_t rv_index_search_range_bits(const rv_index *index,
                                   ew_bytes query,
                                   float min_score,
                                   const rv_filter *filter,
                                   rv_hit *hits,
                                   size_t room,
                                   size_t *found,
                                   ew_error **err);

// Names a model. The tag says model and version: vectors of different tags are never compared. `user` must live as
// long as everything that was made with the embedder.
int32_t rv_embedder_new(ew_str tag,
                        size_t dim,
                        rv_embed_fn embed,
                        void *user,
                        rv_embedder **embedder,
                        ew_error **err);

// Gives an embedder up; what was made with it keeps it alive. NULL is fine.
void rv_embedder_free(rv_embedder *embedder);

// Builds a cache whose texts the embedder turns into vectors. `options` may be NULL.
int32_t rv_cache_new(const rv_embedder *embedder,
                     const rv_cache_options *options,
                     rv_cache **cache,
                     ew_error **err);

// Frees a cache. NULL is fine.
void rv_cache_free(rv_cache *cache);

// Looks an answer up; EW_NOT_FOUND if there is none. `now` is milliseconds since any moment, the same for all calls.
// The caller frees the answer. `how` (RV_HOW_…) and `similarity` may be NULL.
int32_t rv_cache_get(const rv_cache *cache,
                     ew_str name_space,
                     ew_str text,
                     int64_t now,
                     ew_buffer **answer,
                     int32_t *how,
                     float *similarity,
                     ew_error **err);

// Says what the computation cost, in any unit that is the same for all answers; 1 if it is not said.
int32_t rv_reply_cost(ew_reply *reply,
                      double cost,
                      ew_error **err);

// The answer to a text; computed and stored if there is none. One thread computes, others that want the same text
// wait for it. A failed computation is EW_CALLBACK and nothing is stored.
int32_t rv_cache_get_or_compute(const rv_cache *cache,
                                ew_str name_space,
                                ew_str text,
                                int64_t now,
                                rv_compute_fn compute,
                                void *user,
                                ew_buffer **answer,
                                int32_t *how,
                                float *similarity,
                                ew_error **err);

// Stores an answer in the place of what the text had.
int32_t rv_cache_put(const rv_cache *cache,
                     ew_str name_space,
                     ew_str text,
                     ew_bytes answer,
                     double cost,
                     int64_t now,
                     ew_error **err);

// Tells that the answer to a stored text is right still (1) or stale (0); `known` (may be NULL) is whether there is
// such an answer.
int32_t rv_cache_report(const rv_cache *cache,
                        ew_str name_space,
                        ew_str text,
                        int32_t still_right,
                        int64_t now,
                        bool *known,
                        ew_error **err);

// Begins a new epoch of a namespace: none of its answers is found again. `removed` (may be NULL) is how many there
// were.
int32_t rv_cache_advance_epoch(const rv_cache *cache,
                               ew_str name_space,
                               size_t *removed,
                               ew_error **err);

// Changes the embedding model. Answers of the old one are not found while another tag is in use.
int32_t rv_cache_set_embedder(const rv_cache *cache, const rv_embedder *embedder, ew_error **err);

// Merges questions with at least this cosine whose answers are the same. `json` (may be NULL) tells what was done:
// examined, merges, kept_apart, answers_differ, freed_bytes.
int32_t rv_cache_dedupe(const rv_cache *cache,
                        float similarity,
                        ew_buffer **json,
                        ew_error **err);

// The lifetime in milliseconds that the answer to this text has, expired or not; EW_NOT_FOUND without one.
int32_t rv_cache_ttl(const rv_cache *cache,
                     ew_str name_space,
                     ew_str text,
                     int64_t *millis,
                     ew_error **err);

// What was counted, as JSON: entries, bytes, and the counters of look-ups, computations, and what was stored and removed.
int32_t rv_cache_stats(const rv_cache *cache,
                       ew_buffer **json,
                       ew_error **err);

// Makes a retriever that cuts documents into chunks of `chars` characters with an overlap (in sentences for
// RV_CHUNK_SENTENCES, else in characters). It takes the index over: on success the handle `index` is freed.
int32_t rv_retriever_new(rv_index *index,
                         const rv_embedder *embedder,
                         int32_t chunking,
                         size_t chars,
                         size_t overlap,
                         rv_retriever **retriever,
                         ew_error **err);

// Frees a retriever and its index. NULL is fine.
void rv_retriever_free(rv_retriever *retriever);

// Stores a document in the place of what the id had; `chunks` (may be NULL) is how many it was cut into. Metadata
// is a JSON object or {NULL, 0}.
int32_t rv_retriever_add(const rv_retriever *retriever,
                         uint64_t document,
                         ew_str text,
                         ew_str metadata,
                         size_t *chunks,
                         ew_error **err);

// Removes a document; `removed` (may be NULL) tells whether there was one.
int32_t rv_retriever_remove(const rv_retriever *retriever,
                            uint64_t document,
                            bool *removed,
                            ew_error **err);

// The `k` passages that answer a question, as a JSON array of {document, chunk, start, end, text, score, metadata}.
// `relevance` in 0..1 weighs nearness against variety (1: nearness alone); `filter` is a condition on the metadata
// or {NULL, 0}; `min_score` leaves out lower cosines (-1 for none); `pool` is among how many is chosen (0: default).
int32_t rv_retriever_retrieve(const rv_retriever *retriever,
                              ew_str question,
                              size_t k,
                              ew_str filter,
                              float relevance,
                              size_t pool,
                              float min_score,
                              ew_buffer **json,
                              ew_error **err);

// Makes what was added survive a power cut.
int32_t rv_retriever_flush(const rv_retriever *retriever, ew_error **err);

// Opens or makes a file; {NULL, 0} for a store in memory. The caller frees it with adb_store_free.
int32_t adb_store_open(ew_str path, const adb_options *options, adb_store **store, ew_error **err);

// Closes a store and frees it. With an open transaction nothing is done: end that first. NULL is fine.
void adb_store_free(adb_store *store);

// A document as JSON: id, state, version, at. EW_NOT_FOUND without it.
int32_t adb_get(const adb_store *store, ew_str id, ew_buffer **json, ew_error **err);

// Documents of a schema for which an expression holds ("battery < 20 && task != 'done'"), as a JSON array.
int32_t adb_query(const adb_store *store,
                  ew_str schema,
                  ew_str expression,
                  ew_buffer **json,
                  ew_error **err);

// A document as another copy takes it with adb_tx_merge. EW_NOT_FOUND without it.
int32_t adb_document(const adb_store *store, ew_str id, ew_buffer **bytes, ew_error **err);

// Concurrent writes of a document's registers as a JSON array of {path, winner, others}, each write {replica, count, at,
// value}.
int32_t adb_conflicts(const adb_store *store,
                      ew_str id,
                      ew_buffer **json,
                      ew_error **err);

// Up to `limit` documents that changed after a change of this store (0 for all), as a JSON array of [id, change].
int32_t adb_changes(const adb_store *store,
                    int64_t after,
                    size_t limit,
                    ew_buffer **json,
                    ew_error **err);

// Checks everything that is stored; what is wrong is a JSON array of texts, empty when all is well.
int32_t adb_verify(const adb_store *store, ew_buffer **json, ew_error **err);

// Gives the room of what was deleted back.
int32_t adb_compact(const adb_store *store, ew_error **err);

// Up to `limit` events behind a sequence number as a JSON array of {sequence, agent, type, payload, priority, at};
// `which` is ADB_EVENTS_…, and with `type` not {NULL, 0} only events of that type (of all).
int32_t adb_events(const adb_store *store,
                   int32_t which,
                   ew_str event_type,
                   int64_t after,
                   size_t limit,
                   ew_buffer **json,
                   ew_error **err);

// How many events wait for their receiver.
int32_t adb_waiting(const adb_store *store, uint64_t *count, ew_error **err);

// The sequence number of the last event; 0 before the first.
int32_t adb_last_event(const adb_store *store, int64_t *sequence, ew_error **err);

// An opaque record. EW_NOT_FOUND without it.
int32_t adb_get_record(const adb_store *store,
                       ew_str name_space,
                       ew_str key,
                       ew_buffer **bytes,
                       ew_error **err);

// Up to `limit` keys of records behind a key, in order, as a JSON array; read each with adb_get_record.
int32_t adb_scan_records(const adb_store *store,
                         ew_str name_space,
                         ew_str after,
                         size_t limit,
                         ew_buffer **json,
                         ew_error **err);

// Makes buffered commits durable.
int32_t adb_flush(const adb_store *store, ew_error **err);

// Lets the file grow to so many pages of 4 KiB; beyond, commits are refused with EW_SYSTEM.
int32_t adb_limit_file(const adb_store *store, uint32_t pages, ew_error **err);

// What became of the events, by priority, as JSON: {"telemetry": {appended, held, held_bytes, sent, dropped}, "normal":
// …, "safety_critical": …}, with appended = held + sent + dropped.
int32_t adb_tally(const adb_store *store,
                  ew_buffer **json,
                  ew_error **err);

// The last change that a power cut would not lose, and the replica's number with its present incarnation. Either may be
// NULL.
int32_t adb_durable(const adb_store *store,
                    int64_t *change,
                    uint32_t *incarnation,
                    ew_error **err);

// Begins a transaction at a time in milliseconds since the Unix epoch. Until it ends, other calls on the store are
// EW_BUSY.
int32_t adb_begin(adb_store *store,
                  int64_t now,
                  adb_tx **tx,
                  ew_error **err);

// Keeps the changes. The handle is freed, whatever the status: after an error nothing of it was kept.
int32_t adb_tx_commit(adb_tx *tx,
                      ew_error **err);

// Gives the changes up and frees the handle. NULL is fine.
void adb_tx_rollback(adb_tx *tx);

// Writes a last-writer-wins field; the value is JSON.
int32_t adb_tx_set(adb_tx *tx,
                   ew_str schema,
                   ew_str id,
                   ew_str field,
                   ew_str value,
                   ew_error **err);

// Raises a maximum.
int32_t adb_tx_max(adb_tx *tx,
                   ew_str schema,
                   ew_str id,
                   ew_str field,
                   double value,
                   ew_error **err);

// Moves a status on.
int32_t adb_tx_status(adb_tx *tx,
                      ew_str schema,
                      ew_str id,
                      ew_str field,
                      ew_str status,
                      ew_error **err);

// Adds to a counter, or takes from it.
int32_t adb_tx_add(adb_tx *tx, ew_str schema, ew_str id, ew_str field, int64_t by, ew_error **err);

// Lowers a minimum.
int32_t adb_tx_min(adb_tx *tx,
                   ew_str schema,
                   ew_str id,
                   ew_str field,
                   double value,
                   ew_error **err);

// Turns a flag on.
int32_t adb_tx_enable(adb_tx *tx, ew_str schema, ew_str id, ew_str field, ew_error **err);

// Turns a flag off.
int32_t adb_tx_disable(adb_tx *tx, ew_str schema, ew_str id, ew_str field, ew_error **err);

// Sets a counter to 0 for all that it has seen.
int32_t adb_tx_reset(adb_tx *tx, ew_str schema, ew_str id, ew_str field, ew_error **err);

// Adds a member (JSON) to a set.
int32_t adb_tx_insert(adb_tx *tx,
                      ew_str schema,
                      ew_str id,
                      ew_str field,
                      ew_str member,
                      ew_error **err);

// Takes a member (JSON) out of a set.
int32_t adb_tx_remove(adb_tx *tx,
                      ew_str schema,
                      ew_str id,
                      ew_str field,
                      ew_str member,
                      ew_error **err);

// Takes a key out of a map: the field is its path, such as `tasks/weld_a`.
int32_t adb_tx_remove_key(adb_tx *tx, ew_str schema, ew_str id, ew_str field, ew_error **err);

// Replaces so many letters of a list from a position on by others.
int32_t adb_tx_splice(adb_tx *tx,
                      ew_str schema,
                      ew_str id,
                      ew_str field,
                      size_t position,
                      size_t removed,
                      ew_str inserted,
                      ew_error **err);

// Appends an event with a JSON payload; `sequence` (may be NULL) is its place in the log.
int32_t adb_tx_append_event(adb_tx *tx,
                            ew_str id,
                            ew_str event_type,
                            ew_str payload,
                            int32_t priority,
                            int64_t *sequence,
                            ew_error **err);

// Notes what became of an event (ADB_SYNC_…), with a note or {NULL, 0}.
int32_t adb_tx_mark(adb_tx *tx, int64_t sequence, int32_t status, ew_str note, ew_error **err);

// Sets an opaque record.
int32_t adb_tx_put_record(adb_tx *tx,
                          ew_str name_space,
                          ew_str key,
                          ew_bytes bytes,
                          ew_error **err);

// A record as this transaction sees it. EW_NOT_FOUND without it.
int32_t adb_tx_get_record(const adb_tx *tx,
                          ew_str name_space,
                          ew_str key,
                          ew_buffer **bytes,
                          ew_error **err);

// Removes a record.
int32_t adb_tx_delete_record(adb_tx *tx, ew_str name_space, ew_str key, ew_error **err);

// Removes the records with keys from `from` and below `below`; `removed` (may be NULL) is how many.
int32_t adb_tx_delete_records(adb_tx *tx,
                              ew_str name_space,
                              ew_str from,
                              ew_str below,
                              size_t *removed,
                              ew_error **err);

// Joins a document of another copy (from its adb_document) into this one's.
int32_t adb_tx_merge(adb_tx *tx, ew_str id, ew_bytes document, ew_error **err);

// Takes in a JSON merge patch (RFC 7396): the fields that it names are made to read what it says, null removes a key of
// a map. EW_INVALID for what a field cannot be made to read (a maximum does not get smaller); nothing was changed then.
int32_t adb_tx_merge_patch(adb_tx *tx,
                           ew_str schema,
                           ew_str id,
                           ew_str patch,
                           ew_error **err);

// A document as this transaction leaves it, as adb_document gives it. EW_NOT_FOUND without it.
int32_t adb_tx_document(const adb_tx *tx, ew_str id, ew_buffer **bytes, ew_error **err);

// An empty list of the copy with this number.
int32_t adb_list_new(uint64_t replica, adb_list **list, ew_error **err);

// A list from what adb_list_encode wrote.
int32_t adb_list_decode(uint64_t replica, ew_bytes bytes, adb_list **list, ew_error **err);

// Frees a list. NULL is fine.
void adb_list_free(adb_list *list);

// Inserts a text before the letter at a position (letters count as Unicode scalar values).
int32_t adb_list_insert(adb_list *list, size_t position, ew_str text, ew_error **err);

// Deletes `count` letters from a position on.
int32_t adb_list_delete(adb_list *list, size_t position, size_t count, ew_error **err);

// The text, and how many letters it has (either place may be NULL).
int32_t adb_list_text(const adb_list *list, ew_buffer **text, size_t *letters, ew_error **err);

// Takes what another copy changed; `merged` (may be NULL) is ADB_MERGED_….
int32_t adb_list_merge(adb_list *list, ew_bytes delta, int32_t *merged, ew_error **err);

// How many deltas wait for one that comes before them, and their bytes.
int32_t adb_list_waiting(const adb_list *list, size_t *deltas, size_t *bytes, ew_error **err);

// What a copy that has seen `version` lacks; all for NULL.
int32_t adb_list_delta(const adb_list *list,
                       const adb_version *version,
                       ew_buffer **delta,
                       ew_error **err);

// The whole list, compressed, for adb_list_decode.
int32_t adb_list_encode(const adb_list *list, ew_buffer **bytes, ew_error **err);

// How much a list has seen.
int32_t adb_list_version(const adb_list *list, adb_version **version, ew_error **err);

// Sees what `other` has seen.
int32_t adb_version_join(adb_version *version, const adb_version *other, ew_error **err);

// Whether `version` has seen everything that `other` has.
int32_t adb_version_covers(const adb_version *version,
                           const adb_version *other,
                           bool *covers,
                           ew_error **err);

// How many letters and deletions of a copy were seen.
int32_t adb_version_seen(const adb_version *version,
                         uint64_t replica,
                         uint32_t *inserted,
                         uint32_t *deleted,
                         ew_error **err);

// Frees a version. NULL is fine.
void adb_version_free(adb_version *version);

// Documents in an order and at most so many, as a JSON array. `options` may be NULL: all, by id.
int32_t adb_find(const adb_store *store,
                 ew_str schema,
                 const adb_find_options *options,
                 ew_buffer **json,
                 ew_error **err);

// How many documents adb_find would find, and how it would ("index battery (1 ranges), first 50"), as JSON: {count,
// plan}.
int32_t adb_explain(const adb_store *store,
                    ew_str schema,
                    const adb_find_options *options,
                    ew_buffer **json,
                    ew_error **err);

// Up to `limit` ids of documents above `after`, in order, as a JSON array.
int32_t adb_ids(const adb_store *store,
                ew_str after,
                size_t limit,
                ew_buffer **json,
                ew_error **err);

// The number at `field` ("value", "reading.celsius", "" for the payload itself) of the events of one type about a
// document, from a time on and before another, in buckets of so many milliseconds: a JSON array of {start, count, min,
// max, sum, mean, first, last}. Spans without numbers have no bucket.
int32_t adb_series(const adb_store *store,
                   ew_str id,
                   ew_str event_type,
                   ew_str field,
                   int64_t from,
                   int64_t before,
                   uint64_t width_ms,
                   ew_buffer **json,
                   ew_error **err);

// Removes up to `limit` events of a type that are older than `keep_ms` at the transaction's time, the oldest first;
// those that wait for their receiver stay. With `width_ms` not 0 one event a document and bucket stays for the number at
// `field`, which adb_series reads as what it stands for. `expired` and `rolled_up` may be NULL.
int32_t adb_tx_retain(adb_tx *tx,
                      ew_str event_type,
                      uint64_t keep_ms,
                      ew_str field,
                      uint64_t width_ms,
                      size_t limit,
                      size_t *expired,
                      size_t *rolled_up,
                      ew_error **err);

// Watches a store. The filter is JSON: null for everything, {"documents": schema}, {"events": type}, and with either or
// alone "id" (of one document) and "matching" (a query that documents satisfy). The caller frees it with
// adb_watch_free.
int32_t adb_watch_new(const adb_store *store,
                      ew_str filter,
                      adb_watch **watch,
                      ew_error **err);

// Ends a watch and frees it. NULL is fine.
void adb_watch_free(adb_watch *watch);

// The next notice, waiting for at most so many milliseconds, as JSON: {"document": {id, schema, state}} or {"event": …},
// null for none.
int32_t adb_watch_next(adb_watch *watch,
                       uint64_t wait_ms,
                       ew_buffer **json,
                       ew_error **err);

// How many notices were given up because too many waited.
int32_t adb_watch_missed(const adb_watch *watch, uint64_t *missed, ew_error **err);

// An endpoint over a store, which may be used and freed as before; its file stays open until both are freed. `options` may
// be NULL: a device. The caller frees it with adb_endpoint_free.
int32_t adb_endpoint_new(const adb_store *store,
                         const adb_sync_options *options,
                         adb_endpoint **endpoint,
                         ew_error **err);

// Frees an endpoint. NULL is fine.
void adb_endpoint_free(adb_endpoint *endpoint);

// Which replicas an endpoint speaks with, also on links that are up: the accepted ones (all for NULL), but never a
// revoked one.
int32_t adb_endpoint_set_peers(adb_endpoint *endpoint,
                               const uint64_t *accepted,
                               size_t accepted_count,
                               const uint64_t *revoked,
                               size_t revoked_count,
                               ew_error **err);

// Notes how many links are up, a few times a minute; the store appends an event when the last one went, after `alert_ms`
// without one, and when one is back. `json` is the change, {"change": name}, or null.
int32_t adb_endpoint_note_links(adb_endpoint *endpoint,
                                size_t links,
                                uint64_t alert_ms,
                                int64_t now,
                                ew_buffer **json,
                                ew_error **err);

// Whether the store works alone, as far as adb_endpoint_note_links was told.
int32_t adb_endpoint_is_degraded(const adb_endpoint *endpoint, bool *degraded, ew_error **err);

// A session of an endpoint that has not said anything yet; `toward` is ADB_TOWARD_…. The caller frees it with
// adb_session_free.
int32_t adb_session_new(adb_endpoint *endpoint,
                        int32_t toward,
                        int64_t now,
                        adb_session **session,
                        ew_error **err);

// Frees a session. NULL is fine.
void adb_session_free(adb_session *session);

// The next frame to send; `frame` is set to NULL when there is nothing to say now. Ask until then, a few times a second
// or after each change of the store. EW_STATE when a peer that greeted did not go on; the session then greets anew.
int32_t adb_session_poll(adb_session *session,
                         adb_endpoint *endpoint,
                         int64_t now,
                         ew_buffer **frame,
                         ew_error **err);

// Takes a frame that came. Frames may be lost, come twice or in another order. After an error nothing of the frame was
// kept; `ends_link` (may be NULL, written in any case) tells whether the link is over too.
int32_t adb_session_receive(adb_session *session,
                            adb_endpoint *endpoint,
                            ew_bytes frame,
                            int64_t now,
                            bool *ends_link,
                            ew_error **err);

// Forgets the link, as when a connection broke: the next frame greets anew.
int32_t adb_session_reset(adb_session *session,
                          adb_endpoint *endpoint,
                          int64_t now,
                          ew_error **err);

// How far a link has come (ADB_PHASE_…; from ADB_PHASE_STATE on the link is up), the peer's replica (0 before it is
// known), and whether it has acknowledged everything that is meant for it. Each place may be NULL.
int32_t adb_session_state(const adb_session *session,
                          const adb_endpoint *endpoint,
                          int32_t *phase,
                          uint64_t *peer,
                          bool *idle,
                          ew_error **err);

// What a session has done, as JSON: frames and bytes, offers, documents and events, sent and received.
int32_t adb_session_stats(const adb_session *session,
                          ew_buffer **json,
                          ew_error **err);

// An engine over a journal in a SQLite file, or in memory for {NULL, 0}. Register actions, deploy, then go on:
// runs of an earlier process continue. The caller frees it with fc_engine_free.
int32_t fc_engine_new(ew_str path,
                      fc_engine **engine,
                      ew_error **err);

// Closes the journal and frees the engine. NULL is fine.
void fc_engine_free(fc_engine *engine);

// Writes to the application's state in the transaction of the step: a JSON body at a key of a collection. The
// step's workflow must have `durability: step`.
int32_t fc_reply_write(ew_reply *reply,
                       ew_str collection,
                       ew_str key,
                       ew_str body,
                       ew_error **err);

// Registers an action under the name that steps use. `user` must live as long as the engine.
int32_t fc_action(fc_engine *engine, ew_str name, fc_action_fn action, void *user, ew_error **err);

// Registers an action whose work is done elsewhere: fc_next hands its calls out, fc_complete or fc_fail ends them.
int32_t fc_action_external(fc_engine *engine,
                           ew_str name,
                           ew_error **err);

// Deploys a workflow from YAML. `hash` (may be NULL) is its definition's, as text.
int32_t fc_deploy_yaml(fc_engine *engine, ew_str text, ew_buffer **hash, ew_error **err);

// Deploys a workflow from JSON of the same shape.
int32_t fc_deploy_json(fc_engine *engine, ew_str text, ew_buffer **hash, ew_error **err);

// Starts every workflow that an event triggers; `run` (may be NULL) is the last one's number. The same key gives the
// same run; {NULL, 0} for none. Times are milliseconds
// since the Unix epoch.
int32_t fc_trigger(fc_engine *engine,
                   ew_str event,
                   ew_str key,
                   ew_str input,
                   int64_t now,
                   uint64_t *run,
                   ew_error **err);

// Starts a workflow by name. The same key gives the same run; {NULL, 0} for none.
int32_t fc_start(fc_engine *engine,
                 ew_str workflow,
                 ew_str key,
                 ew_str input,
                 int64_t now,
                 uint64_t *run,
                 ew_error **err);

// Hands an event to one run that waits for it.
int32_t fc_signal(fc_engine *engine,
                  uint64_t run,
                  ew_str name,
                  ew_str key,
                  ew_str data,
                  int64_t now,
                  ew_error **err);

// Hands an event to all runs that wait for it now; `reached` (may be NULL) is how many did.
int32_t fc_publish(fc_engine *engine,
                   ew_str name,
                   ew_str key,
                   ew_str data,
                   int64_t now,
                   size_t *reached,
                   ew_error **err);

// Runs what can go on at `now`, calling actions; `executed` (may be NULL) is how many ran.
int32_t fc_run_until_idle(fc_engine *engine, int64_t now, uint64_t *executed, ew_error **err);

// Runs by the system's clock, sleeping through pauses, until the run ended or waits for an event; `json` (may be NULL)
// describes it as fc_status does.
int32_t fc_run_until_ended(fc_engine *engine,
                           uint64_t run,
                           ew_buffer **json,
                           ew_error **err);

// What actions wrote last at a key of a collection, as JSON. EW_NOT_FOUND if nothing.
int32_t fc_state(const fc_engine *engine,
                 ew_str collection,
                 ew_str key,
                 ew_buffer **json,
                 ew_error **err);

// Where a run stands, as JSON: id, workflow, definition, status, started_at, and what is known of ended_at, output,
// failure, key.
int32_t fc_status(const fc_engine *engine,
                  uint64_t run,
                  ew_buffer **json,
                  ew_error **err);

// The steps of a live run as a JSON array: path, status, attempts, output, deadline.
int32_t fc_steps(const fc_engine *engine, uint64_t run, ew_buffer **json, ew_error **err);

// Runs that have not ended, as a JSON array of what fc_status tells.
int32_t fc_live_runs(const fc_engine *engine, ew_buffer **json, ew_error **err);

// Up to `limit` runs that ended, with numbers above `after`.
int32_t fc_ended_runs(const fc_engine *engine,
                      uint64_t after,
                      size_t limit,
                      ew_buffer **json,
                      ew_error **err);

// When the engine wants to be run again, in milliseconds since the Unix epoch; INT64_MAX for not by itself. `busy` is
// whether something can go on now. Either may be NULL.
int32_t fc_next_wake(const fc_engine *engine,
                     int64_t *at,
                     bool *busy,
                     ew_error **err);

// How many results came for calls that nobody waited for any more.
int32_t fc_stale_results(const fc_engine *engine, uint64_t *count, ew_error **err);

// Reads the journal and takes up the runs of an earlier process. Other calls do it by themselves when it was not done.
int32_t fc_recover(fc_engine *engine,
                   int64_t now,
                   ew_error **err);

// A person's answer to an approval step (its path): FC_APPROVED or FC_REJECTED, by whom, and a note or {NULL, 0}.
int32_t fc_decide(fc_engine *engine,
                  uint64_t run,
                  ew_str step,
                  int32_t verdict,
                  ew_str by,
                  ew_str note,
                  int64_t now,
                  ew_error **err);

// Cancels a run; its compensations run.
int32_t fc_cancel(fc_engine *engine, uint64_t run, ew_str reason, int64_t now, ew_error **err);

// Parks a run; what is in work ends, nothing more begins until fc_resume.
int32_t fc_pause(fc_engine *engine, uint64_t run, ew_str reason, int64_t now, ew_error **err);

// Lets a parked run go on.
int32_t fc_resume(fc_engine *engine, uint64_t run, int64_t now, ew_error **err);

// Starts a new run that begins at a step (its path) of another, with the results before it; `forked` (may be NULL) is
// its number.
int32_t fc_fork(fc_engine *engine,
                uint64_t run,
                ew_str step,
                int64_t now,
                uint64_t *forked,
                ew_error **err);

// Says whether a link that steps require (`requires: cloud`) is up (1) or down (0).
int32_t fc_set_link(fc_engine *engine, ew_str name, int32_t up, ew_error **err);

// The next thing to do at `now`: FC_… in `what`, and for FC_EXECUTE and FC_CANCEL the call, which the caller frees.
int32_t fc_next(fc_engine *engine,
                int64_t now,
                int32_t *what,
                fc_call **call,
                ew_error **err);

// Describes a call as JSON, as an action gets it; only its run for one that is cancelled.
int32_t fc_call_json(const fc_call *call, ew_buffer **json, ew_error **err);

// Whether two handles are of one call: which of those in work an FC_CANCEL means.
int32_t fc_call_same(const fc_call *a, const fc_call *b, bool *same, ew_error **err);

// Frees a call. NULL is fine.
void fc_call_free(fc_call *call);

// Ends a call well, with JSON output.
int32_t fc_complete(fc_engine *engine,
                    const fc_call *call,
                    ew_str output,
                    int64_t now,
                    ew_error **err);

// Ends a call with a failure: a name that rules match, and a message.
int32_t fc_fail(fc_engine *engine,
                const fc_call *call,
                ew_str name,
                ew_str message,
                int64_t now,
                ew_error **err);

// Calls the registered action of a call and ends the call with its answer. EW_INVALID for an external action.
int32_t fc_perform(fc_engine *engine,
                   const fc_call *call,
                   int64_t now,
                   ew_error **err);

// Deploys a version, from YAML, without making it the active one; the first version of a name is active in any case.
// `hash` (may be NULL) is its definition's, as text.
int32_t fc_deploy_standby(fc_engine *engine,
                          ew_str text,
                          ew_buffer **hash,
                          ew_error **err);

// Makes a deployed version the active one: later triggers start it, live runs keep theirs.
int32_t fc_activate(fc_engine *engine, ew_str hash, int64_t now, ew_error **err);

// Makes the version before the active one the active one again; `hash` (may be NULL) is its definition's.
int32_t fc_rollback(fc_engine *engine,
                    ew_str workflow,
                    int64_t now,
                    ew_buffer **hash,
                    ew_error **err);

// The hash of the version that triggers start now. EW_NOT_FOUND for a workflow that was not deployed.
int32_t fc_active_version(const fc_engine *engine,
                          ew_str workflow,
                          ew_buffer **hash,
                          ew_error **err);

// The definition of a workflow's active version, as JSON.
int32_t fc_workflow(const fc_engine *engine, ew_str workflow, ew_buffer **json, ew_error **err);

// Whether a live run could go on under another version (YAML): everything in its log must mean the same there. JSON:
// {"possible": true}, or {"possible": false, "record": …, "reason": …}.
int32_t fc_check_upgrade(fc_engine *engine,
                         uint64_t run,
                         ew_str text,
                         ew_buffer **json,
                         ew_error **err);

// Moves a live run to another deployed version of its workflow. EW_STATE with the obstacle when it cannot move.
int32_t fc_upgrade(fc_engine *engine,
                   uint64_t run,
                   ew_str hash,
                   int64_t now,
                   ew_error **err);

// Sets what an engine keeps and may use, before the first workflow is deployed.
int32_t fc_limit(fc_engine *engine, const fc_limits *limits, ew_error **err);

// Sets how much a tenant may use from now on: live runs, actions at work at once, starts a minute; UINT64_MAX for no
// limit. Tenants without a quota are unlimited.
int32_t fc_quota(fc_engine *engine,
                 ew_str tenant,
                 uint64_t live_runs_max,
                 uint64_t running_steps_max,
                 uint64_t starts_per_minute_max,
                 ew_error **err);

// fc_start for a tenant. EW_LIMIT when its quota does not allow it now.
int32_t fc_start_for(fc_engine *engine,
                     ew_str tenant,
                     ew_str workflow,
                     ew_str key,
                     ew_str input,
                     int64_t now,
                     uint64_t *run,
                     ew_error **err);

// Claims the journal under the name of an owner; `epoch` (may be NULL) is the fencing number. Running renews the lease
// by itself. EW_SYSTEM while another owner's lease runs.
int32_t fc_lease(fc_engine *engine,
                 ew_str owner,
                 uint64_t ttl_ms,
                 int64_t now,
                 uint64_t *epoch,
                 ew_error **err);

// Removes up to `limit` runs that ended before a time, the oldest numbers first, with their logs and keys; `forgotten`
// (may be NULL) is how many. Without it the journal keeps them for ever.
int32_t fc_forget_ended(fc_engine *engine,
                        int64_t before,
                        size_t limit,
                        size_t *forgotten,
                        ew_error **err);

// Up to `limit` entries of the audit log from a number on, as a JSON array of {number, at, act, run, note}.
int32_t fc_audit_log(const fc_engine *engine,
                     uint64_t from,
                     size_t limit,
                     ew_buffer **json,
                     ew_error **err);

// How long each step took, as a JSON array of {workflow, definition, step, count, failures, p50_ms, p95_ms, p99_ms,
// max_ms}; empty unless fc_limits.measure is 1.
int32_t fc_latencies(const fc_engine *engine,
                     ew_buffer **json,
                     ew_error **err);

// How many calls wait, as JSON: offline (a link is down), budget (it is used up), quota (the tenant's).
int32_t fc_held(const fc_engine *engine,
                ew_buffer **json,
                ew_error **err);

// Hands the calls of steps that belong on a tier (by their `latency`) to this function instead of the action of their
// name. `user` must live as long as the engine.
int32_t fc_place(fc_engine *engine,
                 int32_t tier,
                 fc_action_fn action,
                 void *user,
                 ew_error **err);

// Calls `listener` for every change, in order, after the commit that made it durable. `user` must live as long as the
// engine.
int32_t fc_progress(fc_engine *engine,
                    fc_progress_fn listener,
                    void *user,
                    ew_error **err);

// Packs one to three prompts (the texts of their files) with a checksum.
int32_t po_bundle_pack(const ew_str *prompts, size_t count, ew_buffer **bytes, ew_error **err);

// Checks a bundle and tells which prompt it has for a tier, as the text of its file. EW_NOT_FOUND if none.
int32_t po_bundle_prompt(ew_bytes bundle,
                         int32_t tier,
                         ew_buffer **json,
                         ew_error **err);

// Swaps in every prompt of a bundle, all at once or none; `swapped` (may be NULL) is how many.
int32_t po_import(const po_set *set, ew_bytes bundle, size_t *swapped, ew_error **err);

// An empty place for a choice.
int32_t po_choice_new(po_choice **choice, ew_error **err);

// Frees a choice. NULL is fine.
void po_choice_free(po_choice *choice);

// Reads a choice. Allocates nothing.
int32_t po_choice_get(const po_choice *choice, po_chosen *chosen, ew_error **err);

// The rule that won with its condition, for people.
int32_t po_choice_reason(const po_choice *choice, ew_buffer **text, ew_error **err);

// The chosen prompt, as the text of its file.
int32_t po_choice_prompt(const po_choice *choice, ew_buffer **json, ew_error **err);

// Writes the prompt with its inputs in place to `text`, without a NUL. `len` is its length in bytes; EW_TOO_SMALL when
// there is less room: then only `len` is written. Allocates nothing once it has rendered a prompt as long.
int32_t po_choice_render(po_choice *choice,
                         const ew_str *names,
                         const ew_str *texts,
                         size_t count,
                         uint8_t *text,
                         size_t room,
                         size_t *len,
                         ew_error **err);

// The options whose log-probabilities po_choice_decide takes, in order, as a JSON array. EW_NOT_FOUND for a prompt
// without a decision rule.
int32_t po_choice_options(const po_choice *choice,
                          ew_buffer **json,
                          ew_error **err);

// The label that log-probabilities of the options decide for. `label` lives as long as the choice is not filled
// again; `confidence` may be NULL.
int32_t po_choice_decide(const po_choice *choice,
                         const double *log_probs,
                         size_t count,
                         ew_str *label,
                         double *confidence,
                         ew_error **err);

// Gives a newer version of a prompt (the text of its file) to a share of the keys of po_select. `options` may be NULL.
int32_t po_experiment_start(const po_set *set,
                            ew_str candidate,
                            const po_experiment_options *options,
                            ew_error **err);

// The state of a tier's experiment as JSON: tier, candidate, share, candidate_outcomes and running_outcomes ([judged,
// right]), evidence, rollback (null, or a cause). EW_NOT_FOUND without one.
int32_t po_experiment_status(const po_set *set,
                             int32_t tier,
                             ew_buffer **json,
                             ew_error **err);

// Ends a tier's experiment with PO_PROMOTE or PO_DISCARD; `version` (may be NULL) is what runs now.
int32_t po_experiment_end(const po_set *set,
                          int32_t tier,
                          int32_t end,
                          uint32_t *version,
                          ew_error **err);

// Reads prompt_ultra.json, prompt_fast.json, prompt_quality.json and, if there, policy.json of a folder.
int32_t po_set_load(ew_str folder,
                    po_set **set,
                    ew_error **err);

// A set from the texts of three prompt files, one of each tier, and of a policy ({NULL, 0} for the built-in one).
int32_t po_set_new(const ew_str *prompts,
                   size_t count,
                   ew_str policy,
                   po_set **set,
                   ew_error **err);

// Frees a set; choices of it stay valid. NULL is fine.
void po_set_free(po_set *set);

// Sets the defaults: on mains, ten seconds, nothing special, no link, idle. NULL is ignored.
void po_context_init(po_context *context);

// Chooses a prompt into `choice` (from po_choice_new), in the place of what it held. `key` decides which version of an
// experiment; {NULL, 0} for the running one. `context` may be NULL for the defaults. Allocates nothing.
int32_t po_select(const po_set *set,
                  const po_context *context,
                  ew_bytes key,
                  po_choice *choice,
                  ew_error **err);

// Tells what came of a choice: what the model answered, microseconds it took, PO_FEEDBACK_…, and when (milliseconds
// since the Unix epoch).
int32_t po_record(const po_set *set,
                  const po_choice *choice,
                  ew_str output,
                  uint64_t latency_us,
                  int32_t feedback,
                  int64_t at,
                  ew_error **err);

// Takes the outcomes out of the log as a JSON array of {tier, version, rule, propensity, output, latency_ms, feedback, at}.
int32_t po_drain_outcomes(const po_set *set,
                          ew_buffer **json,
                          ew_error **err);

// Reads the counters of the log of outcomes.
int32_t po_set_outcome_stats(const po_set *set, po_outcome_stats *stats, ew_error **err);

// The running prompt of a tier, as the text of its file.
int32_t po_running(const po_set *set, int32_t tier, ew_buffer **json, ew_error **err);

// The policy, as the text of its file.
int32_t po_policy(const po_set *set, ew_buffer **json, ew_error **err);

// Puts a newer version of a prompt (the text of its file) in the place of the running one. `replaced` (may be NULL) is
// the version that it replaced.
int32_t po_swap(const po_set *set,
                ew_str prompt,
                uint32_t *replaced,
                ew_error **err);

// Takes the version before the last swap back; `version` (may be NULL) is what runs now. EW_STATE without one.
int32_t po_rollback(const po_set *set,
                    int32_t tier,
                    uint32_t *version,
                    ew_error **err);

// Reads prompt_ultra.json, prompt_fast.json, prompt_quality.json and, if there, policy.json of a folder.
int32_t po_set_load(ew_str folder,
                    po_set **set,
                    ew_error **err);

// A set from the texts of three prompt files, one of each tier, and of a policy ({NULL, 0} for the built-in one).
int32_t po_set_new(const ew_str *prompts,
                   size_t count,
                   ew_str policy,
                   po_set **set,
                   ew_error **err);

// Frees a set; choices of it stay valid. NULL is fine.
void po_set_free(po_set *set);

// Sets the defaults: on mains, ten seconds, nothing special, no link, idle. NULL is ignored.
void po_context_init(po_context *context);

// Chooses a prompt into `choice` (from po_choice_new), in the place of what it held. `key` decides which version of an
// experiment; {NULL, 0} for the running one. `context` may be NULL for the defaults. Allocates nothing.
int32_t po_select(const po_set *set,
                  const po_context *context,
                  ew_bytes key,
                  po_choice *choice,
                  ew_error **err);

// Tells what came of a choice: what the model answered, microseconds it took, PO_FEEDBACK_…, and when (milliseconds
// since the Unix epoch).
int32_t po_record(const po_set *set,
                  const po_choice *choice,
                  ew_str output,
                  uint64_t latency_us,
                  int32_t feedback,
                  int64_t at,
                  ew_error **err);

// Takes the outcomes out of the log as a JSON array of {tier, version, rule, propensity, output, latency_ms, feedback, at}.
int32_t po_drain_outcomes(const po_set *set,
                          ew_buffer **json,
                          ew_error **err);

// Reads the counters of the log of outcomes.
int32_t po_set_outcome_stats(const po_set *set, po_outcome_stats *stats, ew_error **err);

// The running prompt of a tier, as the text of its file.
int32_t po_running(const po_set *set, int32_t tier, ew_buffer **json, ew_error **err);

// The policy, as the text of its file.
int32_t po_policy(const po_set *set, ew_buffer **json, ew_error **err);

// Puts a newer version of a prompt (the text of its file) in the place of the running one. `replaced` (may be NULL) is
// the version that it replaced.
int32_t po_swap(const po_set *set,
                ew_str prompt,
                uint32_t *replaced,
                ew_error **err);

// Takes the version before the last swap back; `version` (may be NULL) is what runs now. EW_STATE without one.
int32_t po_rollback(const po_set *set,
                    int32_t tier,
                    uint32_t *version,
                    ew_error **err);

// An empty place for a choice.
int32_t po_choice_new(po_choice **choice, ew_error **err);

// Frees a choice. NULL is fine.
void po_choice_free(po_choice *choice);

// Reads a choice. Allocates nothing.
int32_t po_choice_get(const po_choice *choice, po_chosen *chosen, ew_error **err);

// The rule that won with its condition, for people.
int32_t po_choice_reason(const po_choice *choice, ew_buffer **text, ew_error **err);

// The chosen prompt, as the text of its file.
int32_t po_choice_prompt(const po_choice *choice, ew_buffer **json, ew_error **err);

// Writes the prompt with its inputs in place to `text`, without a NUL. `len` is its length in bytes; EW_TOO_SMALL when
// there is less room: then only `len` is written. Allocates nothing once it has rendered a prompt as long.
int32_t po_choice_render(po_choice *choice,
                         const ew_str *names,
                         const ew_str *texts,
                         size_t count,
                         uint8_t *text,
                         size_t room,
                         size_t *len,
                         ew_error **err);

// The options whose log-probabilities po_choice_decide takes, in order, as a JSON array. EW_NOT_FOUND for a prompt
// without a decision rule.
int32_t po_choice_options(const po_choice *choice,
                          ew_buffer **json,
                          ew_error **err);

// The label that log-probabilities of the options decide for. `label` lives as long as the choice is not filled
// again; `confidence` may be NULL.
int32_t po_choice_decide(const po_choice *choice,
                         const double *log_probs,
                         size_t count,
                         ew_str *label,
                         double *confidence,
                         ew_error **err);

// Gives a newer version of a prompt (the text of its file) to a share of the keys of po_select. `options` may be NULL.
int32_t po_experiment_start(const po_set *set,
                            ew_str candidate,
                            const po_experiment_options *options,
                            ew_error **err);

// The state of a tier's experiment as JSON: tier, candidate, share, candidate_outcomes and running_outcomes ([judged,
// right]), evidence, rollback (null, or a cause). EW_NOT_FOUND without one.
int32_t po_experiment_status(const po_set *set,
                             int32_t tier,
                             ew_buffer **json,
                             ew_error **err);

// Ends a tier's experiment with PO_PROMOTE or PO_DISCARD; `version` (may be NULL) is what runs now.
int32_t po_experiment_end(const po_set *set,
                          int32_t tier,
                          int32_t end,
                          uint32_t *version,
                          ew_error **err);

// Packs one to three prompts (the texts of their files) with a checksum.
int32_t po_bundle_pack(const ew_str *prompts, size_t count, ew_buffer **bytes, ew_error **err);

// Checks a bundle and tells which prompt it has for a tier, as the text of its file. EW_NOT_FOUND if none.
int32_t po_bundle_prompt(ew_bytes bundle,
                         int32_t tier,
                         ew_buffer **json,
                         ew_error **err);

// Swaps in every prompt of a bundle, all at once or none; `swapped` (may be NULL) is how many.
int32_t po_import(const po_set *set, ew_bytes bundle, size_t *swapped, ew_error **err);

// Builds an engine. The caller frees it with ms_engine_free.
int32_t ms_engine_new(const ms_options *options, ms_engine **engine, ew_error **err);

// Frees an engine. NULL is fine.
void ms_engine_free(ms_engine *engine);

// Gives an event to the rules: its source, an id that no other event has, its time in milliseconds since the Unix
// epoch, and its fields (the others are missing). What the rules tell is added to `outputs`.
int32_t ms_push(ms_engine *engine,
                ew_str source,
                ew_str id,
                int64_t at,
                const ms_value *values,
                size_t count,
                ms_outputs *outputs,
                ew_error **err);

// Gives rows of one source to the rules: a time each, and a column for each of the source's fields in order. The id of
// row i is `name`/i.
int32_t ms_push_batch(ms_engine *engine,
                      ew_str source,
                      ew_str name,
                      const int64_t *at,
                      size_t rows,
                      const ms_column *columns,
                      size_t column_count,
                      ms_outputs *outputs,
                      ew_error **err);

// Says that no event before `watermark` will come, and adds what the rules tell by then.
int32_t ms_advance_to(ms_engine *engine, int64_t watermark, ms_outputs *outputs, ew_error **err);

// Says that nothing more will come, and adds what the rules tell at the end.
int32_t ms_finish(ms_engine *engine, ms_outputs *outputs, ew_error **err);

// The time before which no event is taken; INT64_MIN before the first.
int32_t ms_watermark(const ms_engine *engine, int64_t *watermark, ew_error **err);

// Counters as JSON, with events_in = events_out + the sum of dropped + held.
int32_t ms_metrics(const ms_engine *engine, ew_buffer **json, ew_error **err);

// An empty list.
int32_t ms_outputs_new(ms_outputs **outputs, ew_error **err);

// Frees a list. NULL is fine.
void ms_outputs_free(ms_outputs *outputs);

// Empties a list.
int32_t ms_outputs_clear(ms_outputs *outputs, ew_error **err);

// How many outputs there are; 0 for what is no list.
size_t ms_outputs_len(const ms_outputs *outputs);

// Reads the output at a place, from 0.
int32_t ms_outputs_get(const ms_outputs *outputs, size_t place, ms_output *output, ew_error **err);

// The output at a place as JSON: rule, id, key, first, last, found.
int32_t ms_outputs_json(const ms_outputs *outputs, size_t place, ew_buffer **json, ew_error **err);

// Learns so many fields for so many milliseconds from the first value on.
int32_t ms_standardizer_new(size_t fields,
                            uint64_t first_ms,
                            ms_standardizer **standardizer,
                            ew_error **err);

// Frees a standardizer. NULL is fine.
void ms_standardizer_free(ms_standardizer *standardizer);

// Takes the values of one time, one a field (NaN for a missing one), and writes them in standard deviations to
// `standard`; NaN while a field is learnt, where it is missing, and where it did not vary.
int32_t ms_standardizer_push(ms_standardizer *standardizer,
                             int64_t at,
                             const double *values,
                             size_t count,
                             double *standard,
                             ew_error **err);

// Adds one rule, which sees the events from now on.
int32_t ms_rule_add(ms_engine *engine, const ms_rules *rule, ew_error **err);

// Puts a rule in the place of that of its name. `kept` (may be NULL) tells whether it goes on from what that one held:
// where only thresholds, limits, or when it tells differ. EW_NOT_FOUND without a rule of the name.
int32_t ms_rule_replace(ms_engine *engine,
                        const ms_rules *rule,
                        bool *kept,
                        ew_error **err);

// Takes a rule out, with what it holds. EW_NOT_FOUND without it.
int32_t ms_rule_remove(ms_engine *engine, ew_str name, ew_error **err);

// The counters of each rule, in order, as a JSON array of {rule, events, matched, outputs, keys, partial_matches,
// state_bytes, dropped, expired}. Writes what windows hold as a snapshot does.
int32_t ms_rule_metrics(const ms_engine *engine,
                        ew_buffer **json,
                        ew_error **err);

// The late events that were kept (ms_options.late_kept), in order of arrival, as a JSON array of {source, id, at}; they
// are kept no longer.
int32_t ms_take_late(ms_engine *engine,
                     ew_buffer **json,
                     ew_error **err);

// Everything that an engine holds, for ms_engine_restore.
int32_t ms_snapshot(const ms_engine *engine, ew_buffer **bytes, ew_error **err);

// Builds an engine that goes on from an ms_snapshot of one with the same sources. EW_CORRUPT for bytes that are none.
int32_t ms_engine_restore(const ms_options *options,
                          ew_bytes snapshot,
                          ms_engine **engine,
                          ew_error **err);

// Writes a row that counts from a time on; one of the same key and time is replaced.
int32_t ms_table_put(ms_engine *engine,
                     ew_str table,
                     int64_t at,
                     const ms_value *values,
                     size_t count,
                     ew_error **err);

// How many rows a table has, over all versions.
int32_t ms_table_len(ms_engine *engine, ew_str table, size_t *rows, ew_error **err);

// Sets the defaults. NULL is ignored.
void ms_agent_options_init(ms_agent_options *options);

// Makes an agent with all the memory that it will need. `options` may be NULL. The caller frees it with
// ms_agent_free.
int32_t ms_agent_new(const ms_agent_options *options,
                     ms_agent **agent,
                     ew_error **err);

// Frees an agent; samples in hand that ms_agent_flush was not called for are gone. NULL is fine.
void ms_agent_free(ms_agent *agent);

// Takes a sample. A value that is no number is counted and left out. `batch` has room for MS_BATCH_BYTES_MAX bytes
// (EW_TOO_SMALL otherwise, and the sample is not taken). Allocates nothing.
int32_t ms_agent_push(ms_agent *agent,
                      int64_t at,
                      float value,
                      ms_emitted *emitted,
                      uint8_t *batch,
                      size_t room,
                      ew_error **err);

// Writes the batch in hand to `batch`, which has room for MS_BATCH_BYTES_MAX bytes; `len` is 0 when there is none.
int32_t ms_agent_flush(ms_agent *agent,
                       uint8_t *batch,
                       size_t room,
                       size_t *len,
                       ew_error **err);

// The counters of an agent.
int32_t ms_agent_stats(const ms_agent *agent, ms_agent_counters *counters, ew_error **err);

// The newest samples as they came, at most `room` of them, the oldest first; `count` is how many were written.
int32_t ms_agent_ring(const ms_agent *agent,
                      int64_t *at,
                      float *values,
                      size_t room,
                      size_t *count,
                      ew_error **err);

// Reads a batch that an agent wrote, into arrays with room for MS_BATCH_SAMPLES_MAX each. `channel` and `number` (its
// place among the channel's batches) may be NULL. EW_CORRUPT for anything that no agent has written.
int32_t ms_batch_decode(ew_bytes batch,
                        int64_t *at,
                        float *values,
                        size_t room,
                        size_t *count,
                        uint16_t *channel,
                        uint32_t *number,
                        ew_error **err);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* EDGEWEAVE_H */
