//! The native module of the wheel `edgeweave`: translates between Python and the crates, decides nothing.
//!
//! Every long call lets other Python threads run. Classes are frozen; a lock inside is taken after the
//! interpreter was let go, so two threads may share an object.
#![allow(missing_docs, reason = "documented in the Python package's stubs")]

mod agentdb;
mod error;
mod flowcore;
mod json;
mod list;
mod midstream;
mod promptopt;
mod ruvector;

use pyo3::prelude::*;

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    error::add(module)?;
    module.add_class::<ruvector::Index>()?;
    module.add_class::<ruvector::Embedder>()?;
    module.add_class::<ruvector::SemanticCache>()?;
    module.add_class::<ruvector::Retriever>()?;
    module.add_class::<agentdb::AgentDb>()?;
    module.add_class::<agentdb::Transaction>()?;
    module.add_class::<agentdb::Watch>()?;
    module.add_class::<agentdb::Endpoint>()?;
    module.add_class::<agentdb::Session>()?;
    module.add_class::<list::List>()?;
    module.add_class::<list::Version>()?;
    module.add_class::<flowcore::Engine>()?;
    module.add_class::<flowcore::Call>()?;
    // Two classes are called Engine, each in its own submodule.
    module.add("StreamEngine", module.py().get_type::<midstream::Engine>())?;
    module.add_class::<midstream::Standardizer>()?;
    module.add_class::<midstream::Agent>()?;
    module.add_function(wrap_pyfunction!(midstream::decode_batch, module)?)?;
    module.add_function(wrap_pyfunction!(promptopt::pack_bundle, module)?)?;
    module.add_function(wrap_pyfunction!(promptopt::open_bundle, module)?)?;
    module.add_class::<promptopt::PromptSet>()?;
    module.add_class::<promptopt::Choice>()?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))
}
