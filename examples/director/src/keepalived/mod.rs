//! Reads a keepalived.conf.
//!
//! ```text
//! text ─ preprocess ─► lines ─ lexer ─► words ─ ast ─► statements ─► typed model ─ correct ─► Config
//!        includes, @id, $NAME, ~SEQ                    global, groups, virtual and real servers, checks,
//!                                                      virtual routers and what they follow
//! ```
//!
//! What counts is what keepalived makes of a file: its defaults, its inheritance, its corrections
//! (keepalived.conf(5)). Reading therefore never fails because of what a file
//! says; it gives a [`Config`] with everything usable and a list of [`Diagnostic`]s with file, line
//! and column. It deviates in these points, in favour of the user:
//!
//! - An unknown keyword is skipped together with its block, instead of reading the inner lines as if
//!   they stood outside.
//! - Parameters that contain themselves, and includes of files that include themselves, end with an
//!   error instead of looping; growth is bounded by [`Limits`].
//! - `\#`, `\!` and `${_HASH}` give the characters; `include` also works after `@id` and with
//!   parameters; an undefined `${NAME}` outside of quotes stays one word.
//! - Values of a virtual server count for all its real servers, also for those above them.
//! - A check of a server behind a fwmark uses the port written at the server where forwarding has no
//!   use for it.
//!
//! Parsing opens nothing and reads no clock; files and environment come from a [`Loader`].
//!
//! # Examples
//!
//! ```
//! use director::keepalived::{CheckKind, Config};
//!
//! let config = Config::parse(
//!     "web.conf",
//!     "virtual_server 192.0.2.1 80 {\n  lb_algo wrr\n  lb_kind DR\n  protocol TCP\n  delay_loop 3\n\
//!        real_server 192.0.2.11 80 { weight 10\n    TCP_CHECK { connect_timeout 2 } } }\n",
//! );
//! assert!(config.diagnostics().is_empty());
//! let [service] = config.virtual_servers() else { panic!("one virtual server") };
//! assert_eq!((service.scheduler, service.address.to_string().as_str()), ("wrr", "192.0.2.1:80"));
//! let check = &service.real_servers[0].checks[0];
//! assert!(matches!(check.kind, CheckKind::Tcp(_)));
//! assert_eq!(check.timing.delay_loop.as_secs(), 3);
//! ```

mod ast;
mod checks;
mod command;
mod correct;
mod diagnostic;
mod forwarding;
mod global;
mod groups;
mod include;
mod knobs;
mod lexer;
mod limits;
mod line;
mod persistence;
mod preprocess;
mod real_server;
mod sequence;
mod top;
mod values;
mod variables;
mod virtual_server;
pub mod vrrp;

use std::path::Path;
use std::sync::Arc;
use std::{fs, io};

pub use ast::{Block, Statement, Word};
pub use checks::{
    Check, CheckKind, Connection, DnsCheck, DnsType, FileCheck, HttpCheck, HttpProtocol, HttpUrl,
    MiscCheck, Regex, ReplyPattern, SmtpCheck, UdpCheck,
};
pub use command::Command;
pub use diagnostic::{Diagnostic, Feature, Position, Severity};
pub use forwarding::{Forwarding, Tunnel, TunnelChecksum};
pub use global::{
    Account, Fifo, FlushOnStop, Globals, LvsTimeouts, Mail, ProcessSettings, SslFiles, SyncDaemon,
    VrrpGlobals,
};
pub use groups::{AddressRange, Family, GroupEntry, VirtualServerGroup};
pub use include::{FileSystem, Loader, MemoryFiles, Nothing};
pub use knobs::Timing;
pub use limits::Limits;
pub use persistence::{Granularity, Persistence};
pub use real_server::RealServer;
pub use virtual_server::{
    Protocol, SCHEDULERS, ServiceFlags, SorryServer, VirtualAddress, VirtualServer,
};

pub(crate) use diagnostic::{Messages, sort};

use diagnostic::Report;
use preprocess::Preprocessor;
use vrrp::Vrrp;

/// How to read.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Options {
    /// Which `@id` lines count, and the value of `${_INSTANCE}`. Default empty;
    /// [`Options::for_host`] takes the host's name.
    pub config_id: String,
    /// Seed of `${_RANDOM}`. Default 0.
    pub seed: u64,
    /// Bounds.
    pub limits: Limits,
}

impl Options {
    /// Options with the id that keepalived uses when none is given: the first label of the host's
    /// name.
    #[must_use]
    pub fn for_host() -> Self {
        let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let label = name.trim().split('.').next().unwrap_or_default();
        Self {
            config_id: label.to_owned(),
            ..Self::default()
        }
    }

    /// Sets the id for `@id` lines.
    #[must_use]
    pub fn with_config_id(mut self, id: impl Into<String>) -> Self {
        self.config_id = id.into();
        self
    }

    /// Sets the bounds.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }
}

