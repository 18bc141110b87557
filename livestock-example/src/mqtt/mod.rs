//! The farm's MQTT: an embedded broker for a trial, and the publisher that empties the outbox.

#[cfg(feature = "broker")]
mod broker;
mod publisher;

#[cfg(feature = "broker")]
pub use broker::{Broker, BrokerError};
pub use publisher::{
    Delivery, IN_FLIGHT_MAX, Link, Outgoing, Publisher, PublisherError, PublisherOptions,
};
