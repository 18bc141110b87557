//! The schema that ships is the one that the types give.
#![cfg(feature = "schema")]

#[test]
fn the_shipped_schema_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/workflow.schema.json");
    let generated = format!("{:#}\n", flowcore::definition::json_schema());
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(path, &generated).unwrap();
    }
    let shipped = std::fs::read_to_string(path).unwrap();
    assert!(
        shipped == generated,
        "run this test with UPDATE_SCHEMA=1 and commit workflow.schema.json"
    );
}
