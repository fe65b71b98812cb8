//! Where the director differs from keepalived 2.2.7 on purpose.

use crate::judge::judge;
use crate::pages::{get, nginx, page};
use crate::table::{Fails, Passes};

/// keepalived 2.2.7 counts from the beginning of the header, if that comes together with the page;
/// its manual does not.
#[test]
#[ignore = "needs nginx"]
fn offsets_count_within_the_page() {
    let server = nginx("server { listen PORT; }");
    page(&server, "ok.txt", "all is well\n");
    let ok = "path /ok.txt";
    let http = |url: &str| get("HTTP_GET", server.port(), "", &[url]);
    let checks = [
        (
            Passes,
            http(&format!(
                "{ok}\nregex well\nregex_min_offset 3\nregex_max_offset 7"
            )),
        ),
        (
            Fails,
            http(&format!("{ok}\nregex well\nregex_min_offset 8")),
        ),
        (Passes, http(&format!("{ok}\nregex ^all"))),
        (Passes, http(&format!("{ok}\nregex well$"))),
        (Fails, http(&format!("{ok}\nregex nginx"))),
    ];
    judge(
        "",
        &checks
            .each_ref()
            .map(|(verdict, check)| (*verdict, check.as_str())),
    );
}

/// keepalived knows these words only in later versions.
#[test]
#[ignore = "needs nginx"]
fn newer_words_about_names_are_known() {
    let server = nginx(
        "server { listen PORT ssl; ssl_reject_handshake on; }
         server { listen PORT ssl; server_name named.example; }",
    );
    page(&server, "ok.txt", "well\n");
    let https = |common: &str| get("SSL_GET", server.port(), common, &["path /ok.txt"]);
    let checks = [
        (Passes, https("sni_name named.example")),
        (Fails, https("sni_name other.example")),
        (Passes, https("sni_name named.example\ntls_compliant")),
    ];
    judge(
        "",
        &checks
            .each_ref()
            .map(|(verdict, check)| (*verdict, check.as_str())),
    );
}
