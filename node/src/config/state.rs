//! The state that a fleet shares: among whom, and how fast what is written is told.

use super::{check::Mistakes, place::Step, raw::RawConfig};
use cosmosmesh_protocol::{
    id::NodeId,
    sync::{Role, Roles},
};
use serde::Deserialize;
use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

/// The longest time that may be set, in seconds: a year.
const MAX_SECONDS: u32 = 365 * 86_400;

/// Shared state.
#[derive(Clone, Debug)]
pub struct SharedState {
    /// Who shares it, this node included.
    pub members: Vec<NodeId>,
    /// How long writes are gathered before they are told.
    pub push: Duration,
    /// How often it is compared with that of one other member after the other.
    pub compare: Duration,
    /// Who was not heard of for longer keeps nobody from dropping what was replaced.
    pub horizon: Duration,
    /// How long what is told is worth delivering.
    pub lifetime: Duration,
    /// Of concurrent writes, that of the greater rank stands.
    pub ranks: Roles,
    /// The address of TCPCLv4 that this node tells the others to be found at.
    pub announce: Option<SocketAddr>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename = "SharedState")]
pub(super) struct RawSharedState {
    members: Option<Vec<u64>>,
    ranks: BTreeMap<u64, u8>,
    announce: Option<SocketAddr>,
    push_ms: u32,
    compare_s: u32,
    horizon_s: u32,
    lifetime_s: u32,
}

impl Default for RawSharedState {
    fn default() -> Self {
        Self {
            members: None,
            ranks: BTreeMap::new(),
            announce: None,
            push_ms: 100,
            compare_s: 300,
            horizon_s: 14 * 86_400,
            lifetime_s: 86_400,
        }
    }
}

pub(super) fn check_state(raw: &RawConfig, mistakes: &mut Mistakes<'_>) -> Option<SharedState> {
    let state = raw.shared_state.as_ref()?;
    let before = mistakes.found.len();
    let with_keys = raw.peers.iter().filter(|peer| peer.did.is_some()).map(|peer| peer.node);
    let known: Vec<u64> = with_keys.chain([raw.node]).collect();
    let mut members = state.members.clone().unwrap_or_else(|| known.clone());
    for (place, node) in members.iter().enumerate() {
        let steps = [Step::Field("shared_state"), Step::Field("members"), Step::Item(place)];
        if !known.contains(node) {
            mistakes.add(&steps, format!("{node} is no member: no peer with a `did`"));
        } else if members[..place].contains(node) {
            mistakes.add(&steps, format!("{node} is given twice"));
        }
    }
    if !members.contains(&raw.node) {
        let problem = format!("{} is not among them: this node itself", raw.node);
        mistakes.add(&[Step::Field("shared_state"), Step::Field("members")], problem);
    }
    let mut within = |name: &'static str, value: u32, least: u32, most: u32| {
        if !(least..=most).contains(&value) {
            let problem = format!("{value} is out of range: allowed are {least} to {most}");
            mistakes.add(&[Step::Field("shared_state"), Step::Field(name)], problem);
        }
    };
    within("push_ms", state.push_ms, 1, 86_400_000);
    within("compare_s", state.compare_s, 1, MAX_SECONDS);
    within("horizon_s", state.horizon_s, 60, MAX_SECONDS);
    within("lifetime_s", state.lifetime_s, 1, MAX_SECONDS);
    if let Some(address) =
        state.announce.filter(|address| address.port() == 0 || address.ip().is_unspecified())
    {
        let problem = format!("{address} leads to nobody: others need an address and a port");
        mistakes.add(&[Step::Field("shared_state"), Step::Field("announce")], problem);
    }
    if state.announce.is_some() && raw.listen.tcpcl.is_none() {
        let problem = "others would find nobody there: no `listen.tcpcl`".to_owned();
        mistakes.add(&[Step::Field("shared_state"), Step::Field("announce")], problem);
    }
    for node in state.ranks.keys().filter(|node| !members.contains(node)) {
        let problem = format!("{node} is no member, and writes nothing");
        mistakes.add(&[Step::Field("shared_state"), Step::Field("ranks")], problem);
    }
    if mistakes.found.len() > before {
        return None;
    }
    members.sort_unstable();
    let ranks = state.ranks.iter().map(|(node, rank)| (NodeId(*node), Role(*rank))).collect();
    let seconds = |seconds: u32| Duration::from_secs(u64::from(seconds));
    Some(SharedState {
        members: members.into_iter().map(NodeId).collect(),
        push: Duration::from_millis(u64::from(state.push_ms)),
        compare: seconds(state.compare_s),
        horizon: seconds(state.horizon_s),
        lifetime: seconds(state.lifetime_s),
        ranks: Roles::new(ranks, Role::default()),
        announce: state.announce,
    })
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use std::path::Path;

    const DID: &str = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp";

    fn read(state: &str) -> Result<Config, Vec<String>> {
        let text = format!(
            "(node: 1, state: \"state\", peers: [(node: 2, did: \"{DID}\", via: Inbound), (node: 3, via: Inbound)], shared_state: ({state}))"
        );
        Config::parse("node.ron", &text, Path::new("/folder"))
            .map_err(|errors| errors.0.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn all_who_have_keys_share_it_unless_it_is_said() {
        let state = read("ranks: {2: 5}").expect("right").shared_state.expect("it is there");
        let members: Vec<u64> = state.members.iter().map(|node| node.0).collect();
        assert_eq!((members, state.push.as_millis()), (vec![1, 2], 100));
        assert_eq!([1, 2].map(|node| state.ranks.of(cosmosmesh_protocol::id::NodeId(node)).0), [0, 5]);
    }

    #[test]
    fn what_is_wrong_is_told_at_its_place() {
        let told = read("members: [3, 2, 2], push_ms: 0").expect_err("four mistakes");
        let fields =
            ["members[0]: 3 is no member", "members[2]: 2 is given twice", "members: 1", "push_ms: 0"];
        assert_eq!(told.len(), fields.len(), "{told:?}");
        for field in fields {
            assert!(told.iter().any(|told| told.contains(field)), "{field}: {told:?}");
        }
        let told = read("announce: \"127.0.0.1:4556\", ranks: {2: 1, 3: 1}").expect_err("two mistakes");
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(
            told[0].contains("announce: others would find nobody")
                && told[1].contains("ranks: 3 is no member"),
            "{told:?}"
        );
    }
}
