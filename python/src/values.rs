//! Values across the border: TOML to Python and back, and arrays.

use pyo3::buffer::{Element, PyBuffer};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyByteArray, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use toml::{Table, Value};

/// A Python value as TOML; numbers of NumPy count as numbers.
pub fn to_toml(value: &Bound<'_, PyAny>) -> PyResult<Value> {
    if value.is_instance_of::<PyBool>() {
        return Ok(Value::Boolean(value.extract()?));
    }
    if value.is_instance_of::<PyInt>() {
        return Ok(Value::Integer(value.extract()?));
    }
    if value.is_instance_of::<PyFloat>() {
        return Ok(Value::Float(value.extract()?));
    }
    if value.is_instance_of::<PyString>() {
        return Ok(Value::String(value.extract()?));
    }
    if let Ok(dict) = value.cast::<PyDict>() {
        return Ok(Value::Table(to_table(dict)?));
    }
    if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
        return Ok(Value::Array(value.try_iter()?.map(|item| to_toml(&item?)).collect::<PyResult<_>>()?));
    }
    if value.hasattr("item")? && value.getattr("ndim").and_then(|ndim| ndim.extract::<usize>()).is_ok_and(|n| n == 0) {
        return to_toml(&value.call_method0("item")?);
    }
    if value.hasattr("tolist")? {
        return to_toml(&value.call_method0("tolist")?);
    }
    let name = value.get_type().name()?;
    Err(PyTypeError::new_err(format!("{name} is no setting; expected a bool, int, float, str, list or dict")))
}

/// A Python dictionary as a TOML table; keys whose value is `None` are left out.
pub fn to_table(dict: &Bound<'_, PyDict>) -> PyResult<Table> {
    let mut table = Table::new();
    for (key, value) in dict {
        let key: String =
            key.extract().map_err(|_| PyTypeError::new_err(format!("the key {key} of a setting is not a str")))?;
        if !value.is_none() {
            table.insert(key, to_toml(&value)?);
        }
    }
    Ok(table)
}

/// A TOML value as a Python one.
pub fn to_python<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::String(text) => text.into_pyobject(py)?.into_any(),
        Value::Integer(number) => number.into_pyobject(py)?.into_any(),
        Value::Float(number) => number.into_pyobject(py)?.into_any(),
        Value::Boolean(flag) => flag.into_pyobject(py)?.to_owned().into_any(),
        Value::Datetime(time) => time.to_string().into_pyobject(py)?.into_any(),
        Value::Array(items) => {
            let items = items.iter().map(|item| to_python(py, item)).collect::<PyResult<Vec<_>>>()?;
            PyList::new(py, items)?.into_any()
        }
        Value::Table(table) => to_dict(py, table)?.into_any(),
    })
}

/// A TOML table as a Python dictionary.
pub fn to_dict<'py>(py: Python<'py>, table: &Table) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    table.iter().try_for_each(|(key, value)| dict.set_item(key, to_python(py, value)?))?;
    Ok(dict)
}

/// Numbers that are the same bytes in Python.
pub trait Plain: Copy {
    /// Appends the number in the machine's order of bytes.
    fn put(self, bytes: &mut [u8]);
}

macro_rules! plain {
    ($($number:ty),*) => {$(
        impl Plain for $number {
            fn put(self, bytes: &mut [u8]) {
                bytes.copy_from_slice(&self.to_ne_bytes());
            }
        }
    )*};
}
plain!(u16, u64, i64, f32, f64);

/// Numbers as a `bytearray`, over which NumPy lays an array that can be written.
pub fn bytes_of<'py, T: Plain>(
    py: Python<'py>,
    values: impl ExactSizeIterator<Item = T>,
) -> PyResult<Bound<'py, PyByteArray>> {
    let size = size_of::<T>();
    PyByteArray::new_with(py, values.len() * size, |bytes| {
        bytes.chunks_exact_mut(size).zip(values).for_each(|(bytes, value)| value.put(bytes));
        Ok(())
    })
}

/// The numbers of an array of this type and length. `name` and `dtype` are for the message.
pub fn array<T: Element>(value: &Bound<'_, PyAny>, name: &str, dtype: &str, length: usize) -> PyResult<Vec<T>> {
    let shown = |attribute: &str| value.getattr(attribute).map_or_else(|_| "?".into(), |shown| shown.to_string());
    let found = || match value.hasattr("dtype") {
        Ok(true) => format!("an array of {} of shape {}", shown("dtype"), shown("shape")),
        _ => value.get_type().name().map_or_else(|_| "something else".into(), |name| format!("a {name}")),
    };
    let Ok(buffer) = PyBuffer::<T>::get(value) else {
        return Err(PyTypeError::new_err(format!(
            "{name} is {}; expected an array of {dtype} of shape ({length},): make one with \
             numpy.asarray(..., dtype=numpy.{dtype})",
            found()
        )));
    };
    if buffer.dimensions() != 1 || buffer.item_count() != length {
        return Err(PyValueError::new_err(format!(
            "{name} is {}; expected shape ({length},): change values in place, or keep their number",
            found()
        )));
    }
    buffer.to_vec(value.py())
}
