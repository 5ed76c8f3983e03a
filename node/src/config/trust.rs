//! Whose word counts: the authority, and the files that hold what it has signed.

use super::{check::Mistakes, place::Step, raw::RawConfig};
use cosmosmesh_protocol::identity::{Did, PublicKey, Scope};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// Trust by certificates.
#[derive(Clone, Debug)]
pub struct Trust {
    /// The authority's key.
    pub authority: PublicKey,
    /// The file of this node's own certificate.
    pub certificate: PathBuf,
    /// Files of what else the authority has signed: certificates of others, lists of keys that were taken back.
    pub statements: Vec<PathBuf>,
    /// The file of the authority's key, at the node that renews certificates.
    pub issuer: Option<PathBuf>,
    /// The part of the fleet that this node belongs to.
    pub scope: Scope,
    /// How long after its end a certificate counts as in grace.
    pub grace: Duration,
    /// How often what is known is told to one member after the other.
    pub interval: Duration,
}

pub(super) fn check_trust(raw: &RawConfig, folder: &Path, mistakes: &mut Mistakes<'_>) -> Option<Trust> {
    let trust = raw.trust.as_ref()?;
    let before = mistakes.found.len();
    let steps = |name| [Step::Field("trust"), Step::Field(name)];
    let authority = trust.authority.parse::<Did>();
    if let Err(error) = &authority {
        mistakes.add(&steps("authority"), error.to_string());
    }
    let scope = trust.scope.parse::<Scope>();
    if let Err(error) = &scope {
        mistakes.add(&steps("scope"), error.to_string());
    }
    if !(1..=86_400).contains(&trust.interval_s) {
        let problem = format!("{} is out of range: allowed are 1 to 86400", trust.interval_s);
        mistakes.add(&steps("interval_s"), problem);
    }
    if mistakes.found.len() > before {
        return None;
    }
    Some(Trust {
        authority: authority.ok()?.key().clone(),
        certificate: folder.join(&trust.certificate),
        statements: trust.statements.iter().map(|path| folder.join(path)).collect(),
        issuer: trust.issuer.as_ref().map(|path| folder.join(path)),
        scope: scope.ok()?,
        grace: Duration::from_secs(u64::from(trust.grace_days) * 86_400),
        interval: Duration::from_secs(u64::from(trust.interval_s)),
    })
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use std::path::Path;

    const DID: &str = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp";

    fn read(trust: &str) -> Result<Config, Vec<String>> {
        let text = format!("(node: 1, state: \"state\", trust: ({trust}))");
        Config::parse("node.ron", &text, Path::new("/folder"))
            .map_err(|errors| errors.0.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn an_authority_and_the_files_of_its_word_are_read() {
        let text = format!(
            "authority: \"{DID}\", certificate: \"mine\", statements: [\"others\"], issuer: \"../authority\", scope: \"mars/base\""
        );
        let trust = read(&text).expect("it is right").trust.expect("it is there");
        assert_eq!(trust.certificate, Path::new("/folder/mine"));
        assert_eq!(trust.statements, [Path::new("/folder/others")]);
        assert_eq!(trust.issuer.as_deref(), Some(Path::new("/folder/../authority")));
        assert_eq!((trust.scope.as_str(), trust.grace.as_secs()), ("mars/base", 14 * 86_400));
    }

    #[test]
    fn what_is_wrong_is_told_at_its_place() {
        let told = read("authority: \"did:web:x\", certificate: \"c\", scope: \"A\", interval_s: 0");
        let told = told.expect_err("three mistakes");
        let fields = ["trust.authority", "trust.scope", "trust.interval_s"];
        assert_eq!(told.len(), fields.len(), "{told:?}");
        for (told, field) in told.iter().zip(fields) {
            assert!(told.contains(field), "{told}");
        }
        assert!(read(&format!("authority: \"{DID}\"")).is_err(), "no certificate");
    }
}
