/* Errors, handles and pointers: what is wrong is told, nothing is written, nothing breaks. */
#include "check.h"

static void versions_and_statuses(void) {
    int32_t status;
    CHECK(ew_abi_version() == EW_ABI_VERSION);
    CHECK(strchr(ew_version(), '.') != NULL);
    for (status = EW_OK; status <= EW_PANIC; status++) CHECK(strcmp(ew_status_str(status), "unknown status") != 0);
    CHECK(strcmp(ew_status_str(-1), "unknown status") == 0);
    CHECK(strcmp(ew_status_str(EW_PANIC + 1), "unknown status") == 0);
}

static void null_is_told_and_freed_without_harm(void) {
    rv_index *index = NULL;
    FAILS(EW_NULL, rv_index_open(S("x"), NULL, &err));
    FAILS(EW_NULL, rv_index_build(NULL, &index, &err));
    FAILS(EW_NULL, rv_index_flush(NULL, &err));
    CHECK(index == NULL);
    CHECK(rv_index_flush(NULL, NULL) == EW_NULL);
    CHECK(rv_index_len(NULL) == 0 && ew_buffer_len(NULL) == 0 && ms_outputs_len(NULL) == 0);
    CHECK(ew_buffer_data(NULL)[0] == '\0' && ew_error_message(NULL)[0] == '\0');
    rv_index_free(NULL);
    adb_store_free(NULL);
    adb_tx_rollback(NULL);
    fc_engine_free(NULL);
    po_set_free(NULL);
    ms_engine_free(NULL);
    ew_error_free(NULL);
    ew_buffer_free(NULL);
}

static void a_handle_of_another_kind_is_refused(void) {
    ms_outputs *outputs = NULL;
    po_choice *choice = NULL;
    ew_buffer *reason = NULL;
    OK(ms_outputs_new(&outputs, &err));
    OK(po_choice_new(&choice, &err));
    FAILS(EW_BAD_HANDLE, ms_outputs_clear((ms_outputs *)choice, &err));
    FAILS(EW_BAD_HANDLE, rv_index_flush((const rv_index *)outputs, &err));
    FAILS(EW_BAD_HANDLE, rv_index_flush((const rv_index *)(uintptr_t)42, &err));
    FAILS(EW_BAD_HANDLE, rv_index_flush((const rv_index *)((const char *)outputs + 1), &err));
    ms_outputs_free((ms_outputs *)choice); /* not freed: it is none */
    FAILS(EW_STATE, po_choice_reason(choice, &reason, &err));
    ms_outputs_free(outputs);
    po_choice_free(choice);
}

static void texts_and_lengths_are_checked(void) {
    rv_filter *filter = NULL;
    ew_str text;
    text.ptr = "\xff\xfe";
    text.len = 2;
    FAILS(EW_BAD_TEXT, rv_filter_parse(text, &filter, &err));
    text.len = (size_t)-1;
    FAILS(EW_LIMIT, rv_filter_parse(text, &filter, &err));
    text.len = (size_t)EW_BYTES_MAX + 1;
    FAILS(EW_LIMIT, rv_filter_parse(text, &filter, &err));
    text.ptr = NULL;
    text.len = 5;
    FAILS(EW_NULL, rv_filter_parse(text, &filter, &err));
    FAILS(EW_INVALID, rv_filter_parse(S("age <"), &filter, &err));
    CHECK(filter == NULL);
}

static void options_of_another_size_are_refused(void) {
    rv_options options;
    rv_index *index = NULL;
    rv_options_init(&options, 3);
    options.struct_size = sizeof options + 1;
    FAILS(EW_INVALID, rv_index_build(&options, &index, &err));
    options.struct_size = 1;
    FAILS(EW_INVALID, rv_index_build(&options, &index, &err));
    /* A size that cuts a pointer in two is none that a compiler gave. */
    options.struct_size = offsetof(rv_options, path) + 4;
    FAILS(EW_INVALID, rv_index_build(&options, &index, &err));
    /* An earlier program knows the first fields only. */
    options.struct_size = offsetof(rv_options, links);
    OK(rv_index_build(&options, &index, &err));
    rv_index_free(index);
}

int main(void) {
    versions_and_statuses();
    null_is_told_and_freed_without_harm();
    a_handle_of_another_kind_is_refused();
    texts_and_lengths_are_checked();
    options_of_another_size_are_refused();
    puts("common: ok");
    return 0;
}
