//! hardy-peer NODE LISTEN [CONNECT]: node `ipn:NODE.0` on hardy's agent and TCPCLv4, with an echo service at `ipn:NODE.7`.
//! It listens at LISTEN, connects to CONNECT if given, says `ready`, and ends with its standard input.

use hardy_bpa::{async_trait, bpa::Bpa, bpa::BpaRegistration as _, services};
use hardy_bpv7::eid::{Eid, IpnNodeId, NodeId, Service};
use std::{
    error::Error,
    io::{Read as _, Write as _},
    sync::{Arc, OnceLock},
};

/// Sends each payload back to where it came from.
#[derive(Default)]
struct Echo {
    sink: OnceLock<Box<dyn services::ApplicationSink>>,
}

#[async_trait]
impl services::Application for Echo {
    async fn on_register(&self, _source: &Eid, sink: Box<dyn services::ApplicationSink>) {
        let _ = self.sink.set(sink);
    }

    async fn on_unregister(&self) {}

    async fn on_receive(
        &self,
        source: Eid,
        _expiry: time::OffsetDateTime,
        _ack_requested: bool,
        payload: hardy_bpa::Bytes,
    ) -> services::Result<()> {
        let sink = self.sink.get().expect("registered before it receives");
        sink.send(source, payload, std::time::Duration::from_secs(3600), None).await.map(|_| ())
    }

    async fn on_status_notify(
        &self,
        _bundle_id: &hardy_bpv7::bundle::Id,
        _from: &Eid,
        _kind: services::StatusNotify,
        _reason: hardy_bpv7::status_report::ReasonCode,
        _timestamp: Option<time::OffsetDateTime>,
    ) {
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [node, listen, connect @ ..] = arguments.as_slice() else {
        return Err("usage: hardy-peer NODE LISTEN [CONNECT]".into());
    };
    let node = NodeId::Ipn(IpnNodeId { allocator_id: 0, node_number: node.parse()? });
    let node_ids = hardy_bpa::node_ids::NodeIds::try_from([node].as_slice()).map_err(|error| format!("{error:?}"))?;
    let bpa = Bpa::builder().node_ids(node_ids).build().await?;
    bpa.start(false);
    bpa.register_application(Service::Ipn(7), Arc::new(Echo::default())).await?;
    let config = hardy_tcpclv4::config::Config { address: Some(listen.parse()?), ..Default::default() };
    let cla = Arc::new(hardy_tcpclv4::Cla::new(&config)?);
    bpa.register_cla("tcp".to_owned(), cla.clone(), None).await?;
    if let [address] = connect {
        cla.connect(&address.parse()?).await?;
    }
    println!("ready");
    std::io::stdout().flush()?;
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    std::process::exit(0);
}
