//! `edgeweave.midstream`: rules over events, one at a time or as columns.

mod agent;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use agent::{Agent, decode_batch};
use midstream::{
    Batch, Column, FieldType, Output, Schema, State, Table, Timestamp, Value, Watermarks,
};
use numpy::{PyArray1, PyReadonlyArray1, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString};

use crate::error::{CorruptError, other, value};
use crate::json;

fn raise(error: midstream::Error) -> PyErr {
    match error {
        midstream::Error::Corrupt { .. } => CorruptError::new_err(error.to_string()),
        _ => value(error),
    }
}

fn field_type(name: &str) -> PyResult<FieldType> {
    match name {
        "float" => Ok(FieldType::Float),
        "int" => Ok(FieldType::Int),
        "bool" => Ok(FieldType::Bool),
        "text" => Ok(FieldType::Text),
        _ => Err(value(format!(
            "type {name:?}: wanted float, int, bool or text"
        ))),
    }
}

fn seconds(number: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(number).map_err(|error| value(format!("{number} seconds: {error}")))
}

#[pyclass(frozen, name = "Engine", module = "edgeweave.midstream")]
pub struct Engine {
    inner: Mutex<midstream::Engine>,
    schemas: Vec<Schema>,
    /// The source and the key of rules that name none.
    source: String,
    key: Option<String>,
}

impl Engine {
    fn schema(&self, source: &str) -> PyResult<&Schema> {
        let found = self.schemas.iter().find(|schema| schema.name() == source);
        found.ok_or_else(|| raise(midstream::Error::UnknownSource(source.to_owned())))
    }

    fn rule(&self, text: &str) -> PyResult<midstream::Rule> {
        forms::midstream::rule(text, &self.source, self.key.as_deref()).map_err(value)
    }

    fn with<R: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut midstream::Engine) -> R + Send,
    ) -> R {
        py.detach(|| work(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

fn told<'py>(py: Python<'py>, outputs: &[Output]) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for output in outputs {
        let form = serde_json::to_value(output).map_err(other)?;
        list.append(json::to_python(py, &form)?)?;
    }
    Ok(list)
}

fn scalar(given: &Bound<'_, PyAny>) -> PyResult<Value> {
    if let Ok(truth) = given.cast::<PyBool>() {
        return Ok(Value::Bool(truth.is_true()));
    }
    if given.cast::<PyInt>().is_ok() {
        return Ok(Value::Int(given.extract()?));
    }
    if let Ok(number) = given.cast::<PyFloat>() {
        return Ok(Value::Float(number.value()));
    }
    if let Ok(text) = given.cast::<PyString>() {
        return Ok(Value::Text(text.to_str()?.into()));
    }
    let name = given.get_type().name()?;
    Err(value(format!(
        "{name} is no field's value: wanted float, int, bool or str"
    )))
}

/// Fields by name; None is a missing one.
fn named(fields: &Bound<'_, PyDict>) -> PyResult<Vec<(String, Value)>> {
    let there = fields.iter().filter(|(_, given)| !given.is_none());
    there
        .map(|(name, given)| Ok((name.extract()?, scalar(&given)?)))
        .collect()
}

fn schema(name: &str, fields: &Bound<'_, PyDict>) -> PyResult<Schema> {
    let mut schema = Schema::new(name);
    for (field, kind) in fields.iter() {
        let (field, kind) = (field.extract::<String>()?, kind.extract::<String>()?);
        schema = schema.field(&field, field_type(&kind)?);
    }
    Ok(schema)
}

/// A table from `{"fields": {name: type}, "key": field}`, with "follows", "lifetime" and "limit" where they are wanted.
fn table(name: &str, given: &Bound<'_, PyDict>) -> PyResult<Table> {
    let part = |key: &str| -> PyResult<Bound<'_, PyAny>> {
        let found = given.get_item(key)?;
        found.ok_or_else(|| value(format!("table {name}: {key} is missing")))
    };
    let fields = part("fields")?;
    let fields = fields
        .cast::<PyDict>()
        .map_err(|_| value(format!("table {name}: fields is a dict")))?;
    let key: String = part("key")?.extract()?;
    let mut table = Table::new(schema(name, fields)?, &key).map_err(raise)?;
    for (option, to) in given.iter() {
        match option.extract::<String>()?.as_str() {
            "fields" | "key" => {}
            "follows" => table = table.follows(&to.extract::<String>()?),
            "lifetime" => table = table.lifetime(seconds(to.extract()?)?),
            "limit" => table = table.limit(to.extract()?),
            other => {
                return Err(value(format!(
                    "table {name}: {other:?}, wanted is fields, key, follows, lifetime or limit"
                )));
            }
        }
    }
    Ok(table)
}

