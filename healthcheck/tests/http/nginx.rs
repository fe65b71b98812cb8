//! nginx, unprivileged, in a folder of its own, for as long as a test holds it.

use core::net::SocketAddr;
use core::time::Duration;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

use tempfile::TempDir;

pub(crate) struct Nginx {
    process: Child,
    address: SocketAddr,
    folder: TempDir,
}

impl Nginx {
    /// Serves files below the folder `www` and what these directives of a `server` block say.
    pub(crate) fn start(directives: &str) -> Self {
        Self::start_with("", directives)
    }

    /// The same over TLS, with a certificate nobody knows.
    #[cfg(feature = "tls")]
    pub(crate) fn start_tls(directives: &str) -> Self {
        let keys = tempfile::tempdir().unwrap();
        let status = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt"])
            .args([
                "ec_paramgen_curve:prime256v1",
                "-nodes",
                "-subj",
                "/CN=www.example",
            ])
            .args(["-keyout", "key.pem", "-out", "cert.pem"])
            .current_dir(keys.path())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
        let folder = keys.path().display();
        let keys_of =
            format!("ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;");
        // Once it listens it has read them.
        Self::start_with("ssl", &format!("{keys_of} {directives}"))
    }

    fn start_with(listen: &str, directives: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // The workers are somebody else when the test is root.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(folder.path().join("www")).unwrap();
        // A port that was free a moment ago; another one if somebody was faster.
        for _ in 0..10 {
            let free = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = free.local_addr().unwrap();
            drop(free);
            let configuration =
                configuration(folder.path(), &format!("{address} {listen}"), directives);
            fs::write(folder.path().join("nginx.conf"), configuration).unwrap();
            let mut process = Command::new("nginx")
                .args(["-e", "error.log", "-c", "nginx.conf", "-p"])
                .arg(folder.path())
                .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
                .stdin(Stdio::null())
                .spawn()
                .unwrap();
            let end = Instant::now() + Duration::from_secs(10);
            while process.try_wait().unwrap().is_none() {
                if TcpStream::connect(address).is_ok() {
                    return Self {
                        process,
                        address,
                        folder,
                    };
                }
                assert!(Instant::now() < end, "nginx does not listen");
                thread::sleep(Duration::from_millis(10));
            }
        }
        panic!(
            "nginx does not start: {}",
            fs::read_to_string(folder.path().join("error.log")).unwrap_or_default()
        );
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Puts a file below the root.
    pub(crate) fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.folder.path().join("www").join(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// The requests it has logged, once there are so many: it does so after it has answered.
    pub(crate) fn log(&self, count: usize) -> Vec<String> {
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            let log = fs::read_to_string(self.folder.path().join("access.log")).unwrap();
            if log.lines().count() >= count {
                return log.lines().map(str::to_owned).collect();
            }
            assert!(Instant::now() < end, "only {log}");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn configuration(folder: &Path, listen: &str, directives: &str) -> String {
    let folder = folder.display();
    let echo = "/usr/lib/nginx/modules/ngx_http_echo_module.so";
    format!(
        "daemon off; master_process off; pid {folder}/pid; load_module {echo};
        error_log {folder}/error.log;
        events {{ worker_connections 64; }}
        http {{
            log_format short '$connection $connection_requests \"$request\" $http_host $status';
            access_log {folder}/access.log short;
            client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
            fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
            scgi_temp_path {folder}/scgi;
            types {{ text/plain txt; }}
            server {{ listen {listen}; root {folder}/www; {directives} }}
        }}"
    )
}