/// A configuration: what it says, and what is to be said about it.
#[derive(Debug)]
pub struct Config {
    name: Arc<str>,
    statements: Vec<Statement>,
    globals: Globals,
    groups: Vec<VirtualServerGroup>,
    virtual_servers: Vec<VirtualServer>,
    vrrp: Vrrp,
    diagnostics: Vec<Diagnostic>,
    features: Vec<Feature>,
    worst: Option<Severity>,
}

impl Config {
    /// Reads a file with what it includes, the way keepalived on this host would.
    ///
    /// # Errors
    ///
    /// The file itself cannot be read. What is wrong inside, or with included files, is among the
    /// [`diagnostics`](Self::diagnostics).
    pub fn read(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::read_with(path, &Options::for_host())
    }

    /// Reads a file with options.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn read_with(path: impl AsRef<Path>, options: &Options) -> io::Result<Self> {
        let path = path.as_ref();
        let Some(name) = path.to_str() else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the path is not UTF-8 text",
            ));
        };
        let text = FileSystem.read(name)?;
        let mut config = Self::parse_with(name, &text, options, &FileSystem);
        config.warn_of_readers();
        Ok(config)
    }

    /// Reads a text without access to files or environment.
    #[must_use]
    pub fn parse(name: &str, text: &str) -> Self {
        Self::parse_with(name, text, &Options::default(), &Nothing)
    }

    /// Reads a text with options and a source of files.
    #[must_use]
    pub fn parse_with(name: &str, text: &str, options: &Options, loader: &dyn Loader) -> Self {
        let mut report = Report::new(options.limits.diagnostics);
        let mut lines = Preprocessor::new(name, text, options, loader);
        let statements = ast::read(&mut lines, &options.limits, &mut report);
        let top = top::read(&statements, &mut report);
        let worst = report.worst();
        let (mut diagnostics, features) = report.finish();
        sort(&mut diagnostics);
        let top::Top {
            globals,
            groups,
            virtual_servers,
            vrrp,
        } = top;
        Self {
            name: name.into(),
            statements,
            globals,
            groups,
            virtual_servers,
            vrrp,
            diagnostics,
            features,
            worst,
        }
    }

    /// Where it begins, for what is about the whole of it.
    pub(crate) fn beginning(&self) -> Position {
        Position::new(Arc::clone(&self.name), 1, 1)
    }

    /// All statements as written, after includes and parameters; for what has no typed value here.
    #[must_use]
    pub fn statements(&self) -> &[Statement] {
        &self.statements
    }

    /// `global_defs` and other global statements.
    #[must_use]
    pub fn globals(&self) -> &Globals {
        &self.globals
    }

    /// `virtual_server_group` blocks. Of several with one name the first counts.
    #[must_use]
    pub fn groups(&self) -> &[VirtualServerGroup] {
        &self.groups
    }

    /// The group with a name.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<&VirtualServerGroup> {
        self.groups.iter().find(|group| group.name == name)
    }

    /// `virtual_server` blocks, corrected.
    #[must_use]
    pub fn virtual_servers(&self) -> &[VirtualServer] {
        &self.virtual_servers
    }

    /// Virtual routers and what belongs to them, corrected.
    #[must_use]
    pub fn vrrp(&self) -> &Vrrp {
        &self.vrrp
    }

    /// What is to be said about the file.
    #[must_use]
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// The worst severity, also of diagnostics that were left out because there were too many.
    #[must_use]
    pub fn worst(&self) -> Option<Severity> {
        self.worst
    }

    /// Everything that needs an engine to run it, in the file's order: VRRP blocks, checks, notify
    /// scripts, global settings. Whoever runs the configuration names to its user what it does not
    /// run.
    #[must_use]
    pub fn features(&self) -> &[Feature] {
        &self.features
    }

    /// Warns of secrets in files that everybody may read.
    fn warn_of_readers(&mut self) {
        let mut secrets = Vec::new();
        find_secrets(&self.statements, &mut secrets);
        let mut last = None;
        for position in secrets {
            if last.as_ref() == Some(&position.file) {
                continue;
            }
            last = Some(position.file.clone());
            if everybody_reads(&position.file) {
                let message = "a secret in a file that everybody may read; remove the permission";
                self.diagnostics.push(Diagnostic {
                    position,
                    severity: Severity::Warning,
                    message: message.to_owned(),
                });
                self.worst = self.worst.max(Some(Severity::Warning));
            }
        }
        sort(&mut self.diagnostics);
    }
}

/// Keywords whose value nobody else should know.
const SECRETS: [&str; 3] = ["auth_pass", "auth_hmac", "password"];

/// Blocks nest at most as deep as [`Limits::block_depth`].
fn find_secrets(statements: &[Statement], found: &mut Vec<Position>) {
    for statement in statements {
        if SECRETS.contains(&statement.keyword()) {
            found.push(statement.position().clone());
        }
        if let Some(block) = statement.block() {
            find_secrets(block.statements(), found);
        }
    }
}

fn everybody_reads(path: &str) -> bool {
    use std::os::unix::fs::PermissionsExt as _;

    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}