/// A column of the field's type: float64, int64, bool, or a sequence of str. It is copied.
fn column(name: &str, kind: FieldType, given: &Bound<'_, PyAny>) -> PyResult<Column> {
    let wanted = |kind: &str| value(format!("column {name}: wanted {kind} of shape (rows,)"));
    Ok(match kind {
        FieldType::Float => {
            let array = given
                .extract::<PyReadonlyArray1<'_, f64>>()
                .map_err(|_| wanted("float64"))?;
            Column::Float(array.as_array().to_vec())
        }
        FieldType::Int => {
            let array = given
                .extract::<PyReadonlyArray1<'_, i64>>()
                .map_err(|_| wanted("int64"))?;
            Column::Int(array.as_array().to_vec())
        }
        FieldType::Bool => {
            let array = given
                .extract::<PyReadonlyArray1<'_, bool>>()
                .map_err(|_| wanted("bool"))?;
            Column::Bool(array.as_array().to_vec())
        }
        FieldType::Text => {
            let mut places: HashMap<Arc<str>, u32> = HashMap::new();
            let (mut dictionary, mut codes) = (Vec::new(), Vec::new());
            for text in given.try_iter().map_err(|_| wanted("a sequence of str"))? {
                let text = text?;
                let text = text
                    .cast::<PyString>()
                    .map_err(|_| wanted("a sequence of str"))?;
                let text = text.to_str()?;
                let code = match places.get(text) {
                    Some(code) => *code,
                    None => {
                        let code = u32::try_from(dictionary.len()).map_err(value)?;
                        let shared: Arc<str> = text.into();
                        dictionary.push(Arc::clone(&shared));
                        places.insert(shared, code);
                        code
                    }
                };
                codes.push(code);
            }
            Column::Text { dictionary, codes }
        }
    })
}

