//! JSON values in and out of Python: None, bool, int, float, str, list, tuple, dict.

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use serde_json::{Map, Number, Value};

use crate::error;

/// Deeper nesting is refused.
const DEPTH_MAX: usize = 128;

pub fn from_python(object: &Bound<'_, PyAny>) -> PyResult<Value> {
    convert(object, 0)
}

fn convert(object: &Bound<'_, PyAny>, depth: usize) -> PyResult<Value> {
    if depth > DEPTH_MAX {
        return Err(error::value(format!("nested deeper than {DEPTH_MAX}")));
    }
    if object.is_none() {
        return Ok(Value::Null);
    }
    if let Ok(truth) = object.cast::<PyBool>() {
        return Ok(Value::Bool(truth.is_true()));
    }
    if let Ok(number) = object.cast::<PyInt>() {
        if let Ok(number) = number.extract::<i64>() {
            return Ok(number.into());
        }
        let number: u64 = number
            .extract()
            .map_err(|_| error::value(format!("{number}: an integer beyond 64 bits")))?;
        return Ok(number.into());
    }
    if let Ok(number) = object.cast::<PyFloat>() {
        return Number::from_f64(number.value())
            .map(Value::Number)
            .ok_or_else(|| error::value("NaN and infinity are no JSON"));
    }
    if let Ok(text) = object.cast::<PyString>() {
        return Ok(Value::String(text.to_str()?.to_owned()));
    }
    let items = |items: Vec<Bound<'_, PyAny>>| {
        let values = items.iter().map(|item| convert(item, depth + 1));
        values.collect::<PyResult<Vec<_>>>().map(Value::Array)
    };
    if let Ok(list) = object.cast::<PyList>() {
        return items(list.iter().collect());
    }
    if let Ok(tuple) = object.cast::<PyTuple>() {
        return items(tuple.iter().collect());
    }
    if let Ok(dict) = object.cast::<PyDict>() {
        let mut fields = Map::new();
        for (key, value) in dict.iter() {
            let key = key
                .cast::<PyString>()
                .map_err(|_| error::value(format!("{key}: a key must be a string")))?;
            fields.insert(key.to_str()?.to_owned(), convert(&value, depth + 1)?);
        }
        return Ok(Value::Object(fields));
    }
    let name = object.get_type().name()?;
    Err(error::value(format!("{name} is no JSON value")))
}

pub fn to_python<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::Null => py.None().into_bound(py),
        Value::Bool(truth) => PyBool::new(py, *truth).to_owned().into_any(),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => number.into_pyobject(py)?.into_any(),
            (None, Some(number)) => number.into_pyobject(py)?.into_any(),
            (None, None) => PyFloat::new(py, number.as_f64().unwrap_or(f64::NAN)).into_any(),
        },
        Value::String(text) => PyString::new(py, text).into_any(),
        Value::Array(items) => {
            let list = PyList::empty(py);
            for item in items {
                list.append(to_python(py, item)?)?;
            }
            list.into_any()
        }
        Value::Object(fields) => {
            let dict = PyDict::new(py);
            for (key, value) in fields {
                dict.set_item(key, to_python(py, value)?)?;
            }
            dict.into_any()
        }
    })
}
