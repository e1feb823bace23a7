//! Pseudo-gradients across the border: one array of indices and one of values for a whole payload.

use gauntlet::training::{self, PayloadShape, PseudoGradient, SparseTensor, TensorShape};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use super::values::{array, bytes_of};

/// The shape of every payload of a run.
#[pyclass(frozen, module = "gauntlet._native")]
pub struct Shape(pub PayloadShape);

#[pymethods]
impl Shape {
    /// Of each tensor: name, chunks, values in a chunk, coefficients sent of a chunk, bits of a value.
    #[new]
    fn new(tensors: Vec<(String, usize, usize, usize, u32)>) -> PyResult<Self> {
        let tensor = |(name, chunks, chunk_len, per_chunk, value_bits): (String, usize, usize, usize, u32)| {
            let is_sound =
                (1..=1 << 16).contains(&chunk_len) && (1..=chunk_len).contains(&per_chunk) && chunks <= 1 << 32;
            let wrong = || {
                PyValueError::new_err(format!(
                    "the tensor {name}: expected 1 to {chunk_len} of a chunk of 65536 at most"
                ))
            };
            is_sound
                .then(|| TensorShape { name: name.clone(), chunks, chunk_len, per_chunk, value_bits })
                .ok_or_else(wrong)
        };
        Ok(Self(PayloadShape { tensors: tensors.into_iter().map(tensor).collect::<PyResult<_>>()? }))
    }

    /// Coefficients of a payload.
    #[getter]
    fn coefficients(&self) -> usize {
        coefficients(&self.0)
    }

    /// Of each tensor: name, chunks, values in a chunk, coefficients sent of a chunk, bits of a value.
    #[getter]
    fn tensors(&self) -> Vec<(String, usize, usize, usize, u32)> {
        let tensors = self.0.tensors.iter();
        tensors.map(|t| (t.name.clone(), t.chunks, t.chunk_len, t.per_chunk, t.value_bits)).collect()
    }

    fn __eq__(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

fn coefficients(shape: &PayloadShape) -> usize {
    shape.tensors.iter().map(|tensor| tensor.coefficients()).sum()
}

static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// `gauntlet.behaviours.PseudoGradient`.
fn class(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    let class = CLASS.get_or_try_init(py, || {
        Ok::<_, PyErr>(py.import("gauntlet.behaviours")?.getattr("PseudoGradient")?.unbind())
    })?;
    Ok(class.bind(py))
}

/// A payload for Python.
pub fn to_python<'py>(
    py: Python<'py>,
    payload: &PseudoGradient,
    shape: &Bound<'py, Shape>,
) -> PyResult<Bound<'py, PyAny>> {
    let indices: Vec<u16> = payload.tensors.iter().flat_map(|tensor| tensor.indices.iter().copied()).collect();
    let values: Vec<f32> = payload.tensors.iter().flat_map(|tensor| tensor.values.iter().copied()).collect();
    let (indices, values) = (bytes_of(py, indices.into_iter())?, bytes_of(py, values.into_iter())?);
    class(py)?.call_method1("_of", (indices, values, shape))
}

/// A payload of Python, checked; `what` names it in the message.
pub fn of_python(object: &Bound<'_, PyAny>, shape: &PayloadShape, what: &str) -> PyResult<PseudoGradient> {
    if !object.is_instance(class(object.py())?)? {
        let name = object.get_type().name()?;
        return Err(PyTypeError::new_err(format!("{what} is a {name}; expected a gauntlet.PseudoGradient or None")));
    }
    let length = coefficients(shape);
    let indices: Vec<u16> = array(&object.getattr("indices")?, &format!("{what}.indices"), "uint16", length)?;
    let values: Vec<f32> = array(&object.getattr("values")?, &format!("{what}.values"), "float32", length)?;
    let mut from = 0;
    let tensors = shape.tensors.iter().map(|tensor| {
        let range = from..from + tensor.coefficients();
        from = range.end;
        SparseTensor { indices: indices[range.clone()].to_vec(), values: values[range].to_vec() }
    });
    let payload = PseudoGradient { tensors: tensors.collect() };
    shape.check(&payload).map_err(|error| {
        PyValueError::new_err(format!(
            "{what}: {error}; every index of a chunk is below its length and stands there once, and every value is finite \
             (the hook `bytes` can send anything)"
        ))
    })?;
    Ok(payload)
}

/// The weighted sum of payloads, as a payload of their size.
#[pyfunction]
pub fn mix<'py>(
    shape: &Bound<'py, Shape>,
    payloads: Vec<Bound<'py, PyAny>>,
    weights: Vec<f64>,
) -> PyResult<Bound<'py, PyAny>> {
    if payloads.len() != weights.len() || payloads.is_empty() {
        let (payloads, weights) = (payloads.len(), weights.len());
        return Err(PyValueError::new_err(format!(
            "{payloads} payloads and {weights} weights; expected one weight for each payload, and at least one"
        )));
    }
    if let Some(weight) = weights.iter().find(|weight| !weight.is_finite()) {
        return Err(PyValueError::new_err(format!("the weight {weight} is not finite")));
    }
    let of = &shape.get().0;
    let payloads = payloads.iter().map(|payload| of_python(payload, of, "a payload")).collect::<PyResult<Vec<_>>>()?;
    let parts: Vec<training::mix::Part> =
        payloads.iter().zip(&weights).map(|(payload, &weight)| training::mix::Part { payload, weight }).collect();
    let mixed = training::mix::mix(of, &parts).ok_or_else(|| PyValueError::new_err("no payloads"))?;
    to_python(shape.py(), &mixed, shape)
}
