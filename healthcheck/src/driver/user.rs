//! Users by name.

use alloc::ffi::CString;

use nix::unistd::{User, getgrouplist};

use crate::error::{Error, Invalid};
use crate::probe::command::Credentials;

/// Looks up a user's number, group and supplementary groups, for keepalived's `user` and
/// `script_user`.
///
/// Reads the host's user database, which may be slow; call it when loading a configuration.
///
/// # Errors
///
/// There is no such user, or the database cannot be read.
pub fn lookup_user(name: &str) -> Result<Credentials, Error> {
    let unknown = || Invalid::new("user", name, "must be a user of this host");
    let user = User::from_name(name)
        .map_err(|errno| Error::io("getpwnam_r", errno))?
        .ok_or_else(unknown)?;
    let c_name = CString::new(name).map_err(|_| unknown())?;
    let groups =
        getgrouplist(&c_name, user.gid).map_err(|errno| Error::io("getgrouplist", errno))?;
    let mut credentials = Credentials::new(user.uid.as_raw(), user.gid.as_raw());
    credentials.groups = groups.into_iter().map(nix::unistd::Gid::as_raw).collect();
    Ok(credentials)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_everywhere_and_strangers_are_named() {
        let root = lookup_user("root").unwrap();
        assert_eq!((root.uid, root.gid), (0, 0));
        assert!(root.groups.contains(&0));
        let error = lookup_user("no such user").unwrap_err();
        assert_eq!(
            error.to_string(),
            "user is no such user: must be a user of this host"
        );
        assert!(lookup_user("a\0b").is_err());
    }
}
