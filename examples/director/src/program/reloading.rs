//! SIGHUP: the file is read again, and what is another goes on otherwise.

use core::time::Duration;

use director::run::RemoteError;
use lvs_vrrp::net::DriverConfig;

use super::{Program, refuse_both_roles};
use crate::Failure;
use crate::configuration::{Configuration, VrrpPart};
use crate::told::Told;

/// Within this time the table's thread has taken over another configuration.
const LIMIT: Duration = Duration::from_secs(10);

impl Program<'_> {
    /// Goes on with the file as it is now, or says why not. Both halves are looked at before anything
    /// is changed.
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
        let sync = new.vrrp.as_ref().and_then(|vrrp| vrrp.sync);
        refuse_both_roles(sync, self.arguments).map_err(said)?;
        // Addresses that go do so before their services, and connections to those that come are new
        // ones.
        self.reload_routers(&mut new)?;
        if let Err(reason) = self.reload_table(&mut new) {
            self.take_routers_back();
            return Err(reason);
        }
        if new.vrrp.is_none() && self.configuration.vrrp.is_some() {
            self.stand_alone();
        }
        let is_same = sync == self.configuration.vrrp.as_ref().and_then(|vrrp| vrrp.sync);
        self.configuration = new;
        if !is_same {
            let set = self.set_sync(sync);
            set.map_err(|error| format!("sync daemons: {error}"))?;
        }
        Ok(())
    }

    fn reload_routers(&mut self, new: &mut Configuration) -> Result<(), String> {
        let (names, nothing) = (new.names(), DriverConfig::new());
        self.names.set(&names);
        let reloaded = match (&self.routers, &mut new.vrrp) {
            (None, None) => Ok(()),
            (None, Some(vrrp)) => self.first_routers(vrrp),
            (Some(routers), vrrp) => {
                match (&self.configuration.vrrp, &vrrp) {
                    (None, Some(_)) => self.stand_by()?,
                    // The table stays as it is when their addresses go.
                    (Some(_), None) => self.handle.set(None),
                    _ => {}
                }
                let known = self.configuration.names().into_keys();
                let removed = known.filter(|id| !names.contains_key(id)).collect();
                let driver = vrrp.as_ref().map_or(&nothing, |vrrp| &vrrp.driver);
                let before = Some(&self.configuration.file);
                let reloaded = routers.reload(driver.clone(), removed, before, Some(&new.file));
                reloaded.map_err(|error| error.to_string())
            }
        };
        if reloaded.is_err() {
            self.names.set(&self.configuration.names());
            self.hand_table();
        }
        reloaded
    }

    /// There were none before: from now on the table may be a standby's.
    fn first_routers(&mut self, vrrp: &mut VrrpPart) -> Result<(), String> {
        let driver = self.driver(vrrp).map_err(said)?;
        self.stand_by()?;
        let started = self.start_routers(driver, vrrp).map_err(said);
        if started.is_err() {
            self.stand_alone();
        }
        started
    }

    fn hand_table(&self) {
        let remote = self.table.as_ref().map(|table| table.remote().clone());
        self.handle.set(remote);
    }

    /// From now on virtual routers decide about the table.
    fn stand_by(&self) -> Result<(), String> {
        self.hand_table();
        let standby = self.table.as_ref().map(|it| it.remote().stand_by(LIMIT));
        standby.unwrap_or(Ok(())).map_err(|error| error.to_string())
    }

    /// No virtual router decides about the table any more, not even those that are on their way out.
    fn stand_alone(&self) {
        self.handle.set(None);
        if let Some(table) = &self.table
            && let Err(error) = table.remote().stand_alone(LIMIT)
        {
            // The role is another all the same, and the loop goes on trying.
            let line = format!("failed  table without virtual routers: {error}");
            self.log.tell(Told::line("failed", &line));
        }
    }

    fn reload_table(&mut self, new: &mut Configuration) -> Result<(), String> {
        let Some(setup) = new.setup.take() else {
            return Ok(());
        };
        for line in setup.initialize_files(Some(&self.configuration.file.config)) {
            self.log.tell(Told::line("configuration", &line));
        }
        match &self.table {
            None if setup.pools.is_empty() => Ok(()),
            None => {
                let is_standby = self.routers.is_some() && !self.take_over.has_addresses();
                self.start_table(&setup, is_standby).map_err(said)
            }
            Some(table) => {
                let reloaded = table.remote().reload(setup, LIMIT);
                reloaded.map_err(|error| match error {
                    RemoteError::Refused(reason) => reason,
                    error => error.to_string(),
                })
            }
        }
    }

    /// The other half cannot go on with the new file, so this one does not either.
    fn take_routers_back(&mut self) {
        let old = &self.configuration;
        let (names, nothing) = (old.names(), DriverConfig::new());
        if old.vrrp.is_some() {
            self.hand_table();
        }
        if let Some(routers) = &self.routers {
            let driver = old.vrrp.as_ref().map_or(&nothing, |vrrp| &vrrp.driver);
            // It ran with this a moment ago.
            let _ = routers.reload(driver.clone(), Vec::new(), None, Some(&old.file));
        }
        self.names.set(&names);
        if old.vrrp.is_none() {
            self.stand_alone();
        }
    }
}

fn said(failure: Failure) -> String {
    failure.message
}
