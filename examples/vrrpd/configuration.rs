//! What is to be run: from flags, or from a file.

use core::fmt;
use std::collections::BTreeMap;
use std::sync::Arc;

use director::keepalived::{Config, Diagnostic, Options, Severity};
use director::vrrp::run::PlannedFile;
use director::vrrp::scripts::Scripts;
use director::vrrp::{Name, Plan, TrackerSource, left_out};
use lvs_vrrp::net::{DriverConfig, DriverError};
use lvs_vrrp::node::RouterId;
use lvs_vrrp::track::TrackerId;

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::flags;

/// A configuration: what is run, and what is to be said about it.
#[derive(Debug)]
pub(crate) struct Configuration {
    pub(crate) driver: DriverConfig,
    /// Names of the virtual routers.
    pub(crate) names: BTreeMap<RouterId, Name>,
    /// What the file says.
    pub(crate) file: Option<Arc<PlannedFile>>,
    /// Its scripts, of which none runs yet.
    pub(crate) scripts: Option<Scripts>,
    diagnostics: Vec<Diagnostic>,
    /// What no single line is guilty of.
    invalid: Option<DriverError>,
    source: String,
}

impl Configuration {
    /// Reads it, after another one or as the first.
    pub(crate) fn load(arguments: &Arguments, before: Option<&Self>) -> Result<Self, Failure> {
        let mut configuration = match &arguments.file {
            None => {
                let (driver, name) =
                    flags::driver_config(&arguments.router).map_err(Failure::Flags)?;
                let interface = arguments.router.interface.clone();
                let name = Name {
                    router: name,
                    interface: interface.unwrap_or_default(),
                };
                Self {
                    driver,
                    names: BTreeMap::from([(RouterId::new(1), name)]),
                    file: None,
                    scripts: None,
                    diagnostics: Vec::new(),
                    invalid: None,
                    source: "the command line".to_owned(),
                }
            }
            Some(path) => {
                let mut options = Options::for_host();
                if let Some(id) = &arguments.config_id {
                    options = options.with_config_id(id);
                }
                let config = Config::read_with(path, &options)
                    .map_err(|error| Failure::Open(path.clone(), error))?;
                let plan = match before.and_then(|before| before.file.as_ref()) {
                    Some(file) => file.plan.following(&config),
                    None => Plan::new(&config),
                };
                Self::planned(PlannedFile { plan, config }, path.display().to_string())
            }
        };
        if let Some(lifetime) = arguments.lifetime {
            let mut driver = configuration.driver.clone();
            for (id, router) in configuration.driver.routers() {
                driver = driver.with_router(id, router.clone().with_lifetime(lifetime));
            }
            configuration.driver = driver;
        }
        configuration.driver = configuration.driver.with_tag(arguments.tag);
        configuration.invalid = configuration.driver.validate().err();
        Ok(configuration)
    }

    fn planned(file: PlannedFile, source: String) -> Self {
        let PlannedFile { plan, config } = &file;
        let (scripts, of_scripts) = Scripts::new(plan, config);
        let (driver, further) = plan.driver_config();
        let mut diagnostics = config.diagnostics().to_vec();
        diagnostics.extend_from_slice(plan.diagnostics());
        diagnostics.extend(further);
        diagnostics.extend(of_scripts);
        diagnostics.extend(left_out(config));
        diagnostics.sort_by(|one, other| one.position.cmp(&other.position));
        Self {
            driver,
            names: plan
                .routers()
                .iter()
                .map(|router| {
                    let name = Name {
                        router: router.name.clone(),
                        interface: router.interface.clone(),
                    };
                    (router.id, name)
                })
                .collect(),
            file: Some(Arc::new(file)),
            scripts: Some(scripts),
            diagnostics,
            invalid: None,
            source,
        }
    }

    /// The network namespace it is run in, if not in this one.
    pub(crate) fn namespace(&self) -> Option<&str> {
        let file = self.file.as_ref()?;
        file.config.globals().net_namespace.as_deref()
    }

    /// What trackers that are fed from here are called, each differently.
    pub(crate) fn trackers(&self) -> BTreeMap<TrackerId, String> {
        let plan = self.file.iter().flat_map(|file| file.plan.trackers());
        let named = plan.filter_map(|tracker| {
            let name = match &tracker.source {
                TrackerSource::Script(script) => format!("script {}", script.name),
                TrackerSource::File(file) => format!("file {}", file.name),
                TrackerSource::Process(process) => format!("process {}", process.name),
                _ => return None,
            };
            Some((tracker.id, name))
        });
        named.collect()
    }

    pub(crate) fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// What of this host is in the way of it, where its interfaces are there: how to change that is
    /// said, too.
    pub(crate) fn review(&self) -> Vec<String> {
        match self.driver.review() {
            Ok(findings) => findings.iter().map(ToString::to_string).collect(),
            Err(error) => vec![format!("as this host is now: {error}")],
        }
    }

    fn count(&self, severity: Severity) -> usize {
        let found = self.diagnostics.iter();
        let found = found.filter(|diagnostic| diagnostic.severity == severity);
        found.count()
    }

    /// Whether it can be run; a strict user wants no warnings either.
    pub(crate) fn is_usable(&self, is_strict: bool) -> bool {
        let worst = self.diagnostics.iter().map(|found| found.severity).max();
        let limit = if is_strict {
            Severity::Warning
        } else {
            Severity::Error
        };
        self.invalid.is_none() && worst < Some(limit)
    }

    /// Why it is not usable.
    pub(crate) fn refused(&self, is_strict: bool) -> Failure {
        Failure::Refused(match &self.invalid {
            Some(error) => format!("{}: {error}", self.source),
            None => format!(
                "{}: {}, {}{}",
                self.source,
                Counted(self.count(Severity::Error), "error"),
                Counted(self.count(Severity::Warning), "warning"),
                if is_strict { " (--strict)" } else { "" }
            ),
        })
    }

    /// What it amounts to, in a line, with so many warnings about the host.
    pub(crate) fn summary(&self, of_host: usize) -> String {
        let host = match of_host {
            0 => String::new(),
            count => format!(", {} about this host", Counted(count, "warning")),
        };
        format!(
            "{}: {}, {}, {}{host}\n",
            self.source,
            Counted(self.names.len(), "virtual router"),
            Counted(self.count(Severity::Error), "error"),
            Counted(self.count(Severity::Warning), "warning"),
        )
    }
}

/// `1 error`, `2 errors`
struct Counted(usize, &'static str);

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ending = if self.0 == 1 { "" } else { "s" };
        write!(f, "{} {}{ending}", self.0, self.1)
    }
}
