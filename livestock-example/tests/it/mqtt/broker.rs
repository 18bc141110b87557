//! The embedded broker, with real clients.

use std::time::Duration;

use livestock::mqtt::Broker;

use super::publisher::{Subscriber, publish_all};

#[test]
fn a_message_published_to_the_embedded_broker_reaches_a_subscriber() {
    let broker = Broker::start(0).unwrap();
    let port = broker.address().port();
    let collector = Subscriber::start(port, "test/alerts");
    publish_all(port, "embedded-publisher", 0..20, Duration::from_secs(10));
    assert_eq!(
        collector.wait_for(20, Duration::from_secs(10)),
        (0..20).collect::<Vec<_>>()
    );
}

#[test]
fn a_taken_port_is_an_error_that_names_it() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = Broker::start(port).err().unwrap().to_string();
    assert!(error.contains(&port.to_string()), "{error}");
}
