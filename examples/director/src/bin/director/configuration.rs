//! What is to be run: a file, with all that is made of it and all that is to be said about it.

use core::fmt::Write as _;
use core::time::Duration;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use director::Director;
use director::keepalived::{Config, Diagnostic, Options, Severity};
use director::setup::Setup;
use director::vrrp::run::PlannedFile;
use director::vrrp::scripts::Scripts;
use director::vrrp::{Name, Plan, SyncPlan};
use lvs_ipvs::Table;
use lvs_vrrp::net::{DriverConfig, DriverError};
use lvs_vrrp::node::RouterId;

use crate::Failure;
use crate::arguments::Arguments;

/// A file, read.
pub(crate) struct Configuration {
    pub(crate) file: Arc<PlannedFile>,
    /// Virtual servers, where they are to be run; taken by whoever runs them.
    pub(crate) setup: Option<Setup>,
    /// Virtual routers, where they are to be run and there are some.
    pub(crate) vrrp: Option<VrrpPart>,
    /// In the order of the file.
    diagnostics: Vec<Diagnostic>,
}

/// The half about virtual routers.
pub(crate) struct VrrpPart {
    pub(crate) driver: DriverConfig,
    pub(crate) names: BTreeMap<RouterId, Name>,
    /// Its scripts, of which none runs yet.
    pub(crate) scripts: Option<Scripts>,
    pub(crate) sync: Option<SyncPlan>,
    /// What no single line is guilty of.
    invalid: Option<DriverError>,
}

impl Configuration {
    /// Reads it, after another one or as the first.
    pub(crate) fn load(
        path: &Path,
        arguments: &Arguments,
        before: Option<&Self>,
    ) -> Result<Self, Failure> {
        let mut options = Options::for_host();
        if let Some(id) = &arguments.config_id {
            options = options.with_config_id(id);
        }
        let config = Config::read_with(path, &options)
            .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
        let plan = match before {
            Some(before) => before.file.plan.following(&config),
            None => Plan::new(&config),
        };
        let setup = arguments.runs_checkers().then(|| {
            let setup = Setup::new(&config);
            match arguments.drain {
                Some(limit) => setup.with_drain(limit),
                None => setup,
            }
        });
        let mut diagnostics = config.diagnostics().to_vec();
        if arguments.runs_vrrp() {
            diagnostics.extend_from_slice(plan.diagnostics());
        }
        let vrrp = arguments.runs_vrrp() && !config.vrrp().instances.is_empty();
        let vrrp = vrrp.then(|| VrrpPart::new(&config, &plan, arguments, &mut diagnostics));
        diagnostics.extend(setup.iter().flat_map(|setup| setup.diagnostics()).cloned());
        diagnostics.sort_by(|one, other| one.position.cmp(&other.position));
        // Both halves read the accounts of scripts, and write into the same FIFO.
        diagnostics.dedup();
        Ok(Self {
            file: Arc::new(PlannedFile { plan, config }),
            setup,
            vrrp,
            diagnostics,
        })
    }

    /// Names of the virtual routers that are run.
    pub(crate) fn names(&self) -> BTreeMap<RouterId, Name> {
        let vrrp = self.vrrp.as_ref();
        vrrp.map(|vrrp| vrrp.names.clone()).unwrap_or_default()
    }

    /// The network namespace it is run in, if not in this one.
    pub(crate) fn namespace(&self) -> Option<&str> {
        self.file.config.globals().net_namespace.as_deref()
    }

    /// The network namespace of the table, if it is another.
    pub(crate) fn ipvs_namespace(&self) -> Option<&str> {
        self.file.config.globals().net_namespace_ipvs.as_deref()
    }

    /// What there is to be said about it, a line each.
    pub(crate) fn lines(&self) -> impl Iterator<Item = String> {
        self.diagnostics.iter().map(ToString::to_string)
    }

    /// Why it cannot be run, if so.
    pub(crate) fn refused(&self, arguments: &Arguments) -> Option<String> {
        let mut vrrp = self.vrrp.iter();
        if let Some(error) = vrrp.find_map(|vrrp| vrrp.invalid.as_ref()) {
            return Some(error.to_string());
        }
        let worst = self.diagnostics.iter().map(|found| found.severity).max();
        if worst == Some(Severity::Error) && !arguments.ignore_errors {
            return Some("there are errors; --ignore-errors runs what is left".to_owned());
        }
        let mut found = self.diagnostics.iter();
        let has_warnings = found.any(|found| found.severity == Severity::Warning);
        (arguments.strict && has_warnings).then(|| "there are warnings (--strict)".to_owned())
    }

    /// What is about to be run: services as `ipvsadm -S -n` prints them, then virtual routers.
    pub(crate) fn dump(&self) -> String {
        let setup = self.setup.as_ref();
        let director = setup.map(|it| Director::new(Duration::ZERO, it, &Table::new()));
        let mut text = match director {
            Some(Ok(director)) => director.desired().to_string(),
            Some(Err(error)) => format!("{error}\n"),
            None => String::new(),
        };
        for router in self.vrrp.iter().flat_map(|_| self.file.plan.routers()) {
            let (config, name) = (&router.config, &router.name);
            let _ = write!(
                text,
                "vrrp_instance {name}: {} on {}, id {}, priority {}, every {:?}:",
                config.family(),
                router.interface,
                config.vrid().get(),
                config.priority().get(),
                config.interval().as_duration(),
            );
            for address in &router.addresses {
                let _ = write!(text, " {}/{}", address.ip, address.prefix_length);
                if let Some(device) = &address.device {
                    let _ = write!(text, " dev {device}");
                }
            }
            text.push('\n');
        }
        text
    }
}

impl VrrpPart {
    fn new(
        config: &Config,
        plan: &Plan,
        arguments: &Arguments,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Self {
        let (scripts, of_scripts) = Scripts::new(plan, config);
        let (driver, of_driver) = plan.driver_config();
        diagnostics.extend(of_scripts);
        diagnostics.extend(of_driver);
        let sync = match arguments.runs_checkers() {
            true => {
                let (sync, of_sync) = SyncPlan::new(config, plan);
                diagnostics.extend(of_sync);
                sync
            }
            false => None,
        };
        let routers = plan.routers().iter();
        let names = routers.map(|router| {
            let name = Name {
                router: router.name.clone(),
                interface: router.interface.clone(),
            };
            (router.id, name)
        });
        Self {
            names: names.collect(),
            invalid: driver.validate().err(),
            driver,
            scripts: Some(scripts),
            sync,
        }
    }
}
