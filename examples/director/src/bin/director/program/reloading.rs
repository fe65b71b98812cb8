//! SIGHUP: the file is read again, and what is another goes on otherwise.
//!
//! | Step | What |
//! |---|---|
//! | trial | all that may be refused is tried or opened; nothing has changed yet |
//! | 1 | services and servers that come or change, until the kernel's table has them |
//! | 2 | virtual routers: addresses come and go, until those that go are gone |
//! | 3 | services that go |
//!
//! So an address is there only while its services are (OP-1). What the kernel does not do once it is
//! asked for is told; the threads go on trying, and nothing is taken back for it.

use core::time::Duration;
use std::sync::Arc;

use director::keepalived::vrrp::TrackFile;
use director::setup::initialize_files;
use lvs_ipvs::Client;
use lvs_vrrp::net::{Driver, DriverConfig};

use super::{Program, refuse_both_roles};
use crate::Failure;
use crate::configuration::{Configuration, VrrpPart};
use crate::reviewing;
use crate::told::Told;

/// Within this time the table's thread has taken over another configuration, and the kernel has it.
const LIMIT: Duration = Duration::from_secs(10);

/// What was opened for a new configuration.
#[derive(Default)]
struct Trial {
    /// For the first virtual routers.
    driver: Option<Driver>,
    /// For other sync daemons.
    client: Option<Client>,
    /// The table's thread has a setup that it would take over.
    has_table: bool,
}

