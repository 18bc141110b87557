//! What a session counts.

/// What a session has done. Each frame that came is in exactly one of `frames_taken`, `frames_stale` and
/// `frames_refused`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionStats {
    /// Frames given to the transport, and their bytes.
    pub frames_sent: u64,
    /// Bytes of the frames given to the transport.
    pub bytes_sent: u64,
    /// Frames that were understood.
    pub frames_taken: u64,
    /// Bytes of the frames that came.
    pub bytes_received: u64,
    /// Frames of an earlier link of the same two, or answers that came twice.
    pub frames_stale: u64,
    /// Frames that were refused with an error.
    pub frames_refused: u64,
    /// Documents offered by their digests.
    pub offers_sent: u64,
    /// Documents left out because what the peer lacks of them fits no frame, or because it refused them.
    pub documents_left_out: u64,
    /// Deltas sent.
    pub documents_sent: u64,
    /// Deltas taken and committed.
    pub documents_received: u64,
    /// Events sent, those sent again included.
    pub events_sent: u64,
    /// Events taken and committed.
    pub events_received: u64,
    /// Events that came and were here already.
    pub events_known: u64,
    /// Batches of events that broke off and were rolled back.
    pub batches_rolled_back: u64,
    /// Documents that stayed different from the peer's after both had sent all they have: a bug, or a dot that
    /// was used twice.
    pub documents_unmended: u64,
    /// Comparisons that found a difference, which was then looked for.
    pub differences: u64,
}
