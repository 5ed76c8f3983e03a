//! `cosmosmesh certify`: what the authority of a fleet signs.

use super::{CliError, Outcome};
use crate::{clock::civil, credential, key};
use clap::{Args, Subcommand, ValueEnum};
use cosmosmesh_protocol::{
    id::NodeId,
    identity::{
        self, Certificate, Did, KeyId, KeyPair, MAX_REVOKED, OwnRole, PublicKey, RevocationList, Revoked,
        Role, Scope, Statement,
    },
    time::DtnTime,
};
use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

/// A clock of a member may be so much behind the one here, in seconds.
pub(super) const BACKDATED_S: u64 = 300;
const DAY_MS: u64 = 86_400_000;

/// Makes an authority, and signs what it says: who speaks for whom, and whose key counts no more.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cosmosmesh certify authority --key authority.key
  cosmosmesh certify issue --key authority.key --node 2 --did did:key:z6Mk… --role operator --out node-2.certificate
  cosmosmesh certify revoke --key authority.key --node 2 --did did:key:z6Mk… --cause compromised --list revocations
  cosmosmesh certify show node-2.certificate revocations

A file of statements is text, one statement a line, and no secret. The authority's key is: whoever has it decides who is a member.")]
pub struct CertifyArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Makes the authority's key where there is none, and prints its name.
    Authority {
        /// The file of the key, mode 0600.
        #[arg(long)]
        key: PathBuf,
    },
    /// Signs that a key speaks for a node, in a role, for a time.
    Issue(Issue),
    /// Takes a key back: adds it to the list, whose newest version counts. Where a node has the authority's key (`issuer`), the newest list is
    /// there, and not in a file: `ctl revoke` at that node adds to it.
    Revoke(Revoke),
    /// Tells what files of statements hold.
    Show {
        /// The files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Who is to have signed them: those of others are told as such. Nothing is checked without it.
        #[arg(long)]
        authority: Option<Did>,
    },
}

