//! An engine: its sources and rules, events and columns in, outputs out.

use std::sync::Arc;
use std::time::Duration;

use midstream::{
    Batch, Column, Engine, EngineBuilder, FieldType, Schema, Timestamp, Value, Watermarks,
};

use super::outputs::ms_outputs;
use super::raise;
use super::table::{ms_table, table};
use crate::bytes::{Out, ew_buffer, ew_str, json_buffer, options, slice};
use crate::fail::{EW_INVALID, EW_NOT_FOUND, Fail, Result, ew_error, guard};
use crate::handle::{self, Handle};

/// A number (double).
pub const MS_FLOAT: i32 = 0;
/// A whole number (int64_t).
pub const MS_INT: i32 = 1;
/// True or false.
pub const MS_BOOL: i32 = 2;
/// A text.
pub const MS_TEXT: i32 = 3;

/// A field of a source.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ms_field {
    /// Its name.
    pub name: ew_str,
    /// MS_FLOAT, MS_INT, MS_BOOL or MS_TEXT.
    pub kind: i32,
}

/// A source of events.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ms_source {
    /// Its name.
    pub name: ew_str,
    /// Its fields.
    pub fields: *const ms_field,
    /// How many there are.
    pub field_count: usize,
}

/// Rules as text.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ms_rules {
    /// The text.
    pub text: ew_str,
    /// The source of patterns without FROM.
    pub source: ew_str,
    /// The field by which rules without a key of their own are told apart; {NULL, 0} for none.
    pub key: ew_str,
}

/// An engine's plan. Set struct_size to sizeof(ms_options) and what is not needed to 0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ms_options {
    /// sizeof(ms_options).
    pub struct_size: usize,
    /// The sources.
    pub sources: *const ms_source,
    /// How many there are.
    pub source_count: usize,
    /// The rules.
    pub rules: *const ms_rules,
    /// How many texts there are.
    pub rules_count: usize,
    /// How many milliseconds late an event may be; 0 for none.
    pub disorder_ms: u64,
    /// For how many milliseconds ids are remembered; 0 for 600,000.
    pub dedup_ms: u64,
    /// How many milliseconds an event may be ahead of the newest; 0 for a day.
    pub future_ms: u64,
    /// Tables that rules join with and events are enriched from.
    pub tables: *const ms_table,
    /// How many there are.
    pub table_count: usize,
    /// MS_WATERMARK_…: whose newest event the watermark follows.
    pub watermark: i32,
    /// With MS_WATERMARK_BY_KEY the field that names the device.
    pub watermark_key: ew_str,
    /// How many milliseconds behind the newest a source or device may be and is still waited for.
    pub watermark_idle_ms: u64,
    /// How many late events are kept for ms_take_late, the newest; they are counted as dropped all the same.
    pub late_kept: usize,
}

/// The newest event of all.
pub const MS_WATERMARK_ALL: i32 = 0;
/// That of the source that is furthest behind.
pub const MS_WATERMARK_BY_SOURCE: i32 = 1;
/// That of the device that is furthest behind: devices with clocks of their own.
pub const MS_WATERMARK_BY_KEY: i32 = 2;

const DEFAULTS: ms_options = ms_options {
    struct_size: size_of::<ms_options>(),
    sources: std::ptr::null(),
    source_count: 0,
    rules: std::ptr::null(),
    rules_count: 0,
    disorder_ms: 0,
    dedup_ms: 0,
    future_ms: 0,
    tables: std::ptr::null(),
    table_count: 0,
    watermark: MS_WATERMARK_ALL,
    watermark_key: ew_str::NONE,
    watermark_idle_ms: 0,
    late_kept: 0,
};

/// An engine of rules over events. One thread at a time.
pub struct ms_engine {
    _opaque: [u8; 0],
}

pub struct Engaged {
    pub engine: Engine,
    pub schemas: Vec<Schema>,
}

impl Engaged {
    fn schema(&self, source: &str) -> Result<&Schema> {
        let unknown = || Fail::new(EW_NOT_FOUND, format_args!("no source is called `{source}`"));
        self.schemas
            .iter()
            .find(|schema| schema.name() == source)
            .ok_or_else(unknown)
    }
}

impl Handle for ms_engine {
    type Inside = Engaged;
    const KIND: u64 = handle::kind(b"ms_engin");
}

fn field_type(kind: i32) -> Result<FieldType> {
    match kind {
        MS_FLOAT => Ok(FieldType::Float),
        MS_INT => Ok(FieldType::Int),
        MS_BOOL => Ok(FieldType::Bool),
        MS_TEXT => Ok(FieldType::Text),
        other => Err(Fail::new(
            EW_INVALID,
            format_args!("kind is {other}, see MS_FLOAT and the like"),
        )),
    }
}

