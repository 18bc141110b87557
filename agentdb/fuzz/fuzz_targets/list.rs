//! Any bytes are a delta of a list, a list, or an error.
#![no_main]

use agentdb::ReplicaId;
use agentdb::list::List;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut list = List::new(ReplicaId::new(1));
    list.insert(0, "hello").expect("there is room");
    let _ = list.merge(bytes);
    let end = list.len();
    list.insert(end, "!").expect("there is room");
    let mut copy = List::new(ReplicaId::new(2));
    copy.merge(&list.delta_since(&copy.version())).expect("its own delta");
    assert_eq!(copy.text(), list.text());
    if let Ok(read) = List::decode(ReplicaId::new(3), bytes) {
        assert_eq!(read.text().chars().count(), read.len());
    }
});
