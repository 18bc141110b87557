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