impl Program<'_> {
    /// Goes on with the file as it is now, or says why not.
    pub(super) fn reload(&mut self) {
        if self.is_stopping {
            return;
        }
        match self.take_over_file() {
            Ok(()) => {
                let line = format!("reload  {} is run now", self.path.display());
                self.log.tell(Told::line("reloaded", &line));
            }
            Err(reason) => {
                let line = format!("reload  refused: {reason}; all goes on as before");
                self.log.tell(Told::line("not-reloaded", &line));
            }
        }
    }

    fn take_over_file(&mut self) -> Result<(), String> {
        let before = Some(&self.configuration);
        let read = Configuration::load(&self.path, self.arguments, before);
        let mut new = read.map_err(|failure| failure.message)?;
        for line in new.lines() {
            self.log.tell(Told::line("configuration", &line));
        }
        if let Some(reason) = new.refused(self.arguments) {
            return Err(reason);
        }
        if new.namespace() != self.configuration.namespace()
            || new.ipvs_namespace() != self.configuration.ipvs_namespace()
        {
            return Err("net_namespace cannot change while it runs".to_owned());
        }
        self.review(&new)?;
        let trial = self.try_out(&mut new)?;
        self.go_on_with(new, trial);
        Ok(())
    }

    /// What the start would say of it, it says now.
    fn review(&self, new: &Configuration) -> Result<(), String> {
        let sync = new.vrrp.as_ref().and_then(|vrrp| vrrp.sync);
        refuse_both_roles(sync, self.arguments).map_err(said)?;
        let findings = reviewing::look(new, self.arguments, Some(&self.configuration));
        for finding in reviewing::told(&findings) {
            self.log.tell(Told::finding(finding));
        }
        reviewing::refused(&findings, self.arguments).map_or(Ok(()), |reason| Err(said(reason)))
    }

    /// Everything that may be refused, without effect. The last is a table where there was none: it
    /// begins at once, as services come first.
    fn try_out(&mut self, new: &mut Configuration) -> Result<Trial, String> {
        let mut trial = Trial::default();
        let sync = new.vrrp.as_ref().and_then(|vrrp| vrrp.sync);
        if sync.is_some() && sync != self.sync() {
            let client = self.kernel.connect();
            trial.client = Some(client.map_err(|error| format!("sync daemons: {error}"))?);
        }
        match (&self.routers, &new.vrrp) {
            (Some(routers), Some(vrrp)) => {
                let tried = routers.try_reload(vrrp.driver.clone());
                tried.map_err(|error| error.to_string())?;
            }
            (None, Some(vrrp)) => trial.driver = Some(self.driver(vrrp).map_err(said)?),
            (_, None) => {}
        }
        let Some(setup) = new.setup.take() else {
            return Ok(trial);
        };
        match &self.table {
            None if setup.pools.is_empty() => {}
            None => {
                self.initialize(&setup.files);
                let is_standby = new.vrrp.is_some() && !self.take_over.has_addresses();
                self.start_table(&setup, is_standby).map_err(said)?;
            }
            Some(table) => {
                let files = setup.files.clone();
                let tried = table.remote().try_reload(setup, LIMIT);
                tried.map_err(|error| error.to_string())?;
                trial.has_table = true;
                self.initialize(&files);
            }
        }
        Ok(trial)
    }

    /// Files that new checks read.
    fn initialize(&self, files: &[TrackFile]) {
        for diagnostic in initialize_files(files, Some(&self.configuration.file.config)) {
            let line = diagnostic.to_string();
            self.log.tell(Told::line("configuration", &line));
        }
    }

    /// From here on there is no way back, and nothing that asks for one.
    fn go_on_with(&mut self, mut new: Configuration, trial: Trial) {
        self.names.set(&new.names());
        let has_leaving = self.begin_table(trial.has_table);
        self.reload_routers(&mut new, trial.driver);
        if has_leaving {
            if let Some(routers) = &self.routers {
                // Those that cannot be removed are told of by the driver, which goes on trying.
                let _ = routers.handle().wait_settled(LIMIT);
            }
            let table = self.table.as_ref();
            let finished = table.map_or(Ok(()), |table| table.remote().finish_reload(LIMIT));
            self.tell_failure("services that go", finished);
        }
        if new.vrrp.is_none() && self.configuration.vrrp.is_some() {
            self.stand_alone();
        }
        let sync = new.vrrp.as_ref().and_then(|vrrp| vrrp.sync);
        if sync != self.sync() {
            self.take_over.set_sync(sync, trial.client);
        }
        self.configuration = new;
    }

    /// Services that come are in the kernel's table before their addresses are there. Says whether
    /// some are to leave.
    fn begin_table(&self, has_setup: bool) -> bool {
        let Some(table) = &self.table else {
            return false;
        };
        let begun = match has_setup {
            true => table.remote().begin_reload(LIMIT),
            false => Ok(false),
        };
        // One that is too busy to answer has the request, and another will end what it begins.
        let has_leaving = begun.as_ref().copied().unwrap_or(true);
        self.tell_failure("table", begun.map(drop));
        self.tell_failure("table", table.remote().complete(LIMIT));
        has_leaving
    }

    fn reload_routers(&mut self, new: &mut Configuration, driver: Option<Driver>) {
        if let (Some(driver), Some(vrrp)) = (driver, &mut new.vrrp) {
            let started = self.first_routers(driver, vrrp);
            if started.is_err() {
                // As if there were none, so that the next reload starts them.
                new.vrrp = None;
            }
            self.tell_failure("virtual routers", started);
            return;
        }
        match (&self.configuration.vrrp, &new.vrrp) {
            (None, Some(_)) => self.stand_by(),
            // The table stays as it is when their addresses go.
            (Some(_), None) => self.handle.set(None),
            _ => {}
        }
        let Some(routers) = &self.routers else {
            return;
        };
        let (names, nothing) = (new.names(), DriverConfig::new());
        let known = self.configuration.names().into_keys();
        let removed = known.filter(|id| !names.contains_key(id)).collect();
        let driver = new.vrrp.as_ref().map_or(&nothing, |vrrp| &vrrp.driver);
        let before = Some(&self.configuration.file);
        let reloaded = routers.reload(driver.clone(), removed, before, Some(&new.file));
        if reloaded.is_err() {
            // Interfaces have changed since it was tried: they go on with what they have.
            new.vrrp = self.configuration.vrrp.take();
            new.file = Arc::clone(&self.configuration.file);
            self.names.set(&new.names());
            self.configuration.vrrp = None;
        }
        self.tell_failure("virtual routers", reloaded);
    }

    /// There were none before: from now on the table may be a standby's.
    fn first_routers(&mut self, driver: Driver, vrrp: &mut VrrpPart) -> Result<(), String> {
        self.stand_by();
        let started = self.start_routers(driver, vrrp).map_err(said);
        if started.is_err() {
            self.stand_alone();
        }
        started
    }

    /// From now on virtual routers decide about the table.
    fn stand_by(&self) {
        if let Some(table) = &self.table {
            self.handle.set(Some(table.remote().clone()));
            self.tell_failure("table of a standby", table.remote().stand_by(LIMIT));
        }
    }

    /// No virtual router decides about the table any more, not even those that are on their way out.
    fn stand_alone(&self) {
        self.handle.set(None);
        if let Some(table) = &self.table {
            let alone = table.remote().stand_alone(LIMIT);
            self.tell_failure("table without virtual routers", alone);
        }
    }

    /// It is what was asked for all the same, and whoever was asked goes on trying.
    fn tell_failure(&self, what: &str, result: Result<(), impl core::fmt::Display>) {
        if let Err(error) = result {
            let line = format!("failed  {what}: {error}");
            self.log.tell(Told::line("failed", &line));
        }
    }
}

fn said(failure: Failure) -> String {
    failure.message
}