/// # Safety
/// As the header says.
pub unsafe fn schema(name: ew_str, fields: *const ms_field, count: usize) -> Result<Schema> {
    // SAFETY: the caller's.
    let (name, fields) = unsafe { (name.text("name")?, slice(fields, count, "fields")?) };
    let mut schema = Schema::new(name);
    for field in fields {
        // SAFETY: the caller's.
        schema = schema.field(
            unsafe { field.name.text("field name") }?,
            field_type(field.kind)?,
        );
    }
    Ok(schema)
}

/// The plan of an engine, and its sources.
///
/// # Safety
/// As the header says.
pub unsafe fn plan(options: *const ms_options) -> Result<(EngineBuilder, Vec<Schema>)> {
    if options.is_null() {
        return Err(Fail::null("options"));
    }
    // SAFETY: the caller's.
    let (options, sources, rules, tables) = unsafe {
        let options = self::options(options, DEFAULTS, "options")?;
        (
            options,
            slice(options.sources, options.source_count, "sources")?,
            slice(options.rules, options.rules_count, "rules")?,
            slice(options.tables, options.table_count, "tables")?,
        )
    };
    let mut builder = Engine::builder()
        .disorder(Duration::from_millis(options.disorder_ms))
        .keep_late(options.late_kept);
    if options.dedup_ms != 0 {
        builder = builder.dedup(Duration::from_millis(options.dedup_ms));
    }
    if options.future_ms != 0 {
        builder = builder.future(Duration::from_millis(options.future_ms));
    }
    // SAFETY: the caller's.
    builder = builder.watermarks(unsafe { watermarks(&options) }?);
    let mut schemas = Vec::new();
    for source in sources {
        // SAFETY: the caller's.
        let schema = unsafe { schema(source.name, source.fields, source.field_count) }?;
        builder = builder.source(schema.clone());
        schemas.push(schema);
    }
    for given in tables {
        // SAFETY: the caller's.
        builder = builder.table(unsafe { table(given) }?);
    }
    for rules in rules {
        // SAFETY: the caller's.
        let (text, source, key) = unsafe {
            let (text, source) = (rules.text.text("rules")?, rules.source.text("source")?);
            (text, source, rules.key.optional("key")?)
        };
        builder = forms::midstream::with_rules(builder, text, source, key)?;
    }
    Ok((builder, schemas))
}

/// # Safety
/// As the header says.
unsafe fn watermarks(options: &ms_options) -> Result<Watermarks> {
    let idle = Duration::from_millis(options.watermark_idle_ms);
    match options.watermark {
        MS_WATERMARK_ALL => Ok(Watermarks::All),
        MS_WATERMARK_BY_SOURCE => Ok(Watermarks::BySource { idle }),
        MS_WATERMARK_BY_KEY => Ok(Watermarks::ByKey {
            // SAFETY: the caller's.
            field: unsafe { options.watermark_key.text("watermark_key") }?.to_owned(),
            idle,
        }),
        other => Err(Fail::new(
            EW_INVALID,
            format_args!("watermark is {other}, see MS_WATERMARK_…"),
        )),
    }
}

/// Builds an engine. The caller frees it with ms_engine_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_engine_new(
    options: *const ms_options,
    engine: *mut *mut ms_engine,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(engine, "engine")?;
        // SAFETY: the header's contract.
        let (builder, schemas) = unsafe { plan(options) }?;
        let engine = builder.build().map_err(raise)?;
        out.set(handle::give(Engaged { engine, schemas }));
        Ok(())
    })
}

/// Frees an engine. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_engine_free(engine: *mut ms_engine) {
    // SAFETY: the header's contract.
    unsafe { handle::free::<ms_engine>(engine) };
}

/// The value of a field.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ms_value {
    /// The field's name.
    pub name: ew_str,
    /// MS_FLOAT, MS_INT, MS_BOOL or MS_TEXT: which of the following counts.
    pub kind: i32,
    /// For MS_INT, and for MS_BOOL 0 or 1.
    pub integer: i64,
    /// For MS_FLOAT.
    pub number: f64,
    /// For MS_TEXT.
    pub text: ew_str,
}

/// # Safety
/// As the header says.
pub unsafe fn value<'a>(given: &ms_value) -> Result<(&'a str, Value)> {
    // SAFETY: the caller's.
    let name = unsafe { given.name.text("field name") }?;
    let value = match field_type(given.kind)? {
        FieldType::Float => Value::Float(given.number),
        FieldType::Int => Value::Int(given.integer),
        FieldType::Bool => Value::Bool(given.integer != 0),
        // SAFETY: the caller's.
        FieldType::Text => Value::Text(unsafe { given.text.text("text") }?.into()),
    };
    Ok((name, value))
}