#[pymethods]
impl Engine {
    #[new]
    #[pyo3(signature = (sources, rules = "", *, source = None, key = None, disorder = 0.0, dedup = 600.0,
        future = 86_400.0, tables = None, watermarks = None, late_kept = 0, snapshot = None))]
    #[allow(clippy::too_many_arguments, reason = "keywords of Python")]
    fn new(
        sources: &Bound<'_, PyDict>,
        rules: &str,
        source: Option<&str>,
        key: Option<&str>,
        disorder: f64,
        dedup: f64,
        future: f64,
        tables: Option<HashMap<String, Bound<'_, PyDict>>>,
        watermarks: Option<(String, f64)>,
        late_kept: usize,
        snapshot: Option<&[u8]>,
    ) -> PyResult<Self> {
        let mut schemas = Vec::new();
        for (name, fields) in sources.iter() {
            let fields = fields
                .cast::<PyDict>()
                .map_err(|_| value("a source is a dict of fields"))?;
            schemas.push(schema(&name.extract::<String>()?, fields)?);
        }
        let mut builder = midstream::Engine::builder()
            .keep_late(late_kept)
            .disorder(seconds(disorder)?)
            .dedup(seconds(dedup)?)
            .future(seconds(future)?);
        for schema in &schemas {
            builder = builder.source(schema.clone());
        }
        for (name, given) in tables.unwrap_or_default() {
            builder = builder.table(table(&name, &given)?);
        }
        if let Some((of, idle)) = watermarks {
            let idle = seconds(idle)?;
            builder = builder.watermarks(match of.as_str() {
                "source" => Watermarks::BySource { idle },
                _ => Watermarks::ByKey { field: of, idle },
            });
        }
        let only = schemas.first().map_or("", Schema::name);
        let source = source.unwrap_or(only).to_owned();
        builder = forms::midstream::with_rules(builder, rules, &source, key).map_err(value)?;
        let built = match snapshot {
            Some(bytes) => builder.restore(bytes),
            None => builder.build(),
        };
        Ok(Self {
            inner: Mutex::new(built.map_err(raise)?),
            schemas,
            source,
            key: key.map(str::to_owned),
        })
    }

    /// Everything that the engine holds, for the keyword `snapshot` of one with the same sources.
    fn snapshot<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let mut bytes = Vec::new();
        self.with(py, |engine| engine.snapshot(&mut bytes))
            .map_err(raise)?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// Adds one rule, which sees the events from now on.
    fn add_rule(&self, py: Python<'_>, rule: &str) -> PyResult<()> {
        let rule = self.rule(rule)?;
        self.with(py, |engine| engine.add_rule(rule)).map_err(raise)
    }

    /// Puts a rule in the place of that of its name; whether it goes on from what that one held.
    fn replace_rule(&self, py: Python<'_>, rule: &str) -> PyResult<bool> {
        let rule = self.rule(rule)?;
        let state = self
            .with(py, |engine| engine.replace_rule(rule))
            .map_err(raise)?;
        Ok(state == State::Kept)
    }

    /// Takes a rule out, with what it holds.
    fn remove_rule(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        self.with(py, |engine| engine.remove_rule(name))
            .map_err(raise)
    }

    /// The counters of each rule.
    fn rule_metrics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let metrics = self.with(py, |engine| engine.rule_metrics());
        json::to_python(py, &serde_json::to_value(metrics).map_err(other)?)
    }

    /// Writes a row of a table that counts from a time on.
    fn put(
        &self,
        py: Python<'_>,
        table: &str,
        at: i64,
        fields: &Bound<'_, PyDict>,
    ) -> PyResult<()> {
        let values = named(fields)?;
        let values: Vec<(&str, Value)> = values
            .iter()
            .map(|(name, given)| (name.as_str(), given.clone()))
            .collect();
        let unknown = || midstream::Error::UnknownTable(table.to_owned());
        self.with(py, |engine| {
            let table = engine.table(table).ok_or_else(unknown)?;
            table.put(Timestamp::from_millis(at), &values)
        })
        .map_err(raise)
    }

    /// How many rows a table has, over all versions.
    fn table_len(&self, py: Python<'_>, table: &str) -> PyResult<usize> {
        let unknown = || midstream::Error::UnknownTable(table.to_owned());
        self.with(py, |engine| {
            let table = engine.table(table).ok_or_else(unknown)?;
            Ok(table.len())
        })
        .map_err(raise)
    }

    /// The late events that were kept: (source, id, at).
    fn take_late(&self, py: Python<'_>) -> Vec<(String, String, i64)> {
        let late = self.with(py, midstream::Engine::take_late);
        let told = late.iter().map(|event| {
            let (source, id) = (event.source().to_owned(), event.id().to_owned());
            (source, id, event.at().as_millis())
        });
        told.collect()
    }

    /// Gives one event to the rules; what they tell.
    fn push<'py>(
        &self,
        py: Python<'py>,
        source: &str,
        id: &str,
        at: i64,
        fields: &Bound<'_, PyDict>,
    ) -> PyResult<Bound<'py, PyList>> {
        let values = named(fields)?;
        let named: Vec<(&str, Value)> = values
            .iter()
            .map(|(name, given)| (name.as_str(), given.clone()))
            .collect();
        let schema = self.schema(source)?;
        let event = schema
            .event(id, Timestamp::from_millis(at), &named)
            .map_err(raise)?;
        let outputs = self.with(py, |engine| engine.push(event)).map_err(raise)?;
        told(py, &outputs)
    }

    /// Gives rows to the rules: times of shape (rows,) and a column for each field; what they tell.
    fn push_columns<'py>(
        &self,
        py: Python<'py>,
        source: &str,
        name: &str,
        at: PyReadonlyArray1<'_, i64>,
        columns: &Bound<'_, PyDict>,
    ) -> PyResult<Bound<'py, PyList>> {
        let schema = self.schema(source)?;
        let mut made = Vec::new();
        for (field, kind) in schema.fields() {
            let given = columns.get_item(field)?;
            let given = given.ok_or_else(|| value(format!("no column for field {field}")))?;
            made.push(column(field, kind, &given)?);
        }
        if let Some(extra) = columns.keys().iter().find(|key| {
            let name = key.extract::<String>().unwrap_or_default();
            schema.index(&name).is_err()
        }) {
            return Err(value(format!(
                "column {extra}: source {source} has no such field"
            )));
        }
        let at = at
            .as_array()
            .iter()
            .copied()
            .map(Timestamp::from_millis)
            .collect();
        let batch = Batch::new(schema, name, at, made).map_err(raise)?;
        let outputs = self
            .with(py, |engine| engine.push_batch(&batch))
            .map_err(raise)?;
        told(py, &outputs)
    }

    /// Says that no event before this time will come; what the rules tell by then.
    fn advance_to<'py>(&self, py: Python<'py>, watermark: i64) -> PyResult<Bound<'py, PyList>> {
        let watermark = Timestamp::from_millis(watermark);
        let outputs = self.with(py, |engine| engine.advance_to(watermark));
        told(py, &outputs)
    }

    /// Says that nothing more will come; what the rules tell at the end.
    fn finish<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let outputs = self.with(py, midstream::Engine::finish);
        told(py, &outputs)
    }

    /// Counters, with events_in = events_out + the sum of dropped + held.
    fn metrics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let metrics = self.with(py, |engine| engine.metrics());
        json::to_python(py, &serde_json::to_value(metrics).map_err(other)?)
    }

    #[getter]
    fn watermark(&self, py: Python<'_>) -> i64 {
        self.with(py, |engine| engine.watermark().as_millis())
    }
}

#[pyclass(frozen, module = "edgeweave.midstream")]
pub struct Standardizer {
    inner: Mutex<midstream::Standardizer>,
    fields: usize,
}

#[pymethods]
impl Standardizer {
    #[new]
    fn new(fields: usize, first: f64) -> PyResult<Self> {
        let inner = Mutex::new(midstream::Standardizer::new(fields, seconds(first)?));
        Ok(Self { inner, fields })
    }

    /// Values of one time, float64 of shape (fields,); in standard deviations, NaN while learning.
    fn push<'py>(
        &self,
        py: Python<'py>,
        at: i64,
        values: PyReadonlyArray1<'_, f64>,
    ) -> PyResult<Bound<'py, PyArray1<f64>>> {
        let shape = values.shape();
        if shape[0] != self.fields {
            return Err(value(format!(
                "values of shape {shape:?}, wanted ({},)",
                self.fields
            )));
        }
        let values: Vec<Option<f64>> = values.as_array().iter().copied().map(Some).collect();
        let told = py.detach(|| {
            let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            inner.push(Timestamp::from_millis(at), &values)
        });
        let told = told
            .into_iter()
            .map(|standard| standard.unwrap_or(f64::NAN));
        Ok(PyArray1::from_iter(py, told))
    }
}