#[derive(Debug, Args)]
struct Issue {
    /// The file of the authority's key.
    #[arg(long)]
    key: PathBuf,
    /// The node's number.
    #[arg(long)]
    node: u64,
    /// The public name of the node's key, as `node --identity` prints it.
    #[arg(long)]
    did: Did,
    /// What it may do.
    #[arg(long, default_value = "contributor", value_parser = role)]
    role: Role,
    /// For which part of the fleet, such as mars/base; for all of it without it.
    #[arg(long, default_value = "")]
    scope: Scope,
    /// How long it holds.
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u64).range(1..=36_500))]
    days: u64,
    /// How far back it is dated, in seconds: for members whose clocks are behind. Of a member's certificates, the one that begins last counts.
    #[arg(long, default_value_t = BACKDATED_S, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    backdated_s: u64,
    /// Write it into this file; otherwise it is printed.
    #[arg(long)]
    out: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Revoke {
    /// The file of the authority's key.
    #[arg(long)]
    key: PathBuf,
    /// Whose key it was.
    #[arg(long)]
    node: u64,
    /// The key's public name.
    #[arg(long)]
    did: Did,
    /// Why.
    #[arg(long, value_enum)]
    cause: Cause,
    /// The file of the list; it is made where there is none.
    #[arg(long)]
    list: PathBuf,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Cause {
    /// Another key took its place, and nobody else has it.
    Superseded,
    /// The member is not wanted any more.
    Blocked,
    /// Somebody else may have it.
    Compromised,
}

impl From<Cause> for identity::Cause {
    fn from(cause: Cause) -> Self {
        match cause {
            Cause::Superseded => Self::Superseded,
            Cause::Blocked => Self::Blocked,
            Cause::Compromised => Self::Compromised,
        }
    }
}

/// `observer`, `contributor`, `operator`, `admin`, or the number of a role of the fleet's own, 16 to 255.
fn role(text: &str) -> Result<Role, String> {
    let built_in = Role::BUILT_IN.into_iter().find(|role| role.word() == Some(text));
    let own = || text.parse::<u8>().ok()?.checked_sub(16).and_then(OwnRole::new).map(Role::Own);
    built_in.or_else(own).ok_or_else(|| {
        "expected observer, contributor, operator, admin, or a number from 16 to 255".to_owned()
    })
}

pub(super) fn execute(args: &CertifyArgs) -> Result<Outcome, CliError> {
    let out = &mut io::stdout().lock();
    match &args.what {
        What::Authority { key: path } => {
            writeln!(out, "{}", key::did(&key::read_or_create(path)?))?;
        }
        What::Issue(issue) => {
            let authority = key::read(&issue.key)?;
            let Issue { node, did, role, scope, days, backdated_s, .. } = issue;
            let text =
                certificate(&authority, NodeId(*node), did.key(), (*role, scope), (*days, *backdated_s))?;
            match &issue.out {
                Some(path) => credential::write(path, &text)?,
                None => write!(out, "{text}")?,
            }
        }
        What::Revoke(args) => revoke(args, out)?,
        What::Show { files, authority } => {
            let mut all_hold = true;
            for file in files {
                for statement in credential::read(file)? {
                    all_hold &= show(out, file, &statement, authority.as_ref())?;
                }
            }
            return Ok(if all_hold { Outcome::Done } else { Outcome::No });
        }
    }
    Ok(Outcome::Done)
}

fn now() -> Result<DtnTime, CliError> {
    civil().ok_or_else(|| CliError::Usage("this machine's clock is before 2000: set it first".to_owned()))
}

/// A certificate from now on, as a line.
pub(super) fn certificate(
    authority: &KeyPair,
    subject: NodeId,
    key: &PublicKey,
    (role, scope): (Role, &Scope),
    (days, backdated_s): (u64, u64),
) -> Result<String, CliError> {
    let now = now()?.0;
    let certificate = Certificate {
        subject,
        key: key.clone(),
        role,
        scope: scope.clone(),
        not_before: DtnTime(now.saturating_sub(backdated_s * 1000).max(1)),
        expires: DtnTime(now + days * DAY_MS),
    };
    Ok(credential::line(&Statement::Certificate(certificate.issue(authority))))
}

fn revoke(args: &Revoke, out: &mut impl Write) -> Result<(), CliError> {
    let authority = key::read(&args.key)?;
    let mut list = newest_list(&args.list, authority.public())?;
    let cause = args.cause.into();
    let since = now()?.max(list.issued);
    let (node, key) = (NodeId(args.node), KeyId::of(args.did.key()));
    let known = list.keys.entry((node, key)).or_insert(Revoked { since, cause });
    if known.cause < cause {
        *known = Revoked { since, cause };
    }
    if list.keys.len() > MAX_REVOKED {
        return Err(CliError::Usage(format!(
            "{}: {MAX_REVOKED} keys are in the list already",
            args.list.display()
        )));
    }
    list.version += 1;
    list.issued = since;
    credential::write(&args.list, &credential::line(&Statement::Revocations(list.issue(&authority))))?;
    writeln!(out, "version {}, {} keys: {}", list.version, list.keys.len(), args.list.display())?;
    Ok(())
}

/// The list in a file; an empty one where there is no file. One of another authority is not added to.
fn newest_list(path: &Path, authority: &PublicKey) -> Result<RevocationList, CliError> {
    if !path.exists() {
        return Ok(RevocationList::default());
    }
    let mut newest = RevocationList::default();
    for statement in credential::read(path)? {
        let Statement::Revocations(bytes) = statement else { continue };
        let list = RevocationList::open(&bytes, authority)
            .map_err(|error| CliError::Usage(format!("{}: {error}", path.display())))?;
        if list.version > newest.version {
            newest = list;
        }
    }
    Ok(newest)
}

/// Tells one statement; whether it holds, as far as that was asked.
fn show(
    out: &mut impl Write,
    file: &Path,
    statement: &Statement,
    authority: Option<&Did>,
) -> io::Result<bool> {
    let name = file.display();
    let (verdict, holds) = match (statement, authority) {
        (Statement::Certificate(bytes), Some(did)) => match Certificate::open(bytes, did.key()) {
            Ok(certificate) => (told(&certificate), true),
            Err(error) => (format!("a certificate that does not hold: {error}"), false),
        },
        (Statement::Certificate(bytes), None) => match Certificate::claimed_subject(bytes) {
            Some(node) => (format!("a certificate of node {node}, unchecked (--authority checks)"), true),
            None => ("no certificate".to_owned(), false),
        },
        (Statement::Revocations(bytes), Some(did)) => match RevocationList::open(bytes, did.key()) {
            Ok(list) => (
                format!("revocations, version {}, {} keys{}", list.version, list.keys.len(), keys_of(&list)),
                true,
            ),
            Err(error) => (format!("revocations that do not hold: {error}"), false),
        },
        (Statement::Revocations(_), None) => ("revocations, unchecked (--authority checks)".to_owned(), true),
        (Statement::Succession(_), _) => ("a succession of keys".to_owned(), true),
    };
    writeln!(out, "{name}: {verdict}")?;
    Ok(holds)
}

fn told(certificate: &Certificate) -> String {
    let Certificate { subject, key, role, scope, not_before, expires } = certificate;
    let unix = |time: &DtnTime| time.0 / 1000 + 946_684_800;
    format!(
        "node {subject}, {}, role {role}, scope {scope}, from {} to {} (seconds of 1970)",
        Did::new(key.clone()),
        unix(not_before),
        unix(expires)
    )
}

fn keys_of(list: &RevocationList) -> String {
    let key = |((node, key), revoked): (&(NodeId, KeyId), &Revoked)| {
        format!("\n  node {node}, key {key}: {}", revoked.cause.word())
    };
    list.keys.iter().map(key).collect()
}
