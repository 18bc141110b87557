//! Durable DAG workflow executor.
