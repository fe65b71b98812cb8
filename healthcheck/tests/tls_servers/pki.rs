//! Certificates made by `openssl`, in a folder that goes with them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use lvs_healthcheck::probe::tls::{Pem, Trust};
use tempfile::TempDir;

pub(crate) struct Pki {
    folder: TempDir,
}

/// The settings of `openssl ca`, which alone can choose both ends of a certificate's time.
const SETTINGS: &str = "
[ca]
default_ca = here
[here]
database = index
serial = serial
new_certs_dir = .
default_md = sha256
unique_subject = no
policy = any
[any]
commonName = supplied
[req]
distinguished_name = none
[none]
";

impl Pki {
    /// An authority: `ca.pem`.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Servers may be somebody else when the test is root.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let pki = Self { folder };
        fs::write(pki.path("settings"), SETTINGS).unwrap();
        fs::write(pki.path("index"), "").unwrap();
        fs::write(pki.path("serial"), "01").unwrap();
        pki.self_signed("ca", "basicConstraints=critical,CA:TRUE");
        pki
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn pem(&self, name: &str) -> Pem {
        Pem::file(self.path(name))
    }

    /// Trust in `ca.pem` and nobody else.
    pub(crate) fn trust(&self) -> Trust {
        Trust::Only(self.pem("ca.pem"))
    }

    /// Runs `openssl` in the folder and gives what it says.
    pub(crate) fn openssl(&self, arguments: &str) -> String {
        let mut command = Command::new("openssl");
        command.args(arguments.split_whitespace());
        let output = command
            .current_dir(self.folder())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {arguments}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Makes `NAME.key` and `NAME.pem`, signed with itself.
    pub(crate) fn self_signed(&self, name: &str, extension: &str) {
        self.openssl(&format!(
            "req -config settings -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}.key \
             -out {name}.pem -days 30 -subj /CN={name} -addext {extension}"
        ));
    }

    /// Makes `NAME.key` and `NAME.pem`, signed by an authority, valid as said (`-days 30`), with
    /// these extensions, one a line.
    pub(crate) fn signed_by(&self, authority: &str, name: &str, time: &str, extensions: &str) {
        self.openssl(&format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}.key \
             -out {name}.csr -subj /CN={name}"
        ));
        fs::write(self.path("extensions"), extensions).unwrap();
        self.openssl(&format!(
            "ca -batch -config settings -cert {authority}.pem -keyfile {authority}.key \
             -in {name}.csr -out {name}.pem -notext -extfile extensions {time}"
        ));
    }

    /// The usual: signed by `ca`, for thirty days.
    pub(crate) fn server(&self, name: &str) {
        let names = format!("subjectAltName=DNS:{name},IP:127.0.0.1");
        self.signed_by("ca", name, "-days 30", &names);
    }

    /// The digest of a certificate's public key, in hexadecimal.
    pub(crate) fn pin(&self, name: &str) -> String {
        let key = self.openssl(&format!("x509 -in {name}.pem -noout -pubkey"));
        fs::write(self.path("public"), key).unwrap();
        self.openssl("pkey -pubin -in public -outform der -out public.der");
        let digest = self.openssl("dgst -sha256 -r public.der");
        digest.split(' ').next().unwrap().to_owned()
    }
}