/// Gives an event to the rules: its source, an id that no other event has, its time in milliseconds since the Unix
/// epoch, and its fields (the others are missing). What the rules tell is added to `outputs`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_push(
    engine: *mut ms_engine,
    source: ew_str,
    id: ew_str,
    at: i64,
    values: *const ms_value,
    count: usize,
    outputs: *mut ms_outputs,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let (mut engaged, source, id, values, mut list) = unsafe {
            let values = slice(values, count, "values")?
                .iter()
                .map(|given| value(given));
            (
                handle::exclusive(engine)?,
                source.text("source")?,
                id.text("id")?,
                values.collect::<Result<Vec<_>>>()?,
                handle::exclusive(outputs)?,
            )
        };
        let event = engaged
            .schema(source)?
            .event(id, Timestamp::from_millis(at), &values);
        list.extend(engaged.engine.push(event.map_err(raise)?).map_err(raise)?);
        Ok(())
    })
}

/// A column: one value a row. Which pointer counts follows from the field's kind.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ms_column {
    /// For MS_FLOAT.
    pub numbers: *const f64,
    /// For MS_INT.
    pub integers: *const i64,
    /// For MS_BOOL: 0 is false.
    pub truths: *const u8,
    /// For MS_TEXT: a place in `dictionary` for each row.
    pub codes: *const u32,
    /// For MS_TEXT: the distinct texts.
    pub dictionary: *const ew_str,
    /// For MS_TEXT: how many there are.
    pub dictionary_count: usize,
}

/// # Safety
/// As the header says.
unsafe fn column(given: &ms_column, kind: FieldType, rows: usize) -> Result<Column> {
    // SAFETY: the caller's.
    unsafe {
        Ok(match kind {
            FieldType::Float => Column::Float(slice(given.numbers, rows, "numbers")?.to_vec()),
            FieldType::Int => Column::Int(slice(given.integers, rows, "integers")?.to_vec()),
            FieldType::Bool => {
                let truths = slice(given.truths, rows, "truths")?;
                Column::Bool(truths.iter().map(|truth| *truth != 0).collect())
            }
            FieldType::Text => {
                let texts = slice(given.dictionary, given.dictionary_count, "dictionary")?;
                let texts = texts.iter().map(|text| text.text("text").map(Arc::from));
                Column::Text {
                    dictionary: texts.collect::<Result<_>>()?,
                    codes: slice(given.codes, rows, "codes")?.to_vec(),
                }
            }
        })
    }
}

/// Gives rows of one source to the rules: a time each, and a column for each of the source's fields in order. The id of
/// row i is `name`/i.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_push_batch(
    engine: *mut ms_engine,
    source: ew_str,
    name: ew_str,
    at: *const i64,
    rows: usize,
    columns: *const ms_column,
    column_count: usize,
    outputs: *mut ms_outputs,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let (mut engaged, source, name, at, columns, mut list) = unsafe {
            (
                handle::exclusive(engine)?,
                source.text("source")?,
                name.text("name")?,
                slice(at, rows, "at")?,
                slice(columns, column_count, "columns")?,
                handle::exclusive(outputs)?,
            )
        };
        let schema = engaged.schema(source)?;
        let kinds = schema.fields().map(|(_, kind)| kind);
        // SAFETY: the header's contract.
        let pairs = columns
            .iter()
            .zip(kinds)
            .map(|(given, kind)| unsafe { column(given, kind, rows) });
        let mut made = pairs.collect::<Result<Vec<Column>>>()?;
        // Columns beyond the fields are told as what they are: too many.
        made.extend(
            columns
                .iter()
                .skip(made.len())
                .map(|_| Column::Float(Vec::new())),
        );
        let at = at.iter().copied().map(Timestamp::from_millis).collect();
        let batch = Batch::new(schema, name, at, made).map_err(raise)?;
        list.extend(engaged.engine.push_batch(&batch).map_err(raise)?);
        Ok(())
    })
}

/// Says that no event before `watermark` will come, and adds what the rules tell by then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_advance_to(
    engine: *mut ms_engine,
    watermark: i64,
    outputs: *mut ms_outputs,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let (mut engaged, mut list) =
            unsafe { (handle::exclusive(engine)?, handle::exclusive(outputs)?) };
        list.extend(engaged.engine.advance_to(Timestamp::from_millis(watermark)));
        Ok(())
    })
}

/// Says that nothing more will come, and adds what the rules tell at the end.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_finish(
    engine: *mut ms_engine,
    outputs: *mut ms_outputs,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let (mut engaged, mut list) =
            unsafe { (handle::exclusive(engine)?, handle::exclusive(outputs)?) };
        list.extend(engaged.engine.finish());
        Ok(())
    })
}

/// The time before which no event is taken; INT64_MIN before the first.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_watermark(
    engine: *const ms_engine,
    watermark: *mut i64,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(watermark, "watermark")?;
        // SAFETY: the header's contract.
        out.set(
            unsafe { handle::exclusive(engine) }?
                .engine
                .watermark()
                .as_millis(),
        );
        Ok(())
    })
}

/// Counters as JSON, with events_in = events_out + the sum of dropped + held.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_metrics(
    engine: *const ms_engine,
    json: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(json, "json")?;
        // SAFETY: the header's contract.
        let engaged = unsafe { handle::exclusive(engine) }?;
        out.set(json_buffer(&engaged.engine.metrics())?);
        Ok(())
    })
}
