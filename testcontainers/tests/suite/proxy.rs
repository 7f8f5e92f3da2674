//! What the proxy counts.

use kafka_protocol::messages::{ApiVersionsRequest, MetadataRequest};
use kafka_testbed::{FakeCluster, FaultProxy};
use tokio::net::TcpStream;

use crate::wire;

#[tokio::test]
async fn round_trips_are_counted_for_each_connection_and_in_all() {
    let cluster = FakeCluster::with_topic("t", 1).await.unwrap();
    let proxy = FaultProxy::start(cluster.address(0)).await.unwrap();
    for requests in [1, 3] {
        let mut socket = TcpStream::connect(proxy.address()).await.unwrap();
        wire::request(&mut socket, ApiVersionsRequest::default(), 0).await.unwrap();
        for _ in 1..requests {
            wire::request(&mut socket, MetadataRequest::default(), 4).await.unwrap();
        }
    }
    let trips: Vec<_> = proxy.connections().iter().map(|connection| connection.round_trips).collect();
    assert_eq!(trips, [2, 4]);
    let traffic = proxy.traffic();
    assert_eq!((traffic.accepted, traffic.round_trips), (2, 6));
    let (up, down) = proxy.connections().iter().fold((0, 0), |(up, down), c| (up + c.up, down + c.down));
    assert_eq!((traffic.up, traffic.down), (up, down));
}
